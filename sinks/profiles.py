"""The profile of a customer as flat fields of text: what is known now, and by which record.

Every field is written by one kind of record, and each kind has a field `sequence:...` with the number of the record
that was written last. So an older record can be told from a newer one wherever the profile is kept.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from schemas.decisions import CLOSED_STATES, AlertRecord, LifecycleRecord, RiskRecord
from sinks.base import Delivery

OPEN_ALERTS: Final = "open_alerts"
"""The field that counts the fields `alert:<alert_id>`."""


@dataclass(frozen=True)
class Change:
    """What a record does to the profile of its customer, unless the profile has seen a newer one of the same kind."""

    customer_id: str
    sequence_field: str
    sequence: int
    fields: dict[str, str]
    removed: tuple[str, ...] = ()
    counts: bool = False
    """The fields written and removed are alerts, and counted."""


def change_of(record: Delivery) -> Change:
    """The change that a record makes."""
    if isinstance(record, AlertRecord):
        return _alert(record)
    if isinstance(record, RiskRecord):
        return _risk(record)
    return _lifecycle(record)


def _alert(record: AlertRecord) -> Change:
    name, sequence = f"alert:{record.alert_id}", f"sequence:alert:{record.alert_id}"
    if record.state in CLOSED_STATES:
        return Change(record.customer_id, sequence, record.sequence, {}, (name,), counts=True)
    return Change(record.customer_id, sequence, record.sequence, {name: _json(record)}, counts=True)


def _risk(record: RiskRecord) -> Change:
    optional = {"probability": record.probability, "model": record.model}
    fields = {
        "band": record.band,
        "basis": record.basis,
        "risk_at_ms": str(record.at_ms),
        "reasons": _json(record.reasons),
        "features": _json(record.features),
        **{name: str(value) for name, value in optional.items() if value is not None},
    }
    removed = tuple(name for name, value in optional.items() if value is None)
    return Change(record.customer_id, "sequence:risk", record.sequence, fields, removed)


def _lifecycle(record: LifecycleRecord) -> Change:
    fields = {"stage": record.stage, "stage_since_ms": str(record.at_ms), "stage_cause": record.cause}
    return Change(record.customer_id, "sequence:lifecycle", record.sequence, fields)


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
