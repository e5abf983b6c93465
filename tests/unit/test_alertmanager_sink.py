"""The sink for Alertmanager where the real one never goes: it refuses, is down, or is slow. And what is posted of a record."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from alert_records import alert
from http_receiver import Got, Receiver, receiving

from schemas.decisions import AlertRecord
from schemas.instants import parse_instant
from schemas.secret import Secret
from sinks.alertmanager import AlertmanagerSink, AlertmanagerTerms
from sinks.alertmanager_alerts import postable
from sinks.base import Sink, SinkError, StandingSink
from sinks.http_calls import CallTerms
from sinks.redaction import Redaction


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def sink(receiver: Receiver) -> AsyncIterator[AlertmanagerSink]:
    made = sink_to(receiver)
    yield made
    await made.close()


def sink_to(receiver: Receiver, redaction: Redaction | None = None) -> AlertmanagerSink:
    call = CallTerms(Secret(receiver.url + "/"), allow=("127.0.0.1",))
    return AlertmanagerSink("pager", AlertmanagerTerms(call, redaction or Redaction()), lambda record: record.state)


def step(alert_id: str, sequence: int = 1, state: str = "opened", **more: Any) -> AlertRecord:
    return msgspec.structs.replace(alert(state), alert_id=alert_id, sequence=sequence, at_ms=sequence, **more)


def posted(receiver: Receiver) -> list[list[tuple[str, str]]]:
    """What each post says of which alerts."""
    return [[(one["labels"]["alert_id"], one["annotations"]["state"]) for one in json.loads(got.body)] for got in receiver.got]


def refusing(got: Got) -> web.StreamResponse:
    return web.Response(status=400, text="bad label") if b'"bad' in got.body else web.Response()


def down(_: Got) -> web.StreamResponse:
    return web.Response(status=503)


async def test_it_is_a_standing_sink_and_posts_below_the_address_that_it_is_given(receiver: Receiver) -> None:
    sink: Sink = sink_to(receiver)
    assert isinstance(sink, StandingSink)
    await sink.deliver([step("a")])
    await sink.close()
    assert receiver.got[0].path == "/hook/api/v2/alerts"


async def test_of_a_batch_the_last_word_on_each_alert_is_posted(receiver: Receiver, sink: AlertmanagerSink) -> None:
    await sink.deliver([step("a"), step("b"), step("a", 2, "acked"), step("b", 2, "resolved"), step("c", 1, "warned")])
    await sink.repeat()
    assert posted(receiver) == [[("a", "acked"), ("b", "resolved")], [("a", "acked")]]


async def test_what_is_refused_is_named_is_not_repeated_and_all_others_are_taken(
    receiver: Receiver, sink: AlertmanagerSink
) -> None:
    receiver.answers = refusing
    with pytest.raises(SinkError) as caught:
        await sink.deliver([step("a"), step("bad"), step("b"), step("bad2"), step("a", 2, "acked")])
    assert (caught.value.retryable, caught.value.refused) == (False, (1, 3))
    assert "400 (bad label)" in str(caught.value)

    receiver.got.clear()
    await sink.repeat()
    assert posted(receiver) == [[("a", "acked"), ("b", "opened")]]


async def test_while_alertmanager_is_down_nothing_counts_as_told(receiver: Receiver, sink: AlertmanagerSink) -> None:
    await sink.deliver([step("a")])
    receiver.answers = down
    for failing in (sink.deliver([step("a", 2, "resolved"), step("b")]), sink.repeat()):
        with pytest.raises(SinkError) as caught:
            await failing
        assert caught.value.retryable

    receiver.answers, receiver.got = (lambda _: web.Response()), []
    await sink.repeat()
    await sink.deliver([step("a", 2, "resolved"), step("b")])
    await sink.repeat()
    assert posted(receiver) == [[("a", "opened")], [("a", "resolved"), ("b", "opened")], [("b", "opened")]]


async def test_a_repetition_never_overtakes_an_end(receiver: Receiver, sink: AlertmanagerSink) -> None:
    arrived, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Got) -> web.StreamResponse:
        arrived.set()
        await goes_on.wait()
        return web.Response()

    await sink.deliver([step("a"), step("b")])
    receiver.answers, receiver.got = slow, []
    ending = asyncio.create_task(sink.deliver([step("a", 2, "resolved")]))
    await arrived.wait()
    repeating = asyncio.create_task(sink.repeat())
    await asyncio.sleep(0.02)
    goes_on.set()
    await asyncio.gather(ending, repeating)
    assert posted(receiver) == [[("a", "resolved")], [("b", "opened")]]


async def test_of_those_that_ended_the_last_ten_thousand_are_known_and_no_more(
    receiver: Receiver, sink: AlertmanagerSink
) -> None:
    await sink.deliver([step(f"a{number}", 2, "resolved") for number in range(10_001)])
    receiver.got.clear()
    await sink.deliver([step("a1"), step("a10000")])
    assert receiver.got == []
    await sink.deliver([step("a0")])
    assert posted(receiver) == [[("a0", "opened")]]


async def test_nothing_open_means_no_call(receiver: Receiver, sink: AlertmanagerSink) -> None:
    await sink.repeat()
    await sink.deliver([step("a", 1, "warned")])
    assert receiver.got == []


async def test_what_is_left_out_is_neither_label_nor_annotation(receiver: Receiver) -> None:
    sink = sink_to(receiver, Redaction(frozenset({"owner", "note"}), Secret("k")))
    record = step("a", customer_id="ada@example.com", owner="mia", note="will cancel", tier="gold")
    await sink.resume([record])
    await sink.repeat()
    await sink.deliver([msgspec.structs.replace(record, sequence=2)])
    await sink.close()
    for got in receiver.got:
        assert b"gold" in got.body
        assert not [text for text in (b"ada@", b"mia", b"will cancel") if text in got.body]


# --- What is posted


def test_an_alert_that_ends_before_it_was_due_starts_no_later_than_it_ends() -> None:
    # It was warned of, and met.
    met = postable(msgspec.structs.replace(alert("resolved"), at_ms=5, due_ms=9), str, "")
    assert parse_instant(met["startsAt"]) == parse_instant(met["endsAt"]) == 5


def test_texts_are_cut_and_ids_in_links_are_quoted() -> None:
    record = msgspec.structs.replace(alert(), note="n" * 5_000, customer_id="a/b&c")
    made = postable(record, lambda _: "w" * 5_000, "https://grafana/?c={customer_id}&a={alert_id}")
    assert {name: len(text) for name, text in made["annotations"].items()} == {"summary": 1_000, "note": 1_000, "state": 6}
    assert made["generatorURL"] == "https://grafana/?c=a%2Fb%26c&a=a"


def test_an_alert_about_a_feed_says_which() -> None:
    labels = postable(msgspec.structs.replace(alert(), customer_id=None, feed="orders"), str, "")["labels"]
    assert (labels["feed"], "customer_id" in labels) == ("orders", False)
