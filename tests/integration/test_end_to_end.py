"""Half a year of a shop through everything: a broker, a Valkey, a Prometheus, a receiver that is not always well, a kill.

events    60 % ------------ 80 % ------------------ 100 %
worker    first ------------- x second -------------------> told
receiver  fails 30 % ------- [ away for 20 s ] -----------> told
Valkey    ---------------- flushed -----------------------> equal to the topics
"""

import asyncio
import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from aiokafka.structs import TopicPartition
from dashboards import NAMES, queries, values_asked_for
from detect_log import new_installation, until
from dispatch_run import Heard, Receiver, in_order, listening
from kafka_server import free_ports
from processes import Worker, worker
from prometheus_server import Prometheus, running_prometheus
from redis import Redis
from valkey_server import running_valkey

from schemas.codec import decode_decision, encode
from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.events import AlertJudged, CustomerUpdated
from sinks.memory import MemorySink
from streams.delivered import DELIVERED, delivery_of
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
ROLES = ("ingest", "detect", "learn", "clock", "deliver")
SHOP = Shop(customers=165, weeks=26)
AWAY_S = 20.0
RECOVERING = {"not_joined", "taking_over", "restoring", "reading_deliveries"}


@dataclass
class Run:
    """What is there while the shop is lived through, and what was seen of it."""

    folder: Path
    settings: Settings
    prometheus: Prometheus
    receiver: Receiver
    receiver_port: int
    events: int = 0
    readiness: list[tuple[int, set[str]]] = field(default_factory=list)
    """Of the second worker, from its start: status, and codes of reasons."""


@pytest.fixture(scope="module")
def run(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """All of it, once for all tests of this file; the second worker still runs."""
    folder = tmp_path_factory.mktemp("end-to-end")
    metrics_port, receiver_port = free_ports(2)
    (folder / "secret").write_text("whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
    (folder / "routes.yaml").write_text(ROUTES.format(port=receiver_port, secret=folder / "secret"))
    rules = ROOT / "deploy" / "prometheus" / "rules.yaml"
    with running_valkey() as redis_url, running_prometheus(folder, [metrics_port], rules) as prometheus:
        settings = new_installation(
            bootstrap,
            f"end-{metrics_port}",
            redis_url=redis_url,
            metrics_port=metrics_port,
            routes=folder / "routes.yaml",
            clock="event",
            tick_ms=100,
            heartbeat_ms=100,
            dead_after_ms=2 * 86_400_000,
            learn_min_examples=500,
            learn_snapshot_examples=250,
        )
        publish(ROOT / "deploy" / "rules" / "demo.yaml", settings, by="test")
        made = Run(folder, settings, prometheus, Receiver(failing=0.3), receiver_port)
        with worker(settings, folder / "first.log", *ROLES) as first:
            rest = asyncio.run(_until_the_kill(made, first))
        with worker(settings, folder / "second.log", *ROLES) as second:
            asyncio.run(_after_the_kill(made, second, rest))
            yield made


async def _until_the_kill(run: Run, first: Worker) -> Sequence[Delivery]:
    """Three fifths are worked off, Valkey is flushed, a fifth comes; what is left."""
    deliveries = list(simulate(SHOP).deliveries())
    run.events = sum(one.value is not None for one in deliveries)
    flushed, killed = len(deliveries) * 3 // 5, len(deliveries) * 4 // 5
    async with listening(run.receiver, run.receiver_port):
        await until(lambda: "lane.began" in first.said)
        await until(lambda: run.prometheus.value("sum(churn_detect_records_total)") is not None)
        await _give_tiers(run.settings)
        await _send(run.settings, deliveries[:flushed])
        await until(partial(_is_decided, run.settings, deliveries[:flushed]))
        await _judge_some(run)
        Redis.from_url(run.settings.redis_url).flushall()
        await _send(run.settings, deliveries[flushed:killed])
        heard = len(run.receiver.heard)
        await until(lambda: len(run.receiver.heard) > heard)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    return deliveries[killed:]


async def _after_the_kill(run: Run, second: Worker, rest: Sequence[Delivery]) -> None:
    """Another worker, its receiver away for a while; all is told in the end."""
    away = asyncio.create_task(asyncio.sleep(AWAY_S))
    while not run.readiness or run.readiness[-1][0] != 200:
        assert second.process.poll() is None, second.said
        if (seen := await asyncio.to_thread(_asked, run.settings.metrics_port)) is not None:
            run.readiness.append(seen)
    await _send(run.settings, rest)
    await until(partial(_is_decided, run.settings, rest))
    await away
    async with listening(run.receiver, run.receiver_port):
        wanted = owed(await _records(run.settings))
        await until(lambda: set(run.receiver.heard) >= wanted)
        await _judge_some(run)
        wanted = owed(await _records(run.settings))
        await until(lambda: set(run.receiver.heard) >= wanted)
        await until(partial(_is_kept, run.settings))
        sent = partial(run.prometheus.value, 'sum(churn_deliveries_total{sink="erp", result="sent"})')
        await until(lambda: (sent() or 0) > 0)


def _asked(port: int) -> tuple[int, set[str]] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status, set()
    except urllib.error.HTTPError as refused:
        return refused.code, {reason["code"] for reason in json.load(refused)["reasons"]}
    except OSError:  # not there yet
        return None


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


async def _is_decided(settings: Settings, sent: Sequence[Delivery]) -> bool:
    """The clock has come so far, and nothing is left to be decided."""
    ends_ms = max(one.arrives_ms for one in sent if one.value is None and one.feed == "logins")
    ticks = await last_ticks(settings)
    if len(ticks) < settings.partitions or any((tick.marks_ms.get("logins") or 0) < ends_ms for tick in ticks):
        return False
    return not any((await lags(settings, "detect", ("events",))).values())


async def _is_kept(settings: Settings) -> bool:
    """Valkey has everything; the record that ends a transaction is counted, though nobody reads it."""
    return max((await lags(settings, "deliver-redis", DELIVERED)).values()) <= 1


async def _records(settings: Settings) -> list[AlertRecord]:
    """All that stands in `churn.alerts`, in the order of each partition."""
    found: list[AlertRecord] = []
    async with reader(settings) as consumer:
        for partition in range(settings.partitions):
            for record in await read_to_end(consumer, TopicPartition(settings.topic("alerts"), partition)):
                alert = None if record.value is None else decode_decision(record.value)
                found += [alert] if isinstance(alert, AlertRecord) else []
    return found


def owed(records: Sequence[AlertRecord]) -> set[Heard]:
    """What a system is to hear, said as plainly as can be: all but the beginnings of what another alert says better."""
    knows: dict[str, bool] = {}
    wanted: set[Heard] = set()
    for record in records:
        is_over, knew = record.state in CLOSED_STATES, knows.get(record.alert_id, False)
        says_less = record.inhibited_by is not None and (not knew or record.state in {"opened", "warned"})
        if (is_over and (knew or record.by is not None)) or (not is_over and not says_less):
            wanted.add((record.alert_id, record.sequence))
            knows[record.alert_id] = not is_over
    return wanted


async def _judge_some(run: Run) -> None:
    """Some of the alerts that there are were right, and helped; Prometheus has seen it."""
    alerts = [one for one in await _records(run.settings) if one.customer_id is not None and one.state == "opened"][-5:]
    assert alerts
    counted = partial(run.prometheus.value, 'sum(churn_alert_verdicts_total{verdict="saved"})')
    before = counted() or 0
    rows = [
        Row(
            (alert.customer_id or "").encode(),
            encode(
                AlertJudged(
                    id=f"judged-{before:.0f}-{alert.alert_id}",
                    customer_id=alert.customer_id or "",
                    alert_id=alert.alert_id,
                    at_ms=alert.at_ms,
                    by="lena",
                    verdict="saved",
                )
            ),
        )
        for alert in alerts
    ]
    await write_once(run.settings, {Place(run.settings.topic("actions"), 0): rows})
    await until(lambda: (counted() or 0) >= len(rows))


def test_ten_thousand_events_and_more_went_through(run: Run) -> None:
    assert run.events >= 10_000


async def test_each_alert_takes_effect_exactly_once_and_in_order(run: Run) -> None:
    wanted = owed(await _records(run.settings))

    assert len(wanted) > 100
    assert set(run.receiver.heard) == wanted
    assert len(run.receiver.heard) == len(wanted)
    assert in_order(run.receiver.heard)
    assert run.receiver.calls > len(wanted), "it failed, and was asked again"


def test_a_worker_is_not_ready_while_it_recovers(run: Run) -> None:
    red = [codes for status, codes in run.readiness if status == 503]

    assert red
    assert set().union(*red) <= RECOVERING
    assert run.readiness[-1] == (200, set())


async def test_valkey_is_equal_to_the_topics_though_it_was_flushed(run: Run) -> None:
    wanted = MemorySink()
    async with reader(run.settings) as consumer:
        for topic in DELIVERED:
            for partition in range(run.settings.partitions):
                records = await read_to_end(consumer, TopicPartition(run.settings.topic(topic), partition))
                await wanted.deliver([told for record in records if (told := delivery_of(run.settings, record)) is not None])
    client = Redis.from_url(run.settings.redis_url, decode_responses=True)
    found = {key.removeprefix("churn:profile:"): client.hgetall(key) for key in client.scan_iter("churn:profile:*")}
    client.close()

    assert len(found) == SHOP.customers
    assert found == wanted.profiles


@pytest.mark.parametrize("name", NAMES)
def test_every_query_of_every_dashboard_returns_data(name: str, run: Run) -> None:
    silent = [(title, query) for title, query in queries(name) if not run.prometheus.query(query)]
    assert silent == []
    unknown = [asked for asked in values_asked_for(name) if not run.prometheus.label_values(*asked)]
    assert unknown == []


def test_what_prometheus_counts_is_what_the_shop_was(run: Run) -> None:
    ask = run.prometheus.value

    assert ask("sum(churn_customers)") == SHOP.customers
    assert ask('sum(churn_customers{tier="gold"})') == len(range(1, SHOP.customers + 1, 3))
    assert (ask('sum(churn_stage_changes_total{stage="churned"})') or 0) > 0
    assert (ask('sum(churn_orders_total{kind="repeat"})') or 0) > 0


def test_a_worker_that_is_well_sets_no_alarm_off(run: Run) -> None:
    firing = run.prometheus.query('ALERTS{alertstate="firing"}')

    assert {one["metric"]["alertname"] for one in firing} <= {"ChurnwatchModelWorseThanBase"}
