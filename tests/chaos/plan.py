"""The plan of a run: which fault follows which, and when; the seed decides, so a plan can be had again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from chaos.cluster import SIDES

Kind = Literal[
    "kill", "zombie", "broker kill", "side silent", "side reset", "broker cut", "disk full", "redis gone",
    "roll", "new rules", "one more", "one fewer", "split", "join",
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

DETECT: Final = ("detect-1", "detect-2")
INGEST: Final = ("ingest-1", "ingest-2")
JOINED: Final = "rest-1"
"""Clock, learn and deliver in one process; split, each has its own."""
SPLIT: Final = ("clock-1", "learn-1", "deliver-1")
SPARE: Final = "detect-3"
_ANOTHER: Final = "another"
_CUTS: Final[tuple[Kind, ...]] = ("side silent", "side reset", "broker cut")
_CHANGES: Final[tuple[Kind, ...]] = ("roll", "new rules", "one more", "one fewer", "split", "join")
_PAIRS: Final[tuple[tuple[Kind, Kind], ...]] = (("one more", "one fewer"), ("split", "join"))

Seconds = tuple[float, float]
"""From, to."""
_BROKERS: Final = ("1", "2", "3")
_TERMS: Final[dict[Kind, tuple[Sequence[str], Seconds, Seconds]]] = {
    "kill": ((), (0, 8), (5, 9)),
    "zombie": ((), (8, 12), (5, 9)),
    "broker kill": (_BROKERS, (3, 8), (9, 12)),
    "disk full": (_BROKERS, (3, 8), (9, 12)),
    "side silent": (SIDES, (8, 12), (8, 11)),
    "side reset": (SIDES, (2, 5), (6, 9)),
    "broker cut": (_BROKERS, (4, 9), (6, 9)),
    "redis gone": (("redis",), (3, 6), (2, 4)),
    **dict.fromkeys(_CHANGES, (("all",), (0, 0), (3, 5))),
}
"""Of what is chosen (nothing: of the workers that are there), how long it lasts, and the time after it. A session is 6 s."""


@dataclass(frozen=True)
class Counts:
    """How many of each fault."""

    kills: int
    zombies: int
    broker_kills: int
    cuts: int
    """Of each of the three kinds."""
    disks_full: int
    redis_gone: int
    rolls: int
    """Rounds of changes: each worker anew, new rules, one more, one fewer, roles split and joined."""


@dataclass(frozen=True)
class Step:
    """A fault and the time after it."""

    kind: Kind
    target: str
    """A worker, a broker's number or a side."""
    lasts_s: float
    """How long what was taken away stays away."""
    pause_s: float
    """Before the next fault."""


def make_plan(counts: Counts, seed: int, pause: float = 1.0) -> list[Step]:
    """All faults in an order of chance; what is taken back comes after what is done.

    Args:
        counts: how many of each.
        seed: of the chance.
        pause: times the usual time between two faults.
    """
    chance = random.Random(seed)
    times: dict[Kind, int] = {
        "kill": counts.kills,
        "zombie": counts.zombies,
        "broker kill": counts.broker_kills,
        **dict.fromkeys(_CUTS, counts.cuts),
        "disk full": counts.disks_full,
        "redis gone": counts.redis_gone,
        **dict.fromkeys(_CHANGES, counts.rolls),
    }
    kinds = [kind for kind, count in times.items() for _ in range(count)]
    chance.shuffle(kinds)
    for first, second in _PAIRS:
        _alternate(kinds, first, second)
    present, plan = [*DETECT, *INGEST, JOINED], []
    decks: dict[Kind, list[str]] = {"kill": [], "zombie": []}
    for kind in kinds:
        targets, lasts_s, pause_s = _TERMS[kind]
        target = chance.choice(targets) if targets else _drawn(decks[kind], present, chance)
        plan.append(Step(kind, target, chance.uniform(*lasts_s), chance.uniform(*pause_s) * pause))
        present = _present_after(kind, present)
    return plan


def _drawn(deck: list[str], present: list[str], chance: random.Random) -> str:
    """A worker that is there: those that own partitions twice, ingest each once, one of the others, and again."""
    if not deck:
        deck += [*DETECT, *DETECT, *INGEST, _ANOTHER]
        chance.shuffle(deck)
    name = deck.pop()
    return chance.choice([other for other in present if other not in {*DETECT, *INGEST}]) if name == _ANOTHER else name


def _present_after(kind: Kind, present: list[str]) -> list[str]:
    """The workers that are there after a change."""
    coming = {"one more": [SPARE], "split": SPLIT, "join": [JOINED]}.get(kind, [])
    going = {"one fewer": [SPARE], "split": [JOINED], "join": SPLIT}.get(kind, [])
    return [name for name in [*present, *coming] if name not in going]


def _alternate(kinds: list[Kind], first: Kind, second: Kind) -> None:
    """In the places of these two, one after the other."""
    places = [place for place, kind in enumerate(kinds) if kind in {first, second}]
    for number, place in enumerate(places):
        kinds[place] = second if number % 2 else first
