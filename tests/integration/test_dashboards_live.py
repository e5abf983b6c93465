"""Every query of every dashboard returns data of a worker that runs, asked from a real Prometheus."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from aiokafka.structs import TopicPartition
from dashboards import NAMES, queries, values_asked_for
from detect_log import new_installation, until
from dispatch_run import Receiver, listening
from kafka_server import free_ports
from processes import Worker, worker
from prometheus_server import Prometheus, running_prometheus
from valkey_server import running_valkey

from schemas.codec import decode_decision, encode
from schemas.decisions import AlertRecord
from schemas.events import AlertJudged, CustomerUpdated
from streams.lag import lags
from streams.log_writer import write_once
from streams.routing import WATERMARK_HEADER, log_partition
from streams.rules_command import publish
from streams.settings import Settings
from streams.simulate import Delivery, Shop, simulate
from streams.topic_tail import last_ticks, read_to_end, reader
from streams.transactions import Place, Row

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).parents[2]
ROUTES = """
destinations:
  erp: {{kind: webhook, url: "http://127.0.0.1:{port}/alerts", secret: "file:{secret}", allow: ["127.0.0.1"]}}
routes:
  - {{to: [erp]}}
"""
SHOP = Shop(customers=60, weeks=26)


@dataclass
class Watched:
    prometheus: Prometheus
    settings: Settings
    worker: Worker


@pytest.fixture(scope="module")
def watched(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Half a year of a shop went through a worker with all roles, in two parts with scrapes before, between and behind."""
    folder = tmp_path_factory.mktemp("watched")
    metrics_port, receiver_port = free_ports(2)
    (folder / "secret").write_text("whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
    (folder / "routes.yaml").write_text(ROUTES.format(port=receiver_port, secret=folder / "secret"))
    with running_valkey() as redis_url:
        settings = new_installation(
            bootstrap,
            f"watched-{metrics_port}",
            redis_url=redis_url,
            metrics_port=metrics_port,
            routes=folder / "routes.yaml",
            clock="event",
            tick_ms=100,
            heartbeat_ms=100,
            dead_after_ms=2 * 86_400_000,
            learn_min_examples=200,
            learn_snapshot_examples=100,
        )
        publish(ROOT / "deploy" / "rules" / "demo.yaml", settings, by="test")
        roles = ("ingest", "detect", "learn", "clock", "deliver")
        with (
            worker(settings, folder / "worker.log", *roles) as running,
            running_prometheus(folder, [metrics_port], ROOT / "deploy" / "prometheus" / "rules.yaml") as prometheus,
        ):
            asyncio.run(_lived_through(Watched(prometheus, settings, running), receiver_port))
            yield Watched(prometheus, settings, running)


async def _lived_through(watched: Watched, receiver_port: int) -> None:
    deliveries = list(simulate(SHOP).deliveries())
    middle = len(deliveries) * 7 // 10
    judged = 0
    async with listening(Receiver(), receiver_port):
        await until(lambda: "worker.ready" in watched.worker.said)
        await _give_tiers(watched.settings)
        for half in (deliveries[:middle], deliveries[middle:]):
            await until(lambda: watched.prometheus.value("sum(churn_detect_records_total)") is not None)
            await _send(watched.settings, half)
            ends_ms = max(one.arrives_ms for one in half if one.value is None and one.feed == "logins")
            await until(partial(_is_worked_off, watched.settings, ends_ms))
            judged += await _judge_some(watched.settings)
            await until(partial(_is_scraped, watched, judged))


def _is_scraped(watched: Watched, judged: int) -> bool:
    return watched.prometheus.value('sum(churn_alert_verdicts_total{verdict="saved"})') == judged


async def _give_tiers(settings: Settings) -> None:
    """Every third customer is a gold one."""
    customers = [f"shop-{number:04}" for number in range(1, SHOP.customers + 1, 3)]
    rows = [
        Row(name.encode(), encode(CustomerUpdated(id=f"tier-{name}", customer_id=name, at_ms=SHOP.starts_ms, tier="gold")))
        for name in customers
    ]
    await write_once(settings, {Place(settings.topic("actions"), 0): rows})


async def _send(settings: Settings, deliveries: Sequence[Delivery]) -> None:
    rows: dict[Place, list[Row]] = {}
    for one in deliveries:
        topic = settings.source_prefix + one.feed
        if one.value is not None:
            place = Place(topic, log_partition(one.key or b"", settings.partitions))
            rows.setdefault(place, []).append(Row(one.key, one.value))
            continue
        for partition in range(settings.partitions):
            mark = (WATERMARK_HEADER, str(one.arrives_ms).encode())
            rows.setdefault(Place(topic, partition), []).append(Row(None, None, [mark]))
    await write_once(settings, rows)


async def _is_worked_off(settings: Settings, ends_ms: int) -> bool:
    """The clock has come so far, and nothing is left to be decided, or to be told."""
    ticks = await last_ticks(settings)
    if len(ticks) < settings.partitions or any(tick.marks_ms.get("logins") != ends_ms for tick in ticks):
        return False
    left = await lags(settings, "detect", ("events",)), await lags(settings, "deliver-redis", ("alerts",))
    return all(count <= 1 for one in left for count in one.values())


async def _judge_some(settings: Settings) -> int:
    """Some of the alerts that there are were right, and helped; how many."""
    async with reader(settings) as consumer:
        records = await read_to_end(consumer, TopicPartition(settings.topic("alerts"), 0))
    alerts = [found for record in records if record.value and isinstance(found := decode_decision(record.value), AlertRecord)]
    judged = [alert for alert in alerts if alert.customer_id is not None and alert.state == "opened"][-5:]
    rows = [
        Row(
            (alert.customer_id or "").encode(),
            encode(
                AlertJudged(
                    id=f"judged-{len(alerts)}-{alert.alert_id}",
                    customer_id=alert.customer_id or "",
                    alert_id=alert.alert_id,
                    at_ms=alert.at_ms,
                    by="lena",
                    verdict="saved",
                )
            ),
        )
        for alert in judged
    ]
    assert rows
    await write_once(settings, {Place(settings.topic("actions"), 0): rows})
    return len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_every_query_returns_data(name: str, watched: Watched) -> None:
    silent = [(title, query) for title, query in queries(name) if not watched.prometheus.query(query)]
    assert silent == []
    unknown = [asked for asked in values_asked_for(name) if not watched.prometheus.label_values(*asked)]
    assert unknown == []


def test_the_numbers_are_those_of_the_shop(watched: Watched) -> None:
    ask = watched.prometheus.value

    assert ask("sum(churn_customers)") == SHOP.customers
    assert (ask('sum(churn_stage_changes_total{stage="churned"})') or 0) > 0
    assert (ask('sum(churn_orders_total{kind="first"})') or 0) <= SHOP.customers
    assert (ask('sum(churn_orders_total{kind="repeat"})') or 0) > SHOP.customers
    assert (ask("sum(churn_tickets_total)") or 0) > 0
    assert (ask('sum(churn_deliveries_total{sink="erp", result="sent"})') or 0) > 0
    assert ask("sum(churn_dead_letters_total)") == 6


def test_a_worker_that_is_well_sets_no_alarm_off(watched: Watched) -> None:
    firing = watched.prometheus.query('ALERTS{alertstate="firing"}')

    assert {one["metric"]["alertname"] for one in firing} <= {"ChurnwatchModelWorseThanBase"}
