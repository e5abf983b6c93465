"""Every metric stands in one table, in the README, and in a scrape."""

import asyncio
import json
import socket
import urllib.request
from pathlib import Path
from typing import Any, get_args

import pytest
from aiokafka.structs import ConsumerRecord
from dispatch_run import Notes, routes_to
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from detectors.census import PartitionStanding
from detectors.partition_state import ENGINE_VERSION
from detectors.tally import Happening
from schemas.codec import encode
from schemas.decisions import ExampleRecord
from schemas.deliveries import ToldRecord
from schemas.model_pin import ModelAction, ModelPin
from schemas.progress import Heartbeat
from schemas.secret import Secret
from sinks.chat import ChatSink, ChatTerms
from sinks.http_calls import CallTerms
from sinks.messages import Messages
from sinks.redis_client import RedisTerms
from sinks.redis_store import RedisStore
from streams.clock import clock_of, make_clock_app
from streams.deliver import deliver_of, make_store_app
from streams.detect import detector_of, make_detect_app
from streams.dispatch import Dispatch, app_of, new_plan
from streams.dispatch_lane import Lane, LaneForm
from streams.door import Door
from streams.door_terms import DoorTerms
from streams.ingest import ingest_of, make_ingest_app
from streams.learn import learner_of, make_learn_app
from streams.ledger import LedgerWriter
from streams.metric_table import METRICS, MetricName, table_rows
from streams.metrics import RoleCollector
from streams.metrics_server import serving
from streams.partition_status import PartitionStatus
from streams.settings import Settings, SettingsError, load_settings
from streams.sources import Source
from streams.version import VERSION

README = Path(__file__).parents[2] / "README.md"
UNITS = (
    "_total",
    "_seconds",
    "_records",
    "_requests",
    "_bytes",
    "_offset",
    "_partitions",
    "_ratio",
    "_ready",
    "_status",
    "_log_loss",
    "_auc",
    "_usable",
    "_held",
    "_alarm",
    "_recipe",
    "_paused",
    "_alerts",
    "_customers",
    "_timers",
    "_info",
)
BY_CONSUMER = {"churn_position_offset", "churn_lag_records"}


def restoring(partition: int) -> PartitionStatus:
    """A quarter of its state is read."""
    status = PartitionStatus("t.events", partition, phase="restoring")
    status.progress.begin, status.progress.position, status.progress.end = 0, 100, 400
    return status


def refused(partition: int) -> PartitionStatus:
    status = PartitionStatus("t.events", partition)
    status.refuse("the record 'p/head' cannot be used")
    return status


def counted_door() -> Door:
    """Two webhooks were taken, and one is under way."""
    door = Door(load_settings(prefix="t."), [Source("shop", "orders", door=DoorTerms("none"))])
    door.counters.requests["shop", 202], door.counters.requests["(unknown)", 404] = 2, 9
    door.counters.taken_bytes["shop"], door.counters.taken_s["shop"] = 300, 0.25
    door.space.enter(1_000)
    return door


def counted_dispatch(settings: Settings) -> Dispatch:
    """A room was told of five alerts, three records are to come, and one alert waits for a digest."""
    routes = routes_to(room="people")
    dispatch = Dispatch(settings, routes, new_plan, lambda *_: Notes())
    sink = ChatSink("room", ChatTerms("slack", CallTerms(Secret("https://chat.example.com/hook"))), Messages(), lambda: 0)
    sink.messages.errors["en/alert"] = 2
    form = LaneForm("room", new_plan(routes.recipients["room"], routes, lambda: None), sink, 1)
    lane = dispatch.lanes["room"] = Lane(settings, form, LedgerWriter(settings), dispatch.counters["room"])
    dispatch.counters["room"].results["sent"], lane.behind_records = 5, 3
    waits = ToldRecord(recipient="room", alert_id="a", sequence=1, told="waits", at_ms=1, wait="digest", due_ms=2)
    dispatch.ledger.take(ConsumerRecord("t.deliveries", 0, 7, 0, 0, waits.key(), encode(waits), None, 0, 0, ()))
    return dispatch


def counted_apps() -> dict[Any, Any]:
    """All roles, each with something to tell; none of them is started."""
    settings = load_settings(prefix="t.")
    apps: dict[Any, Any] = {
        "ingest": make_ingest_app(settings),
        "detect": make_detect_app(settings),
        "clock": make_clock_app(settings),
        "learn": make_learn_app(settings),
        "deliver-redis": make_store_app(settings, "deliver-redis", RedisStore(RedisTerms("redis://127.0.0.1:1/0"))),
        "deliver-dispatch": app_of(counted_dispatch(settings)),
        "door": counted_door(),
    }
    ingest = ingest_of(apps["ingest"]).counters
    ingest.late_ms["orders"] = 1_500
    ingest.events["orders"], ingest.clamped["orders"], ingest.dead_letters["bad_json"] = 7, 1, 2
    ingest_of(apps["ingest"]).gate.states.pause("logins", "poison", "it cannot be read", 0.0)
    for second in range(3):
        ingest_of(apps["ingest"]).reports.catch_up.report("orders", 400 - 100 * second, 100 * second, float(second))
    detect = detector_of(apps["detect"]).counters
    for took_s in (0.2, 0.1, 0.1, 0.1):
        detect.transactions.add(took_s)
    detect.timer_delays.add(3.0)
    detect.alerts["silent@1", "opened"], detect.alerts["silent@2", "opened"] = 3, 2
    detect.verdicts["silent@1", "gold", "saved"], detect.verdicts["silent@2", "gold", "saved"], detect.erasures = 1, 1, 3
    detect.sla_breaches["gold"] = 2
    tally = Happening("order", "gold", "repeat"), Happening("ticket", ""), Happening("stage", "gold", "churned", "yes")
    for happening in tally:
        detect.tally[happening] += 1
    standing = PartitionStanding({("active", "gold"): 30, ("churned", ""): 2}, {("silent", "escalated"): 4}, 50)
    working = PartitionStatus("t.events", 2, phase="working", standing=standing)
    also_working = PartitionStatus("t.events", 3, phase="working", standing=standing)
    detector_of(apps["detect"])._statuses.update({0: restoring(0), 1: refused(1), 2: working, 3: also_working})
    deliver = deliver_of(apps["deliver-redis"]).counters
    deliver.records, deliver.dead_letters["bad_json"] = 9, 1
    learner_of(apps["learn"]).model.learn(
        ExampleRecord(customer_id="ada", at_ms=0, horizon_ms=1, churned=True, names=["gap"], features=[1.0], active=True)
    )
    pin = ModelPin(actions=[ModelAction(action="rollback", version="churn-9", at_ms=1, by="lena")])
    learner_of(apps["learn"]).store.pin = pin
    clock = clock_of(apps["clock"]).state
    for appended_ms in (9_000, 10_000):
        beat = Heartbeat(
            feed="orders",
            topic="orders",
            partition=0,
            partitions=1,
            generation=1,
            position=0,
            max_event_ms=8_000,
            caught_up=False,
        )
        clock.heartbeat(beat, appended_ms)
    clock.decide()
    return apps


def scraped(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        family.name: {(sample.name, *dict(sorted(sample.labels.items())).values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text)
    }


@pytest.fixture
async def scrape() -> str:
    registry = CollectorRegistry()
    registry.register(RoleCollector(counted_apps()))
    return generate_latest(registry).decode()


async def test_every_metric_of_the_table_is_exposed_and_no_other(scrape: str) -> None:
    found = scraped(scrape)

    assert set(found) == {name.removesuffix("_total") for name in METRICS}


async def test_every_metric_has_a_value_when_its_role_has_something_to_tell(scrape: str) -> None:
    silent = {name for name, samples in scraped(scrape).items() if not samples}

    assert silent == BY_CONSUMER, "positions need a consumer that runs"


async def test_the_values_are_those_of_the_counters(scrape: str) -> None:
    found = scraped(scrape)

    assert found["churn_ingest_events"] == {("churn_ingest_events_total", "orders"): 7}
    assert found["churn_dead_letters"] == {
        ("churn_dead_letters_total", "bad_json", "ingest"): 2,
        ("churn_dead_letters_total", "bad_json", "deliver"): 1,
    }
    assert found["churn_source_paused"] == {("churn_source_paused", "poison", "logins"): 1}
    assert found["churn_source_behind_records"] == {("churn_source_behind_records", "orders"): 200}
    assert found["churn_source_eta_seconds"] == {("churn_source_eta_seconds", "orders"): 2.0}
    assert found["churn_alerts"] == {("churn_alerts_total", "silent", "opened"): 5}
    assert found["churn_alert_verdicts"] == {("churn_alert_verdicts_total", "silent", "gold", "saved"): 2}
    assert found["churn_customers"] == {("churn_customers", "active", "gold"): 60, ("churn_customers", "churned", ""): 4}
    assert found["churn_open_alerts"] == {("churn_open_alerts", "silent", "escalated"): 8}
    assert found["churn_timers"] == {("churn_timers",): 100}
    assert found["churn_orders"] == {("churn_orders_total", "repeat", "gold"): 1}
    assert found["churn_stage_changes"] == {("churn_stage_changes_total", "churned", "gold", "yes"): 1}
    assert found["churn_alert_delay_seconds"]["churn_alert_delay_seconds_bucket", "timer", "5"] == 1
    assert found["churn_alert_delay_seconds"]["churn_alert_delay_seconds_bucket", "timer", "2"] == 0
    assert found["churn_erasures"] == {("churn_erasures_total",): 3}
    transactions = found["churn_transaction_duration_seconds"]
    assert transactions["churn_transaction_duration_seconds_count",] == 4
    assert transactions["churn_transaction_duration_seconds_sum",] == pytest.approx(0.5)
    assert transactions["churn_transaction_duration_seconds_bucket", "0.1"] == 3
    assert found["churn_feed_mark_lag_seconds"] == {("churn_feed_mark_lag_seconds", "orders"): 2.0}
    assert found["churn_feed_status"]["churn_feed_status", "orders", "live"] == 1
    assert found["churn_feed_status"]["churn_feed_status", "orders", "dead"] == 0
    assert found["churn_restore_progress_ratio"]["churn_restore_progress_ratio", "0"] == 0.25
    assert (found["churn_model_usable"], found["churn_model_held"]) == (
        {("churn_model_usable",): 0},
        {("churn_model_held",): 1},
    )
    assert found["churn_refused_partitions"] == {("churn_refused_partitions",): 1}
    assert found["churn_ready"]["churn_ready", "detect"] == 0
    assert found["churn_deliveries"]["churn_deliveries_total", "sent", "redis"] == 9
    assert found["churn_deliveries"]["churn_deliveries_total", "sent", "room"] == 5
    assert found["churn_delivery_behind_records"] == {("churn_delivery_behind_records", "room"): 3}
    assert found["churn_delivery_waiting_alerts"] == {("churn_delivery_waiting_alerts", "digest", "room"): 1}
    assert found["churn_template_errors"] == {("churn_template_errors_total", "room", "en/alert"): 2}
    assert found["churn_door_requests"] == {
        ("churn_door_requests_total", "shop", "202"): 2,
        ("churn_door_requests_total", "(unknown)", "404"): 9,
    }
    assert found["churn_door_acknowledge_duration_seconds"] == {
        ("churn_door_acknowledge_duration_seconds_count", "shop"): 2,
        ("churn_door_acknowledge_duration_seconds_sum", "shop"): 0.25,
    }
    assert found["churn_door_under_way_bytes"] == {("churn_door_under_way_bytes",): 1_000}


def test_the_table_and_the_type_of_names_are_one_list() -> None:
    assert tuple(METRICS) == get_args(MetricName)


@pytest.mark.parametrize("name", METRICS)
def test_a_name_says_that_it_is_ours_and_its_unit(name: MetricName) -> None:
    assert name.startswith("churn_")
    assert name.endswith(UNITS)
    assert (METRICS[name].kind == "counter") == name.endswith("_total")
    assert METRICS[name].help.endswith(".")
    assert "customer" not in METRICS[name].labels


def test_the_readme_lists_every_metric() -> None:
    text = README.read_text(encoding="utf-8")

    assert [row for row in table_rows() if row not in text] == []


async def test_prometheus_finds_the_metrics_at_the_port_of_the_settings() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with serving(load_settings(metrics_port=port), {}) as served:
        url = f"http://127.0.0.1:{served}/metrics"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read().decode())

    found = {name for name in scraped(text) if not name.startswith("process_")}
    assert found == {name.removesuffix("_total") for name in METRICS}
    assert "process_resident_memory_bytes" in scraped(text)


async def test_without_a_port_nothing_is_served() -> None:
    async with serving(load_settings(), {}) as served:
        assert served == 0


async def test_a_port_that_is_taken_is_told_as_a_fault_of_the_settings() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        settings = load_settings(metrics_port=taken.getsockname()[1])
        with pytest.raises(SettingsError, match="CHURN_METRICS_PORT"):
            async with serving(settings, {}):
                pass


async def test_the_port_says_which_release_runs() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with serving(load_settings(metrics_port=port), {}) as served:
        url = f"http://127.0.0.1:{served}/version"
        found = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read()))

    assert found["engine"] == ENGINE_VERSION
    assert found["version"] == VERSION
    assert set(found) == {"version", "engine", "revision", "python"}
