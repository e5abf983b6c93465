"""The sink for Alertmanager against Debian's own: open for as long as it is repeated, over when it is said to be."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from alert_records import alert
from alertmanager_server import Alertmanager, running_alertmanager
from detect_log import until
from http_receiver import Receiver, receiving

from schemas.decisions import AlertRecord
from schemas.instants import parse_instant
from schemas.secret import Secret
from sinks.alertmanager import AlertmanagerSink, AlertmanagerTerms
from sinks.base import Forgotten
from sinks.http_calls import CallTerms
from streams.wallclock import now_ms

BELIEVED_S = 2
"""For so long Alertmanager believes an alert that nobody posts again."""


@pytest.fixture
async def told() -> AsyncIterator[Receiver]:
    """Whom Alertmanager tells."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def manager(told: Receiver, tmp_path: Path) -> AsyncIterator[Alertmanager]:
    with running_alertmanager(tmp_path, told.url, f"{BELIEVED_S}s") as server:
        yield server


def sink_to(url: str) -> AlertmanagerSink:
    terms = AlertmanagerTerms(CallTerms(Secret(url), allow=("127.0.0.1",)), link="https://grafana.example.com/?id={alert_id}")
    return AlertmanagerSink("pager", terms, lambda record: f"{record.kind} {record.state}")


@pytest.fixture
async def sink(manager: Alertmanager) -> AsyncIterator[AlertmanagerSink]:
    made = sink_to(manager.url)
    yield made
    await made.close()


def opened(alert_id: str = "a1", sequence: int = 1, state: str = "opened", *, after_ms: int = 0, **more: object) -> AlertRecord:
    """A minute ago, or so much later."""
    due_ms = NOW_MS - 60_000
    values = {"alert_id": alert_id, "sequence": sequence, "customer_id": "ada", "due_ms": due_ms, "at_ms": due_ms + after_ms}
    return msgspec.structs.replace(alert(state), **values, **more)


NOW_MS = now_ms()


def notified(told: Receiver) -> list[tuple[str, str]]:
    """Status and alert of all that Alertmanager told, in its order."""
    bodies = [json.loads(got.body) for got in told.got]
    return [(one["status"], one["labels"]["alert_id"]) for body in bodies for one in body["alerts"]]


async def test_an_alert_is_open_until_it_is_said_to_be_over(
    manager: Alertmanager, sink: AlertmanagerSink, told: Receiver
) -> None:
    await sink.deliver([opened(owner="ann", tier="gold", next_action="Call.")])
    await until(lambda: notified(told) == [("firing", "a1")])

    shown = manager.alerts()["a1"]
    assert shown["labels"] == {
        "alertname": "r", "job": "churnwatch", "alert_id": "a1", "customer_id": "ada", "severity": "high",
        "tier": "gold", "owner": "ann",
    }  # fmt: skip
    assert shown["annotations"] == {"summary": "absence opened", "next_action": "Call.", "state": "opened"}
    assert shown["generatorURL"] == "https://grafana.example.com/?id=a1"

    await sink.deliver([opened(sequence=2, state="acked", after_ms=1_000, by="mia", owner="ann", tier="gold")])
    await until(lambda: manager.alerts()["a1"]["annotations"].get("by") == "mia")
    await sink.deliver([opened(sequence=3, state="resolved", after_ms=30_000, owner="ann", tier="gold")])
    await until(lambda: notified(told) == [("firing", "a1"), ("resolved", "a1")])
    assert manager.alerts() == {}
    last = json.loads(told.got[-1].body)["alerts"][0]
    assert last["annotations"]["summary"] == "absence resolved"
    assert (parse_instant(last["startsAt"]), parse_instant(last["endsAt"])) == (NOW_MS - 60_000, NOW_MS - 30_000)


async def test_what_is_repeated_stays_open_and_what_is_not_ends_by_itself(
    manager: Alertmanager, sink: AlertmanagerSink, told: Receiver
) -> None:
    await sink.deliver([opened("a1")])
    another = sink_to(manager.url)  # which nobody asks to repeat
    await another.deliver([opened("a2")])
    await another.close()
    began = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() < began + 1.5 * BELIEVED_S:
        await sink.repeat()
        assert "a1" in manager.alerts()
        await asyncio.sleep(BELIEVED_S / 8)

    assert list(manager.alerts()) == ["a1"]
    await until(lambda: ("resolved", "a2") in notified(told))
    assert ("resolved", "a1") not in notified(told)


async def test_after_a_restart_what_was_open_is_repeated_and_can_end(manager: Alertmanager, told: Receiver) -> None:
    before = sink_to(manager.url)
    await before.deliver([opened("a1"), opened("a2")])
    await until(lambda: len(notified(told)) == 2)
    await before.close()

    after = sink_to(manager.url)
    await after.resume([opened("a1"), opened("a2", 2, "escalated"), opened("a3", 3, "resolved"), opened("a4", 1, "warned")])
    await after.repeat()
    assert sorted(manager.alerts()) == ["a1", "a2"]
    assert manager.alerts()["a2"]["annotations"]["state"] == "escalated"
    await after.deliver([opened("a1", 2, "resolved", after_ms=1)])
    await until(lambda: ("resolved", "a1") in notified(told))
    assert list(manager.alerts()) == ["a2"]
    await after.close()


async def test_with_another_owner_it_is_another_alert_and_the_one_before_ends(
    manager: Alertmanager, sink: AlertmanagerSink, told: Receiver
) -> None:
    await sink.deliver([opened(owner="ann")])
    await until(lambda: len(notified(told)) == 1)
    await sink.deliver([opened(sequence=2, owner="ben", after_ms=1_000)])
    await until(lambda: len(notified(told)) == 3)

    assert manager.alerts()["a1"]["labels"]["owner"] == "ben"
    assert sorted(notified(told)) == [("firing", "a1"), ("firing", "a1"), ("resolved", "a1")]


async def test_an_alert_that_is_forgotten_ends(manager: Alertmanager, sink: AlertmanagerSink, told: Receiver) -> None:
    await sink.deliver([opened("a1"), opened("a2")])
    await until(lambda: len(notified(told)) == 2)
    await sink.deliver([Forgotten("ada", "alert", "a1"), Forgotten("ada", "alert", "unknown")])
    await until(lambda: ("resolved", "a1") in notified(told))
    assert list(manager.alerts()) == ["a2"]


async def test_the_same_again_and_older_ones_change_nothing(manager: Alertmanager, sink: AlertmanagerSink) -> None:
    await sink.deliver([opened("a1"), opened("a2"), opened("a3", 2, "resolved")])
    await sink.deliver([opened("a1", 2, "resolved", after_ms=1)])
    assert list(manager.alerts()) == ["a2"]
    for again in ([opened("a1")], [opened("a3")], [opened("a2")], [opened("a1", 2, "resolved", after_ms=1)]):
        await sink.deliver(again)
        await sink.repeat()
        assert list(manager.alerts()) == ["a2"]


async def test_a_thousand_alerts_go_in_a_few_posts(manager: Alertmanager, sink: AlertmanagerSink) -> None:
    await sink.deliver([opened(f"a{number}") for number in range(1_200)])
    assert len(manager.alerts()) == 1_200
    await sink.repeat()
    assert len(manager.alerts()) == 1_200
