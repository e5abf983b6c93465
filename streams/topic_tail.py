"""What is in a topic now, read outside any consumer group."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.codec import decode_heartbeat, decode_record
from schemas.control import Tick
from schemas.errors import ContractError
from schemas.progress import Heartbeat
from streams.kafka_security import aiokafka_options
from streams.settings import Settings

_POLL_TIMEOUT_MS: Final = 200
_FETCH_WAIT_MS: Final = 20
_FETCH_BYTES: Final = 1 << 20
_STALLED_AFTER_S: Final = 30.0
_FIRST_WINDOW: Final = 64
_WINDOW_GROWTH: Final = 8

log = structlog.get_logger("churn.topics")


@contextlib.asynccontextmanager
async def reader(
    settings: Settings, *, fetch_wait_ms: int = _FETCH_WAIT_MS, fetch_bytes: int = _FETCH_BYTES
) -> AsyncIterator[Any]:
    """A consumer without a group and without partitions.

    Args:
        settings: of the broker.
        fetch_wait_ms: how long the broker may wait for records that are not there yet; meanwhile it answers nothing else.
            Short for who reads what is there, longer for who stays.
        fetch_bytes: most of a partition that is held before it was asked for, if no record is longer.
    """
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        **aiokafka_options(settings),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=fetch_wait_ms,
        max_partition_fetch_bytes=fetch_bytes,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def read_to_end(consumer: Any, tp: TopicPartition, start: int = 0) -> list[ConsumerRecord]:  # noqa: ANN401
    """The records of a partition from `start` (or where it begins) to its end of now; the consumer stays behind them.

    Raises:
        KafkaTimeoutError: the broker did not answer for too long.
    """
    return [record async for record in read_through(consumer, tp, start)]


async def read_through(consumer: Any, tp: TopicPartition, start: int = 0) -> AsyncIterator[ConsumerRecord]:  # noqa: ANN401
    """The same, one after the other: for what does not fit into memory.

    Raises:
        KafkaTimeoutError: the broker did not answer for too long.
    """
    consumer.assign([tp])
    begin, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    consumer.seek(tp, max(begin, start))
    progress_s = time.monotonic()
    while await consumer.position(tp) < end:
        records = (await consumer.getmany(tp, timeout_ms=_POLL_TIMEOUT_MS)).get(tp, [])
        if not records and time.monotonic() - progress_s > _STALLED_AFTER_S:
            raise KafkaTimeoutError(f"reading {tp.topic}/{tp.partition} stalled before offset {end}")
        for record in records:
            yield record
        if records:
            progress_s = time.monotonic()


def heartbeat_in(record: ConsumerRecord) -> Heartbeat | None:
    """The heartbeat in a record of `churn.progress`; None, and a line in the log, if there is none."""
    if record.value is None or (record.key or b"").startswith(b"/"):  # what is no heartbeat has such keys
        return None
    try:
        return decode_heartbeat(record.value)
    except ContractError as error:
        log.warning("progress.unreadable", offset=record.offset, reason=error.code, message=error.message)
        return None


def heartbeats_in(records: Iterable[ConsumerRecord]) -> Iterator[Heartbeat]:
    """The heartbeats among records of `churn.progress`."""
    for record in records:
        if (beat := heartbeat_in(record)) is not None:
            yield beat


async def last_ticks(settings: Settings) -> list[Tick]:
    """The last tick of each partition of the log that has one, found by looking back in growing steps."""
    async with reader(settings) as consumer:
        found = [
            await _last_tick(consumer, TopicPartition(settings.topic("events"), partition))
            for partition in range(settings.partitions)
        ]
    return [tick for tick in found if tick is not None]


async def _last_tick(consumer: Any, tp: TopicPartition) -> Tick | None:  # noqa: ANN401
    begin, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    window = _FIRST_WINDOW
    while True:
        start = max(begin, end - window)
        for record in reversed(await read_to_end(consumer, tp, start)):
            tick = _as_tick(record)
            if tick is not None:
                return tick
        if start == begin:
            return None
        window *= _WINDOW_GROWTH


def _as_tick(record: ConsumerRecord) -> Tick | None:
    if record.key is not None or record.value is None:  # control records have no key
        return None
    try:
        found = decode_record(record.value)
    except ContractError:
        return None
    return found if isinstance(found, Tick) else None
