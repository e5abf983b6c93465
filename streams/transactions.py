"""The one writer that a log partition has: everything that a batch of records led to, in one Kafka transaction."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, KafkaTimeoutError
from aiokafka.producer.sender import Sender, SendProduceReqHandler

from streams.kafka_security import aiokafka_options
from streams.settings import Settings

# aiokafka sleeps so long when the broker still writes the markers of the last transaction. Its 20 ms are the whole
# latency of a third of all commits made back to back; the constant is read at each use (producer/sender.py).
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002

_BATCH_BYTES: Final = 900_000
# Also the pause between two attempts to take over from an owner whose transaction is still being aborted.
_RETRY_BACKOFF_MS: Final = 50
_REQUEST_TIMEOUT_MS: Final = 15_000
_ANSWER_WITHIN_S: Final = 15.0
"""After a transaction's time-out the broker needs some seconds to notice; what is silent for longer has not answered."""
_STOP_TIMEOUT_S: Final = 0.35
"""Twice at most: with what is at work, a stop has 1.75 s for its partitions."""


class Place(NamedTuple):
    """A partition of a topic, to be written to."""

    topic: str
    partition: int


class Row(NamedTuple):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class _TellingHandler(SendProduceReqHandler):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka tries a refused batch again until its transaction is over, and only its log says why (producer/sender.py)."""

    def _can_retry(self, error: KafkaError, batch: Any) -> bool:  # noqa: ANN401
        again = bool(super()._can_retry(error, batch))
        if again:
            topic, partition = batch.tp
            self._sender.refused = f"{topic}/{partition}: {error!r}"
        return again


class _TellingSender(Sender):  # type: ignore[misc]  # nor here
    """A sender that keeps why it tries again; it is made of aiokafka's, which the producer makes itself."""

    refused = ""

    async def _send_produce_req(self, node_id: int, batches: Mapping[Any, Any]) -> None:
        await _TellingHandler(self, batches).do(node_id)
        self._in_flight.remove(node_id)
        self._muted_partitions.difference_update(batches)


class PartitionWriter:
    """A transactional producer, named for its log partition: the last to start is the only one that can commit."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self.pending_since_s: float | None = None
        """Since when the broker has been asked for something, by the monotonic clock; None while nothing is pending."""
        self._stage = ""
        self._limit_s = settings.transaction_timeout_ms / 1000 + _ANSWER_WITHIN_S
        self._producer: Any = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap,
            **aiokafka_options(settings),
            transactional_id=settings.transactional_id(partition),
            linger_ms=0,
            max_batch_size=_BATCH_BYTES,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            transaction_timeout_ms=settings.transaction_timeout_ms,
        )
        self._producer._sender.__class__ = _TellingSender

    @property
    def trouble(self) -> str:
        """What is being waited for, and what the broker said last, if it said anything."""
        refused = self._producer._sender.refused
        return f"{self._stage}, {refused}" if refused else self._stage

    async def start(self) -> None:
        """Abort what the last owner left open, and fence it: from here on nothing of it can be committed.

        Raises:
            KafkaError: the broker refused, or the coordinator did not answer in time. Try again with another writer.
        """
        async with self._pending(
            "the broker has not ended the last owner's transaction yet, or its coordinator does not answer"
        ):
            await self._producer.start()

    async def commit(self, rows_by_place: Mapping[Place, Sequence[Row]]) -> None:
        """Write all rows or none, in order within each place.

        Raises:
            KafkaError: what became of the transaction is unknown, or another owner has fenced this one. The writer
                must not be used again.
        """
        self._producer._sender.refused = ""
        async with self._pending("the broker has not taken the records of a transaction"):
            try:
                await self._commit(rows_by_place)
            except KafkaError as error:
                raise self._cause() or error from None
            except (IllegalOperation, AssertionError) as error:
                # What fails while something else is still being sent, aiokafka tells of as a state in which nothing can
                # be sent or committed any more (producer/producer.py, producer/transaction_manager.py).
                raise self._cause() or KafkaError(repr(error)) from error

    async def close(self) -> None:
        """Let go of the connections, also when the broker does not answer."""
        try:
            # The producer's own stop waits for batches that may never be sent.
            await asyncio.wait_for(self._producer.stop(), _STOP_TIMEOUT_S)
        except (KafkaError, TimeoutError):
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(self._producer.client.close(), _STOP_TIMEOUT_S)
            if (sending := self._producer._sender.sender_task) is not None:
                sending.cancel()

    @contextlib.asynccontextmanager
    async def _pending(self, stage: str) -> AsyncIterator[None]:
        """A limit on what aiokafka would try for ever: by then the broker has aborted the transaction.

        Raises:
            KafkaTimeoutError: the limit was reached; the message says what was waited for.
        """
        self._stage, self.pending_since_s = stage, time.monotonic()
        try:
            async with asyncio.timeout(self._limit_s):
                yield
        except TimeoutError:
            raise KafkaTimeoutError(f"{self.trouble}, for {round(self._limit_s)} s") from None
        finally:
            self.pending_since_s = None

    def _cause(self) -> BaseException | None:
        """Why the transaction as a whole failed; its batches may tell of what came of it only."""
        waiter = self._producer._txn_manager._transaction_waiter
        return waiter.exception() if waiter is not None and waiter.done() and not waiter.cancelled() else None

    async def _commit(self, rows_by_place: Mapping[Place, Sequence[Row]]) -> None:
        await self._producer.begin_transaction()
        delivered: list[Any] = []
        for place, rows in rows_by_place.items():
            for sent in await self._send(place, rows):
                sent.add_done_callback(_heard)
                delivered.append(sent)
        # aiokafka commits a transaction one of whose batches failed: only that batch's future tells (producer/sender.py).
        await asyncio.gather(*delivered)
        self._stage = "the broker has not ended a transaction"
        await self._producer.commit_transaction()

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


def _heard(sent: "asyncio.Future[Any]") -> None:
    """What fails together is told once: asyncio would log each failure that nobody has asked for."""
    if not sent.cancelled():
        sent.exception()
