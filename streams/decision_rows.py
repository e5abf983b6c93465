"""What detect writes for decisions: each record where its readers look for it."""

from collections.abc import Iterable, Sequence
from typing import Final

from detectors.decisions import Decisions, Tombstone
from schemas.codec import encode
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from streams.dead_letters import dead_letter_row
from streams.settings import Settings
from streams.transactions import Place, Row

CUSTOMER_HEADER: Final = "churn-customer"
"""On a tombstone of an alert: whose alert it was, for readers who keep alerts by customer."""


def decision_rows(settings: Settings, partition: int, decided: Iterable[Decisions]) -> dict[Place, list[Row]]:
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
    for one in decided:
        put(alerts, [_alert_row(record) for record in one.alerts])
        put(shadow, [_alert_row(record) for record in one.shadow])
        put(risk, [_customer_row(record) for record in one.risk])
        put(lifecycle, [_customer_row(record) for record in one.lifecycle])
        put(examples, [Row(record.customer_id.encode(), encode(record)) for record in one.examples])
        for tombstone in one.tombstones:
            put(by_topic[tombstone.topic], [_tombstone_row(tombstone)])
        put(erasures, [Row(record.customer_hash.encode(), encode(record)) for record in one.erasures])
        put(letters, [dead_letter_row(letter) for letter in one.dead_letters])
    return rows


def _alert_row(record: AlertRecord) -> Row:
    return Row(record.alert_id.encode(), encode(record))


def _customer_row(record: RiskRecord | LifecycleRecord) -> Row:
    return Row(record.customer_id.encode(), encode(record))


def _tombstone_row(tombstone: Tombstone) -> Row:
    customer = tombstone.customer_id
    return Row(tombstone.key.encode(), None, [] if customer is None else [(CUSTOMER_HEADER, customer.encode())])
