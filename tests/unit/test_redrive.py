"""A record that comes again out of the dead letters: read as at its first position, and no duplicate of itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from engine_run import EngineRun, absence, order, rule_set, tick

from schemas.codec import decode_record, encode
from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from schemas.events import AlertAcked, Event, SourcePosition
from schemas.instants import DAY_MS
from streams.dead_letters import MAX_HEADER_BYTES, dead_letter_row, letter_in, stored_letter
from streams.mapping import parse_mapping
from streams.redrive import first_topic, redrive_row, route_redriven
from streams.routing import Forward, Terms, route
from streams.source_terms import with_mapping
from streams.sources import REDRIVE_FEED, Source
from streams.topics import MAX_VALUE_BYTES
from streams.transactions import Row

ORDER = {"type": "order.placed", "id": "o1", "customer_id": "ada", "at_ms": 5_000, "order_id": "o1", "amount": 9.5}


@dataclass
class Arrived:
    value: bytes | None
    topic: str = "orders"
    partition: int = 3
    offset: int = 17
    timestamp: int = 7_000
    headers: Sequence[tuple[str, bytes]] = ()


def refuses(_row: dict[str, Any], _position: str) -> list[dict[str, Any]]:
    raise ContractError("no_customer", "the column CustomerID is empty")


def by_position(row: dict[str, Any], position: str) -> list[dict[str, Any]]:
    return [{**ORDER, "id": f"{position}#{index}", "at_ms": row["at"]} for index in range(2)]


def terms(translate: Any = None, **changes: Any) -> Terms:
    return Terms(Source("orders", "orders"), 4, translate, epoch=2, **changes)


def sources(of_orders: Terms) -> dict[str, Terms]:
    return {"orders": of_orders, "t.redrive": Terms(Source("t.redrive", REDRIVE_FEED), 4)}


def as_record(row: Row, topic: str, offset: int) -> Arrived:
    return Arrived(row.value, topic, 0, offset, timestamp=9_000_000, headers=row.headers)


def refused(record: Arrived, on: Terms) -> DeadLetter:
    """The letter of a record, as it is read out of `churn.deadletters` again."""
    found = route(record, on)
    assert isinstance(found, DeadLetter)
    return letter_in(as_record(dead_letter_row(found), "t.deadletters", 4))


def redriven(letter: DeadLetter, on: Terms, offset: int = 40) -> Forward | DeadLetter:
    return route_redriven(as_record(redrive_row(letter), "t.redrive", offset), sources(on))


def events(found: Forward | DeadLetter) -> list[Event]:
    assert isinstance(found, Forward), found
    read = [decode_record(written.value) for written in found.records]
    return [event for event in read if isinstance(event, Event)]


# --- ingest


def test_after_a_mend_it_leads_to_what_it_would_have_led_to_at_its_first_position() -> None:
    record = Arrived(b'{"at": 5000}')
    at_first = events(route(record, terms(by_position)))
    again = events(redriven(refused(record, terms(refuses)), terms(by_position)))

    assert [event.id for event in again] == ["orders/3/17#0", "orders/3/17#1"]
    assert [event.origin for event in again] == [event.src for event in at_first]
    assert [event.src for event in again] == [SourcePosition("t.redrive", 0, 0, 40, index) for index in (0, 1)]
    assert [msgspec.structs.replace(event, src=event.origin, origin=None) for event in again] == at_first


def test_its_own_headers_and_the_brokers_first_time_come_back_with_it() -> None:
    record = Arrived(b"{", headers=[("ce_type", b"order"), ("ce_type", b"twice"), ("topic", b"none of ours"), ("e", b"")])
    seen = refused(record, terms())
    again = redriven(seen, terms())

    assert isinstance(again, DeadLetter)
    assert list(again.headers) == record.headers
    assert (again.topic, again.timestamp_ms, again.epoch) == ("orders", 7_000, 2)
    #  first record  7_000    event  8_000: more ahead of it than 500 ms, however late it is redriven
    ahead = redriven(refused(Arrived(b"{"), terms()), terms())
    assert isinstance(ahead, DeadLetter)
    late = msgspec.structs.replace(ahead, value=json.dumps(ORDER | {"at_ms": 8_000}).encode())
    found = redriven(late, terms(max_ahead_ms=500))
    assert isinstance(found, DeadLetter)
    assert found.reason == "too_far_ahead"


def test_a_record_without_a_value_comes_back_without_one() -> None:
    letter = refused(Arrived(None), terms())

    assert letter.value is None
    found = redriven(letter, terms())
    assert isinstance(found, DeadLetter)
    assert found.reason == "no_value"


def test_what_fails_again_is_a_dead_letter_of_the_first_position_again() -> None:
    record = Arrived(b'{"at": 5000}')
    first = refused(record, terms(refuses))
    second = redriven(first, terms(refuses), offset=40)
    assert isinstance(second, DeadLetter)
    read = letter_in(as_record(dead_letter_row(second), "t.deadletters", 9))

    assert msgspec.structs.replace(read, redriven=None) == first
    assert (first.redriven, read.redriven) == (None, 40)
    assert [event.origin for event in events(redriven(read, terms(by_position), offset=41))] == [
        SourcePosition("orders", 2, 3, 17, index) for index in (0, 1)
    ]


def test_the_epoch_of_the_first_position_stays_when_the_topic_was_made_again_since() -> None:
    letter = refused(Arrived(b'{"at": 5000}'), terms(refuses))
    made_again = Terms(Source("orders", "orders"), 4, by_position, epoch=3)

    assert {event.origin.epoch for event in events(redriven(letter, made_again)) if event.origin} == {2}


def test_a_record_of_a_topic_that_is_no_source_any_more_is_a_dead_letter_again() -> None:
    letter = msgspec.structs.replace(refused(Arrived(b"{"), terms()), topic="shop")
    found = redriven(letter, terms())

    assert isinstance(found, DeadLetter)
    assert (found.reason, found.topic, found.offset, found.redriven) == ("unknown_source", "shop", 17, 40)


@pytest.mark.parametrize("stage", ["deliver", "import"])
def test_what_others_refused_is_no_source_record(stage: Any) -> None:
    found = redriven(msgspec.structs.replace(refused(Arrived(b"{"), terms()), stage=stage), terms())

    assert isinstance(found, DeadLetter)
    assert (found.reason, found.stage) == ("not_redrivable", stage)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"stage": b"ingest"},
        {"stage": b"guess", "topic": b"orders", "partition": b"0", "offset": b"1"},
        {"stage": b"ingest", "topic": b"orders", "partition": b"-1", "offset": b"1"},
        {"stage": b"ingest", "topic": b"orders", "partition": b"0", "offset": b"9" * 40},
        {"stage": b"ingest", "topic": b"orders", "partition": b"0", "offset": "٣".encode()},
    ],
)
def test_a_record_that_does_not_say_where_it_stood_first_is_a_dead_letter_of_its_own_place(headers: dict[str, bytes]) -> None:
    record = Arrived(b"{}", "t.redrive", 0, 40, headers=list(headers.items()))
    found = route_redriven(record, sources(terms()))

    assert isinstance(found, DeadLetter)
    assert (found.reason, found.topic, found.offset) == ("bad_place", "t.redrive", 40)


def test_a_record_cannot_name_its_origin_itself() -> None:
    (event,) = events(route(Arrived(json.dumps(ORDER | {"origin": ["x", 0, 0, 1, 0]}).encode()), terms()))

    assert event.origin is None


# --- how it is stored


def test_what_is_too_long_for_the_topic_is_left_out_and_said() -> None:
    long = msgspec.structs.replace(refused(Arrived(b"{"), terms()), value=b"x" * (MAX_VALUE_BYTES + 1))
    many = msgspec.structs.replace(long, value=b"{", headers=(("h", b"x" * MAX_HEADER_BYTES),))
    cut, bare = (stored_letter(as_record(dead_letter_row(letter), "t.deadletters", 4)) for letter in (long, many))

    assert (cut.whole, cut.length, cut.letter.value) == (False, MAX_VALUE_BYTES + 1, b"x" * MAX_VALUE_BYTES)
    assert (bare.whole, bare.headers_left_out, bare.letter.headers) == (False, len("source.h") + MAX_HEADER_BYTES + 8, ())
    assert stored_letter(as_record(dead_letter_row(refused(Arrived(b"{"), terms())), "t.deadletters", 4)).whole


# --- detect


def again_of(letter: DeadLetter, offset: int) -> Event:
    stored = letter_in(as_record(dead_letter_row(letter), "t.deadletters", 4))
    (event,) = events(redriven(stored, terms(), offset))
    return event


def test_an_event_of_a_type_that_was_not_known_comes_in_once_it_is() -> None:
    known = msgspec.structs.replace(order(0), src=SourcePosition("orders", 2, 3, 17, 1))
    of_tomorrow = DeadLetter(
        value=encode(known), reason="unknown_type", message="", stage="detect", topic="t.events", partition=0, offset=5
    )
    event = again_of(of_tomorrow, 40)

    assert (event.src, event.origin) == (SourcePosition("t.redrive", 0, 0, 40, 1), known.src)
    assert msgspec.structs.replace(event, src=known.src, origin=None) == known
    refused_again = again_of(msgspec.structs.replace(of_tomorrow, value=encode(event), offset=9), 41)
    assert refused_again.origin == known.src


def test_an_action_that_was_refused_is_no_duplicate_of_itself() -> None:
    run = EngineRun(rule_set(absence(90))).feed(order(0))
    alert_id = EngineRun(rule_set(absence(90))).feed(order(0), tick(90)).alerts[0].alert_id
    early = AlertAcked(
        id="a", customer_id="ann", at_ms=80 * DAY_MS, alert_id=alert_id, by="eve", src=SourcePosition("actions", 0, 0, 1)
    )
    run.feed(early)
    (letter,) = run.decisions[-1].dead_letters
    assert letter.reason == "alert_unknown"
    event = again_of(letter, 40)
    assert isinstance(event, AlertAcked)
    assert run.feed(tick(90), event).told == ["opened@90", "acked@80"]


def test_a_redriven_event_takes_back_the_alert_that_its_absence_led_to() -> None:
    #  order          refused            alert    redriven
    #  0 ------------ 50 --------------- 90 ----- 100
    first, missed = (
        msgspec.structs.replace(order(day), src=SourcePosition("orders", 0, 0, offset)) for offset, day in ((16, 0), (17, 50))
    )
    later = msgspec.structs.replace(order(51, customer="bob"), src=SourcePosition("orders", 0, 0, 18))
    again = msgspec.structs.replace(missed, src=SourcePosition("t.redrive", 0, 0, 3), origin=missed.src)
    run = EngineRun(rule_set(absence(90))).feed(first, later, tick(100), again)
    assert run.told == ["opened@90", "retracted@50"]

    run.feed(tick(145))
    (evidence,) = run.alerts[2].evidence
    assert evidence.src == missed.src


def test_an_event_that_is_in_already_is_a_duplicate_by_its_id_when_it_is_redriven() -> None:
    once = msgspec.structs.replace(order(0), src=SourcePosition("orders", 0, 0, 17))
    again = msgspec.structs.replace(once, src=SourcePosition("t.redrive", 0, 0, 3), origin=once.src)
    run = EngineRun(rule_set(absence(90, min_count=2))).feed(once, again, tick(100))
    assert run.told == []
    assert run.customer().counts["order.placed"] == 1


def test_a_redriven_record_keeps_its_headers_and_its_form() -> None:
    #  a CloudEvent whose attributes stand in headers: refused for want of a rate, redriven when the mapping has one
    text = """\
record: {format: cloudevents}
events: [{type: order.placed, id: id, customer_id: subject, at: time, order_id: id,
          amount: {column: data.sum, currency: data.in, rates: RATES}}]
"""
    attributes = {"id": "7", "source": "/shop", "type": "paid", "specversion": "1.0", "subject": "ann"}
    headers = [(f"ce_{name}", value.encode()) for name, value in (attributes | {"time": "2026-03-01T00:00:00Z"}).items()]
    broken, mended = (
        with_mapping(terms(), parse_mapping(text.replace("RATES", rates).encode()))
        for rates in ("{EUR: 1}", "{EUR: 1, USD: 0.5}")
    )
    letter = refused(Arrived(b'{"sum": 8, "in": "USD"}', headers=headers), broken)
    again = as_record(redrive_row(letter), "t.redrive", 0)

    assert (letter.reason, first_topic(again)) == ("unknown_currency", "orders")
    found = route_redriven(again, sources(mended))
    assert isinstance(found, Forward)
    (event,) = (json.loads(written.value) for written in found.records)
    assert (event["customer_id"], event["amount"], event["origin"]) == ("ann", 4, ["orders", 2, 3, 17, 0])
