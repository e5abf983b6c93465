"""Faust's aiokafka transport with its holes closed: chunks of raw records, explicit acknowledgement, seeks that hold.

Faust 0.15.3 wraps every record in four tasks, acknowledges an event whose agent raised, commits past records that
are still in work, and ends the worker when a commit is refused. Here an agent gets one `Chunk` for a partition and
poll, says itself what is done, and a refused commit is only a commit that did not happen.

Each override names the defect that it works around. A test fails when one of the private names it leans on moves.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from aiokafka.errors import ConsumerStoppedError, IllegalStateError
from aiokafka.structs import ConsumerRecord
from faust import App
from faust.events import Event
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.chunks import Chunk, Done, ReadOptions
from streams.fetching import ChunkThread, Position

_COMMIT_BEFORE_REVOKE_S: Final = 2.0
_UNSOUGHT_PAUSE_S: Final = 0.01
_COMMIT_TIMEOUT_S: Final = 5.0
_COMMIT_AT_STOP_S: Final = 0.5


class ChunkConsumer(driver.Consumer):
    """The consumer of an app; an agent calls `release` for each chunk, and `done` where offsets are committed."""

    _thread: ChunkThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever Faust hands to its consumers
        self._done: dict[TP, Done] = {}
        self._committed: dict[TP, Done] = {}
        self._backlog: dict[TP, int] = {}
        self._full: set[TP] = set()
        self._share = 0
        self._sought_generation = -1
        super().__init__(*args, **kwargs)

    @property
    def options(self) -> ReadOptions:
        """How this app reads."""
        return cast("ChunkTransport", self.transport).options

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    # -- what agents call

    def done(self, tp: TP, next_offset: int, generation: int, note: str = "") -> None:
        """Everything before `next_offset` is safe: it may be committed. Say it in order; another note begins anew.

        An old generation is ignored. Explicit, because `StreamIterator.after` (_cython/streams.pyx) acknowledges an event even
        if its agent raised, and `Consumer._new_offset` (transport/consumer.py) commits past events that are still in work.
        """
        known = self._done.get(tp)
        is_news = known is None or known.note != note or next_offset > known.next_offset
        if generation == self.app.consumer_generation_id and is_news:
            self._done[tp] = Done(next_offset, note)

    def release(self, chunk: Chunk) -> None:
        """The records of this chunk are no longer held: there is room for others."""
        if chunk.generation == self.app.consumer_generation_id:
            held = self._backlog[chunk.tp] = max(0, self._backlog.get(chunk.tp, 0) - len(chunk.records))
            # Half of the share, so that one who works slowly is not handed record after record.
            if chunk.tp in self._full and held <= self._share // 2:
                self._full.discard(chunk.tp)
                self._thread.wake()

    def held(self, tp: TP) -> int:
        """Records of a partition that were handed over and not released yet."""
        return self._backlog.get(tp, 0)

    async def positions(self) -> Mapping[TP, Position]:
        """Where the assigned partitions are read, and where they end; one that was not fetched yet is left out."""
        return await self._thread.positions()

    async def committed(self, tps: Iterable[TP]) -> Mapping[TP, Done]:
        """What may be gone on from: what is done in this generation, else what the group has committed."""
        known = await self._thread.committed([tp for tp in tps if tp not in self._done])
        return {tp: self._done.get(tp) or Done(*known[tp]) for tp in tps if tp in self._done or tp in known}

    async def see_partitions(self, counts: Mapping[str, int]) -> None:
        """Topics have so many partitions: if that is new to the consumer, the group deals them out anew."""
        await self._thread.see_partitions(counts)

    def seeks(self, tp: TP) -> int:
        """How often a partition has been sought."""
        return self._thread.epochs.get(tp, 0)

    async def read_from(self, tp: TP, offset: int) -> bool:
        """Go on reading a partition at an offset, and resume it if it was paused; false if it is not ours (any more)."""
        if tp not in self.assignment():
            return False
        try:
            await self._thread.seek_in_order(tp, offset)
        except IllegalStateError:  # revoked meanwhile
            return False
        self.resume_partitions({tp})
        self._thread.wake()
        return True

    def pause(self, tp: TP) -> None:
        """Hand out no more records of a partition until `read_from`."""
        self.pause_partitions({tp})

    async def hold(self, tp: TP, offset: int) -> None:
        """The same, and what was handed over from an offset on was not worked on."""
        self.pause(tp)
        with contextlib.suppress(IllegalStateError):  # revoked meanwhile
            await self._thread.seek_in_order(tp, offset)

    async def still_member(self, tp: TP, next_offset: int) -> bool:
        """True only if the broker takes a commit of this generation: the proof that this process is no zombie."""
        return await self._thread.try_commit({tp: Done(next_offset, "")}, _COMMIT_TIMEOUT_S)

    # -- what Faust calls

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ANN401, ARG002, FBT001
        """Commit what is done, best effort.

        `AIOKafkaConsumerThread._commit` (drivers/aiokafka.py) ends the worker on any error of the broker; a refused
        commit only means that records are read again. None is sent during a rebalance: it would wait for its end.
        """
        if self.app.rebalancing:
            return False
        return await self._commit_done(_COMMIT_AT_STOP_S if self.app.should_stop else _COMMIT_TIMEOUT_S)

    def stop_flow(self) -> None:
        """As the stock one, and a fetch that waits returns."""
        super().stop_flow()
        self._thread.wake()

    def resume_flow(self) -> None:
        """As the stock one, and a fetch that waits returns: partitions have been resumed before."""
        super().resume_flow()
        self._thread.wake()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit first: `Consumer.on_partitions_revoked` (transport/consumer.py) forgets what was done before it commits."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._commit_done(), _COMMIT_BEFORE_REVOKE_S)
        await super().on_partitions_revoked(revoked)
        self._forget()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget once more: Faust can resume the flow of the last generation inside this rebalance (tables/recovery.py)."""
        self._forget()
        self._share = max(1, self.options.max_backlog_records // max(1, len(assigned)))
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Called once after each assignment, before records flow (`Recovery._resume_streams`, tables/recovery.py)."""
        generation = self.app.consumer_generation_id
        await self._seek_all()
        self._sought_generation = generation

    async def _seek_all(self) -> None:
        hook = self.options.seek
        if hook is None:
            await super().perform_seek()
            return
        assigned = frozenset(TP(*tp) for tp in self.assignment())
        offsets = await hook(assigned)
        self.pause_partitions(assigned - offsets.keys())
        for tp in sorted(offsets):
            await self.read_from(tp, offsets[tp])

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: the stock check (drivers/aiokafka.py) looks at times that only stock acknowledgement keeps."""

    async def _drain_messages(self, fetcher: Any) -> None:  # noqa: ANN401
        """Fetch and hand over until stopped.

        The stock loop (transport/consumer.py) makes four tasks for each record, and sleeps for a second when all
        partitions have full buffers.
        """
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                if self.flow_active:
                    await self._fetch_once()
                else:
                    await self.wait(self.can_resume_flow.wait())
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.transport.app.should_stop:
                raise

    # -- inside

    def _is_sought(self) -> bool:
        """Whether this generation reads where it must.

        A rebalance may come while `perform_seek` of the one before is at work; when that is done, Faust resumes the flow
        (`Recovery._resume_streams`, tables/recovery.py), although the new generation has not been sought yet. Its records
        would be those behind the committed offsets, handed to who has restored nothing.
        """
        return self._sought_generation == self.app.consumer_generation_id

    async def _fetch_once(self) -> None:
        if not self._is_sought():
            await asyncio.sleep(_UNSOUGHT_PAUSE_S)
            return
        active = self._get_active_partitions() - self._full
        fetched = await self._thread.fetch({tp: self._share - self._backlog.get(tp, 0) for tp in active})
        # Records that arrive after the flow was stopped are read again: a seek comes before it is resumed.
        if self.flow_active and self._is_sought() and not self.should_stop:
            for tp, records in fetched.fresh(self._thread.epochs):
                self._hand_over(TP(*tp), records)
        await asyncio.sleep(0)

    def _hand_over(self, tp: TP, records: list[ConsumerRecord]) -> None:
        channels = cast("Any", self.app.topics)._tp_index.get(tp)
        if not channels:
            return
        generation, last = self.app.consumer_generation_id, records[-1]
        message = ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=last.offset,
            timestamp=last.timestamp / 1e3,
            timestamp_type=last.timestamp_type,
            headers=None,
            key=last.key,
            value=None,
            checksum=None,
            tp=tp,
            generation_id=generation,
        )
        # StreamIterator.after (_cython/streams.pyx) inlines the acknowledgement: only these flags stop it.
        message.acked = message.tracked = True
        held = self._backlog[tp] = self._backlog.get(tp, 0) + len(records)
        if held >= self._share:
            self._full.add(tp)
        (channel,) = channels
        chunk = Chunk(tp, records, generation, self.seeks(tp))
        channel.queue.force_put_nowait(Event(self.app, None, chunk, None, message))

    async def _commit_done(self, timeout_s: float = _COMMIT_TIMEOUT_S) -> bool:
        offsets = {tp: done for tp, done in self._done.items() if self._committed.get(tp) != done}
        committed = bool(offsets) and await self._thread.try_commit(offsets, timeout_s)
        if committed:
            self._committed.update(offsets)
        return committed

    def _forget(self) -> None:
        self._done.clear()
        self._committed.clear()
        self._backlog.clear()
        self._full.clear()
        self._thread.wake()


class ChunkTransport(driver.Transport):
    """The transport of one app."""

    Consumer = ChunkConsumer

    def __init__(self, app: App, options: ReadOptions) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.options = options


def consumer_of(app: App) -> ChunkConsumer:
    """The consumer of an app that `streams.apps.make_app` made."""
    return cast("ChunkConsumer", app.consumer)
