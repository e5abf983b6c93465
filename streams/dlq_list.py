"""`churnwatch dlq list`: how many dead letters there are, of what kind, from where and since when."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.instants import format_instant
from streams.columns import in_columns
from streams.dead_letters import StoredLetter, position_of
from streams.dlq_search import Passed, Redriven, Wanted, letters, redriven_so_far, was_redriven
from streams.settings import Settings
from streams.topic_tail import reader


class Kind(NamedTuple):
    """What dead letters have in common."""

    reason: str
    source: str
    stage: str


@dataclass
class KindCount:
    """The dead letters of a kind."""

    first_ms: int
    last_ms: int = 0
    letters: int = 0
    redriven: int = 0


@dataclass
class Overview:
    """Counts of dead letters; those of a record that failed again count each."""

    examples: int
    kinds: dict[Kind, KindCount] = field(default_factory=dict)
    days: Counter[str] = field(default_factory=Counter)
    """By the UTC day on which they were refused."""
    newest: deque[StoredLetter] = field(init=False)
    passed: Passed = field(default_factory=Passed)

    def __post_init__(self) -> None:
        self.newest = deque(maxlen=self.examples)

    def add(self, stored: StoredLetter, redriven: Redriven) -> None:
        """One more, in the order of the topic."""
        letter = stored.letter
        kind = Kind(letter.reason, letter.topic, letter.stage)
        count = self.kinds.setdefault(kind, KindCount(first_ms=stored.at_ms))
        count.letters += 1
        count.last_ms = stored.at_ms
        count.redriven += was_redriven(letter, redriven)
        self.days[format_instant(stored.at_ms)[:10]] += 1
        self.newest.append(stored)

    @property
    def by_size(self) -> list[tuple[Kind, KindCount]]:
        """The most frequent kind first."""
        return sorted(self.kinds.items(), key=lambda item: (-item[1].letters, item[0]))

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "letters": self.days.total(),
            "redriven": sum(count.redriven for count in self.kinds.values()),
            "kinds": [
                {"reason": kind.reason, "source": kind.source, "stage": kind.stage, **vars(count)}
                for kind, count in self.by_size
            ],
            "unreadable": self.passed.unreadable,
            "days": dict(sorted(self.days.items())),
            "newest": [
                {"position": position_of(stored.letter), "at_ms": stored.at_ms, "reason": stored.letter.reason}
                | {"message": stored.letter.message}
                for stored in reversed(self.newest)
            ],
        }

    def __str__(self) -> str:
        if not self.kinds:
            return str(self.passed)
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        kinds = [
            (*kind, str(count.letters), str(count.redriven), format_instant(count.first_ms), format_instant(count.last_ms))
            for kind, count in self.by_size
        ]
        yield from in_columns([("reason", "source", "stage", "letters", "redriven", "first", "last"), *kinds])
        yield ""
        yield from in_columns([("day", "letters"), *((day, str(count)) for day, count in sorted(self.days.items()))])
        if self.newest:
            yield ""
            yield "the newest; `churnwatch dlq show POSITION` shows all of one"
        for stored in reversed(self.newest):
            letter = stored.letter
            yield f"{format_instant(stored.at_ms)}  {position_of(letter)}  {letter.reason}: {letter.message}"


def overview(settings: Settings, wanted: Wanted, examples: int) -> Overview:
    """Count the dead letters that are wanted.

    Args:
        settings: of the installation.
        wanted: which.
        examples: how many of the newest are kept.

    Raises:
        DlqError: a topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    return asyncio.run(_overview(settings, wanted, examples))


async def _overview(settings: Settings, wanted: Wanted, examples: int) -> Overview:
    found = Overview(examples)
    async with reader(settings) as consumer:
        redriven = await redriven_so_far(consumer, settings)
        async for stored in letters(consumer, settings, wanted, found.passed):
            found.add(stored, redriven)
    return found
