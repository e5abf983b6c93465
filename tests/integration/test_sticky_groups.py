"""Groups on a broker: a join or a leave moves only what it must, and whoever keeps a partition keeps what it knows of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from detect_log import Log, new_installation, silences, until

from detectors.engine import PartitionEngine
from streams.detect import Detector, detector_of, make_detect_app
from streams.settings import Settings
from streams.worker import Roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
PARTITIONS = 6


class Worker:
    """A process with the role `detect`, as far as its group sees it."""

    def __init__(self, settings: Settings) -> None:
        self.restored: list[int] = []
        self.app = make_detect_app(settings, self._new_engine)
        self.roles = Roles({"detect": self.app})

    @property
    def detector(self) -> Detector:
        return detector_of(self.app)

    @property
    def partitions(self) -> set[int]:
        return set(self.detector.partitions)

    def _new_engine(self, partition: int, topic: str) -> PartitionEngine:
        self.restored.append(partition)
        return PartitionEngine(partition, topic)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Worker]:
    worker = Worker(settings)
    try:
        await worker.roles.start()
        yield worker
    finally:
        await worker.roles.stop()


async def shared(*workers: Worker) -> None:
    """Wait until the workers have all partitions between them, evenly."""
    fair = PARTITIONS // len(workers)
    await until(lambda: all(len(worker.partitions) == fair for worker in workers))


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("sticky"), partitions=PARTITIONS)


async def test_a_third_worker_takes_one_partition_of_each_and_a_leaver_moves_only_its_own(settings: Settings) -> None:
    log = Log(settings)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(settings))
        second = await stack.enter_async_context(running(settings))
        await shared(first, second)
        before = first.partitions, second.partitions
        first.restored.clear()
        second.restored.clear()
        async with running(settings) as third:
            await shared(first, second, third)
            assert first.partitions < before[0]
            assert second.partitions < before[1]
            for partition in range(PARTITIONS):
                await log.append(partition, silences(0, 100))
            await log.until_all_is_told(*range(PARTITIONS))
            assert (first.restored, second.restored) == ([], [])  # warm: the state was there, and goes on
            kept, moved = (first.partitions, second.partitions), third.partitions
        await shared(first, second)
        assert kept[0] < first.partitions
        assert kept[1] < second.partitions
        assert sorted(first.restored + second.restored) == sorted(moved)
    for partition in range(PARTITIONS):
        await log.assert_as_the_oracle_says(partition)


async def test_a_worker_of_an_earlier_release_may_come_and_go(settings: Settings) -> None:
    log = settings.topic("events")
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(settings))
        old = AIOKafkaConsumer(
            log,
            bootstrap_servers=settings.bootstrap,
            group_id=settings.group_id("detect"),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            session_timeout_ms=6_000,
        )
        await old.start()
        drained = asyncio.create_task(_drain(old))
        try:
            await until(lambda: len(first.partitions) == PARTITIONS // 2 and len(old.assignment()) == PARTITIONS // 2)
            assert first.partitions | {tp.partition for tp in old.assignment()} == set(range(PARTITIONS))
        finally:
            drained.cancel()
            await old.stop()
        await until(lambda: len(first.partitions) == PARTITIONS)


async def _drain(consumer: AIOKafkaConsumer) -> None:
    while True:
        await consumer.getmany(timeout_ms=100)
