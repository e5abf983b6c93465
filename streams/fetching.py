"""The thread that talks to Kafka for a consumer: fetches that know which seek they came after, commits that may fail."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.assignment import StickyAssignor

_COMMIT_TIMEOUT_S = 5.0
_RECHECK_S = 0.25
_FETCH_WAIT_MS = 250


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

    async def fetch(self, wanted: frozenset[TP], timeout_s: float) -> Fetched:
        """Records of the wanted partitions; none if there are none for so long, or a rebalance runs."""
        fetched: Fetched = await self.call_thread(self._fetch, wanted, timeout_s)
        return fetched

    async def _fetch(self, wanted: frozenset[TP], timeout_s: float) -> Fetched:
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        deadline_s = time.monotonic() + timeout_s
        # The context tells aiokafka that somebody reads; else it leaves the group after `max_poll_interval_ms`.
        with fetcher._subscriptions.fetch_context():
            while self.consumer.flow_active and not fetcher._subscriptions.reassignment_in_progress:
                if consumer._closed or fetcher._closed:
                    raise ConsumerStoppedError
                # A timeout of 0 pops what is there and never waits: no seek can come between the check and the records.
                records = await fetcher.fetched_records(wanted, timeout=0, max_records=consumer._max_poll_records)
                left_s = deadline_s - time.monotonic()
                if records or left_s <= 0:
                    return Fetched(records, dict(self.epochs))
                await _arrival(fetcher, min(left_s, _RECHECK_S))
        return Fetched({}, {})

    async def seek_in_order(self, tp: TP, offset: int) -> None:
        """Seek, between two fetches.

        Raises:
            IllegalStateError: the partition is not assigned.
        """
        await self.call_thread(self._seek_now, tp, offset)

    async def _seek_now(self, tp: TP, offset: int) -> None:
        self._ensure_consumer().seek(TopicPartition(*tp), offset)
        self._sought([tp])

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """As the stock one, counted: once before, for what is being fetched, and once after."""
        offsets: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return offsets

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        self._sought(consumer.assignment())
        offsets: Mapping[TP, int] = await consumer.seek_to_committed() if consumer.assignment() else {}
        self._sought(consumer.assignment())
        return offsets

    async def positions(self) -> Mapping[TP, Position]:
        """Of the assigned partitions that have been fetched since their seek."""
        positions: Mapping[TP, Position] = await self.call_thread(self._positions)
        return positions

    async def _positions(self) -> Mapping[TP, Position]:
        consumer = self._ensure_consumer()
        found = {}
        for tp in consumer.assignment():
            state = consumer._subscription.subscription.assignment.state_value(tp)
            if state.has_valid_position and state.highwater is not None:
                count = len(consumer.partitions_for_topic(tp.topic) or ())
                found[TP(*tp)] = Position(state.position, state.highwater, state.timestamp, count)
        return found

    async def try_commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit offsets of partitions that are all ours; true if the broker took them."""
        return bool(await self.call_thread(self._try_commit, offsets))

    async def _try_commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        wanted = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
        if not wanted.keys() <= consumer.assignment():
            return False
        try:
            await asyncio.wait_for(consumer.commit(wanted), _COMMIT_TIMEOUT_S)
        except (KafkaError, IllegalStateError, TimeoutError) as refused:
            self.log.warning("the broker took no offsets: %r", refused)
            return False
        return True

    def _sought(self, partitions: Iterable[TP]) -> None:
        for tp in partitions:
            self.epochs[TP(*tp)] = self.epochs.get(TP(*tp), 0) + 1


async def _arrival(fetcher: Any, timeout_s: float) -> None:  # noqa: ANN401
    """Wait until records (of any partition) or an error have arrived, or the time is up."""
    waiter = fetcher._create_fetch_waiter()
    _done, pending = await asyncio.wait([waiter], timeout=timeout_s)
    if pending:
        waiter.cancel()
    else:
        waiter.result()
