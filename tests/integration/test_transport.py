"""The transport: chunks in order, nothing acknowledged but what was said to be done, seeks and isolation that hold."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaProducer
from detect_log import new_installation, until
from faust import App
from faust.types import TP

from streams.apps import add_agent, make_app
from streams.settings import Settings
from streams.transport import Chunk, SeekHook, consumer_of, from_the_beginning
from streams.worker import Roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("transport"))


@pytest.fixture
def topic(settings: Settings) -> str:
    return settings.source_prefix + "orders"


async def send(settings: Settings, topic: str, values: list[str], partition: int = 0) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await asyncio.gather(*[await producer.send(topic, value.encode(), partition=partition) for value in values])


@dataclass
class Reader:
    """An agent that notes what it reads, and says that it is done with it."""

    settings: Settings
    topic: str
    read_committed: bool = False
    seek: SeekHook | None = None
    fails_at: str | None = None
    keeps_chunks: bool = False
    values: list[str] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)

    async def handle(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            values = [record.value.decode() for record in chunk.records]
            if self.fails_at in values:
                raise ValueError(self.fails_at)
            self.values += values
            self.chunks.append(chunk)
            consumer_of(self.app).done(chunk.tp, chunk.records[-1].offset + 1, chunk.generation)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Roles]:
        self.app: App = make_app(self.settings, "ingest", read_committed=self.read_committed, seek=self.seek)
        add_agent(self.app, "reader", [self.topic], self.handle, keeps_chunks=self.keeps_chunks)
        running = Roles({"ingest": self.app})
        try:
            await running.start()
            yield running
        finally:
            await running.stop()


async def test_an_agent_sees_every_record_once_and_in_order(settings: Settings, topic: str) -> None:
    values = [str(number) for number in range(5_000)]
    await send(settings, topic, values)
    reader = Reader(settings, topic)
    async with reader.running():
        await until(lambda: len(reader.values) >= 5_000)
    assert reader.values == values


async def test_what_is_done_is_not_read_again(settings: Settings, topic: str) -> None:
    await send(settings, topic, ["a", "b"])
    first = Reader(settings, topic)
    async with first.running():
        await until(lambda: len(first.values) == 2)
    await send(settings, topic, ["c"])
    second = Reader(settings, topic)
    async with second.running():
        await until(lambda: "c" in second.values)
    assert second.values == ["c"]


async def test_an_agent_that_fails_ends_the_process_and_its_records_are_read_again(settings: Settings, topic: str) -> None:
    await send(settings, topic, ["poison"])
    failing = Reader(settings, topic, fails_at="poison")
    async with failing.running() as running:
        await asyncio.wait_for(running.wait_crashed(), 30)
    assert isinstance(running.crash_reason, ValueError)
    healed = Reader(settings, topic)
    async with healed.running():
        await until(lambda: healed.values == ["poison"])


async def test_from_the_beginning_means_every_time(settings: Settings, topic: str) -> None:
    await send(settings, topic, ["a", "b"])
    for _ in range(2):
        reader = Reader(settings, topic, seek=from_the_beginning)
        async with reader.running():
            await until(lambda reader=reader: reader.values == ["a", "b"])  # type: ignore[misc]


async def test_a_partition_that_the_hook_leaves_out_stays_paused_until_it_is_read_from(settings: Settings, topic: str) -> None:
    async def only_partition_one(assigned: frozenset[TP]) -> Mapping[TP, int]:
        return {tp: 0 for tp in assigned if tp.partition == 1}

    await send(settings, topic, ["a", "b", "c"], partition=0)
    await send(settings, topic, ["other"], partition=1)
    reader = Reader(settings, topic, seek=only_partition_one)
    async with reader.running():
        await until(lambda: reader.values == ["other"])
        assert await consumer_of(reader.app).read_from(TP(topic, 0), 1)
        await until(lambda: reader.values == ["other", "b", "c"])


async def test_a_partition_that_is_not_ours_is_not_read_from(settings: Settings, topic: str) -> None:
    reader = Reader(settings, topic)
    async with reader.running():
        assert not await consumer_of(reader.app).read_from(TP("another", 0), 0)


async def test_records_of_an_aborted_transaction_are_seen_only_by_who_wants_to(settings: Settings, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, transactional_id=settings.prefix + "t") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed", partition=0)
    careful = Reader(settings, topic, read_committed=True)
    async with careful.running():
        await until(lambda: "committed" in careful.values)
    assert careful.values == ["committed"]
    careless = Reader(settings, topic, seek=from_the_beginning)
    async with careless.running():
        await until(lambda: careless.values == ["aborted", "committed"])


async def test_an_agent_that_does_not_release_gets_no_more_than_its_backlog(bootstrap: str, unique: Unique) -> None:
    #  2 partitions, backlog 200: a share of 100 each, exceeded by one poll of at most 50
    settings = new_installation(bootstrap, unique("transport"), max_backlog_records=200, max_batch_records=50)
    topic = settings.source_prefix + "orders"
    values = [str(number) for number in range(1_000)]
    await send(settings, topic, values)
    await send(settings, topic, ["other"], partition=1)
    reader = Reader(settings, topic, keeps_chunks=True)
    async with reader.running():
        await until(lambda: len(reader.values) > 100)
        await until(lambda: "other" in reader.values)
        assert len(reader.values) <= 100 + 50 + 1

        def all_are_here() -> bool:
            while reader.chunks:
                consumer_of(reader.app).release(reader.chunks.pop())
            return len(reader.values) == 1_001

        await until(all_are_here)
    assert [value for value in reader.values if value != "other"] == values
