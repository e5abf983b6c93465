"""What goes wrong in aiokafka's own tasks: a member that fails joins again, and what stays wrong ends the process."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError
from chunk_reader import Reader, send
from detect_log import new_installation, until

from streams.settings import Settings
from streams.transport import consumer_of

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("failures"))


@pytest.fixture
def reader(settings: Settings) -> Reader:
    return Reader(settings, settings.source_prefix + "orders")


def in_its_thread(reader: Reader, work: Callable[[Any], None]) -> None:
    """Do something to aiokafka's consumer, in the loop that it lives in."""
    thread = consumer_of(reader.app)._thread
    thread.thread_loop.call_soon_threadsafe(work, thread._ensure_consumer())


def heartbeat_fails_with(error: Exception) -> Callable[[Any], None]:
    async def fail() -> None:
        raise error

    def replace(consumer: Any) -> None:
        consumer._coordinator._heartbeat_task.cancel()
        consumer._coordinator._heartbeat_task = asyncio.ensure_future(fail())
        consumer._coordinator._rejoin_needed_fut.set_result(None)  # so that it looks up
        consumer._coordinator._rejoin_needed_fut = asyncio.get_running_loop().create_future()

    return replace


async def test_a_member_whose_heartbeat_fails_joins_again_and_reads_on(settings: Settings, reader: Reader) -> None:
    await send(settings, reader.topic, ["before"])
    async with reader.running():
        await until(lambda: reader.values == ["before"])
        generation = reader.app.consumer_generation_id
        in_its_thread(reader, heartbeat_fails_with(KafkaError("an error that no release of the client knows")))
        await until(lambda: reader.app.consumer_generation_id > generation)
        await send(settings, reader.topic, ["after"])
        await until(lambda: reader.values[-1] == "after")


async def test_a_group_that_may_not_be_joined_ends_the_process(reader: Reader) -> None:
    async with reader.running() as running:
        in_its_thread(reader, heartbeat_fails_with(GroupAuthorizationFailedError("orders")))
        await asyncio.wait_for(running.wait_crashed(), 30)
    assert isinstance(running.crash_reason, GroupAuthorizationFailedError)


async def test_a_fetcher_that_has_ended_ends_the_process(reader: Reader) -> None:
    def break_it(consumer: Any) -> None:
        consumer._fetcher._get_actions_per_node = None
        consumer._fetcher._notify(consumer._fetcher._wait_consume_future)

    async with reader.running() as running:
        in_its_thread(reader, break_it)
        await asyncio.wait_for(running.wait_crashed(), 30)
    assert isinstance(running.crash_reason, KafkaError)
