"""Processes that are told to stop: what is done is kept, the group hears of it, and nothing makes them stay."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from chunk_reader import Reader, send
from detect_log import PUBLISHED, Log, new_installation, silences, until
from kafka.admin import KafkaAdminClient
from processes import ENDS_WITHIN_S, broker_process, worker

from streams.settings import Settings
from streams.worker import STOP_WITHIN_S

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


def members(settings: Settings, role: Any) -> int:
    """How many members the group of a role has, as the broker sees it."""
    admin: Any = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    try:
        (group,) = admin.describe_groups([settings.group_id(role)]).values()
        return len(group["members"])
    finally:
        admin.close()


async def test_a_worker_stopped_under_load_leaves_nothing_undone_and_nothing_twice(
    bootstrap: str, unique: Unique, tmp_path: Path
) -> None:
    log = Log(new_installation(bootstrap, unique("stopping")))
    await log.append(0, [PUBLISHED])
    with worker(log.settings, tmp_path / "first") as first:
        await first.ready()
        writing = asyncio.create_task(log.append(0, silences(0, 1_500)))
        await until(lambda: first.process.poll() is not None or writing.done() or _some_alerts(log), every_s=0.2)
        status = await asyncio.to_thread(first.stop)
        await writing
        assert (status, "worker.stopped" in first.said) == (0, True), first.said
        assert (members(log.settings, "detect"), members(log.settings, "ingest")) == (0, 0)
    with worker(log.settings, tmp_path / "second") as second:
        await second.ready()  # the first may have told everything, and a process that only begins dies of the signal
        await log.until_all_is_told(0)
        assert await asyncio.to_thread(second.stop) == 0
    await log.assert_as_the_oracle_says(0)


async def _some_alerts(log: Log) -> bool:
    return bool(await log.alerts(0))


@pytest.mark.parametrize("harm", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_broker_that_does_not_answer_does_not_keep_a_worker(
    harm: signal.Signals, unique: Unique, tmp_path: Path
) -> None:
    with broker_process() as (broker, bootstrap):
        log = Log(new_installation(bootstrap, unique("stopping")))
        with worker(log.settings, tmp_path / "worker") as running:
            await running.ready()
            await log.append(0, [PUBLISHED, *silences(0, 300)])
            broker.send_signal(harm)
            await asyncio.to_thread(running.stop)
            assert "worker.stopped" in running.said or "worker.stop_cut_short" in running.said


async def test_a_broker_that_is_away_fills_no_log(unique: Unique, tmp_path: Path) -> None:
    with broker_process() as (broker, bootstrap):
        settings = new_installation(bootstrap, unique("stopping"))
        with worker(settings, tmp_path / "worker", "detect") as running:
            await running.ready()
            before = len(running.said.splitlines())
            broker.kill()
            await until(lambda: "kept back" in running.said)  # the interval has passed once
            await asyncio.to_thread(running.stop)
            assert len(running.said.splitlines()) - before < 30, running.said


async def test_a_start_that_waits_for_a_broker_can_be_stopped(unique: Unique, tmp_path: Path) -> None:
    with broker_process() as (broker, bootstrap):
        settings = new_installation(bootstrap, unique("stopping"))
        broker.send_signal(signal.SIGSTOP)
        with worker(settings, tmp_path / "worker") as running:
            await asyncio.sleep(1)  # it says nothing while it waits
            await asyncio.to_thread(running.stop)


async def test_a_role_that_fails_leaves_its_group(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("stopping"))
    topic = settings.source_prefix + "orders"
    await send(settings, topic, ["poison"])
    failing = Reader(settings, topic, fails_at="poison")
    async with failing.running() as running:
        await asyncio.wait_for(running.wait_crashed(), 30)
    assert members(settings, "ingest") == 0


async def test_a_worker_stopped_in_a_rebalance_leaves_its_group(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("stopping"))
    topic = settings.source_prefix + "orders"
    reader = Reader(settings, topic)
    options = {"bootstrap_servers": settings.bootstrap, "group_id": settings.group_id("ingest"), "session_timeout_ms": 30_000}
    sleeper, newcomer = (AIOKafkaConsumer(topic, **options) for _ in range(2))
    async with reader.running():
        await sleeper.start()
        await until(lambda: len(reader.app.consumer.assignment()) == 1 and not reader.app.rebalancing)
        #  It goes on telling that it lives, and does not join again: the next rebalance waits for it.
        sleeper._coordinator._coordination_task.cancel()
        joining = asyncio.create_task(newcomer.start())
        await until(lambda: reader.app.rebalancing)
    assert members(settings, "ingest") == 2
    joining.cancel()
    for consumer in (sleeper, newcomer):
        consumer._coordinator._coordination_task.cancel()
        await consumer._coordinator._stop_heartbeat_task()
        await consumer._fetcher.close()
        await consumer._client.close()


def test_a_stop_that_hangs_is_cut_short_and_says_so() -> None:
    program = "import time; from streams.worker import StopLimit; StopLimit(0.2).begin(); time.sleep(60)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False)
    assert ended.returncode == 1
    assert "worker.stop_cut_short" in ended.stdout + ended.stderr
    assert STOP_WITHIN_S < 5
