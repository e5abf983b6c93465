"""Decisions as CloudEvents: the library of the CloudEvents project reads back every attribute that is written by hand."""

import json
from typing import Any, get_args

import msgspec
import pytest
from alert_records import alert
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import structs

from schemas.cloud_events import ATTRIBUTES, attributes_of, event_id, source_of
from schemas.codec import encode
from schemas.decisions import REMARKS, AlertRecord, AlertState, LifecycleRecord, RiskRecord, happened
from schemas.instants import from_epoch_ms
from schemas.rule_kinds import Severity
from streams.cloud_events import binary_event
from streams.decision_rows import event_row

SOURCE = source_of("shop.")
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RECORDS = st.one_of(structs(AlertRecord), structs(RiskRecord), structs(LifecycleRecord))

Record = AlertRecord | RiskRecord | LifecycleRecord


def read(record: Record, traceparent: bytes | None = None) -> BaseCloudEvent:
    """As the library reads what is written to Kafka."""
    row = event_row(record, SOURCE, traceparent)
    assert len(dict(row.headers)) == len(row.headers)
    return from_binary_event(KafkaMessage(dict(row.headers), row.key, row.value or b""))


@given(RECORDS, st.sampled_from([None, TRACE]))
@settings(max_examples=100, deadline=None)
def test_the_library_reads_every_attribute_back(record: Record, traceparent: bytes | None) -> None:
    event = read(record, traceparent)
    traced = {} if traceparent is None else {"traceparent": traceparent.decode()}
    written = attributes_of(record, SOURCE) | traced
    assert event.get_attributes() == written | {"time": from_epoch_ms(record.at_ms), "datacontenttype": "application/json"}
    assert event.get_data() == json.loads(encode(record))
    assert event.get_extension("partitionkey") == (record.alert_id if isinstance(record, AlertRecord) else record.customer_id)
    always = {name for name, attribute in ATTRIBUTES.items() if attribute.always}
    without = set() if isinstance(record, AlertRecord) and record.customer_id is None else always
    assert without <= written.keys() <= ATTRIBUTES.keys()
    assert "" not in written.values()


@given(RECORDS)
@settings(max_examples=30, deadline=None)
def test_our_own_reader_of_sources_reads_it_too(record: Record) -> None:
    row = event_row(record, SOURCE)
    assert binary_event(row.value, row.headers)["data"] == json.loads(encode(record))


def test_an_alert_is_an_event_that_says_what_happened() -> None:
    event = read(msgspec.structs.replace(alert(), sequence=12, at_ms=1_500, decided_ms=60_000), TRACE)
    assert {name: str(value) for name, value in event.get_attributes().items()} == {
        "specversion": "1.0",
        "id": "a/12",
        "source": "/churnwatch/shop",
        "type": "churnwatch.alert.opened",
        "time": "1970-01-01 00:00:01.500000+00:00",
        "datacontenttype": "application/json",
        "subject": "c",
        "partitionkey": "a",
        "sequence": "0000000000000012",
        "recordedtime": "1970-01-01T00:01:00Z",
        "severitytext": "HIGH",
        "severitynumber": "17",
        "traceparent": TRACE.decode(),
    }


def test_an_alert_about_a_feed_has_the_feed_as_its_subject() -> None:
    assert read(msgspec.structs.replace(alert(), customer_id=None, feed="orders")).get_subject() == "orders"


@pytest.mark.parametrize(
    ("state", "fields", "what"),
    [
        *((state, {}, state) for state in get_args(AlertState)),
        ("acked", {"by": "ann"}, "acked"),
        ("snoozed", {"by": "ann"}, "snoozed"),
        ("opened", {"by": "ann"}, "assigned"),
        ("opened", {"by": "ann", "note": "called"}, "noted"),
        ("resolved", {"by": "ann", "verdict": "saved"}, "judged"),
    ],
)
def test_the_type_is_the_new_state_or_what_left_the_state_as_it_was(state: str, fields: dict[str, Any], what: str) -> None:
    record = msgspec.structs.replace(alert(state), **fields)
    assert happened(record) == what
    assert (what in REMARKS) == (what != state)
    assert read(record).get_type() == f"churnwatch.alert.{what}"


def test_severities_have_ascending_numbers() -> None:
    numbers = [attributes_of(msgspec.structs.replace(alert(), severity=one))["severitynumber"] for one in get_args(Severity)]
    assert numbers == sorted(set(numbers), key=int)


def test_sequences_sort_as_text() -> None:
    texts = [attributes_of(msgspec.structs.replace(alert(), sequence=number))["sequence"] for number in (1, 9, 10, 2**53 - 1)]
    assert texts == sorted(texts)


@given(st.lists(RECORDS, max_size=20))
@settings(max_examples=30, deadline=None)
def test_different_records_have_different_ids(records: list[Record]) -> None:
    def identity(record: Record) -> tuple[object, ...]:
        if isinstance(record, AlertRecord):
            return ("alert", record.alert_id, record.sequence)
        return (type(record).__name__, record.customer_id, record.at_ms, record.sequence)

    assert len({event_id(record) for record in records}) == len({identity(record) for record in records})
