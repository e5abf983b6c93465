"""The one writer that a log partition has: everything that a batch of records led to, in one Kafka transaction."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.settings import Settings

# aiokafka sleeps so long when the broker still writes the markers of the last transaction. Its 20 ms are the whole
# latency of a third of all commits made back to back; the constant is read at each use (producer/sender.py).
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002

_BATCH_BYTES: Final = 900_000
# Also the pause between two attempts to take over from an owner whose transaction is still being aborted.
_RETRY_BACKOFF_MS: Final = 50
_REQUEST_TIMEOUT_MS: Final = 15_000
_TRANSACTION_TIMEOUT_MS: Final = 30_000
_STOP_TIMEOUT_S: Final = 3.0


class Place(NamedTuple):
    """A partition of a topic, to be written to."""

    topic: str
    partition: int


class Row(NamedTuple):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class PartitionWriter:
    """A transactional producer, named for its log partition: the last to start is the only one that can commit."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self._producer: Any = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap,
            transactional_id=settings.transactional_id(partition),
            linger_ms=0,
            max_batch_size=_BATCH_BYTES,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
        )

    async def start(self) -> None:
        """Abort what the last owner left open, and fence it: from here on nothing of it can be committed."""
        await self._producer.start()

    async def commit(self, rows_by_place: Mapping[Place, Sequence[Row]]) -> None:
        """Write all rows or none, in order within each place.

        Raises:
            KafkaError: what became of the transaction is unknown, or another owner has fenced this one. The writer
                must not be used again.
        """
        await self._producer.begin_transaction()
        delivered = [future for place, rows in rows_by_place.items() for future in await self._send(place, rows)]
        # aiokafka commits a transaction one of whose batches failed: only that batch's future tells (producer/sender.py).
        await asyncio.gather(*delivered)
        await self._producer.commit_transaction()

    async def close(self) -> None:
        """Let go of the connections, also when the broker does not answer."""
        try:
            # The producer's own stop waits for batches that may never be sent.
            await asyncio.wait_for(self._producer.stop(), _STOP_TIMEOUT_S)
        except (KafkaError, TimeoutError):
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(self._producer.client.close(), _STOP_TIMEOUT_S)

    async def _send(self, place: Place, rows: Sequence[Row]) -> list[Any]:
        delivered = []
        batch = self._producer.create_batch()
        for row in rows:
            if batch.append(key=row.key, value=row.value, timestamp=None, headers=list(row.headers)) is None:
                delivered.append(await self._producer.send_batch(batch, place.topic, partition=place.partition))
                batch = self._producer.create_batch()
                batch.append(key=row.key, value=row.value, timestamp=None, headers=list(row.headers))
        if rows:
            delivered.append(await self._producer.send_batch(batch, place.topic, partition=place.partition))
        return delivered
