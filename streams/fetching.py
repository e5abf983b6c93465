"""The thread that talks to Kafka for a consumer: fetches that know which seek they came after, commits that may fail."""

import asyncio
import contextlib
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.assignment import StickyAssignor
from streams.group_failures import watch_group
from streams.group_leaving import left_in_time

_FETCH_WAIT_MS: Final = 250
_FETCH_WAIT_WHILE_FULL_MS: Final = 50

_T = TypeVar("_T")


@dataclass(frozen=True)
class Fetched:
    """Records by partition, and how often each partition had been sought when they were taken."""

    records: Mapping[TP, list[ConsumerRecord]]
    epochs: Mapping[TP, int]

    def fresh(self, epochs: Mapping[TP, int]) -> Iterator[tuple[TP, list[ConsumerRecord]]]:
        """The partitions that have not been sought since."""
        for tp, records in self.records.items():
            if self.epochs.get(tp) == epochs.get(tp):
                yield tp, records


@dataclass(frozen=True)
class Position:
    """Where the consumer is in a partition, and where that ended when it was last fetched."""

    position: int
    """Next offset that a fetch hands out."""
    end: int
    fetched_ms: int
    """When the broker last answered, by this machine's clock."""
    partitions: int
    """How many the topic has."""


class ChunkThread(driver.AIOKafkaConsumerThread):
    """`epochs` counts the seeks of each partition. It is written in this thread alone.

    A result taken before a seek carries an older epoch and is dropped; one taken after it never is. The stock thread
    waits up to a second inside aiokafka's `fetched_records` (`_fetch_records`, drivers/aiokafka.py), and so can hand
    out records after the flow was stopped, or from before the seek of a new assignment: 27 gaps in 20 kills, measured.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.epochs: dict[TP, int] = {}
        self._arrival: asyncio.Future[None] | None = None
        self._woken = False
        self._commit_refused = False
        self._bare = cast("Any", self.consumer).options.bare_records

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:  # noqa: ANN401 - aiokafka has no types
        """As the stock one (drivers/aiokafka.py), save for three things.

        That reads committed records only in Faust's own transactions. Its fetches may wait for a second and a half, and
        a partition that is sought or resumed waits for the one at work. And it deals the partitions round robin.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._partition_assignment_strategy = [StickyAssignor(lambda: int(consumer._coordinator.generation))]
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        if cast("Any", self.consumer).options.read_committed:
            consumer._isolation_level = "read_committed"
        return consumer

    async def on_start(self) -> None:
        """As the stock one, and what aiokafka's tasks fail with is heard."""
        await super().on_start()
        watch_group(self._ensure_consumer(), self.app.conf.id, self._fail)

    def _fail(self, error: BaseException) -> None:
        asyncio.run_coroutine_threadsafe(self.app.crash(error), self.parent_loop)

    # -- fetching

    async def fetch(self, room: Mapping[TP, int]) -> Fetched:
        """Records of partitions that have room, as soon as there are any; none after `wake`, or when the flow is stopped.

        Args:
            room: most records to hand out of each partition; one that is left out keeps what aiokafka has of it.
        """
        return await self._in_this_thread(self._fetch(room))

    def wake(self) -> None:
        """Let the fetch at work return, since what it was asked for has changed; if there is none, let the next one."""
        with contextlib.suppress(RuntimeError):  # the thread has ended
            self.thread_loop.call_soon_threadsafe(self._wake_now)

    def _wake_now(self) -> None:
        self._woken = True
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def _fetch(self, room: Mapping[TP, int]) -> Fetched:
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        # The context tells aiokafka that somebody reads, also while nothing has room: else it would leave the group
        # after `max_poll_interval_ms` (`_heartbeat_routine`, consumer/group_coordinator.py).
        with fetcher._subscriptions.fetch_context():
            while self.consumer.flow_active and not self._woken:
                if consumer._closed or fetcher._closed:
                    raise ConsumerStoppedError
                _let_the_full_wait(fetcher, room)
                if not fetcher._subscriptions.reassignment_in_progress:
                    records = await _popped(fetcher, room, consumer._max_poll_records, bare=self._bare)
                    if records:
                        return Fetched(records, dict(self.epochs))
                await self._next_arrival(fetcher)
        self._woken = False
        return Fetched({}, {})

    async def _next_arrival(self, fetcher: Any) -> None:  # noqa: ANN401
        """Until records of any partition, an error, or `wake`."""
        self._arrival = fetcher._create_fetch_waiter()
        try:
            await self._arrival
        finally:
            self._arrival = None

    # -- seeking

    async def seek_in_order(self, tp: TP, offset: int) -> None:
        """Seek, between two fetches.

        Raises:
            IllegalStateError: the partition is not assigned.
        """
        await self._in_this_thread(self._seek_now(tp, offset))

    async def _seek_now(self, tp: TP, offset: int) -> None:
        consumer, there = self._ensure_consumer(), TopicPartition(*tp)
        consumer.seek(there, offset)
        # Where it ended when it was fetched before says nothing: the topic may have been deleted and made again since.
        consumer._subscription.subscription.assignment.state_value(there).highwater = None
        self._sought([tp])

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """As the stock one, counted: once before, for what is being fetched, and once after."""
        return await self._in_this_thread(self._seek_to_committed())

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        self._sought(consumer.assignment())
        offsets: Mapping[TP, int] = await consumer.seek_to_committed() if consumer.assignment() else {}
        self._sought(consumer.assignment())
        return offsets

    def _sought(self, partitions: Iterable[TP]) -> None:
        for tp in partitions:
            self.epochs[TP(*tp)] = self.epochs.get(TP(*tp), 0) + 1

    async def positions(self) -> Mapping[TP, Position]:
        """Of the assigned partitions that have been fetched since their seek."""
        return await self._in_this_thread(self._positions())

    async def _positions(self) -> Mapping[TP, Position]:
        consumer = self._ensure_consumer()
        found = {}
        for tp in consumer.assignment():
            state = consumer._subscription.subscription.assignment.state_value(tp)
            if state.has_valid_position and state.highwater is not None:
                count = len(consumer.partitions_for_topic(tp.topic) or ())
                found[TP(*tp)] = Position(state.position, state.highwater, state.timestamp, count)
        return found

    async def see_partitions(self, counts: Mapping[str, int]) -> None:
        """Topics have so many partitions: if aiokafka has not seen that, it looks again, and its group deals them out."""
        await self._in_this_thread(self._see_partitions(counts))

    async def _see_partitions(self, counts: Mapping[str, int]) -> None:
        consumer = self._ensure_consumer()
        if any(len(consumer.partitions_for_topic(topic) or ()) != count for topic, count in counts.items()):
            consumer._client.force_metadata_update()

    # -- committing and leaving

    async def committed(self, tps: Collection[TP]) -> Mapping[TP, tuple[int, str]]:
        """The offsets that the group has committed, with the note of each; a partition without one is left out."""
        return await self._in_this_thread(self._committed(tps))

    async def _committed(self, tps: Collection[TP]) -> Mapping[TP, tuple[int, str]]:
        wanted = [TopicPartition(*tp) for tp in tps]
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(wanted)
        return {TP(*tp): (at.offset, at.metadata or "") for tp, at in found.items() if at.offset >= 0}

    async def try_commit(self, offsets: Mapping[TP, tuple[int, str]], timeout_s: float) -> bool:
        """Commit offsets, each with a note, of partitions that are all ours; true if the broker took them."""
        try:
            return await self._in_this_thread(self._try_commit(offsets, timeout_s))
        except ConsumerStoppedError:
            return False

    async def _try_commit(self, offsets: Mapping[TP, tuple[int, str]], timeout_s: float) -> bool:
        consumer = self._ensure_consumer()
        wanted = {TopicPartition(*tp): OffsetAndMetadata(*offset) for tp, offset in offsets.items()}
        if not wanted.keys() <= consumer.assignment():
            return False
        try:
            await asyncio.wait_for(consumer.commit(wanted), timeout_s)
        except (KafkaError, IllegalStateError, TimeoutError) as refused:
            # Once, not each second: what could not be committed is committed later, or read again.
            (self.log.debug if self._commit_refused else self.log.warning)("the broker took no offsets: %r", refused)
            self._commit_refused = True
            return False
        self._commit_refused = False
        return True

    def close(self) -> None:
        """Nothing: `on_thread_stop` closes the consumer, in the loop that it belongs to.

        `App._on_rebalance_when_stopped` (app/base.py) calls this when a rebalance meets a stop, and the stock one closes
        the client in the loop of the app and marks the consumer as closed: it then never leaves the group.
        """

    def _stopped_set(self) -> None:
        """Nothing if the thread has ended by itself: `ServiceThread._stopped_set` (mode/threads.py) raises then."""
        with contextlib.suppress(RuntimeError):
            super()._stopped_set()

    async def on_thread_stop(self) -> None:
        """As the stock one, within bounds: see `streams.group_leaving`."""
        stop = super().on_thread_stop()
        if self._consumer is None:
            await stop
        elif not await left_in_time(asyncio.ensure_future(stop), self._consumer):
            self.log.warning("no answer when leaving the group %s: its session has to expire", self.app.conf.id)

    async def _in_this_thread(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run something in this thread's loop; as many at once as are asked for.

        Faust's `call_thread` has two workers (`MethodQueue`, mode/threads.py): a fetch and a commit that gets no answer
        would keep a seek waiting.

        Raises:
            ConsumerStoppedError: the thread has ended.
        """
        try:
            running = asyncio.run_coroutine_threadsafe(work, self.thread_loop)
        except RuntimeError:
            work.close()
            raise ConsumerStoppedError from None
        return await asyncio.wrap_future(running)


async def _popped(
    fetcher: Any,  # noqa: ANN401
    room: Mapping[TP, int],
    most: int,
    *,
    bare: bool,
) -> dict[TP, list[ConsumerRecord]]:
    """What is here, of each partition as much as it has room for.

    A timeout of 0 takes what is there and never waits: no seek can come between the caller's checks and the records.
    """
    popped: dict[TP, list[ConsumerRecord]] = {}
    for tp, result in list(fetcher._records.items()):
        if (limit := min(room.get(tp, 0), most)) > 0:
            if bare and isinstance(result, FetchResult) and result._partition_records is not None:
                # `PartitionRecords._consumer_record` (consumer/fetcher.py) is most of what it costs to read a record.
                result._partition_records._consumer_record = _as_it_is
            popped.update(await fetcher.fetched_records({tp}, timeout=0, max_records=limit))
    return popped


def _as_it_is(_tp: TopicPartition, record: ConsumerRecord) -> ConsumerRecord:
    return record


def _let_the_full_wait(fetcher: Any, room: Mapping[TP, int]) -> None:  # noqa: ANN401
    """Let what was fetched for partitions without room hold back neither the others nor itself.

    aiokafka fetches nothing more of a partition until what it has is taken, and nothing of its broker either for 100 ms
    (`FetchResult.calculate_backoff` in `Fetcher._get_actions_per_node`, consumer/fetcher.py): that is for readers that
    take all there is. And it has one fetch at work for a broker: while one waits for records of the others, a partition
    that has room again is not fetched, so those fetches wait less.
    """
    kept = [result for tp, result in fetcher._records.items() if tp not in room]
    fetcher._fetch_max_wait_ms = _FETCH_WAIT_WHILE_FULL_MS if kept else _FETCH_WAIT_MS
    if any(result._backoff for result in kept):
        for result in kept:
            result._backoff = 0
        fetcher._notify(fetcher._wait_consume_future)
