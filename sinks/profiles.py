"""The profile of a customer as flat fields of text: what is known now, and by which record.

Every field is written by one kind of record, and each kind has a field `sequence:...` with the number of the record
that was written last. So an older record can be told from a newer one wherever the profile is kept.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from schemas.decisions import CLOSED_STATES, AlertRecord, LifecycleRecord, RiskRecord
from sinks.base import Delivery, Forgotten, Notice

OPEN_ALERTS: Final = "open_alerts"
"""The field that counts the fields `alert:<alert_id>`."""

_RISK_FIELDS: Final = ("sequence:risk", "band", "basis", "risk_at_ms", "reasons", "features", "probability", "model")
_STAGE_FIELDS: Final = ("sequence:lifecycle", "stage", "stage_since_ms", "stage_cause")


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


@dataclass(frozen=True)
class Removal:
    """What is taken out of a profile; one that holds nothing more goes as a whole."""

    customer_id: str
    fields: tuple[str, ...]
    alert: str | None = None
    """One more field: an alert, which is counted if it is there."""


def change_of(record: Delivery) -> Change | Removal | None:
    """The change that a record makes; None: it is about no customer."""
    match record:
        case AlertRecord():
            return None if record.customer_id is None else _alert(record, record.customer_id)
        case RiskRecord():
            return _risk(record)
        case LifecycleRecord():
            return _lifecycle(record)
        case Forgotten():
            return _removal(record)
        case Notice():
            return None


def _removal(forgotten: Forgotten) -> Removal:
    if forgotten.what == "alert":
        name, sequence = _alert_fields(forgotten.alert_id)
        return Removal(forgotten.customer_id, (sequence,), name)
    return Removal(forgotten.customer_id, _RISK_FIELDS if forgotten.what == "risk" else _STAGE_FIELDS)


def _alert_fields(alert_id: str) -> tuple[str, str]:
    return f"alert:{alert_id}", f"sequence:alert:{alert_id}"


def _alert(record: AlertRecord, customer_id: str) -> Change:
    name, sequence = _alert_fields(record.alert_id)
    if record.state in CLOSED_STATES:
        return Change(customer_id, sequence, record.sequence, {}, (name,), counts=True)
    return Change(customer_id, sequence, record.sequence, {name: _json(record)}, counts=True)


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
