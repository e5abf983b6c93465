"""The owner of one log partition: takes it over, applies its records, commits what they led to."""

import asyncio
import contextlib
import time
from collections import deque
from typing import Final

import structlog
from faust.types import TP

from streams import wallclock
from streams.chunks import Chunk
from streams.decision_rows import Decided, decision_rows
from streams.detect_counters import DetectCounters
from streams.pacing import gap_left_s
from streams.partition_status import PartitionStatus
from streams.restore import NewEngine, RestoreProgress, first_offset, restore
from streams.settings import Settings
from streams.traces import traceparent_of
from streams.tracing import Spans, tracing_of
from streams.transactions import PartitionWriter, Place, Row
from streams.transport import ChunkConsumer

_FINISH_TIMEOUT_S: Final = 1.0

log = structlog.get_logger("churn.detect")


class PartitionOwner:
    """Exists for as long as the partition is ours. Any failure of `run` ends it: another one begins from the broker's truth."""

    def __init__(self, settings: Settings, status: PartitionStatus, consumer: ChunkConsumer, counters: DetectCounters) -> None:
        self.partition = status.partition
        self.tp = TP(settings.topic("events"), status.partition)
        self.next_offset = 0
        self._settings = settings
        self._consumer = consumer
        self._counters = counters
        self._tracing = tracing_of(settings)
        self._status = status
        self._writer = status.writer = PartitionWriter(settings, status.partition)
        self._chunks: deque[Chunk] = deque()
        self._arrived = asyncio.Event()
        self._leaving = False
        self._waiting_records = 0
        self._committed_s = time.monotonic()
        self._took_s = 0.0
        self._position_is_ahead = False
        self._proof_is_due = False
        self._task: asyncio.Task[None] | None = None

    async def take_over(self, new_engine: NewEngine) -> None:
        """Fence whoever had the partition, then restore its state: in this order, so that nothing is added behind us.

        Raises:
            KafkaError: the broker did not answer, or somebody else took over at the same time.
            LogGapError: the log does not go on where the state ends.
            StateRefusedError: a record of the state cannot be used.
        """
        started_s = time.monotonic()
        self._status.enter("fencing")
        await self._writer.start()
        progress = self._status.progress = RestoreProgress()
        self._status.enter("restoring")
        restored = await restore(self._settings, self.partition, new_engine, progress)
        self._engine, self.next_offset = restored.engine, restored.next_offset
        self._counters.restores += 1
        self._counters.restore_s += time.monotonic() - progress.started_s
        self._counters.restored_records += restored.records
        self._status.standing = self._engine.standing()
        self._proof_is_due = self._status.failures > 0
        self._status.enter("working")
        log.info(
            "partition.taken_over",
            partition=self.partition,
            next_offset=self.next_offset,
            state_records=restored.records,
            took_ms=round((time.monotonic() - started_s) * 1000),
        )

    def start(self) -> "asyncio.Task[None]":
        """Work on what arrives, until `leave`; the task ends with the failure if there is one."""
        self._task = asyncio.create_task(self._run(), name=f"detect-{self.partition}")
        return self._task

    def feed(self, chunk: Chunk) -> None:
        """Records to be applied when the task comes to it."""
        self._chunks.append(chunk)
        self._waiting_records += len(chunk.records)
        self._arrived.set()

    def forget_chunks(self) -> None:
        """Drop what has not been applied: the consumer is sought to `next_offset`."""
        while self._chunks:
            self._consumer.release(self._next_chunk())

    async def leave(self) -> None:
        """Finish the transaction at work, if the broker answers in time, and let go."""
        self._leaving = True
        self._arrived.set()
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=_FINISH_TIMEOUT_S)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task
        self.forget_chunks()
        await self._writer.close()

    def _next_chunk(self) -> Chunk:
        chunk = self._chunks.popleft()
        self._waiting_records -= len(chunk.records)
        return chunk

    async def _run(self) -> None:
        while not self._leaving:
            await self._wait_for_work()
            await self._let_records_gather()
            if not self._leaving:
                await self._work()

    async def _wait_for_work(self) -> None:
        """Until chunks are here, or only the position has to be committed."""
        while not (self._chunks or self._leaving or self._position_is_due()):
            await self._wait_for_arrival(self._position_due_in_s() if self._position_is_ahead else None)

    async def _let_records_gather(self) -> None:
        while not self._leaving and (left_s := self._gap_left_s()) > 0:
            await self._wait_for_arrival(left_s)

    async def _wait_for_arrival(self, timeout_s: float | None) -> None:
        self._arrived.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), timeout_s)

    def _position_is_due(self) -> bool:
        """Whether a transaction is wanted even if nothing changed: the position is old, or failures have to be over."""
        return self._proof_is_due or (self._position_is_ahead and self._position_due_in_s() <= 0)

    def _position_due_in_s(self) -> float:
        return self._committed_s + self._settings.position_interval_ms / 1000 - time.monotonic()

    def _gap_left_s(self) -> float:
        return gap_left_s(
            since_last_s=time.monotonic() - self._committed_s,
            last_took_s=self._took_s,
            waiting_records=self._waiting_records,
            min_gap_s=self._settings.min_transaction_gap_ms / 1000,
            batch_records=self._settings.max_batch_records,
        )

    async def _work(self) -> None:
        decided: list[Decided] = []
        spans = self._tracing.begin("detect")
        generation = None
        applied = 0
        while self._chunks and applied < self._settings.max_batch_records:
            chunk = self._next_chunk()
            before = self.next_offset
            follows = self._apply(chunk, decided, spans)
            self._consumer.release(chunk)
            applied, generation = applied + self.next_offset - before, chunk.generation
            if not follows:
                await self._seek_back(chunk)
                break
        self._counters.records += applied
        self._position_is_ahead |= applied > 0
        await self._commit(decided)
        spans.end()
        if generation is not None:
            self._consumer.done(self.tp, self.next_offset, generation)  # for tools that look at the lag

    def _apply(self, chunk: Chunk, decided: list[Decided], spans: Spans) -> bool:
        """Apply the records that follow the position; false if one does not, because those between are missing."""
        engine = self._engine
        for record in chunk.records:
            if record.offset < self.next_offset:
                continue
            if record.offset > self.next_offset:
                return False
            if more := engine.apply_bytes(record.offset, record.value):
                decided.append(Decided(more, traceparent_of(record.headers)))
            if record.headers:
                fault = more.dead_letters[0].reason if more.dead_letters else ""
                spans.add(record.headers, self.tp.topic, self.partition, record.offset, fault=fault)
            self.next_offset = record.offset + 1
        return True

    async def _seek_back(self, chunk: Chunk) -> None:
        """Read the missing records again; never seen since the transport stamps what it fetches, and cheap to be sure of."""
        self._counters.seeks_back += 1
        log.warning(
            "partition.sought_back", partition=self.partition, next_offset=self.next_offset, came=chunk.records[0].offset
        )
        self._consumer.pause(self.tp)
        self.forget_chunks()
        begin = (await self._consumer.earliest_offsets(self.tp))[self.tp]
        self.next_offset = first_offset(self._settings, self.partition, self.next_offset, begin)
        await self._consumer.read_from(self.tp, self.next_offset)

    async def _commit(self, decided: list[Decided]) -> None:
        rows = decision_rows(self._settings, self.partition, decided)
        changes = self._engine.take_changes()
        if not changes and (rows or self._position_is_due()):
            changes = [self._engine.head_change()]
        if not changes:
            return
        rows[Place(self._settings.topic("state"), self.partition)] = [Row(key, value) for key, value in changes]
        self._committed_s = time.monotonic()
        await self._writer.commit(rows)
        self._took_s = time.monotonic() - self._committed_s
        self._position_is_ahead = self._proof_is_due = False
        self._status.succeeded()
        self._counters.transactions.add(self._took_s)
        self._counters.tally.update(self._engine.take_tally())
        now_ms = None if self._settings.clock == "event" else wallclock.now_ms()
        for one in decided:
            self._counters.count(one.decisions, now_ms)
        self._status.standing = self._engine.standing()
