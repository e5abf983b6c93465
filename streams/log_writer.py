"""Writes outside transactions: acknowledged by all in-sync replicas, in order, or an exception."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from streams.kafka_security import aiokafka_options
from streams.settings import Settings
from streams.transactions import Place, Row

_BATCH_BYTES: Final = 1_000_000
_RETRY_BACKOFF_MS: Final = 50
_REQUEST_TIMEOUT_MS: Final = 15_000
_STOP_TIMEOUT_S: Final = 3.0


class LogWriter:
    """An idempotent producer with at most one unacknowledged batch for a partition.

    Were there two, the second could be stored although the first failed for good. A later attempt would then put
    the first behind it, and detect, which drops what is not above the greatest source offset, would drop it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._starting = asyncio.Lock()
        self._producer: Any = None

    async def write(self, rows_by_place: Mapping[Place, Sequence[Row]]) -> int | None:
        """Write all rows, in order within each place; returns the broker's latest time of an append, if it says so.

        Raises:
            KafkaError: some rows are not in the log, or it is not known whether they are. Others may be.
        """
        await self._start()
        times = await asyncio.gather(*(self._write_in_order(place, rows) for place, rows in rows_by_place.items() if rows))
        return max((time_ms for time_ms in times if time_ms is not None), default=None)

    async def partitions(self, topic: str) -> list[int]:
        """The partitions that a topic has, as the producer knows it.

        Raises:
            KafkaError: there is no such topic, or the broker does not answer.
        """
        await self._start()
        return sorted(await self._producer.partitions_for(topic))

    async def close(self, within_s: float = _STOP_TIMEOUT_S) -> None:
        """Let go of the connections, also when the broker does not answer: at most twice so long is waited for it."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            # The producer's own stop waits for batches that may never be sent.
            await asyncio.wait_for(producer.stop(), within_s)
        except (KafkaError, TimeoutError):
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(producer.client.close(), within_s)
            if (sending := producer._sender.sender_task) is not None:
                sending.cancel()

    async def _start(self) -> None:
        """Begin when it is first needed: a producer belongs to the event loop that it was made in."""
        async with self._starting:
            if self._producer is not None:
                return
            producer = AIOKafkaProducer(
                bootstrap_servers=self._settings.bootstrap,
                **aiokafka_options(self._settings),
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                max_batch_size=_BATCH_BYTES,
                retry_backoff_ms=_RETRY_BACKOFF_MS,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()  # what never began would keep the next write waiting for ever
                raise
            self._producer = producer

    async def _write_in_order(self, place: Place, rows: Sequence[Row]) -> int | None:
        latest_ms: int | None = None
        done = 0
        while done < len(rows):
            batch = self._producer.create_batch()
            count = _filled(batch, rows, done)
            if not count:
                raise MessageSizeTooLargeError(f"a record for {place.topic} has more than {_BATCH_BYTES} bytes")
            written = await (await self._producer.send_batch(batch, place.topic, partition=place.partition))
            latest_ms, done = written.timestamp, done + count
        return latest_ms if latest_ms is not None and latest_ms >= 0 else None


async def write_once(settings: Settings, rows_by_place: Mapping[Place, Sequence[Row]]) -> None:
    """Write some rows and let go of the broker, as a command does.

    Raises:
        KafkaError: some rows are not in the log, or it is not known whether they are.
    """
    writer = LogWriter(settings)
    try:
        await writer.write(rows_by_place)
    finally:
        await writer.close()


def _filled(batch: Any, rows: Sequence[Row], first: int) -> int:  # noqa: ANN401 - aiokafka has no types
    """Append rows from `first` on while there is room; how many."""
    for index in range(first, len(rows)):
        row = rows[index]
        if batch.append(key=row.key, value=row.value, timestamp=None, headers=list(row.headers)) is None:
            return index - first
    return len(rows) - first
