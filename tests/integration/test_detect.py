"""Detect on a broker: what it commits is what one pass over the log says, wherever it was stopped, killed or fenced."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from detect_log import PATIENCE_S, PUBLISHED, Log, new_installation, silences, until
from engine_run import order, tick
from faust.types import TP
from kafka import KafkaAdminClient

from streams.detect import Detector, detector_of
from streams.restore import LogGapError, restore
from streams.settings import Settings, load_settings, variable
from streams.topics import TopicsError, ensure_topics
from streams.transactions import PartitionWriter, Place, Row
from streams.transport import consumer_of
from streams.worker import Roles, running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
WORKER = """
from streams.settings import load_settings
from streams.worker import run_worker
run_worker(load_settings(), ["detect"])
"""


@pytest.fixture
def log(bootstrap: str, unique: Unique) -> Log:
    return Log(new_installation(bootstrap, unique("detect")))


@contextmanager
def worker_process(settings: Settings, stderr: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """A detect worker of its own, killed at the end of the block if it still runs."""
    chosen = settings.model_dump(exclude_defaults=True)
    environment = {**os.environ, **{variable(name): str(value) for name, value in chosen.items()}}
    with subprocess.Popen([sys.executable, "-c", WORKER], env=environment, stderr=stderr) as process:
        try:
            yield process
        finally:
            process.kill()


def detector_in(running: Roles) -> Detector:
    return detector_of(running.apps["detect"])


async def test_what_is_committed_is_what_one_pass_over_the_log_says(log: Log) -> None:
    await log.append(0, [PUBLISHED, *silences(0, 200)])
    await log.append(1, [PUBLISHED, *silences(1000, 1200)])
    async with running_roles(log.settings, ["detect"]) as running:
        await log.until_all_is_told(0, 1)
        assert detector_in(running).partitions == [0, 1]
    await log.assert_as_the_oracle_says(0)
    await log.assert_as_the_oracle_says(1)


async def test_a_worker_goes_on_where_the_last_one_stopped(log: Log) -> None:
    await log.append(0, [PUBLISHED, *silences(0, 120)])
    async with running_roles(log.settings, ["detect"]):
        await log.until_all_is_told(0)
    await log.append(0, silences(120, 240))
    async with running_roles(log.settings, ["detect"]) as running:
        await log.until_all_is_told(0)
        assert detector_in(running).counters.restored_records > 0
        assert detector_in(running).counters.records <= 240 + 2
    await log.assert_as_the_oracle_says(0)


async def test_the_position_is_committed_even_if_nothing_else_changes(bootstrap: str, unique: Unique) -> None:
    log = Log(new_installation(bootstrap, unique("detect"), position_interval_ms=100))
    await log.append(0, [PUBLISHED, order(0), tick(1)])
    async with running_roles(log.settings, ["detect"]):
        await log.append(0, [tick(2), tick(3)])

        async def position_is_committed() -> bool:
            return (await restore(log.settings, 0)).engine.position == 4

        await until(position_is_committed)


async def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_told_twice(log: Log) -> None:
    await log.append(0, [PUBLISHED])
    with worker_process(log.settings) as victim:
        days = iter(range(0, 100_000, 20))

        async def some_is_told() -> bool:
            day = next(days)
            await log.append(0, silences(day, day + 20))
            return bool(await log.alerts(0))

        await until(some_is_told)
        victim.kill()
        for _ in range(5):
            await some_is_told()
        async with running_roles(log.settings, ["detect"]):
            await some_is_told()
            await log.until_all_is_told(0)
    await log.assert_as_the_oracle_says(0)


async def test_a_worker_that_slept_while_another_took_over_commits_nothing_more(log: Log) -> None:
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    with worker_process(log.settings) as sleeper:
        await log.until_all_is_told(0)
        sleeper.send_signal(signal.SIGSTOP)
        async with running_roles(log.settings, ["detect"]):
            await log.append(0, silences(100, 200))
            await log.until_all_is_told(0)
            sleeper.send_signal(signal.SIGCONT)
            await log.append(0, silences(200, 300))
            await log.until_all_is_told(0)
        await log.append(0, silences(300, 400))
        await log.until_all_is_told(0)
        assert sleeper.poll() is None
    await log.assert_as_the_oracle_says(0)


async def test_of_two_writers_of_a_partition_only_the_later_one_can_commit(log: Log) -> None:
    place = Place(log.settings.topic("state"), 0)
    first, second = PartitionWriter(log.settings, 0), PartitionWriter(log.settings, 0)
    await first.start()
    await first.commit({place: [Row(b"who", b"first")]})
    await second.start()
    with pytest.raises(KafkaError):
        await first.commit({place: [Row(b"who", b"zombie")]})
    await second.commit({place: [Row(b"who", b"second")]})
    await first.close()
    await second.close()
    assert [record.value for record in await log.committed("state", 0)] == [b"first", b"second"]


async def test_a_record_that_the_broker_refuses_takes_its_whole_transaction_with_it(log: Log) -> None:
    state, alerts = Place(log.settings.topic("state"), 0), Place(log.settings.topic("alerts"), 0)
    first, second = PartitionWriter(log.settings, 0), PartitionWriter(log.settings, 0)
    await first.start()
    with pytest.raises(MessageSizeTooLargeError):
        await first.commit({alerts: [Row(b"id", b"x" * 3_000_000)], state: [Row(b"who", b"first")]})
    await first.close()
    await second.start()
    await second.commit({state: [Row(b"who", b"second")]})
    await second.close()
    assert [record.value for record in await log.committed("state", 0)] == [b"second"]


async def test_a_fenced_owner_takes_its_partition_back_when_the_group_says_it_is_its_own(log: Log) -> None:
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    async with running_roles(log.settings, ["detect"]) as running:
        await log.until_all_is_told(0)
        intruder = PartitionWriter(log.settings, 0)
        await intruder.start()
        await log.append(0, silences(100, 200))
        await log.until_all_is_told(0)
        assert detector_in(running).counters.lost_partitions == 1
        await intruder.close()
    await log.assert_as_the_oracle_says(0)


async def test_records_that_were_skipped_are_read_before_those_behind_them(log: Log) -> None:
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    async with running_roles(log.settings, ["detect"]) as running:
        await log.until_all_is_told(0)
        here = len(log.written[0])
        await consumer_of(running.apps["detect"]).read_from(TP(log.settings.topic("events"), 0), here + 50)
        await log.append(0, silences(100, 200))
        await log.until_all_is_told(0)
        assert detector_in(running).counters.seeks_back == 1
    await log.assert_as_the_oracle_says(0)


async def test_a_poison_record_becomes_a_dead_letter_and_the_partition_goes_on(log: Log) -> None:
    poison = b'{"type":"order.placed","customer_id":"ann"'
    await log.append(0, [PUBLISHED, *silences(0, 100), poison, *silences(100, 200)])
    async with running_roles(log.settings, ["detect"]):
        await log.until_all_is_told(0)
    (letter,) = await log.committed("deadletters", 0)
    headers = {name: value.decode() for name, value in letter.headers}
    assert letter.value == poison
    assert headers.pop("message")
    assert headers == {
        "reason": "bad_json",
        "stage": "detect",
        "topic": log.settings.topic("events"),
        "partition": "0",
        "offset": "201",
    }
    await log.assert_as_the_oracle_says(0)


async def test_a_log_that_was_deleted_and_made_again_is_not_read_on(log: Log) -> None:
    #  state: position >= 0          log: empty
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    async with running_roles(log.settings, ["detect"]):
        await log.until_all_is_told(0)
    await asyncio.to_thread(make_again, log.settings)
    with pytest.raises(LogGapError, match="made again"):
        await restore(log.settings, 0)


async def test_a_log_that_does_not_go_on_ends_the_worker_with_a_reason(log: Log) -> None:
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    async with running_roles(log.settings, ["detect"]):
        await log.until_all_is_told(0)
    await asyncio.to_thread(make_again, log.settings)
    with worker_process(log.settings, stderr=subprocess.PIPE) as worker:
        _, said = await asyncio.to_thread(worker.communicate, timeout=PATIENCE_S)
    assert worker.returncode == 1
    assert b"LogGapError" in said
    assert b"the log was deleted and made again" in said


async def test_a_worker_ends_well_on_sigterm(log: Log) -> None:
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    with worker_process(log.settings) as worker:
        await log.until_all_is_told(0)
        worker.terminate()
        assert await asyncio.to_thread(worker.wait, PATIENCE_S) == 0
    await log.assert_as_the_oracle_says(0)


async def test_a_missing_topic_ends_the_worker_with_its_name(bootstrap: str, unique: Unique) -> None:
    settings = load_settings(bootstrap=bootstrap, prefix=unique("nothing") + ".")
    with pytest.raises(
        TopicsError, match=rf"the topic {settings.topic('state')} does not exist: `churnwatch topics` creates it"
    ):
        async with running_roles(settings, ["detect"]):
            pass


def make_again(settings: Settings) -> None:
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    admin.delete_topics([settings.topic("events")])
    deadline_s = time.monotonic() + PATIENCE_S
    while settings.topic("events") in admin.list_topics():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    admin.close()
    ensure_topics(settings)
