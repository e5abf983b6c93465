"""What detect writes for decisions: each record where its readers look for it."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from detectors.decisions import Decisions, Tombstone
from schemas.cloud_events import ATTRIBUTES, CONTENT_TYPE, KAFKA_CONTENT_TYPE, KAFKA_PREFIX, attributes_of, source_of
from schemas.codec import encode
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from streams.dead_letters import dead_letter_row
from streams.settings import Settings
from streams.traces import TRACEPARENT
from streams.transactions import Place, Row

CUSTOMER_HEADER: Final = "churn-customer"
"""On a tombstone of an alert: whose alert it was, for readers who keep alerts by customer."""
ERASED_HEADER: Final = "churn-erased"
"""On a tombstone of a customer who was erased: up to which instant, in milliseconds, for readers who keep what is over."""

_NAMES: Final = {name: KAFKA_PREFIX + name for name in ATTRIBUTES}
_CONTENT_TYPE: Final = (KAFKA_CONTENT_TYPE, CONTENT_TYPE.encode())


class Decided(NamedTuple):
    """What one record of the log led to."""

    decisions: Decisions
    traceparent: bytes | None = None
    """Of the record."""


def decision_rows(settings: Settings, partition: int, decided: Iterable[Decided]) -> dict[Place, list[Row]]:
    """Rows in the order of the decisions: in the customer's partition, or in the only one that a topic has.

    A tombstone comes after the records that the same record of the log led to, and before those of later ones.
    """
    rows: dict[Place, list[Row]] = {}

    def put(place: Place, written: Sequence[Row]) -> None:
        if written:
            rows.setdefault(place, []).extend(written)

    alerts, shadow = Place(settings.topic("alerts"), partition), Place(settings.topic("shadow"), partition)
    risk, lifecycle = Place(settings.topic("risk"), partition), Place(settings.topic("lifecycle"), partition)
    by_topic = {"alerts": alerts, "risk": risk, "lifecycle": lifecycle}
    examples, erasures = Place(settings.topic("examples"), 0), Place(settings.topic("erasures"), 0)
    letters = Place(settings.topic("deadletters"), 0)
    source = source_of(settings.prefix)
    for one, traceparent in decided:
        for place, records in ((alerts, one.alerts), (shadow, one.shadow), (risk, one.risk), (lifecycle, one.lifecycle)):
            put(place, [event_row(record, source, traceparent) for record in records])
        put(examples, [Row(record.customer_id.encode(), encode(record)) for record in one.examples])
        for tombstone in one.tombstones:
            put(by_topic[tombstone.topic], [_tombstone_row(tombstone)])
        put(erasures, [Row(record.customer_hash.encode(), encode(record)) for record in one.erasures])
        put(letters, [dead_letter_row(letter) for letter in one.dead_letters])
    return rows


def event_row(record: AlertRecord | RiskRecord | LifecycleRecord, source: str, traceparent: bytes | None = None) -> Row:
    """A CloudEvent in the binary mode of Kafka: attributes in headers, the record's JSON as the value."""
    attributes = attributes_of(record, source)
    headers = [_CONTENT_TYPE, *[(_NAMES[name], text.encode()) for name, text in attributes.items()]]
    if traceparent is not None:
        headers.append((_NAMES[TRACEPARENT], traceparent))
    return Row(attributes["partitionkey"].encode(), encode(record), headers)


def _tombstone_row(tombstone: Tombstone) -> Row:
    headers = [] if tombstone.customer_id is None else [(CUSTOMER_HEADER, tombstone.customer_id.encode())]
    if tombstone.erased_ms is not None:
        headers.append((ERASED_HEADER, str(tombstone.erased_ms).encode()))
    return Row(tombstone.key.encode(), None, headers)
