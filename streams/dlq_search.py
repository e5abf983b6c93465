"""The dead letters that are asked for, and which of them were redriven since."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka.structs import TopicPartition

from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from streams.dead_letters import StoredLetter, letter_in, position_of, stored_letter
from streams.settings import Settings, Topic
from streams.topic_tail import read_through


class DlqError(RuntimeError):
    """The dead letters cannot be looked at, or none is found; the message says why."""


class FirstPlace(NamedTuple):
    """Where a record stood first; a topic that was made again counts its offsets anew."""

    topic: str
    epoch: int
    partition: int
    offset: int

    @classmethod
    def of(cls, letter: DeadLetter) -> "FirstPlace":
        """Of a letter, or of what was redriven of it."""
        return cls(letter.topic, letter.epoch, letter.partition, letter.offset)


Redriven = Mapping[FirstPlace, int]
"""The last offset in `churn.redrive` of each record that was redriven."""


@dataclass(frozen=True)
class Wanted:
    """Which dead letters; what is left out chooses nothing."""

    reasons: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    """Topics in which the records stood first."""
    since_ms: int | None = None
    until_ms: int | None = None
    """When they were refused, by the broker's time: from `since_ms` on, before `until_ms`."""
    position: str | None = None
    """Where the record stood first, like `orders/3/17`."""

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Wanted()

    def is_of_that_time(self, at_ms: int) -> bool:
        """Whether a letter that was written then may be one of them."""
        return (self.since_ms is None or at_ms >= self.since_ms) and (self.until_ms is None or at_ms < self.until_ms)

    def wants(self, stored: StoredLetter) -> bool:
        """Whether a letter of that time is one of them."""
        letter = stored.letter
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.sources or letter.topic in self.sources)
            and (self.position is None or position_of(letter) == self.position)
        )


@dataclass
class Passed:
    """What was gone past on the way: what there is, if nothing was found."""

    letters: int = 0
    unreadable: int = 0
    """Records that are none of our letters: who wrote them, nobody knows."""
    reasons: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        if not self.letters:
            return "there are no dead letters of that time"
        reasons, sources = ", ".join(sorted(self.reasons)), ", ".join(sorted(self.sources))
        return f"none of the {self.letters} dead letters of that time is meant; there are the reasons {reasons} of {sources}"


async def letters(
    consumer: Any,  # noqa: ANN401 - aiokafka has no types
    settings: Settings,
    wanted: Wanted,
    passed: Passed | None = None,
    start: int = 0,
) -> AsyncIterator[StoredLetter]:
    """The dead letters that are wanted, the oldest first, up to the end of now.

    Args:
        consumer: of `reader`; it is assigned anew.
        settings: of the installation.
        wanted: which.
        passed: is told of all of that time.
        start: offset in `churn.deadletters` before which there are none of them.

    Raises:
        DlqError: the topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    tp = await _only_partition(consumer, settings, "deadletters")
    if wanted.since_ms is not None:
        found = (await consumer.offsets_for_times({tp: wanted.since_ms}))[tp]
        start = max(start, found.offset) if found is not None else (await consumer.end_offsets([tp]))[tp]
    passed = passed or Passed()
    async for record in read_through(consumer, tp, start):
        if not wanted.is_of_that_time(record.timestamp):  # brokers' clocks may differ, so what comes later is looked at too
            continue
        try:
            stored = stored_letter(record)
        except ContractError:
            passed.unreadable += 1
            continue
        passed.letters += 1
        passed.reasons.add(stored.letter.reason)
        passed.sources.add(stored.letter.topic)
        if wanted.wants(stored):
            yield stored


async def redriven_so_far(consumer: Any, settings: Settings) -> Redriven:  # noqa: ANN401
    """What `churn.redrive` holds.

    Raises:
        DlqError: the topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found: dict[FirstPlace, int] = {}
    async for record in read_through(consumer, await _only_partition(consumer, settings, "redrive")):
        try:
            found[FirstPlace.of(letter_in(record))] = record.offset
        except ContractError:  # ingest made a dead letter of it
            continue
    return found


def was_redriven(letter: DeadLetter, redriven: Redriven) -> bool:
    """Whether the record was redriven since this letter: one that failed again is a letter that was not."""
    last = redriven.get(FirstPlace.of(letter))
    return last is not None and (letter.redriven is None or last > letter.redriven)


async def _only_partition(consumer: Any, settings: Settings, topic: Topic) -> TopicPartition:  # noqa: ANN401
    name = settings.topic(topic)
    if name not in await consumer.topics():
        raise DlqError(f"the topic {name} does not exist: `churnwatch topics` creates it")
    return TopicPartition(name, 0)
