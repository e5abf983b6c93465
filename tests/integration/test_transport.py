"""The transport: chunks in order, nothing acknowledged but what was said to be done, seeks and isolation that hold."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from aiokafka import AIOKafkaProducer
from chunk_reader import Reader, send
from detect_log import new_installation, until
from faust.types import TP

from streams.chunks import Chunk, from_the_beginning
from streams.fetching import Fetched
from streams.settings import Settings
from streams.transport import ChunkConsumer, consumer_of

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("transport"))


@pytest.fixture
def topic(settings: Settings) -> str:
    return settings.source_prefix + "orders"


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
    #  2 partitions, backlog 200: a share of 100 each
    settings = new_installation(bootstrap, unique("transport"), max_backlog_records=200, max_batch_records=50)
    topic = settings.source_prefix + "orders"
    values = [str(number) for number in range(1_000)]
    await send(settings, topic, values)
    await send(settings, topic, ["other"], partition=1)
    reader = Reader(settings, topic, keeps_chunks=True)
    async with reader.running():
        await until(lambda: len(reader.values) == 101)
        assert "other" in reader.values
        #  Nothing behind them was taken from what aiokafka has.
        assert (await consumer_of(reader.app).positions())[TP(topic, 0)].position == 100

        def all_are_here() -> bool:
            while reader.chunks:
                consumer_of(reader.app).release(reader.chunks.pop())
            return len(reader.values) == 1_001

        await until(all_are_here)
    assert [value for value in reader.values if value != "other"] == values


class OneSided(Reader):
    """Never releases anything of partition 0, as an agent does that hangs there."""

    async def handle(self, chunks: list[Chunk]) -> None:
        await super().handle(chunks)
        for chunk in chunks:
            if chunk.tp.partition != 0:
                consumer_of(self.app).release(chunk)


@dataclass
class Fetches:
    """Counts how often a consumer asks its thread for records."""

    count: int = 0

    def watch(self, consumer: ChunkConsumer) -> None:
        fetch = consumer._thread.fetch

        async def counted(room: Mapping[TP, int]) -> Fetched:
            self.count += 1
            return await fetch(room)

        consumer._thread.fetch = counted  # type: ignore[method-assign]


async def test_a_partition_that_is_full_stops_itself_and_no_other_and_nobody_asks_for_it(
    bootstrap: str, unique: Unique
) -> None:
    settings = new_installation(bootstrap, unique("transport"), max_backlog_records=200, max_batch_records=50)
    topic = settings.source_prefix + "orders"
    await send(settings, topic, ["hot"] * 5_000, partition=0)
    reader, fetches = OneSided(settings, topic, keeps_chunks=True), Fetches()
    async with reader.running():
        consumer = consumer_of(reader.app)
        await until(lambda: consumer.held(TP(topic, 0)) == 100)
        fetches.watch(consumer)
        for number in range(300):  # three times the share: they flow on
            await send(settings, topic, [f"cold-{number}"], partition=1)
        await until(lambda: "cold-299" in reader.values)
        assert [value for value in reader.values if value != "hot"] == [f"cold-{number}" for number in range(300)]
        assert reader.values.count("hot") == 100
        #  Each of the others costs at most one fetch, and the full one none: there is no polling.
        assert fetches.count <= 301
        asked = fetches.count
        await asyncio.sleep(0.5)
        assert fetches.count == asked


async def test_what_was_fetched_for_a_full_partition_holds_up_no_fetch_of_the_others(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("transport"), max_backlog_records=200, max_batch_records=50)
    topic = settings.source_prefix + "orders"
    await send(settings, topic, ["hot"] * 5_000, partition=0)
    reader = OneSided(settings, topic, keeps_chunks=True)
    async with reader.running():
        fetcher = consumer_of(reader.app)._thread._ensure_consumer()._fetcher
        await until(lambda: consumer_of(reader.app).held(TP(topic, 0)) == 100)
        await until(lambda: TP(topic, 0) in fetcher._records)
        await send(settings, topic, ["cold"], partition=1)
        await until(lambda: "cold" in reader.values)
        assert fetcher._records[TP(topic, 0)].calculate_backoff() == 0


async def test_when_all_are_full_nothing_is_asked_for_until_one_has_room(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("transport"), max_backlog_records=200, max_batch_records=50)
    topic = settings.source_prefix + "orders"
    for partition in range(2):
        await send(settings, topic, [str(number) for number in range(1_000)], partition)
    reader, fetches = Reader(settings, topic, keeps_chunks=True), Fetches()
    async with reader.running():
        consumer = consumer_of(reader.app)
        await until(lambda: len(reader.values) == 200)
        fetches.watch(consumer)
        await asyncio.sleep(0.5)
        assert fetches.count == 0
        for chunk in [chunk for chunk in reader.chunks if chunk.tp.partition == 1]:
            consumer.release(chunk)
        await until(lambda: len(reader.values) == 300)
        assert [value for value in reader.values if int(value) >= 100] == [str(number) for number in range(100, 200)]


async def test_bare_records_are_the_same_records(settings: Settings, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await producer.send_and_wait(topic, b"value", key=b"key", partition=0, headers=[("name", b"text")])
        await producer.send_and_wait(topic, None, key=b"gone", partition=0)
        await producer.send_and_wait(topic, b"end", partition=0)
    seen = []
    for bare in (False, True):
        reader = Reader(settings, topic, seek=from_the_beginning, bare_records=bare)
        async with reader.running():
            await until(lambda reader=reader: reader.values[-1:] == ["end"])  # type: ignore[misc]
        records = [record for chunk in reader.chunks for record in chunk.records]
        seen.append([(each.offset, each.timestamp, each.key, each.value, list(each.headers)) for each in records])
    assert seen[0] == seen[1]
    assert [(offset, key, value, headers) for offset, _, key, value, headers in seen[1]] == [
        (0, b"key", b"value", [("name", b"text")]),
        (1, b"gone", None, []),
        (2, None, b"end", []),
    ]


async def test_nothing_is_handed_over_before_this_generation_was_sought(settings: Settings, topic: str) -> None:
    #  When a rebalance comes while Faust ends the one before, it resumes the flow: what lies behind the committed offsets
    #  would come to who has restored nothing yet.
    await send(settings, topic, ["a", "b"])
    first = Reader(settings, topic)
    async with first.running():
        await until(lambda: first.values == ["a", "b"])
    await send(settings, topic, ["c", "d"])
    seen: list[list[str]] = []

    async def slow(assigned: frozenset[TP]) -> Mapping[TP, int]:
        reader.app.flow_control.resume()
        consumer_of(reader.app).resume_flow()
        await reader.app._fetcher.maybe_start()
        await asyncio.sleep(0.5)
        seen.append(list(reader.values))
        return dict.fromkeys(assigned, 0)

    reader = Reader(settings, topic, seek=slow)
    async with reader.running():
        await until(lambda: reader.values == ["a", "b", "c", "d"])
    assert seen == [[]]
