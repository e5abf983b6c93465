"""The mappings of other systems' records, each with records as their makers publish them: which events they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from real_data import MAPPINGS

from schemas.codec import decode_record
from schemas.decisions import DeadLetter
from schemas.events import Event
from schemas.instants import format_instant
from streams.mapping import load_mapping
from streams.routing import Terms, route
from streams.source_terms import with_mapping
from streams.sources import Source

SAMPLES = Path(__file__).parents[1] / "mappings_samples"
IGNORED = "ignored"
SHOWN = {"type", "id", "customer_id", "at_ms", "src"}

PICTURES = {
    "shopify_orders": [
        "order.placed 115310627314723954 2026-02-01T00:00:00Z channel=web order_id=820982911946154508 amount=398.0",
        "order.placed 115310627314723954 2026-02-01T00:00:00Z channel=web order_id=820982911946154509 amount=108.0",
        IGNORED,  # a guest's
        IGNORED,  # a test
        "unknown_currency",  # yen, of which the mapping has no rate
        "order.corrected 115310627314723954 2026-02-03T14:00:00Z order_id=820982911946154508 amount=199.0",
        "order.cancelled 115310627314723954 2026-02-04T15:00:00Z order_id=820982911946154508",
        "order.cancelled 115310627314723954 2026-02-04T15:00:00Z order_id=820982911946154508",  # the same once more
        IGNORED,
        "bad_time",
    ],
    "zendesk_tickets": [
        "ticket.opened 8447388090494 2026-01-08T10:12:07.672Z ticket_id=5158 priority=high category=question team=844732",
        "ticket.replied 8447388090494 2026-01-08T10:40:00.100Z ticket_id=5158 by=agent public=False",
        "ticket.replied 8447388090494 2026-01-08T11:02:30Z ticket_id=5158 by=agent",
        "ticket.updated 8447388090494 2026-01-08T11:02:30Z ticket_id=5158 status=pending",
        "ticket.replied 8447388090494 2026-01-08T12:00:00Z ticket_id=5158 by=customer",
        "ticket.updated 8447388090494 2026-01-08T12:05:00Z ticket_id=5158 priority=urgent",
        "ticket.updated 8447388090494 2026-01-08T12:05:01Z ticket_id=5158 team=844799",
        IGNORED,  # tags
        "ticket.resolved 8447388090494 2026-01-09T09:00:00Z ticket_id=5158",
        "ticket.closed 8447388090494 2026-01-13T09:00:00Z ticket_id=5158",
        IGNORED,  # archived
        "bad_field",  # a priority that Zendesk does not have
    ],
    "segment": [
        "customer.updated 97980cfea0067 2026-03-01T08:00:00Z tier=premium org=initech",
        "customer.updated 97980cfea0067 2026-03-01T08:00:01Z tier=enterprise org=0e8c78ea9d97a7b8185e8632",
        "login.succeeded 97980cfea0067 2026-03-01T08:00:02Z channel=analytics.js",
        IGNORED,  # a page
        "usage.recorded 97980cfea0067 2026-03-01T08:01:00Z feature=Product Viewed",
        "usage.recorded 97980cfea0067 2026-03-01T08:02:00Z feature=export count=3",
        "order.placed 97980cfea0067 2026-03-01T08:05:00.123Z channel=analytics.js order_id=50314b8e9bcf0 amount=27.5",
        "order.corrected 97980cfea0067 2026-03-02T09:00:00Z channel=analytics.js order_id=50314b8e9bcf0 amount=24.5",
        "order.returned 97980cfea0067 2026-03-03T09:00:00Z channel=analytics.js order_id=50314b8e9bcf0 amount=21.6",
        "order.cancelled 97980cfea0067 2026-03-04T09:00:00Z channel=analytics.js order_id=50314b8e9bcf0 amount=27.5",
        IGNORED,  # a coupon
        IGNORED,  # nobody's
        "bad_number",
    ],
    "jiandaoyun_orders": [
        "order.placed 客户0017 2026-04-01T02:00:00Z order_id=5b2cba8d8ab1b50b8d8e1c5f amount=1280.5",
        "order.corrected 客户0017 2026-04-01T02:11:10Z order_id=5b2cba8d8ab1b50b8d8e1c5f amount=1200.0",
        "order.cancelled 客户0017 2026-04-01T02:12:10Z order_id=5b2cba8d8ab1b50b8d8e1c5f",
        "order.placed 客户0017 2026-04-01T02:00:00Z order_id=5b2cba8d8ab1b50b8d8e1c5f amount=1280.5",
        IGNORED,  # of the form
        "no_customer",
    ],
    "debezium_orders": [
        "order.placed c17 2026-05-01T10:00:00.123Z order_id=1000 amount=123.45",  # of the first snapshot
        "order.placed c17 2026-05-01T10:00:00.123Z order_id=1001 amount=49.9",  # in an envelope with its schema
        "order.corrected c17 2026-05-01T10:00:02.200Z order_id=1001 amount=39.9",
        "order.cancelled c17 2026-05-01T10:00:03.200Z order_id=1001",
        IGNORED,  # the row goes, and was cancelled before
        IGNORED,  # the tombstone that follows it
        "order.cancelled c17 2026-05-01T10:00:05.200Z order_id=1000",
        IGNORED,  # a guest's
        IGNORED,  # the table is emptied
        "bad_number",
        "no_customer",  # without the row as it was, for its replica identity is not full
    ],
}


@dataclass
class Arrived:
    value: bytes | None
    offset: int
    topic: str = "raw"
    partition: int = 0
    timestamp: int = -1
    headers: Sequence[tuple[str, bytes]] = ()


def records_of(name: str) -> Iterator[Arrived]:
    """One a line; `null` is a record without a value."""
    for offset, line in enumerate((SAMPLES / f"{name}.jsonl").read_bytes().splitlines()):
        yield Arrived(None if line == b"null" else line, offset)


def drawn(event: Event) -> str:
    """What the mapping gave it."""
    named = {name: value for name, value in msgspec.structs.asdict(event).items() if name not in SHOWN}
    defaults = {field.encode_name: field.default for field in msgspec.structs.fields(event)}
    said = [f"{name}={value}" for name, value in named.items() if value != defaults[name]]
    return " ".join([event.type, event.customer_id, format_instant(event.at_ms), *said])


def pictured(record: Arrived, terms: Terms) -> str:
    found = route(record, terms)
    if isinstance(found, DeadLetter):
        assert found.value == (record.value or b"")
        return found.reason
    events = [decode_record(written.value) for written in found.records]
    return "; ".join(drawn(event) for event in events if isinstance(event, Event)) or IGNORED


@pytest.mark.parametrize("name", PICTURES)
def test_each_record_becomes_the_events_that_it_means_or_says_what_is_wrong(name: str) -> None:
    path = MAPPINGS / f"{name}.yaml"
    terms = with_mapping(Terms(Source("raw", "feed", path), partitions=1), load_mapping(path))
    assert [pictured(record, terms) for record in records_of(name)] == PICTURES[name]


@pytest.mark.parametrize("name", PICTURES)
def test_the_samples_show_what_is_left_out_and_what_is_broken(name: str) -> None:
    assert IGNORED in PICTURES[name]
    assert [picture for picture in PICTURES[name] if picture.startswith(("bad_", "no_", "unknown_"))]


def test_every_sample_has_its_mapping_and_its_picture() -> None:
    assert {path.stem for path in SAMPLES.glob("*.jsonl")} == set(PICTURES)
    assert {path.stem for path in MAPPINGS.glob("*.yaml")} >= set(PICTURES)
