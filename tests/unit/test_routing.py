"""What becomes of a source record: the exact bytes for the log, or a dead letter with the exact reason."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from streams.dead_letters import dead_letter_row
from streams.routing import WATERMARK_HEADER, Forward, Terms, log_partition, route
from streams.sources import Source
from streams.topics import MAX_VALUE_BYTES

BROKER_MS = 1_700_000_000_000


@dataclass
class Arrived:
    value: bytes | None
    timestamp: int = BROKER_MS
    headers: Sequence[tuple[str, bytes]] = ()
    topic: str = "orders"
    partition: int = 3
    offset: int = 17


def order(**changes: Any) -> dict[str, Any]:
    event = {"type": "order.placed", "id": "o1", "customer_id": "ada", "at_ms": 1_000, "order_id": "o1", "amount": 9.5}
    return {name: value for name, value in (event | changes).items() if value is not ...}


def terms(**changes: Any) -> Terms:
    given: dict[str, Any] = {"source": Source("orders", "orders"), "partitions": 4, "max_ahead_ms": 60_000}
    return Terms(**(given | changes))


def routed(value: Any, given: Terms | None = None) -> Forward | DeadLetter:
    return route(Arrived(value if isinstance(value, bytes) else json.dumps(value).encode()), given or terms())


def forwarded(value: Any, given: Terms | None = None) -> Forward:
    found = routed(value, given)
    assert isinstance(found, Forward), found
    return found


def refused(value: Any, given: Terms | None = None) -> DeadLetter:
    found = routed(value, given)
    assert isinstance(found, DeadLetter), found
    return found


# --- what goes on


def test_an_event_gets_its_source_position_and_the_customers_partition() -> None:
    found = forwarded(order(), terms(epoch=2))

    (written,) = found.records
    assert written.key == b"ada"
    assert written.partition == log_partition(b"ada", 4)
    assert json.loads(written.value) == order(src=["orders", 2, 3, 17, 0])
    assert (found.max_event_ms, found.clamped) == (1_000, 0)


def test_a_time_may_be_text_with_an_offset() -> None:
    found = forwarded(order(at_ms=..., at="1970-01-01T01:00:05+01:00"))

    assert json.loads(found.records[0].value)["at_ms"] == 5_000


def test_a_source_position_that_the_record_brings_along_is_replaced() -> None:
    found = forwarded(order(src=["elsewhere", 0, 0, 5, 0]))

    assert json.loads(found.records[0].value)["src"] == ["orders", 0, 3, 17, 0]


def test_fields_that_nobody_knows_do_not_go_into_the_log() -> None:
    assert "colour" not in json.loads(forwarded(order(colour="red")).records[0].value)


@pytest.mark.parametrize("customer", ["a", "ada", "grüße-1", "客户-42", "x" * 512, "with space"])
@pytest.mark.parametrize("partitions", [1, 4, 12])
def test_the_partition_is_the_one_that_any_kafka_client_chooses(customer: str, partitions: int) -> None:
    key = customer.encode()

    assert log_partition(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])


def test_a_mapping_may_make_several_events_of_a_record_and_each_has_its_index() -> None:
    def twice(row: dict[str, Any], _position: str) -> list[dict[str, Any]]:
        return [order(id=f"{row['nr']}-{n}", at_ms=row["nr"] + n) for n in (0, 1)]

    found = forwarded({"nr": 7}, terms(translate=twice))

    events = [json.loads(written.value) for written in found.records]
    assert [(event["id"], event["src"][-1]) for event in events] == [("7-0", 0), ("7-1", 1)]
    assert found.max_event_ms == 8


def test_a_mapping_is_told_the_position_so_that_ids_can_be_made_of_it() -> None:
    found = forwarded({"nr": 7}, terms(translate=lambda _row, position: [order(id=position)]))

    assert json.loads(found.records[0].value)["id"] == "orders/3/17"


def test_a_row_that_the_mapping_leaves_out_leads_to_nothing() -> None:
    assert forwarded({"nr": 7}, terms(translate=lambda _row, _position: [])) == Forward()


# --- time


def test_an_event_a_little_ahead_of_its_record_gets_the_records_time() -> None:
    #  record  BROKER_MS
    #  event   |--------------- 60_000 is allowed, and clamped
    found = forwarded(order(at_ms=BROKER_MS + 60_000))

    assert json.loads(found.records[0].value)["at_ms"] == BROKER_MS
    assert (found.max_event_ms, found.clamped) == (BROKER_MS, 1)


def test_an_event_at_the_time_of_its_record_is_left_alone() -> None:
    assert forwarded(order(at_ms=BROKER_MS)).clamped == 0


def test_an_event_too_far_ahead_of_its_record_is_refused() -> None:
    assert refused(order(at_ms=BROKER_MS + 60_001)).reason == "too_far_ahead"


def test_on_event_time_no_event_is_too_far_ahead() -> None:
    found = forwarded(order(at_ms=BROKER_MS * 2), terms(max_ahead_ms=None))

    assert (found.max_event_ms, found.clamped) == (BROKER_MS * 2, 0)


def test_a_record_without_a_timestamp_is_ahead_of_nothing() -> None:
    record = Arrived(json.dumps(order(at_ms=BROKER_MS * 2)).encode(), timestamp=-1)

    assert isinstance(route(record, terms()), Forward)


# --- watermarks


def test_a_watermark_only_says_how_far_the_partition_is() -> None:
    assert route(Arrived(None, headers=[(WATERMARK_HEADER, b"1234")]), terms()) == Forward(max_event_ms=1234)


@pytest.mark.parametrize("text", [b"", b"-5", b"soon", b"1.5", b"9" * 5_000, "٣".encode()])
def test_a_watermark_that_is_no_time_is_refused(text: bytes) -> None:
    found = route(Arrived(None, headers=[(WATERMARK_HEADER, text)]), terms())

    assert isinstance(found, DeadLetter)
    assert (found.reason, found.value) == ("bad_watermark", None)


def test_a_record_without_a_value_is_refused() -> None:
    found = route(Arrived(None), terms())

    assert isinstance(found, DeadLetter)
    assert found.reason == "no_value"


# --- bad input

BAD: list[tuple[str, Any]] = [
    ("bad_json", b'{"type": "order.placed"'),
    ("bad_json", b""),
    ("bad_json", b"\x00\x01"),
    ("bad_json", json.dumps(order(amount=float("nan"))).encode()),
    ("bad_json", json.dumps(order(amount=float("inf"))).encode()),
    ("bad_number", json.dumps(order()).replace("9.5", "1e999").encode()),
    ("bad_utf8", json.dumps(order()).encode().replace(b"ada", b"\xff\xfe")),
    ("not_an_object", b"[1, 2]"),
    ("not_an_object", b"null"),
    ("no_type", order(type=...)),
    ("unknown_type", order(type="order.lost")),
    ("control_type", {"type": "tick", "at_ms": 5}),
    ("control_type", {"type": "feed.changed", "at_ms": 5, "source": "orders", "status": "dead", "since_ms": 1}),
    ("no_customer", order(customer_id=...)),
    ("no_customer", order(customer_id="")),
    ("no_customer", order(customer_id=None)),
    ("bad_time", order(at_ms=-1)),
    ("bad_time", order(at_ms="yesterday")),
    ("bad_time", order(at_ms=...)),
    ("bad_time", order(at_ms=..., at="2026-01-31 12:00:00")),
    ("bad_time", order(at_ms=..., at="1969-12-31T23:59:59Z")),
    ("bad_field", order(amount="much")),
    ("missing_field", order(amount=...)),
]


@pytest.mark.parametrize(("reason", "bad"), BAD, ids=[f"{index}-{reason}" for index, (reason, _) in enumerate(BAD)])
def test_bad_input_is_refused_with_its_bytes_its_place_and_a_reason(reason: str, bad: Any) -> None:
    found = refused(bad)

    assert found.reason == reason, found.message
    assert found.value == (bad if isinstance(bad, bytes) else json.dumps(bad).encode())
    assert (found.stage, found.topic, found.partition, found.offset) == ("ingest", "orders", 3, 17)
    assert found.message


def test_half_a_character_is_refused() -> None:
    bad = json.dumps(order()).replace("ada", "\\ud800").encode()

    assert refused(bad).reason in {"bad_json", "bad_utf8"}


def test_a_record_over_the_limit_is_refused_and_its_length_and_digest_stand_in_the_letter() -> None:
    large = json.dumps(order(order_id="x" * MAX_VALUE_BYTES)).encode()

    row = dead_letter_row(refused(large))

    headers = {name: text.decode() for name, text in row.headers}
    assert headers["reason"] == "too_large"
    assert headers["length"] == str(len(large))
    assert headers["sha256"] == hashlib.sha256(large).hexdigest()
    assert row.value == large[:MAX_VALUE_BYTES]


def test_an_event_that_grows_over_the_limit_is_refused() -> None:
    big = [order(channel="x" * MAX_VALUE_BYTES)]

    assert refused({"nr": 1}, terms(translate=lambda _row, _position: big)).reason == "too_large"


def test_the_message_of_a_letter_stays_short_whatever_the_record_says() -> None:
    assert len(refused(order(type="x" * 100_000)).message) <= 500


def test_one_bad_event_makes_a_dead_letter_of_the_whole_record() -> None:
    found = refused({"nr": 1}, terms(translate=lambda _row, _position: [order(), order(customer_id="")]))

    assert (found.reason, found.value) == ("no_customer", b'{"nr": 1}')


def test_what_a_mapping_cannot_read_is_refused_with_the_mappings_reason() -> None:
    def fails(_row: dict[str, Any], _position: str) -> list[dict[str, Any]]:
        raise ContractError("no_customer", "the column CustomerID is empty")

    assert refused({"nr": 1}, terms(translate=fails)).message == "the column CustomerID is empty"


def test_a_mapping_reads_objects_only() -> None:
    assert refused(b"[1]", terms(translate=lambda _row, _position: [])).reason == "not_an_object"
    assert refused(b'{"nr": ', terms(translate=lambda _row, _position: [])).reason == "bad_json"
