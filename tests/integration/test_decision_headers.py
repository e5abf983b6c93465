"""From a source record to the alert it led to: one trace, and headers that any reader of CloudEvents understands."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from detect_log import new_installation, reading, until
from engine_run import order

from schemas.codec import decode_decision, encode
from schemas.decisions import AlertRecord
from streams.rules_command import publish
from streams.settings import Settings, Topic
from streams.traces import TRACEPARENT
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RULES = """\
version: "1"
tenant: shop
rules:
  - {id: big, kind: count, of: [order.placed], at_least: 1, within: P30D}
  - {id: tried, kind: count, of: [order.placed], at_least: 1, within: P30D, mode: shadow}
  - {id: silent, kind: absence, of: [order.placed], for: P90D, needs: [orders]}
"""


async def test_an_alert_is_of_the_trace_of_the_record_that_led_to_it(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    settings = new_installation(bootstrap, unique("traced"), partitions=1, clock="event", heartbeat_ms=50, tick_ms=50)
    await asyncio.to_thread(publish, tmp_path / "rules.yaml", settings, "test")
    async with running_roles(settings, ["ingest", "clock", "detect"]):
        #  ada, traced           bob, with what is no trace          silence of ada, decided by time
        #  0 ------------------- 1 --------------------------------- 90
        await put(settings, order(0, "ada"), TRACE)
        await put(settings, order(1, "bob"), b"00-not-one")
        await put(settings, order(90.5, "bob"), None)

        async def all_is_told() -> bool:
            return {"silent@1", "big@1"} <= {alert.rule for alert, _ in await told(settings, "alerts")}

        await until(all_is_told)
        alerts, shadow = await told(settings, "alerts"), await told(settings, "shadow")
        log = {record.key: dict(record.headers) for record in await stored(settings, "events")}

    traces = {(alert.rule, alert.customer_id, alert.state): traceparent for alert, traceparent in [*alerts, *shadow]}
    assert traces["big@1", "ada", "opened"] == traces["tried@1", "ada", "opened"] == TRACE.decode()
    assert traces["big@1", "bob", "opened"] is None
    assert traces["silent@1", "ada", "opened"] is None
    assert log[b"ada"] == {TRACEPARENT: TRACE}
    assert log[b"bob"] == {}


async def put(settings: Settings, event: Any, traceparent: bytes | None) -> None:
    headers = [] if traceparent is None else [("x", b"y"), (TRACEPARENT, traceparent)]
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await producer.send_and_wait(settings.source_prefix + "orders", encode(event), partition=0, headers=headers)


async def stored(settings: Settings, topic: Topic) -> list[ConsumerRecord]:
    async with reading(settings, TopicPartition(settings.topic(topic), 0)) as records:
        return records


async def told(settings: Settings, topic: Topic) -> list[tuple[AlertRecord, str | None]]:
    """Alerts as the library of CloudEvents reads them, each with its trace."""
    found = []
    for record in await stored(settings, topic):
        event = from_binary_event(KafkaMessage(dict(record.headers), record.key, record.value))
        alert = decode_decision(record.value)
        assert isinstance(alert, AlertRecord)
        assert event.get_id() == f"{alert.alert_id}/{alert.sequence}"
        assert event.get_source() == f"/churnwatch/{settings.prefix.rstrip('.')}"
        found.append((alert, event.get_extension("traceparent")))
    return found
