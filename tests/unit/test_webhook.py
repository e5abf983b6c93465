"""The webhook sink against a receiver on a real socket: what it sends, that it is believed, and what happens if it fails."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from alert_records import alert
from cloudevents.core.bindings.http import HTTPMessage, from_binary_event
from http_receiver import Got, Receiver, receiving

from schemas.codec import decode_decision
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from schemas.secret import Secret
from sinks.base import Delivery, Forgotten, SinkError
from sinks.http_calls import CallTerms
from sinks.redaction import Redaction
from sinks.webhook import WebhookSink, WebhookTerms, key_of
from streams.door_signatures import Delivery as Request
from streams.door_signatures import Verifier
from streams.door_terms import DoorTerms

NOW_MS = 1_770_000_000_789
OLD, NEW = (Secret("whsec_" + base64.b64encode(bytes([number]) * 32).decode()) for number in (1, 2))
RISK = RiskRecord(customer_id="c", sequence=12, at_ms=5, probability=0.5, band="high", basis="model")
STAGE = LifecycleRecord(customer_id="客户 %1", sequence=3, at_ms=6, stage="active", cause="order")


def sink_to(receiver: Receiver, *secrets: Secret, redaction: Redaction | None = None) -> WebhookSink:
    call = CallTerms(Secret(receiver.url), allow=("127.0.0.1",))
    return WebhookSink(
        "erp", WebhookTerms(call, secrets or (NEW,), redaction or Redaction()), "/churnwatch/shop", lambda: NOW_MS
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


def numbered(sequence: int, alert_id: str = "a") -> AlertRecord:
    return msgspec.structs.replace(alert(), sequence=sequence, alert_id=alert_id)


async def told(receiver: Receiver, *records: Delivery, **more: Any) -> list[Got]:
    sink = sink_to(receiver, **more)
    try:
        await sink.deliver(records)
    finally:
        await sink.close()
    return receiver.got


async def test_each_record_is_a_cloud_event_of_its_own(receiver: Receiver) -> None:
    records: list[Delivery] = [numbered(1), RISK, STAGE]
    got = await told(receiver, *records)

    assert [decode_decision(one.body) for one in got] == records
    first, _, last = (from_binary_event(HTTPMessage(dict(one.headers), one.body)) for one in got)
    assert (first.get_id(), first.get_type(), first.get_specversion()) == ("a/1", "churnwatch.alert.opened", "1.0")
    assert (first.get_source(), first.get_extension("sequence")) == ("/churnwatch/shop", "0000000000000001")
    assert first.get_data() == msgspec.json.decode(got[0].body)
    assert (last.get_subject(), last.get_id()) == ("客户 %1", "stage/客户 %1/6/3")
    assert got[0].headers["Content-Type"] == "application/json"
    assert got[0].headers["webhook-id"] == "a/1"


async def test_the_door_believes_what_the_webhook_signs(receiver: Receiver) -> None:
    got = await told(receiver, numbered(1), STAGE)
    for one in got:
        request = Request(one.headers, {}, one.body)
        assert fault(request, NEW) is None
        assert "another" in (fault(request, OLD) or "")
        assert "wrong" in (fault(Request({**one.headers, "webhook-id": "b/1"}, {}, one.body), NEW) or "")
        assert "wrong" in (fault(Request(one.headers, {}, one.body + b" "), NEW) or "")
        assert "another time" in (fault(request, NEW, NOW_MS + 301_000) or "")


async def test_while_a_secret_changes_both_are_good(receiver: Receiver) -> None:
    sink = sink_to(receiver, NEW, OLD)
    await sink.deliver([numbered(1)])
    await sink.close()
    request = Request(receiver.got[0].headers, {}, receiver.got[0].body)
    assert (fault(request, NEW), fault(request, OLD)) == (None, None)


def fault(request: Request, secret: Secret, now_ms: int = NOW_MS) -> str | None:
    return Verifier(DoorTerms("standard-webhooks"), [secret.reveal()]).fault(request, now_ms)


async def test_the_same_record_again_has_the_same_id_and_body(receiver: Receiver) -> None:
    first, again = await told(receiver, numbered(7), numbered(7))
    assert (first.body, first.headers["webhook-id"]) == (again.body, again.headers["webhook-id"])


async def test_what_is_left_out_is_in_no_header_either(receiver: Receiver) -> None:
    record = msgspec.structs.replace(numbered(1), customer_id="ada@example.com", owner="ann", note="will cancel")
    (got,) = await told(receiver, record, redaction=Redaction(frozenset({"owner", "note"}), Secret("k")))
    seen = repr(got)
    assert not [text for text in ("ada@", "ann", "will cancel") if text in seen]


async def test_what_is_no_record_is_passed_over(receiver: Receiver) -> None:
    assert await told(receiver, Forgotten("c", "alert", "a")) == []


async def test_no_id_can_add_a_header(receiver: Receiver) -> None:
    nasty = msgspec.structs.replace(numbered(1), alert_id="a\r\nX-Evil: 1", customer_id="c\r\nX-Evil: 1")
    (got,) = await told(receiver, nasty)
    assert "X-Evil" not in got.headers
    assert got.headers["webhook-id"] == "a%0D%0AX-Evil:%201/1"


async def test_records_arrive_one_after_the_other_in_their_order(receiver: Receiver) -> None:
    under_way = 0

    async def one_at_a_time(_: Got) -> web.StreamResponse:
        nonlocal under_way
        under_way += 1
        await asyncio.sleep(0.01)
        assert under_way == 1
        under_way -= 1
        return web.Response()

    receiver.answers = one_at_a_time
    records = [numbered(sequence, alert_id) for sequence in range(1, 4) for alert_id in "ab"]
    got = await told(receiver, *records)
    assert [one.headers["webhook-id"] for one in got] == [
        f"{alert_id}/{sequence}" for sequence in (1, 2, 3) for alert_id in "ab"
    ]


async def test_what_is_refused_is_named_and_all_others_are_taken(receiver: Receiver) -> None:
    receiver.answers = refusing({"a/2", "a/4"})
    with pytest.raises(SinkError) as caught:
        await told(receiver, numbered(1), numbered(2), Forgotten("c", "risk"), numbered(3), numbered(4), numbered(5))

    assert (caught.value.retryable, caught.value.refused) == (False, (1, 4))
    assert "400 (no)" in str(caught.value)
    assert [one.headers["webhook-id"] for one in receiver.got] == [f"a/{sequence}" for sequence in range(1, 6)]


async def test_a_receiver_that_is_down_gets_nothing_more_and_later_everything(receiver: Receiver) -> None:
    records = [numbered(sequence) for sequence in range(1, 4)]
    receiver.answers = failing_at("a/2")
    with pytest.raises(SinkError) as caught:
        await told(receiver, *records)
    assert caught.value.retryable
    assert [one.headers["webhook-id"] for one in receiver.got] == ["a/1", "a/2"]

    receiver.answers = lambda _: web.Response()
    await told(receiver, *records)
    assert {one.headers["webhook-id"] for one in receiver.got} == {"a/1", "a/2", "a/3"}


@pytest.mark.parametrize("secret", ["whsec_!!", "pässword", "whsec_" + base64.b64encode(b"short").decode(), ""])
def test_a_secret_that_is_none_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at
        key_of(Secret(secret, "file:/run/secrets/erp"))
    assert not secret or secret not in str(caught.value)


def refusing(ids: set[str]) -> Callable[[Got], web.StreamResponse]:
    return lambda got: web.Response(status=400, text="no") if got.headers["webhook-id"] in ids else web.Response()


def failing_at(webhook_id: str) -> Callable[[Got], web.StreamResponse]:
    return lambda got: web.Response(status=503 if got.headers["webhook-id"] == webhook_id else 200)
