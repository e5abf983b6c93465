"""The state of a partition, read back from `churn.state`, and whether the log still has what comes after it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import TopicPartition

from detectors.engine import PartitionEngine
from streams.settings import Settings

_POLL_TIMEOUT_MS: Final = 200
_STALLED_AFTER_S: Final = 30.0
_FETCH_BYTES: Final = 4 << 20
_FETCH_WAIT_MS: Final = 20
"""The broker answers nothing else on the connection while a fetch waits for more; here nobody waits for more."""
_POLL_RECORDS: Final = 10_000

NewEngine = Callable[[int, str], PartitionEngine]


class LogGapError(RuntimeError):
    """The log does not go on where the state ends: records were deleted before they were read, or the log was replaced."""


@dataclass(frozen=True)
class Restored:
    """A partition's engine, ready for the record at `next_offset`."""

    engine: PartitionEngine
    next_offset: int
    records: int
    """How many were read from `churn.state`."""


async def restore(settings: Settings, partition: int, new_engine: NewEngine = PartitionEngine) -> Restored:
    """Read the state of a partition to its end. Its last owner must have been fenced before.

    Raises:
        LogGapError: the log begins after the position, or ends before it.
        KafkaError: the broker did not answer for too long.
    """
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
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
        records = await _load(consumer, TopicPartition(settings.topic("state"), partition), engine)
        engine.restored()
        log = TopicPartition(settings.topic("events"), partition)
        begin, end = (await consumer.beginning_offsets([log]))[log], (await consumer.end_offsets([log]))[log]
        next_offset = first_offset(settings, partition, engine.position + 1, begin)
        if next_offset > end:
            raise LogGapError(
                f"partition {partition} of {settings.topic('events')} ends at offset {end}, and the state is already at "
                f"{next_offset}: the log was deleted and made again. Use another CHURN_PREFIX, or delete the other topics too"
            )
        return Restored(engine, next_offset, records)
    finally:
        await consumer.stop()


def first_offset(settings: Settings, partition: int, wanted: int, begin: int) -> int:
    """Where to read on: at the wanted offset, or at the beginning of the log if the operator has accepted the gap.

    Raises:
        LogGapError: records between the two are gone, and that was not accepted.
    """
    if begin <= wanted or settings.accept_gap:
        return max(begin, wanted)
    raise LogGapError(
        f"partition {partition} of {settings.topic('events')} begins at offset {begin}, but the state ends before {wanted}: "
        f"{begin - wanted} records were deleted before they were read. To go on without them start once with "
        "CHURN_ACCEPT_GAP=true; give the topic a longer retention"
    )


async def _load(consumer: Any, state: TopicPartition, engine: PartitionEngine) -> int:  # noqa: ANN401 - aiokafka has no types
    consumer.assign([state])
    end = (await consumer.end_offsets([state]))[state]  # of what is committed, as the consumer's isolation says
    await consumer.seek_to_beginning(state)
    count, progress_s = 0, time.monotonic()
    while await consumer.position(state) < end:
        for records in (await consumer.getmany(timeout_ms=_POLL_TIMEOUT_MS)).values():
            for record in records:
                engine.load(record.key, record.value)
            count += len(records)
            progress_s = time.monotonic()
        if time.monotonic() - progress_s > _STALLED_AFTER_S:
            raise KafkaTimeoutError(f"restoring {state.topic}/{state.partition} stalled before offset {end}")
    return count
