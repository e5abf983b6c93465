"""From the door into one topic: all that waits goes out together, and whoever waits is told when it is acknowledged."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog
from aiokafka.errors import KafkaError

from streams.log_writer import LogWriter
from streams.settings import Settings
from streams.transactions import Place, Row

_BATCH_BYTES: Final = 900_000
_TRY_AGAIN_S: Final = 1.0
_LET_GO_WITHIN_S: Final = 0.75

log = structlog.get_logger("churn.door")


class NotWrittenError(Exception):
    """A record is not in the topic, or it is not known whether it is; the message says why."""


class _Waiting(NamedTuple):
    row: Row
    size_bytes: int
    written: "asyncio.Future[None]"


class Lane:
    """One writer for one topic; a topic whose partitions do not answer does not hold up the others.

    While a batch is under way the next one gathers, so there are as many records in a batch as the load makes. Batches go
    to the partitions in turn. After a failure the producer is given up: of what it had not heard yet it is not known
    whether it was stored, and the broker might take the next batch under the same sequence number for that one.
    """

    def __init__(self, settings: Settings, topic: str, make_writer: Callable[[Settings], LogWriter] = LogWriter) -> None:
        self.topic = topic
        self.failing_since_s: float | None = None
        """By the monotonic clock; None while all is well."""
        self.trouble = ""
        self._settings = settings
        self._within_s = settings.door_wait_ms / 1000
        self._make_writer = make_writer
        self._writer = make_writer(settings)
        self._waiting: deque[_Waiting] = deque()
        self._under_way: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._batches = 0

    async def open(self) -> None:
        """Reach the topic, or say that it cannot be reached: the doors of the others open all the same."""
        try:
            await self._reach()
        except (KafkaError, TimeoutError) as error:
            self.refuse(self._in_words(error))

    async def write(self, row: Row, size_bytes: int) -> None:
        """Write a record; returns when all in-sync replicas have it.

        Raises:
            NotWrittenError: Kafka does not answer.
        """
        if self.failing_since_s is not None:
            raise NotWrittenError(self.trouble)
        waiting = _Waiting(row, size_bytes, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        await waiting.written

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            if self.failing_since_s is not None:
                await self._come_back()
            await self._arrived.wait()
            self._under_way = self._next_batch()
            try:
                await self._send([waiting.row for waiting in self._under_way])
            except (KafkaError, TimeoutError) as error:
                self.refuse(self._in_words(error))
            else:
                for waiting in self._under_way:
                    if not waiting.written.done():
                        waiting.written.set_result(None)

    def refuse(self, trouble: str) -> None:
        """Nobody waits for a topic that cannot be written: senders come again, and nothing piles up here."""
        self.failing_since_s, self.trouble = time.monotonic(), trouble
        for waiting in [*self._under_way, *self._waiting]:
            if not waiting.written.done():
                waiting.written.set_exception(NotWrittenError(trouble))
        self._waiting.clear()
        self._arrived.clear()

    async def close(self) -> None:
        """Let go of the connections, after `run` was cancelled."""
        self.refuse("the door is closing")
        await self._writer.close(_LET_GO_WITHIN_S)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        room = _BATCH_BYTES
        while self._waiting and (not batch or self._waiting[0].size_bytes <= room):
            batch.append(self._waiting.popleft())
            room -= batch[-1].size_bytes
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _reach(self) -> None:
        async with asyncio.timeout(self._within_s):
            await self._writer.partitions(self.topic)

    def _in_words(self, error: KafkaError | TimeoutError) -> str:
        return repr(error) if isinstance(error, KafkaError) else f"no answer for {self._within_s:g} s"

    async def _send(self, rows: list[Row]) -> None:
        async with asyncio.timeout(self._within_s):
            partitions = await self._writer.partitions(self.topic)
            place = Place(self.topic, partitions[self._batches % len(partitions)])
            self._batches += 1
            await self._writer.write({place: rows})

    async def _come_back(self) -> None:
        """With a new producer, once the topic is heard of: who is not ready is not asked, so no request would show it."""
        log.warning("door.not_written", topic=self.topic, reason=self.trouble, consequence="senders are told to come again")
        since_s = self.failing_since_s or 0.0
        while True:
            await self._writer.close(_LET_GO_WITHIN_S)
            self._writer = self._make_writer(self._settings)
            try:
                await self._reach()
            except (KafkaError, TimeoutError):
                await asyncio.sleep(_TRY_AGAIN_S)
            else:
                break
        self.failing_since_s = None
        log.info("door.writes_again", topic=self.topic, after_ms=round((time.monotonic() - since_s) * 1000))
