"""State that cannot be used: its partition is refused by name and stands still, and the others go on."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from detect_log import PUBLISHED, Log, new_installation, silences, until

from detectors.partition_state import ENGINE_VERSION, HEAD_KEY
from detectors.state import Head
from detectors.state_frame import opened, sealed
from streams.detect import detector_of
from streams.readiness import readiness
from streams.restore import restore
from streams.transactions import PartitionWriter, Place, Row
from streams.worker import Roles, running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


@pytest.fixture
async def log(bootstrap: str, unique: Unique) -> Log:
    """Both partitions have state, and records that come after it."""
    log = Log(new_installation(bootstrap, unique("refused")))
    await log.append(0, [PUBLISHED, *silences(0, 120)])
    await log.append(1, [PUBLISHED, *silences(1000, 1120)])
    async with running_roles(log.settings, ["detect"]):
        await log.until_all_is_told(0, 1)
    await log.append(0, silences(120, 200))
    await log.append(1, silences(1120, 1200))
    return log


async def put(log: Log, key: bytes, value: bytes) -> None:
    """Write a record into the state of partition 0, as nobody should."""
    writer = PartitionWriter(log.settings, 0)
    await writer.start()
    await writer.commit({Place(log.settings.topic("state"), 0): [Row(key, value)]})
    await writer.close()


async def refusal(running: Roles) -> str:
    """Wait until partition 1 is worked on and partition 0 is refused, and return why."""

    def reasons() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(readiness(running.apps)[1])["reasons"]
        return found

    # While a partition is restored that is a reason too.
    await until(lambda: [(reason["code"], reason["partition"]) for reason in reasons()] == [("refused", 0)])
    said: str = reasons()[0]["says"]
    return said


async def test_a_damaged_record_is_named_by_key_and_offset_and_only_its_partition_stands_still(log: Log) -> None:
    state = await log.state(0)
    whole = state[b"c/c5"]
    damaged = whole[:5] + bytes([whole[5] ^ 1]) + whole[6:]
    told = await log.alerts(0)
    await put(log, b"c/c5", damaged)
    (offset,) = [record.offset for record in await log.committed("state", 0) if record.value == damaged]

    async with running_roles(log.settings, ["detect"]) as running:
        said = await refusal(running)
        assert "'c/c5'" in said
        assert f"(offset {offset} of {log.settings.topic('state')}/0)" in said
        await log.until_all_is_told(1)
        assert detector_of(running.apps["detect"]).partitions == [1]
        assert await log.alerts(0) == told

    await put(log, b"c/c5", whole)  # the operator puts the record back, and starts the worker anew
    async with running_roles(log.settings, ["detect"]):
        await log.until_all_is_told(0, 1)
    await log.assert_as_the_oracle_says(0)
    await log.assert_as_the_oracle_says(1)


async def test_the_state_of_a_newer_engine_is_refused_with_both_versions(log: Log) -> None:
    head = msgspec.msgpack.decode(opened(HEAD_KEY, (await log.state(0))[HEAD_KEY]), type=Head)
    head.engine = ENGINE_VERSION + 1
    await put(log, HEAD_KEY, sealed(HEAD_KEY, msgspec.msgpack.encode(head)))

    async with running_roles(log.settings, ["detect"]) as running:
        said = await refusal(running)
        assert "'p/head'" in said
        assert f"is of version {ENGINE_VERSION + 1} of the engine, and this release has version {ENGINE_VERSION}" in said


async def test_a_newer_format_of_a_record_is_refused(log: Log) -> None:
    newer = bytes([2]) + (await log.state(0))[b"c/c7"][1:]
    await put(log, b"c/c7", newer)

    async with running_roles(log.settings, ["detect"]) as running:
        assert "is of format 2, and this release reads format 1" in await refusal(running)


async def test_the_state_of_the_engine_before_is_read_and_goes_on_as_this_one_s(log: Log) -> None:
    head = msgspec.msgpack.decode(opened(HEAD_KEY, (await log.state(0))[HEAD_KEY]), type=Head)
    head.engine = ENGINE_VERSION - 1
    await put(log, HEAD_KEY, sealed(HEAD_KEY, msgspec.msgpack.encode(head)))

    async with running_roles(log.settings, ["detect"]):
        await log.until_all_is_told(0, 1)
    await log.assert_as_the_oracle_says(0)
    assert (await restore(log.settings, 0)).engine.position > head.position
