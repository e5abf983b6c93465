"""Purchases of a real shop: the silences that are told equal an oracle over the file, without and with a broker.

On Apache Kafka all of them, and a worker killed in the middle; on the development broker those of every fourth customer.
"""

import asyncio
import csv
import gzip
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from detect_log import new_installation, reading, until
from engine_run import absence, rule_set
from real_data import MAPPINGS, real_file, some_customers

from detectors.engine import PartitionEngine
from schemas.codec import decode_decision, encode
from schemas.control import Tick
from schemas.decisions import AlertRecord
from schemas.instants import DAY_MS
from schemas.rules import RuleSet
from streams.import_file import ImportSummary, import_file
from streams.replay import replay
from streams.rules_command import publish
from streams.settings import Settings, variable
from streams.topic_tail import last_ticks, read_to_end, reader

ON_KAFKA = os.environ.get("CHURN_KAFKA") == "1"
PURCHASES, EXACT = (69_659, 181) if ON_KAFKA else (17_666, 58)
"""And how many of the silences end on the very day on which they are due."""
DAYS = 60
RULES: RuleSet = rule_set(absence(DAYS))
RULES_FILE = """\
version: "1"
tenant: shop
rules:
  - {id: silent, kind: absence, of: [order.placed], for: P60D}
"""
DONE_WITHIN_S = 240
WORKER = """
from streams.settings import load_settings
from streams.worker import run_worker
run_worker(load_settings(), ["ingest", "detect", "clock"])
"""
Silence = tuple[str, int, int]


@pytest.fixture(scope="module")
def purchases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = "cdnow/cdnow_transactions.csv.gz"
    return real_file(name) if ON_KAFKA else some_customers(name, tmp_path_factory.mktemp("some"), column=0, every=4)


@pytest.fixture(scope="module")
def replayed(purchases: Path, tmp_path_factory: pytest.TempPathFactory) -> list[AlertRecord]:
    out = tmp_path_factory.mktemp("cdnow") / "orders.jsonl"
    assert import_file(purchases, MAPPINGS / "cdnow.yaml", out=out).events == {"order.placed": PURCHASES}
    with out.open("rb") as lines:
        return list(replay(lines, RULES))


def oracle(purchases: Path) -> tuple[set[Silence], int]:
    """Each (customer, last purchase, when it was 60 days ago), and how many of them ended on that very day."""
    days: dict[str, set[int]] = defaultdict(set)
    opened_by = gzip.open if purchases.suffix == ".gz" else open
    with opened_by(purchases, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            days[row["customer_id"]].add((date.fromisoformat(row["date"]) - date(1970, 1, 1)).days)
    end = max(map(max, days.values()))
    found: set[Silence] = set()
    exact = 0
    for customer, bought in days.items():
        ordered = sorted(bought)
        for day, following in zip(ordered, [*ordered[1:], None], strict=True):
            if day + DAYS <= (end if following is None else following):
                found.add((customer, day * DAY_MS, (day + DAYS) * DAY_MS))
                exact += following == day + DAYS
    return found, exact


def opened(alerts: Iterable[AlertRecord]) -> list[Silence]:
    return [(a.customer_id or "", a.episode_start_ms, a.due_ms) for a in alerts if a.state == "opened"]


def transitions(alerts: Iterable[AlertRecord]) -> Counter[tuple[Any, ...]]:
    return Counter((a.alert_id, a.sequence, a.state, a.at_ms, a.due_ms) for a in alerts)


def test_replay_tells_the_silences_that_the_file_has(purchases: Path, replayed: list[AlertRecord]) -> None:
    silences, exact = oracle(purchases)
    assert exact == EXACT
    assert_same(Counter(opened(replayed)), Counter(silences))
    assert {alert.state for alert in replayed} == {"opened", "resolved"}


@pytest.mark.timeout(2 * DONE_WITHIN_S)
async def test_workers_tell_what_the_oracle_and_replay_tell(
    bootstrap: str, unique: Callable[[str], str], purchases: Path, replayed: list[AlertRecord], tmp_path: Path
) -> None:
    settings = await installation(bootstrap, unique("cdnow"), tmp_path)
    with worker_process(settings):
        summary = await asyncio.to_thread(import_into, settings, purchases)
        await until_done(settings, summary)
    await assert_all_is_told(settings, purchases, replayed)


@pytest.mark.kafka
@pytest.mark.skipif(not ON_KAFKA, reason="without a kill above; with one on Apache Kafka: CHURN_KAFKA=1")
@pytest.mark.timeout(2 * DONE_WITHIN_S)
async def test_a_worker_killed_in_the_middle_changes_nothing(
    bootstrap: str, unique: Callable[[str], str], purchases: Path, replayed: list[AlertRecord], tmp_path: Path
) -> None:
    settings = await installation(bootstrap, unique("cdnow"), tmp_path)

    async def some_is_decided() -> bool:
        return sum(await positions(settings)) > PURCHASES // 10

    importing = asyncio.create_task(asyncio.to_thread(import_into, settings, purchases))
    with worker_process(settings) as victim:
        await until(some_is_decided, DONE_WITHIN_S)
        victim.kill()
        victim.wait()
    summary = await importing
    assert sum(await positions(settings)) < PURCHASES  # else it was not the middle
    with worker_process(settings):
        await until_done(settings, summary)
    await assert_all_is_told(settings, purchases, replayed)


async def installation(bootstrap: str, name: str, tmp_path: Path) -> Settings:
    settings = new_installation(
        bootstrap, name, clock="event", tick_ms=200, heartbeat_ms=200, position_interval_ms=200, max_batch_records=1_000
    )
    path = tmp_path / "rules.yaml"
    path.write_text(RULES_FILE, encoding="utf-8")
    await asyncio.to_thread(publish, path, settings, "test")
    return settings


def import_into(settings: Settings, purchases: Path) -> ImportSummary:
    topic = f"{settings.source_prefix}orders"
    return import_file(purchases, MAPPINGS / "cdnow.yaml", settings=settings, topic=topic)


@contextmanager
def worker_process(settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of its own with all that alerts need, killed at the end of the block if it still runs."""
    chosen = settings.model_dump(exclude_defaults=True)
    environment = {**os.environ, **{variable(name): str(value) for name, value in chosen.items()}}
    with subprocess.Popen([sys.executable, "-c", WORKER], env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


async def positions(settings: Settings) -> list[int]:
    """How far detect has come, by the positions that it has committed."""
    async with reader(settings) as consumer:
        return [await position(consumer, settings, partition) for partition in range(settings.partitions)]


async def position(consumer: Any, settings: Settings, partition: int) -> int:
    """The one in the last record of the partition itself, found by looking back in growing steps."""
    tp = TopicPartition(settings.topic("state"), partition)
    begin, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    engine, window, heads = PartitionEngine(partition, settings.topic("events")), 8, list[bytes]()
    while not heads and end - window // 8 > begin:
        heads = [record.value for record in await read_to_end(consumer, tp, end - window) if record.key == b"p/head"]
        window *= 8
    for head in heads[-1:]:
        engine.load(b"p/head", head)
    return engine.position


async def until_done(settings: Settings, summary: ImportSummary) -> None:
    """Wait until every partition has the tick of the last purchase, and detect has committed all that is before its end."""

    async def done() -> bool:
        ticks: list[Tick] = await last_ticks(settings)
        told = [tick for tick in ticks if tick.marks_ms.get("orders") == summary.last_ms]
        if len(told) < settings.partitions:
            return False
        ends = await log_ends(settings)  # nothing but the same ticks again can follow
        return all(at >= end - 1 for at, end in zip(await positions(settings), ends, strict=True))

    await until(done, DONE_WITHIN_S, every_s=0.5)


async def log_ends(settings: Settings) -> list[int]:
    places = [TopicPartition(settings.topic("events"), partition) for partition in range(settings.partitions)]
    async with reader(settings) as consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        return [ends[place] for place in places]


async def assert_all_is_told(settings: Settings, purchases: Path, replayed: list[AlertRecord]) -> None:
    alerts: list[AlertRecord] = []
    for partition in range(settings.partitions):
        async with reading(settings, TopicPartition(settings.topic("alerts"), partition)) as records:
            found = [decode_decision(record.value) for record in records if record.value is not None]  # after 400 days
        alerts += [alert for alert in found if isinstance(alert, AlertRecord)]
    silences, _ = oracle(purchases)
    assert_same(Counter(opened(alerts)), Counter(silences))
    assert_same(transitions(alerts), transitions(replayed))
    assert len({encode(alert) for alert in alerts}) == len(alerts)


def assert_same(found: Counter[tuple[Any, ...]], wanted: Counter[tuple[Any, ...]]) -> None:
    """The same, each once; of a difference only the first ones are shown, for pytest would take an hour over all."""
    assert list((wanted - found).elements())[:5] == []
    assert list((found - wanted).elements())[:5] == []
    assert max(found.values()) == 1
