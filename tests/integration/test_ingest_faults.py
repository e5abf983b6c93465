"""Ingest under faults: a broker that refuses, a process that dies, partitions that change hands. No event is skipped."""

import asyncio
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import NotEnoughReplicasError
from aiokafka.structs import TopicPartition
from detect_log import new_installation, reading, until

from schemas.progress import Heartbeat
from streams.ingest import ingest_of
from streams.routing import log_partition
from streams.settings import Settings, variable
from streams.topic_tail import heartbeats_in
from streams.transport import consumer_of
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
SIZE = 2_000
"""Records of each source partition."""
WORKER = """
import sys
from streams.routing import log_partition
from streams.settings import load_settings
from streams.transport import consumer_of
from streams.worker import run_worker
sys.exit(run_worker(load_settings(), ["ingest"]))
"""


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("faults"), max_batch_records=50, heartbeat_ms=100)


def order(number: int) -> bytes:
    event = {"type": "order.placed", "id": f"o{number}", "customer_id": f"c{number % 11}", "at_ms": number * 1_000}
    return json.dumps(event | {"order_id": f"o{number}", "amount": 5.0}).encode()


async def send(settings: Settings, begin: int, end: int) -> None:
    """Orders `begin` to `end`, to both partitions of the source."""
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        topic = settings.source_prefix + "orders"
        sent = [await producer.send(topic, order(number), partition=lane) for number in range(begin, end) for lane in range(2)]
        await asyncio.gather(*sent)


def log_partition_of(settings: Settings, number: int) -> int:
    return log_partition(f"c{number % 11}".encode(), settings.partitions)


async def forwarded(settings: Settings) -> dict[tuple[int, int], list[int]]:
    """The source offsets in each partition of the log, by it and the partition of the source, in log order."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for partition in range(settings.partitions):
        async with reading(settings, TopicPartition(settings.topic("events"), partition)) as records:
            for record in records:
                _topic, _epoch, lane, offset, _index = json.loads(record.value)["src"]
                found[partition, lane].append(offset)
    return found


async def count(settings: Settings) -> int:
    """How many different events are in the log."""
    return sum(len(set(offsets)) for offsets in (await forwarded(settings)).values())


async def assert_nothing_was_skipped(settings: Settings) -> None:
    """Everything is in the log; some of it again, perhaps, but nothing before what comes first in its source."""
    found = await forwarded(settings)
    for lane in range(2):
        assert {offset for (_, of), offsets in found.items() if of == lane for offset in offsets} == set(range(SIZE))
    await assert_in_order(settings)


async def assert_in_order(settings: Settings) -> None:
    """No event stands before one of the same place that comes first in its source: detect would drop that one."""
    whole = {
        (partition, lane): [n for n in range(SIZE) if log_partition_of(settings, n) == partition]
        for partition in range(2)
        for lane in range(2)
    }
    for place, offsets in (await forwarded(settings)).items():
        first_seen = list(dict.fromkeys(offsets))
        assert first_seen == whole[place][: len(first_seen)]


@dataclass
class Refusal:
    """The batch of one number for a topic fails, as if too few replicas were there, once the test lets it."""

    topic: str
    at: int
    reached: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)
    seen: int = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stock = AIOKafkaProducer.send_batch

        async def send_batch(producer: Any, batch: Any, topic: str, *, partition: int) -> Any:
            self.seen += topic == self.topic
            if topic != self.topic or self.seen != self.at:
                return await stock(producer, batch, topic, partition=partition)
            self.reached = True
            await self.go.wait()
            raise NotEnoughReplicasError

        monkeypatch.setattr(AIOKafkaProducer, "send_batch", send_batch)


async def ingest_until_refused(
    settings: Settings, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, *, behind: tuple[int, int] = (0, 0)
) -> None:
    """Run an ingest until a write of it is refused, while orders wait that were sent after it had read."""
    with monkeypatch.context() as patched, pytest.raises(NotEnoughReplicasError):  # noqa: PT012
        refusal.install(patched)
        async with running_roles(settings, ["ingest"]) as running:
            consumer = consumer_of(running.apps["ingest"])
            await until(lambda: refusal.reached)
            held = sum(map(consumer.held, consumer.assignment()))
            await send(settings, *behind)
            await until(lambda: sum(map(consumer.held, consumer.assignment())) >= held + (behind[1] - behind[0]))
            refusal.go.set()
            await asyncio.wait_for(running.wait_crashed(), 30)


async def test_a_write_that_the_broker_refuses_stops_the_worker_and_nothing_is_skipped(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(settings, 0, 50)
    await ingest_until_refused(settings, Refusal(settings.topic("events"), at=1), monkeypatch, behind=(50, SIZE))
    assert await count(settings) < 2 * 50
    await assert_in_order(settings)

    async with running_roles(settings, ["ingest"]):
        await until(lambda: all_is_there(settings))
    await assert_nothing_was_skipped(settings)


async def test_a_refused_write_is_never_reported_as_read(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    await send(settings, 0, 30)
    await ingest_until_refused(settings, Refusal(settings.topic("events"), at=1), monkeypatch)
    there = await forwarded(settings)
    for beat in await beats(settings):
        if beat.topic == settings.source_prefix + "orders":
            offsets = {offset for (_, lane), some in there.items() if lane == beat.partition for offset in some}
            assert set(range(beat.position)) <= offsets


async def test_a_dead_letter_that_is_refused_is_not_lost_either(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for value in (order(0), b"{", order(2)):
            await producer.send_and_wait(settings.source_prefix + "orders", value, partition=0)
    await ingest_until_refused(settings, Refusal(settings.topic("deadletters"), at=1), monkeypatch)
    async with running_roles(settings, ["ingest"]) as running:
        await until(lambda: ingest_of(running.apps["ingest"]).counters.dead_letters.total() == 1)
    async with reading(settings, TopicPartition(settings.topic("deadletters"), 0)) as letters:
        assert [letter.value for letter in letters] == [b"{"]


async def test_a_source_that_cannot_be_read_is_paused_not_emptied_into_the_dead_letters_and_the_others_go_on(
    settings: Settings,
) -> None:
    tickets = settings.source_prefix + "tickets"
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        topic = settings.source_prefix + "orders"
        await asyncio.gather(*[await producer.send(topic, b"%d" % number, partition=0) for number in range(3_000)])
        async with running_roles(settings, ["ingest"]) as running:
            await until(lambda: is_paused(settings))
            await producer.send_and_wait(tickets, order(1), partition=0)
            await until(lambda: ingest_of(running.apps["ingest"]).counters.events[tickets] == 1)
            (obstacle,) = ingest_of(running.apps["ingest"]).obstacles()
    assert obstacle.code == "source_poison"
    assert "CHURN_MAX_DEAD_LETTER_SHARE" in obstacle.says
    async with reading(settings, TopicPartition(settings.topic("deadletters"), 0)) as letters:
        assert len(letters) < 1_000
        put_aside = len(letters)
    last = {(beat.topic, beat.partition): beat for beat in await beats(settings)}
    assert (last[topic, 0].paused, last[topic, 0].position, last[topic, 0].caught_up) == ("poison", put_aside, False)
    assert last[tickets, 0].paused is None

    everything = settings.model_copy(update={"max_dead_letter_share": 1.0})
    async with running_roles(everything, ["ingest"]):
        await until(lambda: all_put_aside(settings, 3_000))


async def is_paused(settings: Settings) -> bool:
    return any(beat.paused == "poison" for beat in await beats(settings))


async def all_put_aside(settings: Settings, count: int) -> bool:
    async with reading(settings, TopicPartition(settings.topic("deadletters"), 0)) as letters:
        return {letter.value for letter in letters} == {b"%d" % number for number in range(count)}


async def test_a_killed_ingest_is_followed_by_one_that_skips_nothing(settings: Settings) -> None:
    await send(settings, 0, SIZE)
    chosen = settings.model_dump(exclude_defaults=True)
    environment = {**os.environ, **{variable(name): str(value) for name, value in chosen.items()}}
    for wanted in (200, 1_500):
        victim = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, env=environment)
        try:
            await until(lambda wanted=wanted: has(settings, wanted))  # type: ignore[misc]
        finally:
            victim.kill()
            await victim.wait()
    async with running_roles(settings, ["ingest"]):
        await until(lambda: all_is_there(settings))
    await assert_nothing_was_skipped(settings)


async def test_partitions_that_change_hands_while_they_are_read_lose_nothing(settings: Settings) -> None:
    #  one worker    |---------------------------------|
    #  another            |--------|        |----------|
    async def feed() -> None:
        for begin in range(0, SIZE, 100):
            await send(settings, begin, begin + 100)
            await until(lambda begin=begin: has(settings, begin))  # type: ignore[misc]

    async with running_roles(settings, ["ingest"]):
        feeding = asyncio.create_task(feed())
        for wanted in (100, 1_500):
            await until(lambda wanted=wanted: has(settings, wanted))  # type: ignore[misc]
            async with running_roles(settings, ["ingest"]):
                await until(lambda wanted=wanted: has(settings, wanted + 1_000))  # type: ignore[misc]
        await feeding
        await until(lambda: all_is_there(settings))
    await assert_nothing_was_skipped(settings)


async def has(settings: Settings, wanted: int) -> bool:
    return await count(settings) >= wanted


async def all_is_there(settings: Settings) -> bool:
    return await count(settings) == 2 * SIZE


async def beats(settings: Settings) -> list[Heartbeat]:
    async with reading(settings, TopicPartition(settings.topic("progress"), 0)) as records:
        return list(heartbeats_in(records))
