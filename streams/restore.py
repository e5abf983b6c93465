"""The state of a partition, read back from `churn.state`, and whether the log still has what comes after it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import ConsumerRecord, TopicPartition

from detectors.engine import PartitionEngine
from detectors.state_error import StateError
from streams.kafka_security import aiokafka_options
from streams.settings import Settings

_POLL_TIMEOUT_MS: Final = 200
_STALLED_AFTER_S: Final = 30.0
_TELL_EVERY_S: Final = 5.0
_FETCH_BYTES: Final = 4 << 20
_FETCH_WAIT_MS: Final = 20
"""The broker answers nothing else on the connection while a fetch waits for more; here nobody waits for more."""
_POLL_RECORDS: Final = 10_000

NewEngine = Callable[[int, str], PartitionEngine]

log = structlog.get_logger("churn.detect")


class LogGapError(RuntimeError):
    """The log does not go on where the state ends: records were deleted before they were read, or the log was replaced."""


class StateRefusedError(RuntimeError):
    """A record of `churn.state` cannot be used, and nothing may be guessed; the message names its key, and where it stands."""


@dataclass
class RestoreProgress:
    """How far a restore is, counted in offsets of the state topic: compaction leaves holes, so it is no exact measure."""

    started_s: float = field(default_factory=time.monotonic)
    records: int = 0
    begin: int = 0
    position: int = 0
    end: int = 0

    def share(self) -> float:
        """From 0 to 1.

        >>> RestoreProgress(begin=100, position=150, end=300).share()
        0.25
        """
        return 1.0 if self.end <= self.begin else (self.position - self.begin) / (self.end - self.begin)

    def eta_s(self, now_s: float) -> float | None:
        """How long it will still take if it goes on as fast; None before anything was read.

        >>> RestoreProgress(started_s=10, begin=100, position=150, end=300).eta_s(now_s=14)
        12.0
        """
        done = self.position - self.begin
        return (now_s - self.started_s) / done * (self.end - self.position) if done > 0 else None

    def says(self, now_s: float) -> str:
        """For people."""
        eta_s = self.eta_s(now_s)
        left = "" if eta_s is None else f", about {round(eta_s)} s left"
        return f"its state is being read, {self.share():.0%} of it so far, {self.records} records{left}"


@dataclass(frozen=True)
class Restored:
    """A partition's engine, ready for the record at `next_offset`."""

    engine: PartitionEngine
    next_offset: int
    records: int
    """How many were read from `churn.state`."""


async def restore(
    settings: Settings, partition: int, new_engine: NewEngine = PartitionEngine, progress: RestoreProgress | None = None
) -> Restored:
    """Read the state of a partition to its end. Its last owner must have been fenced before.

    It takes as long as it takes, and is given up only when the broker sends nothing more. `progress` is kept up to date.

    Raises:
        LogGapError: the log begins after the position, or ends before it.
        StateRefusedError: a record of the state is damaged, or of a newer release.
        KafkaError: the broker did not answer for too long.
    """
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        **aiokafka_options(settings),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        max_poll_records=_POLL_RECORDS,
        check_crcs=False,
    )
    await consumer.start()
    try:
        engine = new_engine(partition, settings.topic("events"))
        progress = progress or RestoreProgress()
        await _load(consumer, TopicPartition(settings.topic("state"), partition), engine, progress)
        engine.restored()
        events = TopicPartition(settings.topic("events"), partition)
        begin = (await consumer.beginning_offsets([events]))[events]
        end = (await consumer.end_offsets([events]))[events]
        next_offset = first_offset(settings, partition, engine.position + 1, begin)
        if next_offset > end:
            raise LogGapError(
                f"partition {partition} of {settings.topic('events')} ends at offset {end}, and the state is already at "
                f"{next_offset}: the log was deleted and made again. Use another CHURN_PREFIX, or delete the other topics too"
            )
        return Restored(engine, next_offset, progress.records)
    finally:
        await consumer.stop()


def first_offset(settings: Settings, partition: int, wanted: int, begin: int) -> int:
    """Where to read on: at the wanted offset, or at the beginning of the log if the operator has accepted the gap.

    Raises:
        LogGapError: records between the two are gone, and that was not accepted.
    """
    if begin <= wanted:
        return wanted
    gap = f"partition {partition} of {settings.topic('events')} begins at offset {begin}, but the state ends before {wanted}"
    if settings.accept_gap:
        log.warning("partition.gap_accepted", partition=partition, first_lost=wanted, lost_records=begin - wanted, gap=gap)
        return begin
    raise LogGapError(
        f"{gap}: {begin - wanted} records were deleted before they were read. To go on without them start once with "
        "CHURN_ACCEPT_GAP=true; give the topic a longer retention"
    )


async def _load(
    consumer: Any,  # noqa: ANN401 - aiokafka has no types
    state: TopicPartition,
    engine: PartitionEngine,
    progress: RestoreProgress,
) -> None:
    consumer.assign([state])
    progress.begin = progress.position = (await consumer.beginning_offsets([state]))[state]
    progress.end = (await consumer.end_offsets([state]))[state]  # of what is committed, as the consumer's isolation says
    await consumer.seek_to_beginning(state)
    damaged: dict[bytes, str] = {}
    moved_s = told_s = progress.started_s = time.monotonic()
    while (position := await consumer.position(state)) < progress.end:
        progress.position = position
        for records in (await consumer.getmany(timeout_ms=_POLL_TIMEOUT_MS)).values():
            for record in records:
                _take(engine, record, damaged)
            progress.records += len(records)
            moved_s = time.monotonic()
        now_s = time.monotonic()
        if now_s - moved_s > _STALLED_AFTER_S:
            raise KafkaTimeoutError(f"restoring {state.topic}/{state.partition} stalled before offset {progress.end}")
        if now_s - told_s > _TELL_EVERY_S:
            told_s = now_s
            eta_s = progress.eta_s(now_s)
            log.info(
                "partition.restoring",
                partition=state.partition,
                percent=round(100 * progress.share()),
                records=progress.records,
                eta_s=None if eta_s is None else round(eta_s),
            )
    progress.position = progress.end
    if damaged:
        more = f"; {len(damaged) - 1} more" if len(damaged) > 1 else ""
        raise StateRefusedError(f"{next(iter(damaged.values()))}{more}")


def _take(engine: PartitionEngine, record: ConsumerRecord, damaged: dict[bytes, str]) -> None:
    """Load a record. One that cannot be used matters only if none of its key comes after it: so it can be written anew."""
    try:
        engine.load(record.key, record.value)
    except StateError as error:
        damaged[record.key] = f"{error} (offset {record.offset} of {record.topic}/{record.partition})"
    else:
        if damaged:
            damaged.pop(record.key, None)
