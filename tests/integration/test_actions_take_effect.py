"""An action of a person through all agents: from the command into the alert, and an erasure out of everything."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition
from detect_log import new_installation, reading, until
from engine_run import order
from redis import Redis
from valkey_server import running_valkey

from schemas.codec import decode_decision, encode
from schemas.decisions import AlertRecord, ErasureRecord
from schemas.events import OrderPlaced
from streams.actions import Desk
from streams.alert_lookup import AlertNotFound
from streams.detect import detector_of
from streams.detect_counters import DetectCounters
from streams.doctor import examine
from streams.log_writer import LogWriter
from streams.rules_command import publish
from streams.settings import Settings, Topic
from streams.transactions import Place, Row
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

RULES = """\
version: "1"
tenant: shop
rules:
  - {id: silent, kind: absence, of: [order.placed], for: P90D, needs: [orders], ack_by: P2D}
"""


async def test_an_ack_reaches_the_alert_and_an_erasure_everything(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    with running_valkey() as url:
        fast: dict[str, Any] = {"clock": "event", "heartbeat_ms": 50, "tick_ms": 50, "redis_url": url}
        settings = new_installation(bootstrap, unique("desk"), partitions=1, **fast)
        await asyncio.to_thread(publish, tmp_path / "rules.yaml", settings, "test")
        desk, client = Desk(settings, "ann"), Redis.from_url(url, decode_responses=True)
        async with running_roles(settings, ["ingest", "clock", "detect", "deliver"]) as roles:
            #  ada's order          alert       acked    bob      escalated if nobody had
            #  0 ------------------ 90 -------- 90.5 --- 91 ----- 92
            await place(settings, order(0, "ada"), order(90.5, "bob"))
            await until(lambda: has_states(settings, ["opened"]))
            (alert,) = await told(settings)
            acked = await asyncio.to_thread(desk.ack, alert.alert_id[:8])
            assert acked.event.at_ms == order(90.5).at_ms
            await until(lambda: has_states(settings, ["opened", "acked"]))
            await place(settings, order(95, "bob"))
            await asyncio.to_thread(desk.judge, alert.alert_id, "saved")
            await until(lambda: has_states(settings, ["opened", "acked", "acked"]))
            counters = detector_of(roles.apps["detect"]).counters
            await until(lambda: counters.verdicts == {("silent@1", "", "saved"): 1})
            await until(lambda: client.hget("churn:profile:ada", "open_alerts") == "1")

            await asyncio.to_thread(desk.erase, "ada")
            await until(lambda: has_states(settings, ["opened", "acked", "acked", "expired"]))
            await until(lambda: client.keys("churn:profile:*") == ["churn:profile:bob"])
            await place(settings, order(1, "ada"), order(96, "bob"))  # what comes late does not bring her back
            await until(lambda: is_applied(settings, counters, order(96).at_ms))
        client.close()

    assert [(a.state, a.by, a.verdict) for a in await told(settings)][1:3] == [
        ("acked", "ann", None),
        ("acked", "ann", "saved"),
    ]
    for topic in ("alerts", "lifecycle"):
        *_, last = [record for record in await stored(settings, topic) if record.key in {alert.alert_id.encode(), b"ada"}]
        assert last.value is None
    state = {record.key: record.value for record in await stored(settings, "state")}
    assert state[b"c/bob"] is not None
    assert state[b"c/ada"] is None
    (proof,) = [decode_decision(record.value or b"") for record in await stored(settings, "erasures")]
    assert isinstance(proof, ErasureRecord)
    assert (proof.alerts, proof.examples) == (1, 0)
    assert b"ada" not in encode(proof)
    assert counters.erasures == 1

    with pytest.raises(AlertNotFound):
        await asyncio.to_thread(desk.note, alert.alert_id, "gone")
    findings = await asyncio.to_thread(examine, settings.model_copy(update={"redis_url": ""}))
    assert [(one.check, one.good) for one in findings if one.check in {"erasures", "topics"}] == [
        ("topics", True),
        ("erasures", False),
    ]


async def place(settings: Settings, *orders: OrderPlaced) -> None:
    writer = LogWriter(settings)
    topic = settings.source_prefix + "orders"
    await writer.write({Place(topic, 0): [Row(one.customer_id.encode(), encode(one)) for one in orders]})
    await writer.close()


async def stored(settings: Settings, topic: Topic) -> list[ConsumerRecord]:
    async with reading(settings, TopicPartition(settings.topic(topic), 0)) as records:
        return records


async def told(settings: Settings) -> list[AlertRecord]:
    """The alerts about Ada; there are others, about feeds that nothing comes from."""
    decided = [decode_decision(record.value) for record in await stored(settings, "alerts") if record.value is not None]
    return [record for record in decided if isinstance(record, AlertRecord) and record.customer_id]


async def has_states(settings: Settings, states: list[str]) -> bool:
    return [alert.state for alert in await told(settings)] == states


async def is_applied(settings: Settings, counters: DetectCounters, at_ms: int) -> bool:
    """Whether detect has applied an event of this instant."""
    records = await stored(settings, "events")
    offsets = [record.offset for record in records if b'"at_ms":%d' % at_ms in (record.value or b"") and record.key]
    return bool(offsets) and counters.records > offsets[0]
