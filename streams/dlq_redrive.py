"""`churnwatch dlq redrive`: dead letters into `churn.redrive`, which ingest reads like a source.

What was redriven stands in that topic, so a run that was interrupted is simply run again: it goes on where it stopped.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiokafka.structs import TopicPartition

from schemas.codec import decode_record
from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from schemas.events import Event
from streams.dead_letters import StoredLetter, position_of
from streams.dlq_search import FirstPlace, Passed, Redriven, Wanted, letters, redriven_so_far, was_redriven
from streams.import_progress import Advance
from streams.log_writer import LogWriter
from streams.redrive import redrive_row
from streams.settings import Settings
from streams.topic_tail import read_through, reader
from streams.topics import MAX_VALUE_BYTES, partition_count
from streams.transactions import Place, Row

_ROWS_AT_ONCE: Final = 100
_SHOWN: Final = 10
_MAX_RECORD_BYTES: Final = 980_000
"""Of value and headers: with what else stands in the record, it fits into a topic with the usual limit of 1 MiB."""
_NEVER: Final = {
    "import": "rows of a file: import it again with the mended mapping",
    "deliver": "decisions that a sink refused: they are no source records",
}


@dataclass
class Plan:
    """What would be redriven: of each record the last of its letters that are wanted."""

    offsets: dict[FirstPlace, int] = field(default_factory=dict)
    """In `churn.deadletters`."""
    kinds: dict[FirstPlace, tuple[str, str]] = field(default_factory=dict)
    """Reason and topic."""
    already: set[FirstPlace] = field(default_factory=set)
    """Redriven since they were refused for the last time."""
    never: Counter[str] = field(default_factory=Counter)
    """What cannot be redriven, by why."""
    passed: Passed = field(default_factory=Passed)

    def __str__(self) -> str:
        if not (self.offsets or self.already or self.never):
            return str(self.passed)
        kinds = Counter(self.kinds.values())
        lines = [f"{count:>8}  {reason} of {source}" for (reason, source), count in kinds.most_common()]
        lines += [f"{count:>8}  not: {why}" for why, count in self.never.most_common()]
        if self.already:
            lines.append(f"{len(self.already):>8}  not: redriven before and not refused since; --again does it all the same")
        return "\n".join(lines)


@dataclass
class Outcome:
    """What became of a plan."""

    plan: Plan
    redriven: int = 0
    not_whole: dict[str, str] = field(default_factory=dict)
    """Records whose letters do not hold all of them and that could not be read again, by position: why not."""

    @property
    def complete(self) -> bool:
        """Whether all that was wanted is in `churn.redrive` now, or was."""
        return not self.not_whole and not self.plan.never

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "redriven": self.redriven,
            "redriven_before": len(self.plan.already),
            "not_redrivable": dict(sorted(self.plan.never.items())),
            "not_whole": self.not_whole,
        }

    def __str__(self) -> str:
        then = ": ingest reads them now; `churnwatch dlq list` shows those that it refuses again" if self.redriven else ""
        lines = [f"{self.redriven} redriven{then}"]
        lines += [f"not redriven: {position}: {why}" for position, why in list(self.not_whole.items())[:_SHOWN]]
        if len(self.not_whole) > _SHOWN:
            lines.append(f"not redriven: {len(self.not_whole) - _SHOWN} more")
        return "\n".join(lines)


def plan(settings: Settings, wanted: Wanted, *, again: bool = False) -> Plan:
    """See what there is to redrive; nothing is written.

    Args:
        settings: of the installation.
        wanted: which dead letters.
        again: also what was redriven before and was not refused since.

    Raises:
        DlqError: a topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    return asyncio.run(_plan(settings, wanted, again=again))


def redrive(settings: Settings, planned: Plan, advance: Advance) -> Outcome:
    """Write the original of each letter of a plan to `churn.redrive`, in the order in which they were refused.

    Raises:
        DlqError: a topic does not exist.
        aiokafka.errors.KafkaError: not all is written; the same again goes on from there.
    """
    return asyncio.run(_redrive(settings, planned, advance))


async def _plan(settings: Settings, wanted: Wanted, *, again: bool) -> Plan:
    found = Plan()
    async with reader(settings) as consumer:
        redriven: Redriven = {} if again else await redriven_so_far(consumer, settings)
        async for stored in letters(consumer, settings, wanted, found.passed):
            letter, place = stored.letter, FirstPlace.of(stored.letter)
            why_never = _why_never(settings, stored)
            if why_never is not None:
                found.never[why_never] += 1
            elif was_redriven(letter, redriven):
                found.already.add(place)
            else:
                found.offsets[place], found.kinds[place] = stored.offset, (letter.reason, letter.topic)
    found.already -= found.offsets.keys()
    return found


def _why_never(settings: Settings, stored: StoredLetter) -> str | None:
    letter = stored.letter
    if letter.stage == "detect" and letter.value is not None:
        try:
            if not isinstance(decode_record(letter.value), Event):
                return "records of the clock: publish the document anew"
        except ContractError:  # of a type that a newer release may know
            return None
    if letter.topic == settings.topic("redrive"):
        return "they do not say where they stood first"
    return _NEVER.get(letter.stage)


async def _redrive(settings: Settings, planned: Plan, advance: Advance) -> Outcome:
    outcome, place, writer = Outcome(planned), Place(settings.topic("redrive"), 0), LogWriter(settings)
    rows: list[Row] = []
    try:
        async for row in _rows(settings, planned, outcome.not_whole):
            rows.append(row)
            if len(rows) == _ROWS_AT_ONCE:
                await writer.write({place: rows})
                outcome.redriven += len(rows)
                advance(f"writing {place.topic}", len(rows), len(planned.offsets))
                rows.clear()
        await writer.write({place: rows})
        outcome.redriven += len(rows)
        advance(f"writing {place.topic}", len(rows), len(planned.offsets))
    finally:
        await writer.close()
    return outcome


async def _rows(settings: Settings, planned: Plan, not_whole: dict[str, str]) -> AsyncIterator[Row]:
    chosen = frozenset(planned.offsets.values())
    if not chosen:
        return
    async with reader(settings) as consumer, reader(settings) as second:
        sources = _Sources(settings, second)
        async for stored in letters(consumer, settings, Wanted(), start=min(chosen)):
            if stored.offset in chosen:
                try:
                    yield redrive_row(await sources.whole(stored))
                except _NotWholeError as error:
                    not_whole[position_of(stored.letter)] = str(error)


class _NotWholeError(Exception):
    """The letter does not hold all of its record, and the record cannot be had elsewhere."""


class _Sources:
    """Where a record that its letter does not hold whole is looked up."""

    def __init__(self, settings: Settings, consumer: Any) -> None:  # noqa: ANN401 - aiokafka has no types
        self._settings = settings
        self._consumer = consumer
        self._partitions: dict[str, int] = {}

    async def whole(self, stored: StoredLetter) -> DeadLetter:
        """The letter, with what had to be left out of it taken from where the record stood first.

        Raises:
            _NotWholeError: that cannot be done.
        """
        letter = stored.letter
        if stored.whole:
            return letter
        if stored.length is not None:
            raise _NotWholeError(
                f"it has {stored.length} bytes, and ingest takes at most {MAX_VALUE_BYTES}: make it shorter at its source"
            )
        if len(letter.value or b"") + (stored.headers_left_out or 0) > _MAX_RECORD_BYTES:
            raise _NotWholeError(f"its headers take {stored.headers_left_out} bytes: too many for the topic")
        if letter.partition < await self._count(letter.topic):
            tp = TopicPartition(letter.topic, letter.partition)
            async for record in read_through(self._consumer, tp, letter.offset):
                if record.offset == letter.offset and record.value == letter.value:
                    return msgspec.structs.replace(letter, headers=tuple(record.headers))
                break
        raise _NotWholeError("its headers were left out of the letter, and its topic does not hold it any more")

    async def _count(self, topic: str) -> int:
        if topic not in self._partitions:
            found = await asyncio.to_thread(partition_count, self._settings, topic)
            self._partitions[topic] = found or 0
        return self._partitions[topic]
