"""Detect when the broker does not do what it should: nothing is lost, nothing told twice, and readiness says what is wrong."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, NotEnoughReplicasError
from detect_log import PUBLISHED, Log, new_installation, silences, until
from engine_run import order, tick

from streams import partition_owner, worker
from streams.detect import detector_of, make_detect_app
from streams.readiness import readiness
from streams.restore import Restored, RestoreProgress, restore
from streams.settings import Settings
from streams.transactions import PartitionWriter, Place, Row
from streams.worker import Roles, running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
Rows = Mapping[Place, Sequence[Row]]


@pytest.fixture
def log(bootstrap: str, unique: Unique) -> Log:
    return Log(new_installation(bootstrap, unique("recovery")))


class FaultyWriter(PartitionWriter):
    """Of partition 0 fails once for each fault that is left, before or after the broker has committed."""

    faults: list[str]

    def __init__(self, settings: Settings, partition: int) -> None:
        super().__init__(settings, partition)
        self._is_faulty = partition == 0

    async def commit(self, rows_by_place: Rows) -> None:
        fault = self.faults.pop(0) if self._is_faulty and self.faults else "none"
        if fault == "refused":
            raise NotEnoughReplicasError
        await super().commit(rows_by_place)
        if fault == "answer lost":
            raise KafkaTimeoutError("the answer was lost")


class DawdlingWriter(PartitionWriter):
    """Sends the first topic of its first transaction, and the others only when the broker has lost its patience."""

    dawdles = True
    one_by_one = False
    """Send the others one after the other has failed, not all at once."""

    async def _send(self, place: Place, rows: Sequence[Row]) -> list[Any]:
        delivered = await super()._send(place, rows)
        if type(self).dawdles:
            type(self).dawdles = False
            await asyncio.gather(*delivered)
            await asyncio.sleep(4)  # the time-out is one second, and the broker looks every ten at most
        elif self.one_by_one:
            await asyncio.wait(delivered)
        return delivered


def reasons(running: Roles) -> list[dict[str, Any]]:
    _, body = readiness(running.apps)
    found: list[dict[str, Any]] = json.loads(body)["reasons"]
    return found


async def failing(running: Roles) -> list[dict[str, Any]]:
    """Wait until readiness says that transactions fail, and return what it says."""
    await until(lambda: any(reason["code"] == "transactions_failing" for reason in reasons(running)))
    return reasons(running)


@pytest.mark.parametrize(
    "faults", [["refused"], ["answer lost"], ["none", "refused", "refused"], ["none", "answer lost", "refused"]]
)
async def test_whatever_became_of_a_commit_the_partition_goes_on_from_the_broker_s_truth(
    log: Log, monkeypatch: pytest.MonkeyPatch, faults: list[str]
) -> None:
    monkeypatch.setattr(FaultyWriter, "faults", list(faults), raising=False)
    monkeypatch.setattr(partition_owner, "PartitionWriter", FaultyWriter)
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    await log.append(1, [PUBLISHED, *silences(1000, 1100)])
    async with running_roles(log.settings, ["detect"]) as running:
        await log.until_all_is_told(1)
        await log.append(0, silences(100, 200))
        await log.until_all_is_told(0)
        await until(lambda: not reasons(running))
    assert FaultyWriter.faults == []
    await log.assert_as_the_oracle_says(0)
    await log.assert_as_the_oracle_says(1)


async def test_failing_transactions_are_told_until_one_goes_through_even_if_nothing_more_arrives(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    #  commit: done at the broker, answer lost; nothing is left to be decided, and readiness recovers all the same
    monkeypatch.setattr(FaultyWriter, "faults", ["answer lost", "refused"], raising=False)
    monkeypatch.setattr(partition_owner, "PartitionWriter", FaultyWriter)
    async with running_roles(log.settings, ["detect"]) as running:
        await until(lambda: not reasons(running))
        await log.append(0, [PUBLISHED, order(0)])
        (reason,) = await failing(running)
        assert reason["partition"] == 0
        assert reason["since"].endswith("Z")
        assert "the answer was lost" in reason["says"] or "NotEnoughReplicas" in reason["says"]
        await until(lambda: not reasons(running))
    await log.assert_as_the_oracle_says(0)


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_a_transaction_that_the_broker_has_given_up_is_made_again(
    bootstrap: str, unique: Unique, monkeypatch: pytest.MonkeyPatch, *, one_by_one: bool
) -> None:
    log = Log(new_installation(bootstrap, unique("recovery"), transaction_timeout_ms=1_000))
    monkeypatch.setattr(DawdlingWriter, "dawdles", True)
    monkeypatch.setattr(DawdlingWriter, "one_by_one", one_by_one)
    monkeypatch.setattr(partition_owner, "PartitionWriter", DawdlingWriter)
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    async with running_roles(log.settings, ["detect"]) as running:
        (reason,) = await failing(running)
        assert reason["partition"] == 0
        await log.until_all_is_told(0)
        await until(lambda: not reasons(running))
    await log.assert_as_the_oracle_says(0)


async def test_a_transaction_that_a_killed_owner_left_open_is_as_if_it_had_never_been(log: Log) -> None:
    killed = PartitionWriter(log.settings, 0)
    await killed.start()
    await killed._producer.begin_transaction()
    left_open = [Row(b"p/head", b"never to be seen")]
    await asyncio.gather(*await killed._send(Place(log.settings.topic("state"), 0), left_open))
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    async with running_roles(log.settings, ["detect"]):
        await log.until_all_is_told(0)
    await log.assert_as_the_oracle_says(0)
    await killed.close()


async def test_a_restore_may_take_longer_than_a_request(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    request_timeout_s = 7.0  # no shorter than the session's
    beginning, going_on = asyncio.Event(), asyncio.Event()

    async def slow_restore(settings: Settings, partition: int, new_engine: Any, progress: RestoreProgress) -> Restored:
        if partition == 0:
            progress.end, progress.position = 400, 100
            beginning.set()
            await going_on.wait()
        return await restore(settings, partition, new_engine, progress)

    def impatient(_role: Any, settings: Settings) -> Any:
        app = make_detect_app(settings)
        app.conf.broker_request_timeout = request_timeout_s
        return app

    monkeypatch.setattr(partition_owner, "restore", slow_restore)
    monkeypatch.setattr(worker, "_make", impatient)
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    await log.append(1, [PUBLISHED, *silences(1000, 1100)])
    async with running_roles(log.settings, ["detect"]) as running:
        await beginning.wait()
        await asyncio.sleep(2 * request_timeout_s)  # that it may take so long is what this is about
        await log.until_all_is_told(1)
        assert await log.alerts(0) == []
        (reason,) = reasons(running)
        assert (reason["code"], reason["partition"]) == ("restoring", 0)
        assert "25% of it so far" in reason["says"]
        assert running.apps["detect"].consumer_generation_id == 1, "the partition was taken away meanwhile"
        going_on.set()
        await log.until_all_is_told(0)
        assert reasons(running) == []
    await log.assert_as_the_oracle_says(0)


async def test_the_position_is_committed_once_an_interval_though_records_that_change_nothing_keep_arriving(
    bootstrap: str, unique: Unique
) -> None:
    interval_s = 1.0
    log = Log(new_installation(bootstrap, unique("recovery"), position_interval_ms=int(interval_s * 1000)))
    await log.append(0, [PUBLISHED, order(0), tick(1)])
    async with running_roles(log.settings, ["detect"]) as running:
        counters, began_s = detector_of(running.apps["detect"]).counters, time.monotonic()
        await until(lambda: counters.records == 3)
        numbers = iter(range(1, 10_000))

        async def ticks_are_committed() -> bool:
            await log.append(0, [tick(1 + next(numbers) / 10_000)])
            return (await restore(log.settings, 0)).engine.position > 3

        await until(ticks_are_committed)
        for _ in range(20):
            await ticks_are_committed()
        # The first of all is for what the order changed, and one may be under way.
        assert 2 <= counters.transactions.count <= 2 + (time.monotonic() - began_s) / interval_s
