"""A source topic that was deleted and made again: noticed by its id, refused, and read in full once somebody says so."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition
from detect_log import new_installation, reading, until
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError

from schemas.progress import Heartbeat
from streams.ingest import ingest_of
from streams.settings import Settings
from streams.sources_command import list_sources, reset
from streams.topic_tail import heartbeats_in
from streams.topics import admin_of
from streams.worker import Roles, running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
Position = tuple[int, int, int]
"""Epoch, partition, offset."""


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("again"), heartbeat_ms=100)


@pytest.fixture
def topic(settings: Settings) -> str:
    return settings.source_prefix + "orders"


def order(name: str) -> bytes:
    event = {"type": "order.placed", "id": name, "customer_id": "ada", "at_ms": 1_000, "order_id": name, "amount": 5.0}
    return json.dumps(event).encode()


async def send(settings: Settings, topic: str, names: Sequence[str], partition: int = 0) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await asyncio.gather(*[await producer.send(topic, order(name), partition=partition) for name in names])


def made_again(settings: Settings, topic: str, partitions: int = 2) -> None:
    """Delete a topic and make it again; a consumer that asks for it in between makes the broker do so, which is undone."""
    with admin_of(settings) as admin:
        for _ in range(100):
            with contextlib.suppress(UnknownTopicOrPartitionError):
                admin.delete_topics([topic])
            try:
                wanted = {"num_partitions": partitions, "replication_factor": 1}
                admin.create_topics({topic: wanted}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                time.sleep(0.05)
            else:
                return
    pytest.fail(f"{topic} could not be made again")


async def make_again(settings: Settings, topic: str, partitions: int = 2) -> None:
    await asyncio.to_thread(made_again, settings, topic, partitions)


async def forwarded(settings: Settings) -> list[tuple[str, Position]]:
    """Id and source position of each event in the log."""
    found: list[tuple[str, Position]] = []
    for partition in range(settings.partitions):
        async with reading(settings, TopicPartition(settings.topic("events"), partition)) as records:
            for record in records:
                event = json.loads(record.value)
                _topic, epoch, lane, offset, _index = event["src"]
                found.append((event["id"], (epoch, lane, offset)))
    return found


async def beats(settings: Settings, topic: str) -> list[Heartbeat]:
    """The last report of each partition."""
    async with reading(settings, TopicPartition(settings.topic("progress"), 0)) as records:
        last = {beat.partition: beat for beat in heartbeats_in(records) if beat.topic == topic}
    return [last[partition] for partition in sorted(last)]


async def until_forwarded(settings: Settings, count: int) -> list[tuple[str, Position]]:
    found: list[tuple[str, Position]] = []

    async def there() -> bool:
        found[:] = await forwarded(settings)
        return len(found) >= count

    await until(there)
    return found


async def until_paused(settings: Settings, topic: str) -> None:
    async def paused() -> bool:
        found = await beats(settings, topic)
        return bool(found) and all(beat.paused == "recreated" for beat in found)

    await until(paused)


def ingest(settings: Settings) -> AbstractAsyncContextManager[Roles]:
    return running_roles(settings, ["ingest"])


async def test_records_of_a_topic_that_was_made_again_are_not_read_until_it_is_reset_and_then_all_are(
    settings: Settings, topic: str
) -> None:
    #  first topic    a0 a1 a2
    #  second topic            b0 b1 b2 b3 b4 | reset | b5     more than the first had: offsets go on as if nothing were
    async with ingest(settings) as running:
        await send(settings, topic, ["a0", "a1", "a2"])
        await until_forwarded(settings, 3)
        await make_again(settings, topic)
        await send(settings, topic, [f"b{number}" for number in range(5)])
        await until_paused(settings, topic)
        (obstacle,) = ingest_of(running.apps["ingest"]).obstacles()
        assert obstacle.code == "source_recreated"
        assert f"churnwatch sources reset {topic}" in obstacle.says
        assert len(await forwarded(settings)) == 3

        (done,) = await asyncio.to_thread(reset, settings, "orders", epoch=None, by="lena")
        await send(settings, topic, ["b5"])
        found = await until_forwarded(settings, 9)
        assert ingest_of(running.apps["ingest"]).obstacles() == []

    assert done.epoch == 1
    assert found == [*((f"a{n}", (0, 0, n)) for n in range(3)), *((f"b{n}", (1, 0, n)) for n in range(6))]


async def test_a_topic_that_is_made_again_while_nobody_reads_is_noticed_at_the_start(settings: Settings, topic: str) -> None:
    await send(settings, topic, ["a0", "a1"])
    async with ingest(settings):
        await until_forwarded(settings, 2)
    await make_again(settings, topic, partitions=3)
    await send(settings, topic, ["b0", "b1", "b2"])
    await send(settings, topic, ["c0"], partition=2)
    async with ingest(settings):
        await until_paused(settings, topic)
        seen = {one.topic: one for one in await asyncio.to_thread(list_sources, settings)}
        assert (seen[topic].state, seen[topic].epoch, seen[topic].partitions) == ("recreated", 0, 3)
        assert seen[topic].found_id != seen[topic].recorded_id
    await asyncio.to_thread(reset, settings, topic, epoch=None, by="lena")
    async with ingest(settings):
        found = await until_forwarded(settings, 6)
    async with ingest(settings):  # the offsets that it went on from are those of the new topic
        await send(settings, topic, ["b3"])
        found = await until_forwarded(settings, 7)

    assert {position for _, position in found} == {(0, 0, 0), (0, 0, 1), *((1, 0, n) for n in range(4)), (1, 2, 0)}
    assert len(found) == 7
    seen = {one.topic: one for one in await asyncio.to_thread(list_sources, settings)}
    assert (seen[topic].state, seen[topic].epoch) == ("read", 1)
