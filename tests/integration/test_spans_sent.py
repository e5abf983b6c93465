"""One trace through everything: a webhook at the door, its event, its alert, a webhook that leaves, the read model."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from detect_log import new_installation, until
from door_run import signed, topics_of, url, with_door
from engine_run import order
from http_receiver import Got, receiving
from otlp_receiver import Collector, collecting
from valkey_server import running_valkey

from schemas.codec import encode
from streams.dispatch import dispatch_of
from streams.dispatch_lane import Lane
from streams.rules_command import publish
from streams.settings import Settings
from streams.worker import Roles, running_roles

pytestmark = pytest.mark.kafka

TRACE = "00-0af7651916cd43dd8448eb211c80319c-{span}-{flags}"
FIRST, SECOND, UNREADABLE = (TRACE.format(span=digit * 16, flags="01") for digit in "123")
NOT_KEPT = TRACE.format(span="4" * 16, flags="00")
RULES = """\
version: "1"
tenant: shop
rules: [{id: big, kind: count, of: [order.placed], at_least: 2, within: P30D}]
"""
ROUTES = """\
destinations:
  crm: {{kind: webhook, url: '{crm}', secret: 'env:KEY', allow: [127.0.0.1]}}
  erp: {{kind: webhook, url: '{erp}', secret: 'env:KEY', allow: [127.0.0.1]}}
routes: [{{to: [crm, erp]}}]
"""


@pytest.fixture
def settings(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    monkeypatch.setenv("KEY", "whsec_" + base64.b64encode(b"k" * 32).decode())
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    with running_valkey() as redis_url:
        made = new_installation(
            bootstrap,
            unique("spans"),
            partitions=1,
            clock="event",
            heartbeat_ms=50,
            tick_ms=50,
            redis_url=redis_url,
            tracing=True,
        )
        publish(tmp_path / "rules.yaml", made, "test")
        yield with_door(made.model_copy(update={"routes": tmp_path / "routes.yaml"}), tmp_path)


async def test_what_a_webhook_led_to_is_one_trace(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, log = topics_of(settings)[0], settings.topic("events")
    taken, kept = {f"door {shop}", f"ingest {shop}"}, {"deliver crm", "deliver erp", "deliver redis"}
    async with receiving() as crm, receiving(never) as erp, collecting(monkeypatch) as collector:
        assert settings.routes is not None
        settings.routes.write_text(ROUTES.format(crm=crm.url, erp=erp.url), encoding="utf-8")
        async with running_roles(settings, ["door", "ingest", "clock", "detect", "deliver"]) as roles:
            await until(lambda: [bool(lane.offsets) for lane in lanes_of(roles)] == [True, True])
            #  ada, who has an alert with the second    bob, of no sampled trace    nobody: it cannot be read
            await post(settings, encode(order(0, "ada")), FIRST)
            await post(settings, encode(order(1, "ada")), SECOND)
            await post(settings, encode(order(2, "bob")), NOT_KEPT)
            await post(settings, b"{", UNREADABLE)
            await until(lambda: names(collector, SECOND) >= kept and names(collector, UNREADABLE) == taken)

        assert names(collector, FIRST) >= taken | {f"detect {log}"}
        assert "deliver crm" not in names(collector, FIRST)
        assert names(collector, SECOND) == taken | {f"detect {log}"} | kept
        assert names(collector, NOT_KEPT) == set()
        faults = {span.name: span.fault for span in collector.spans() if span.fault is not None}
        assert faults == {f"ingest {shop}": "bad_json", "deliver erp": faults["deliver erp"]}
        assert "400" in faults["deliver erp"]
    (told,) = crm.got
    assert told.headers["traceparent"] == told.headers["ce-traceparent"] == SECOND


def never(_: Got) -> web.Response:
    return web.Response(status=400)


def lanes_of(roles: Roles) -> list[Lane]:
    return list(dispatch_of(roles.apps["deliver-dispatch"]).lanes.values())


async def post(settings: Settings, body: bytes, traceparent: str) -> None:
    headers = {**signed(body), "traceparent": traceparent}
    async with aiohttp.ClientSession() as session, session.post(url(settings), data=body, headers=headers) as answer:
        assert answer.status == 202


def names(collector: Collector, traceparent: str) -> set[str]:
    """Of the spans under one."""
    return {span.name for span in collector.spans() if span.traceparent == traceparent}
