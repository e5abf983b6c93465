"""The archive: each record once in files that appear whole, the position behind them, and nothing of who was erased."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from alert_records import alert
from archive_contents import bytes_of_all_files, empty, held, names, offsets
from msgspec.structs import replace

from schemas.codec import encode
from schemas.decisions import LifecycleRecord, RiskRecord
from schemas.instants import DAY_MS
from sinks.archive import Archive
from sinks.archive_rows import COLUMNS
from sinks.base import Delivery, Forgotten, SinkError
from sinks.stores import StoreMoved, Told

ALERTS, RISK, STAGES = "t.alerts/0", "t.risk/0", "t.lifecycle/0"
EVERY_S = 3600.0


def risk(offset: int, customer: str = "ada", at_ms: int | None = None) -> Told:
    record = RiskRecord(
        customer_id=customer,
        sequence=offset + 1,
        at_ms=offset if at_ms is None else at_ms,
        probability=0.5,
        band="high",
        basis="model",
        owner="kim",
        value=80.0,
    )
    return Told(RISK, offset, record)


def risks(begin: int, end: int, customer: str = "ada") -> list[Told]:
    return [risk(offset, customer) for offset in range(begin, end)]


def opened(offset: int, customer: str | None = "ada", alert_id: str = "a1", at_ms: int = 5) -> Told:
    return Told(ALERTS, offset, replace(alert(), customer_id=customer, alert_id=alert_id, at_ms=at_ms))


@asynccontextmanager
async def archive(folder: Path, every_s: float = EVERY_S, most_bytes: int = 1 << 30) -> AsyncIterator[Archive]:
    store = Archive(folder, every_s, most_bytes)
    await store.positions([ALERTS, RISK, STAGES])
    yield store
    await store.close()


async def put(store: Archive, told: Sequence[Told], **reached: int) -> None:
    await store.take(told)
    behind = {one.partition: one.offset + 1 for one in told}
    await store.advance(behind | {f"t.{topic}/0": offset for topic, offset in reached.items()})


async def test_a_record_has_columns_to_ask_by_and_itself(tmp_path: Path) -> None:
    stage = LifecycleRecord(customer_id="客户 'x'", sequence=2, at_ms=DAY_MS - 1, stage="active", before="new", cause="order")
    told = [opened(3, at_ms=1_768_901_400_123), risk(7), Told(STAGES, 9, stage)]
    async with archive(tmp_path) as store:
        await put(store, told)

    (row,) = held(
        tmp_path, "alerts", 'customer_id, "at", due, state, severity, owner, topic, "partition", "offset", record, day::VARCHAR'
    )
    record: Any = told[0].record
    at = datetime(2026, 1, 20, 9, 30, 0, 123_000)  # noqa: DTZ001 - UTC without saying so, as the file has it
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001
    assert row == ("ada", at, epoch, "opened", "high", None, "t.alerts", 0, 3, encode(record).decode(), "2026-01-20")
    assert held(tmp_path, "risk", "probability, band, value, tier") == [(0.5, "high", 80.0, None)]
    assert held(tmp_path, "lifecycle", "customer_id, stage, before, day::VARCHAR") == [
        ("客户 'x'", "active", "new", "1970-01-01")
    ]
    for table, columns in COLUMNS.items():
        assert len(held(tmp_path, table)[0]) == len(columns) + 1  # the day of the folder


async def test_nothing_is_written_until_it_is_much_or_old_and_then_everything(tmp_path: Path) -> None:
    async with archive(tmp_path, most_bytes=15_000) as store:
        await put(store, risks(0, 10))
        assert (await store.tend())[RISK] == 0
        await put(store, risks(10, 30))
        assert (await store.tend())[RISK] == 30
    async with archive(tmp_path, every_s=0.05) as store:
        await put(store, risks(30, 31))
        await asyncio.sleep(0.06)
        assert (await store.tend())[RISK] == 31
    assert offsets(tmp_path, "risk") == [(0, offset) for offset in range(31)]
    assert names(tmp_path, "*.parquet") == [
        "t.risk-0-00000000000000000000-00000000000000000029.parquet",
        "t.risk-0-00000000000000000030-00000000000000000030.parquet",
    ]


async def test_what_is_told_again_is_there_once(tmp_path: Path) -> None:
    async with archive(tmp_path) as store:
        for _ in range(3):
            await store.take(risks(0, 10))
        await store.advance({RISK: 10})
        await store.advance({RISK: 10})
        await store.take(risks(5, 15))
        await store.advance({RISK: 15})
    async with archive(tmp_path) as store:
        assert (await store.positions([RISK])) == {RISK: 15}
        await put(store, risks(0, 20))
    assert offsets(tmp_path, "risk") == [(0, offset) for offset in range(20)]


async def test_a_batch_that_was_not_finished_is_not_written_at_the_end(tmp_path: Path) -> None:
    async with archive(tmp_path) as store:
        await put(store, risks(0, 3))
        await store.take(risks(3, 6))
    async with archive(tmp_path) as store:
        assert (await store.positions([RISK])) == {RISK: 3}
    assert offsets(tmp_path, "risk") == [(0, 0), (0, 1), (0, 2)]


async def test_what_a_crash_left_without_a_position_is_written_once(tmp_path: Path) -> None:
    #  files of the roll | crash | position      and read again in other pieces
    days = [risk(offset, at_ms=offset * DAY_MS) for offset in range(6)]
    async with archive(tmp_path) as store:
        await put(store, days)
    (tmp_path / "positions" / "t.risk-0").write_text("0\n")
    unfinished = tmp_path / "risk" / "day=1970-01-01" / "t.risk-0-00000000000000000000-00000000000000000001.parquet.unfinished"
    unfinished.write_bytes(b"half a file")
    other = tmp_path / "risk" / "day=1970-01-01" / "t.risk-1-00000000000000000000-00000000000000000001.parquet.unfinished"
    other.write_bytes(b"of somebody else, who writes it now")

    async with archive(tmp_path) as store:
        assert not unfinished.exists()
        assert other.exists()
        await put(store, days[:2])
    async with archive(tmp_path) as store:
        await put(store, days[2:])
    assert offsets(tmp_path, "risk") == [(0, offset) for offset in range(6)]


async def test_two_who_write_the_same_partition_do_not_both(tmp_path: Path) -> None:
    async with archive(tmp_path) as slept:
        await put(slept, risks(0, 5))
        async with archive(tmp_path) as awake:
            await put(awake, risks(0, 8))
        with pytest.raises(StoreMoved, match=r"t\.risk/0 is at 8, not at 0"):
            await slept.tend()
        with pytest.raises(StoreMoved):
            await slept.close()
        await slept.positions([RISK])
    assert offsets(tmp_path, "risk") == [(0, offset) for offset in range(8)]


async def test_an_archive_that_was_emptied_is_told_everything_again(tmp_path: Path) -> None:
    async with archive(tmp_path) as store:
        await put(store, risks(0, 5))
        empty(tmp_path)
        with pytest.raises(StoreMoved, match="at nothing"):
            await store.tend()
        assert (await store.positions([RISK])) == {RISK: 0}
        await put(store, risks(0, 5))
    assert len(offsets(tmp_path, "risk")) == 5


async def test_a_folder_that_is_not_there_is_said_and_not_made(tmp_path: Path) -> None:
    store = Archive(tmp_path / "not" / "mounted", EVERY_S)
    with pytest.raises(SinkError, match="not/mounted cannot be written to: No such file or directory") as caught:
        await store.positions([RISK])
    assert caught.value.retryable
    assert not (tmp_path / "not").exists()


# --- erasure


async def test_no_byte_of_an_erased_customer_is_left_whether_written_or_gathered(tmp_path: Path) -> None:
    name = "ada-lovelace@example.com"
    stage = LifecycleRecord(customer_id=name, sequence=1, at_ms=4, stage="active", cause="order")
    of_others = risks(0, 50, "bob")
    async with archive(tmp_path) as store:
        await put(store, [*of_others, risk(50, name), opened(0, name), opened(1, "bob", "b2"), Told(STAGES, 0, stage)])
    async with archive(tmp_path) as store:
        await put(store, [risk(51, "bob"), opened(2, name, "a3")])
    assert name.encode() in bytes_of_all_files(tmp_path)

    gone: list[Delivery] = [Forgotten(name, "alert", "a1", 10), Forgotten(name, "risk", erased_ms=10)]
    async with archive(tmp_path) as store:
        await put(store, [risk(52, name), opened(3, name, "a4"), Told(ALERTS, 4, gone[0]), Told(RISK, 53, gone[1])])
    for table in COLUMNS:
        assert name not in str(held(tmp_path, table))
    assert b"ada-lovelace" not in bytes_of_all_files(tmp_path)
    assert offsets(tmp_path, "risk") == [(0, offset) for offset in [*range(50), 51]]
    assert offsets(tmp_path, "alerts") == [(0, 1)]
    assert offsets(tmp_path, "lifecycle") == []
    assert names(tmp_path, "*.unfinished") == []


async def test_what_comes_after_an_erasure_is_kept_and_an_alert_that_is_only_long_over_too(tmp_path: Path) -> None:
    #  at 5   at 900     |erased, all up to 100|   at 200: known again
    async with archive(tmp_path) as store:
        await put(store, [opened(0), opened(1, at_ms=900)])  # the second was decided by a clock that was ahead
        await put(store, [Told(ALERTS, 2, Forgotten("ada", "alert", "a1", 100)), opened(3, alert_id="a2", at_ms=200)])
        await put(store, [risk(0, at_ms=200)])
    async with archive(tmp_path) as store:
        await put(store, [Told(ALERTS, 4, Forgotten("ada", "alert", "a2"))])
    assert offsets(tmp_path, "alerts") == [(0, 3)]
    assert offsets(tmp_path, "risk") == [(0, 0)]


async def test_an_erasure_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    async with archive(tmp_path) as store:
        await put(store, [*risks(0, 3, "ada"), *risks(3, 6, "bob")])
    erased = [Told(RISK, 6, Forgotten("ada", "risk", erased_ms=99))]
    async with archive(tmp_path) as store:
        await put(store, erased)
    (tmp_path / "positions" / "t.risk-0").write_text("6\n")  # the position did not get there
    async with archive(tmp_path) as store:
        await put(store, erased)
        await put(store, [risk(7, "bob")])
    assert offsets(tmp_path, "risk") == [(0, 3), (0, 4), (0, 5), (0, 7)]


# --- a full disk


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a disk of 256 KiB cannot be mounted (it needs root): {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_is_said_and_nothing_is_lost_or_half_there(tiny_disk: Path) -> None:
    async with archive(tiny_disk) as store:
        await put(store, risks(0, 5))
    filler = tiny_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(b"x" * (1 << 20))

    async with archive(tiny_disk, every_s=0) as store:
        await store.take(risks(5, 300))
        for _ in range(2):
            with pytest.raises(
                SinkError, match=r"cannot be written to: .*No space left.* \(0 KiB are left: make room"
            ) as caught:
                await store.advance({RISK: 300})
            assert caught.value.retryable
            assert offsets(tiny_disk, "risk") == [(0, offset) for offset in range(5)]
            assert names(tiny_disk, "*.unfinished") == []
        filler.unlink()
        assert (await store.advance({RISK: 300}))[RISK] == 300
    assert offsets(tiny_disk, "risk") == [(0, offset) for offset in range(300)]
