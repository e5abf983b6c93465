"""What a mapping gets to see of a record: CloudEvents and Debezium's change events, in a topic and in a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from streams.mapped_rows import mapped_rows
from streams.mapping import parse_mapping
from streams.record_formats import RecordForm, decoder
from streams.routing import Forward, Terms, route
from streams.source_terms import with_mapping
from streams.sources import Source

EVENT = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "order.paid", "time": "2026-03-01T00:00:00Z"}
BINARY = [(f"ce_{name}", text.encode()) for name, text in EVENT.items()]
CHANGE = {"op": "u", "before": {"id": 1}, "after": {"id": 1, "total": 5}, "source": {"table": "orders"}, "ts_ms": 7}


def rows(form: str, value: object, headers: Sequence[tuple[str, bytes]] = ()) -> dict[str, Any] | None:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return decoder(RecordForm(form))(raw, headers)


def refused(form: str, value: object, headers: Sequence[tuple[str, bytes]] = ()) -> ContractError:
    with pytest.raises(ContractError) as caught:
        rows(form, value, headers)
    return caught.value


# --- headers


def test_a_mapping_reads_the_headers_that_it_names() -> None:
    mapping = parse_mapping(
        b"events: [{when: {'header:http-x-topic': paid}, type: order.placed, id: id, order_id: id, customer_id: 'header:who',"
        b" at: {column: at, format: epoch_ms}, amount: total}]"
    )
    terms = with_mapping(Terms(Source("shop", "orders"), partitions=1), mapping)

    def routed(*headers: tuple[str, bytes]) -> Forward | DeadLetter:
        return route(ConsumerRecord("shop", 0, 7, 9, 0, None, b'{"id":1,"at":5,"total":2}', 0, 9, None, headers), terms)

    found = routed(("http-x-topic", b"paid"), ("who", "Zoë".encode()), ("other", b"x"))
    assert isinstance(found, Forward)
    assert json.loads(found.records[0].value)["customer_id"] == "Zoë"
    refused = [routed(("who", b"ann")), routed(("http-x-topic", b"paid"))]
    assert [found.reason for found in refused if isinstance(found, DeadLetter)] == ["no_type", "no_customer"]


# --- CloudEvents


def test_a_binary_event_has_its_attributes_in_headers_and_its_data_as_the_value() -> None:
    headers = [*BINARY, ("ce_tenant", "Zürich".encode()), ("content-type", b"application/json"), ("trace", b"1")]
    assert rows("cloudevents", {"total": 5}, headers) == {
        **EVENT,
        "tenant": "Zürich",
        "datacontenttype": "application/json",
        "data": {"total": 5},
    }


def test_a_binary_event_may_have_no_data() -> None:
    assert rows("cloudevents", None, BINARY) == {**EVENT, "data": None}


@pytest.mark.parametrize("headers", [[], [("content-type", b"application/cloudevents+json; charset=UTF-8"), *BINARY]])
def test_a_structured_event_is_one_object(headers: list[tuple[str, bytes]]) -> None:
    assert rows("cloudevents", {**EVENT, "data": {"total": 5}}, headers) == {**EVENT, "data": {"total": 5}}


def test_data_in_base64_is_read() -> None:
    found = rows("cloudevents", {**EVENT, "data_base64": "eyJ0b3RhbCI6NX0="})
    assert found is not None
    assert found["data"] == {"total": 5}


@pytest.mark.parametrize(
    ("value", "headers", "code", "words"),
    [
        ({"id": "e1"}, (), "bad_envelope", "the record is no CloudEvent: its `source` is missing"),
        (b"{}", BINARY[1:], "bad_envelope", "its `specversion` is missing, in a header ce_specversion or in the JSON"),
        ({**EVENT, "specversion": "2.0"}, (), "bad_envelope", "has specversion '2.0'; 1.0 is read"),
        ({**EVENT, "data_base64": "?"}, (), "bad_envelope", "`data_base64` of the CloudEvent is not base64"),
        (b"<a/>", [*BINARY, ("content-type", b"text/xml")], "bad_envelope", "is text/xml; application/json is read"),
        (b"{", BINARY, "bad_json", "the data of the CloudEvent is not JSON"),
        (b"{}", [*BINARY, ("ce_note", b"\xff")], "bad_utf8", "a header of the CloudEvent is not UTF-8"),
        (b"[]", (), "not_an_object", "a mapping reads JSON objects"),
        (None, (), "no_value", "the record has no value"),
    ],
)
def test_what_is_no_cloud_event_is_told(value: Any, headers: Any, code: str, words: str) -> None:
    error = refused("cloudevents", value, headers)
    assert (error.code, words in error.message) == (code, True)


# --- Debezium


@pytest.mark.parametrize("value", [CHANGE, {"schema": {"type": "struct"}, "payload": CHANGE}])
def test_a_change_event_is_its_envelope_with_or_without_the_schema(value: dict[str, Any]) -> None:
    assert rows("debezium", value) == CHANGE


@pytest.mark.parametrize("value", [None, b"null", {"schema": None, "payload": None}])
def test_a_tombstone_is_nothing(value: Any) -> None:
    assert rows("debezium", value) is None


def test_documents_of_mongodb_stand_as_text_and_are_read() -> None:
    found = rows("debezium", {"op": "c", "before": None, "after": '{"_id": 7, "total": 5}', "ts_ms": 7})
    assert found is not None
    assert (found["before"], found["after"]) == (None, {"_id": 7, "total": 5})


@pytest.mark.parametrize("op", ["c", "r"])
def test_a_row_that_was_inserted_must_be_there(op: str) -> None:
    error = refused("debezium", {"op": op, "before": None, "after": None})
    assert (error.code, error.message) == ("bad_envelope", f"the change event has `op` '{op}', and no row under `after`")
    assert rows("debezium", {"op": "u", "after": None}) == {"op": "u", "after": None}


@pytest.mark.parametrize("value", [{"id": 1, "total": 5}, {"op": 3}, {"payload": [CHANGE]}])
def test_a_flattened_record_is_no_change_event(value: dict[str, Any]) -> None:
    error = refused("debezium", value)
    assert (error.code, "records that Debezium flattened are plain JSON" in error.message) == ("bad_envelope", True)


ORDERS = """\
record: {format: debezium}
skip_when: {op: [t, m]}
events:
  - {when: {op: [c, r]}, type: order.placed, id: {join: [after.id, op]}, order_id: after.id, customer_id: after.who,
     at: {column: after.at, format: epoch_us}, amount: {column: after.total, unscaled: 2}}
  - {when: {op: d}, type: order.cancelled, id: {join: [before.id, op]}, order_id: before.id, customer_id: before.who,
     at: {column: ts_ms, format: epoch_ms}}
"""
PLACED = {"op": "c", "before": None, "after": {"id": 1, "who": "ann", "at": 1_000_000, "total": "AfQ="}, "ts_ms": 1_500}
DELETED = {"op": "d", "before": {"id": 1, "who": "ann"}, "after": None, "ts_ms": 2_000}


def record(value: object, **headers: bytes) -> ConsumerRecord:
    raw = None if value is None else json.dumps(value).encode()
    return ConsumerRecord("orders", 0, 5, 10_000, 0, None, raw, None, 0, 0, tuple(headers.items()))


def routed(value: object, **headers: bytes) -> Forward | DeadLetter:
    terms = with_mapping(Terms(Source("orders", "orders"), 1), parse_mapping(ORDERS.encode()))
    return route(record(value, **headers), terms)


def test_a_tables_changes_become_events_and_its_tombstones_nothing() -> None:
    found = [routed(PLACED), routed({**PLACED, "op": "r"}), routed(DELETED), routed(None), routed({"op": "t"})]
    assert [json.loads(one.value) for part in found if isinstance(part, Forward) for one in part.records] == [
        {"type": "order.placed", "id": f"1-{op}", "customer_id": "ann", "at_ms": 1_000, "src": ["orders", 0, 0, 5, 0]}
        | {"order_id": "1", "amount": 5.0}
        for op in "cr"
    ] + [
        {"type": "order.cancelled", "id": "1-d", "customer_id": "ann", "at_ms": 2_000, "src": ["orders", 0, 0, 5, 0]}
        | {"order_id": "1"}
    ]
    assert found[3:] == [Forward(), Forward()]


def test_a_watermark_stays_a_watermark() -> None:
    assert routed(None, **{"churn-watermark": b"77"}) == Forward(max_event_ms=77)


def test_a_file_of_json_lines_has_the_same_envelopes(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    lines = [PLACED, {"schema": {}, "payload": DELETED}, {"schema": None, "payload": None}, {"id": 1}]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    with mapped_rows(path, parse_mapping(ORDERS.encode())) as file:
        found = [events.reason if isinstance(events, DeadLetter) else [e.type for e in events] for _, events in file.rows]
    assert found == [["order.placed"], ["order.cancelled"], [], "bad_envelope"]
