"""The archive behind a broker: every committed record once, whoever dies, fills up or is away."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from archive_contents import bytes_of_all_files, held, offsets
from decisions_written import CUSTOMERS, writing
from detect_log import new_installation, reading, until
from kafka_server import free_ports
from structlog.testing import capture_logs

from streams.deliver import deliver_of, make_archive_app
from streams.delivered import DELIVERED
from streams.doctor_archive import archive_findings
from streams.settings import Settings, SettingsError, load_settings, variable
from streams.worker import running_roles

Unique = Callable[[str], str]
WORKER = """
import sys
from streams.settings import load_settings
from streams.worker import run_worker
sys.exit(run_worker(load_settings(), ["deliver"]))
"""


async def all_that_is_committed(settings: Settings) -> dict[str, list[tuple[int, int]]]:
    """Partition and offset of each record that has a value, by topic."""
    found: dict[str, list[tuple[int, int]]] = {}
    for topic in DELIVERED:
        found[topic] = []
        for partition in range(settings.partitions):
            async with reading(settings, TopicPartition(settings.topic(topic), partition)) as records:
                found[topic] += [(partition, record.offset) for record in records if record.value is not None]
    return found


def archived(settings: Settings) -> dict[str, list[tuple[int, int]]]:
    folder = settings.archive or Path()
    return {topic: offsets(folder, topic) for topic in DELIVERED}


def settings_for(bootstrap: str, name: str, folder: Path, **fields: Any) -> Settings:
    folder.mkdir(exist_ok=True)
    return new_installation(bootstrap, name, archive=folder, archive_every_ms=200, **fields)


@pytest.mark.kafka
async def test_a_worker_that_is_killed_and_the_next_leave_each_record_once(
    bootstrap: str, unique: Unique, tmp_path: Path
) -> None:
    settings = settings_for(bootstrap, unique("killed"), tmp_path / "archive", max_batch_records=20)
    chosen = settings.model_dump(exclude_defaults=True)
    environment = {**os.environ, **{variable(name): str(value) for name, value in chosen.items()}}
    async with writing(settings) as decisions:
        await decisions.a_round()
        victim = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, env=environment)
        try:
            await until(lambda: archived(settings)["risk"])
            await decisions.a_round()
        finally:
            victim.kill()
            await victim.wait()
        await decisions.a_round()
    wanted = await all_that_is_committed(settings)
    async with running_roles(settings, ["deliver"]):
        await until(lambda: len(archived(settings)["risk"]) == len(wanted["risk"]) == 3 * CUSTOMERS)
        await until(lambda: len(archived(settings)["alerts"]) == len(wanted["alerts"]))
    assert archived(settings) == wanted


@pytest.mark.kafka
async def test_what_cannot_be_written_at_the_stop_is_said_and_written_by_the_next(
    bootstrap: str, unique: Unique, tmp_path: Path
) -> None:
    folder, aside = tmp_path / "archive", tmp_path / "aside"
    settings = settings_for(bootstrap, unique("stopped"), folder).model_copy(update={"archive_every_ms": 3_600_000})
    async with writing(settings) as decisions:
        await decisions.a_round()
    with capture_logs() as said:
        async with running_roles(settings, ["deliver"]) as roles:
            counters = deliver_of(roles.apps["deliver-archive"]).counters
            await until(lambda: counters.records == 3 * CUSTOMERS)
            folder.rename(aside)
    assert next(line["reason"] for line in said if line["event"] == "store.not_kept").endswith("No such file or directory")
    aside.rename(folder)
    async with running_roles(settings, ["deliver"]) as roles:
        counters = deliver_of(roles.apps["deliver-archive"]).counters
        await until(lambda: counters.records == 3 * CUSTOMERS)
    assert archived(settings) == await all_that_is_committed(settings)


@pytest.mark.kafka
async def test_erasures_reach_it_and_a_redis_that_is_away_does_not_hold_it_up(
    bootstrap: str, unique: Unique, tmp_path: Path
) -> None:
    (nobody,) = free_ports(1)
    folder = tmp_path / "archive"
    settings = settings_for(bootstrap, unique("apart"), folder, redis_url=f"redis://127.0.0.1:{nobody}/0")
    async with writing(settings) as decisions, running_roles(settings, ["deliver"]) as roles:
        await decisions.a_round()
        await until(lambda: len(archived(settings)["lifecycle"]) == CUSTOMERS)
        await until(lambda: deliver_of(roles.apps["deliver-redis"]).counters.retries >= 2)
        assert {"c0", "c8"} <= {row[0] for row in held(folder, "risk", "customer_id")}
        await decisions.erase_some()
        await until(lambda: len(archived(settings)["lifecycle"]) == CUSTOMERS * 7 // 8)
        await until(lambda: len(archived(settings)["alerts"]) == CUSTOMERS * 7 // 8)
        await until(lambda: len(archived(settings)["risk"]) == CUSTOMERS * 7 // 8)
        assert deliver_of(roles.apps["deliver-redis"]).counters.records == 0
    assert not {f"c{number}" for number in range(0, CUSTOMERS, 8)} & {row[0] for row in held(folder, "risk", "customer_id")}
    assert b"alert-8" not in bytes_of_all_files(folder)


def test_doctor_says_how_the_archive_is(tmp_path: Path) -> None:
    assert [finding.says for finding in archive_findings(load_settings())] == ["CHURN_ARCHIVE is not set: there is no archive"]
    (good,) = archive_findings(load_settings(archive=tmp_path))
    assert good.good
    (missing,) = archive_findings(load_settings(archive=tmp_path / "none"))
    assert not missing.good
    assert "make it, or mount" in missing.says


async def test_without_what_writes_parquet_a_worker_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("sinks.archive")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(SettingsError, match=r"CHURN_ARCHIVE=.* needs DuckDB: pip install 'churnwatch\[parquet\]'"):
        make_archive_app(load_settings(archive=tmp_path))
