"""Deliver under faults: every record at least once, and those of an alert in order, whoever dies or takes over."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaProducer
from detect_log import new_installation, until
from redis import Redis
from valkey_server import running_valkey

from schemas.codec import encode
from schemas.decisions import AlertRecord, Versions
from sinks.base import SinkError
from sinks.stores import Partition, StoreMoved, Told
from streams.deliver import deliver_of, make_store_app
from streams.settings import Settings, variable
from streams.transport import consumer_of
from streams.worker import Roles, running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
ALERTS = 10
TRANSITIONS = 40
"""Of each alert."""
WORKER = """
import sys
from streams.settings import load_settings
from streams.worker import run_worker
sys.exit(run_worker(load_settings(), ["deliver"]))
"""


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("faults"), max_batch_records=20)


def transition(name: str, sequence: int) -> AlertRecord:
    return AlertRecord(
        customer_id=f"customer-of-{name}",
        alert_id=name,
        sequence=sequence,
        state="resolved" if sequence == TRANSITIONS else "opened",
        at_ms=sequence,
        decided_ms=sequence,
        rule="silent@1",
        kind="absence",
        episode_start_ms=0,
        due_ms=1,
        severity="high",
        mode="live",
        versions=Versions(engine=1, rules="1"),
    )


async def tell(settings: Settings, begin: int = 1, end: int = TRANSITIONS) -> None:
    """Transitions `begin` to `end` of every alert, by turns; an alert has a partition of its own choice."""
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for sequence in range(begin, end + 1):
            for number in range(ALERTS):
                value = encode(transition(f"a{number}", sequence))
                await producer.send(settings.topic("alerts"), value, key=f"a{number}".encode(), partition=number % 2)
        await producer.flush()


@dataclass
class Notes:
    """A process's way to a store that notes what it was given; `shelf` is what all processes see of it."""

    shelf: dict[Partition, int] = field(default_factory=dict)
    name: str = "notes"
    heard: list[tuple[str, int]] = field(default_factory=list)
    down: bool = False
    broken: bool = False
    asked: int = 0
    left: dict[Partition, int] = field(default_factory=dict)

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        self.left = {partition: self.shelf.setdefault(partition, 0) for partition in partitions}
        return self.left

    async def take(self, told: Sequence[Told]) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.broken:
            raise RuntimeError("a fault of the sink that nobody foresaw")
        if self.down:
            raise SinkError("down", retryable=True)
        records = [one.record for one in told]
        self.heard += [(record.alert_id, record.sequence) for record in records if isinstance(record, AlertRecord)]

    async def advance(self, reached: Mapping[Partition, int]) -> Mapping[Partition, int]:
        if any(self.shelf.get(partition) != self.left[partition] for partition in reached):
            raise StoreMoved("what was noted is not there any more")
        self.shelf |= reached
        self.left |= reached
        return self.left

    async def tend(self) -> Mapping[Partition, int]:
        return await self.advance(dict(self.left))

    async def close(self) -> None:
        pass


@asynccontextmanager
async def delivering(settings: Settings, store: Notes) -> AsyncIterator[Roles]:
    roles = Roles({"deliver-redis": make_store_app(settings, "deliver-redis", store)})
    try:
        await roles.start()
        yield roles
    finally:
        await roles.stop()


def has_all(*sinks: Notes) -> bool:
    return len({one for sink in sinks for one in sink.heard}) == ALERTS * TRANSITIONS


def assert_in_order(heard: list[tuple[str, int]]) -> None:
    """Of each alert no transition comes for the first time before an earlier one."""
    for number in range(ALERTS):
        sequences = list(dict.fromkeys(sequence for name, sequence in heard if name == f"a{number}"))
        assert sequences == sorted(sequences)


async def test_a_sink_with_a_fault_ends_the_process_and_the_next_one_gets_all_that_it_had_not(settings: Settings) -> None:
    first = Notes()
    second = Notes(first.shelf)
    await tell(settings, 1, 10)
    async with delivering(settings, first) as roles:
        await until(lambda: len(first.heard) == 10 * ALERTS)
        first.broken = True
        await tell(settings, 11)
        await asyncio.wait_for(roles.wait_crashed(), 30)
        first.broken = False  # should it be asked once more, it would take what comes behind the failure
    async with delivering(settings, second):
        await until(lambda: has_all(first, second))
    assert_in_order([*first.heard, *second.heard])


async def test_partitions_that_change_hands_while_a_sink_is_down_are_delivered_whole_and_in_order(settings: Settings) -> None:
    #  one sink   down ----------------- up --------->
    #  another         |--- down -|   |--- up ------->
    one = Notes(down=True)
    another, late = Notes(one.shelf, down=True), Notes(one.shelf)
    await tell(settings)
    async with delivering(settings, one):
        await until(lambda: one.asked)
        async with delivering(settings, another) as roles:
            consumer = consumer_of(roles.apps["deliver-redis"])
            await until(lambda: consumer.assignment() and another.asked)
        assert not one.heard
        assert not another.heard
        async with delivering(settings, late):
            one.down = False
            await until(lambda: has_all(one, late))
    assert_in_order(one.heard)
    assert_in_order(late.heard)


async def test_a_store_that_lost_what_it_had_is_told_again_also_while_nothing_comes(settings: Settings) -> None:
    store = Notes()
    await tell(settings, 1, 10)
    async with delivering(settings, store) as roles:
        await until(lambda: len(store.heard) == 10 * ALERTS)
        store.heard.clear()
        store.shelf.clear()
        await until(lambda: len(store.heard) == 10 * ALERTS)
        assert deliver_of(roles.apps["deliver-redis"]).counters.moves == 1
        #  a copy of an earlier day: what is behind its position comes again, and only that
        await tell(settings, 11, 20)
        await until(lambda: len(store.heard) == 20 * ALERTS)
        store.heard.clear()
        store.shelf |= dict.fromkeys(store.shelf, 0) | {f"{settings.topic('alerts')}/0": 50}
        await until(lambda: len(store.heard) == 20 * ALERTS - 50)
        await tell(settings, 21, 21)
        await until(lambda: len(store.heard) == 21 * ALERTS - 50)
    assert_in_order(store.heard)


async def test_a_killed_deliver_is_followed_by_one_that_leaves_every_profile_as_the_topics_say(
    bootstrap: str, unique: Unique
) -> None:
    with running_valkey() as url:
        settings = new_installation(bootstrap, unique("killed"), redis_url=url, max_batch_records=20)
        client = Redis.from_url(url, decode_responses=True)
        chosen = settings.model_dump(exclude_defaults=True)
        environment = {**os.environ, **{variable(name): str(value) for name, value in chosen.items()}}
        await tell(settings, 1, 5)
        victim = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, env=environment)
        try:
            await until(lambda: client.keys("churn:profile:*"))
            await tell(settings, 6)
        finally:
            victim.kill()
            await victim.wait()
        async with running_roles(settings, ["deliver"]):
            await until(lambda: {last_of(client, number) for number in range(ALERTS)} == {str(TRANSITIONS)})
        assert {client.hget(f"churn:profile:customer-of-a{number}", "open_alerts") for number in range(ALERTS)} == {"0"}
        client.close()


def last_of(client: "Redis", number: int) -> object:
    return client.hget(f"churn:profile:customer-of-a{number}", f"sequence:alert:a{number}")
