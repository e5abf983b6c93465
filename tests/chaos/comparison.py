"""Records as they are against records as they must be: lost, wrong, twice. Naive on purpose."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson


class Kept(NamedTuple):
    """A record's key and value; a tombstone has no value."""

    key: bytes | None
    value: bytes | None


Identity = Callable[[Kept], Hashable]


@dataclass(frozen=True)
class Verdict:
    """What a comparison found; only where all three are zero are the records what they must be."""

    what: str
    expected: int
    lost: int = 0
    """Must be there, and is not."""
    wrong: int = 0
    """Is there and must not be, or is another, or stands elsewhere."""
    twice: int = 0
    example: str = ""
    """The first of them."""

    @property
    def is_right(self) -> bool:
        """Whether nothing was found."""
        return not (self.lost or self.wrong or self.twice)


def by_sequence(record: Kept) -> Hashable:
    """The identity of a decision: its subject, its number or time; a tombstone is its key's."""
    if record.value is None:
        return record.key, None
    plain = orjson.loads(record.value)
    subject = plain.get("alert_id", plain.get("customer_id", plain.get("customer_hash")))
    # The numbers of a customer's risk begin anew after an erasure: the time tells them apart.
    return subject, plain.get("sequence"), None if "alert_id" in plain else plain["at_ms"]


def by_content(record: Kept) -> Hashable:
    """Where a record has no name, it is what it says."""
    return record


def compare_logs(what: str, expected: Sequence[Kept], found: Sequence[Kept], identity: Identity = by_sequence) -> Verdict:
    """Records that must be these, in this order, each once."""
    wanted, there = _grouped(expected, identity), _grouped(found, identity)
    lost = [name for name, records in wanted.items() if len(there.get(name, ())) < len(records)]
    twice = [name for name, records in there.items() if len(records) > max(1, len(wanted.get(name, ())))]
    others = [name for name, records in there.items() if Counter(records) - Counter(wanted.get(name, ())) and name not in twice]
    misplaced = 0
    if not (lost or twice or others):
        misplaced = sum(one != other for one, other in zip(expected, found, strict=True))
    first = next(
        (f"{word} {name!r}" for word, names in (("lost", lost), ("twice", twice), ("wrong", others)) for name in names), ""
    )
    if misplaced:
        first = "all are there, in another order"
    return Verdict(what, len(expected), len(lost), len(others) + misplaced, len(twice), first)


def compare_maps(what: str, expected: Mapping[bytes, bytes], found: Mapping[bytes, bytes]) -> Verdict:
    """The last value of each key."""
    lost = [key for key in expected if key not in found]
    wrong = [key for key, value in found.items() if expected.get(key) != value]
    first = next((f"{word} {key!r}" for word, keys in (("lost", lost), ("wrong", wrong)) for key in keys), "")
    return Verdict(what, len(expected), len(lost), len(wrong), 0, first)


def each_once(what: str, names: Iterable[Hashable]) -> Verdict:
    """Whatever else is true, no name stands twice."""
    counts = Counter(names)
    twice = [name for name, count in counts.items() if count > 1]
    return Verdict(what, len(counts), twice=len(twice), example=f"twice {twice[0]!r}" if twice else "")


def _grouped(records: Sequence[Kept], identity: Identity) -> dict[Hashable, list[Kept]]:
    groups: dict[Hashable, list[Kept]] = {}
    for record in records:
        groups.setdefault(identity(record), []).append(record)
    return groups
