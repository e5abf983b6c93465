"""The profile of a customer as flat fields of text: what is known now, and by which record.

Every field is written by one kind of record, and each kind has a field `sequence:...` with the number of the record
that was written last. So an older record can be told from a newer one wherever the profile is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from schemas.decisions import CLOSED_STATES, AlertRecord, LifecycleRecord, RiskRecord
from schemas.rule_kinds import Severity
from sinks.base import Delivery, Forgotten, Notice
from sinks.ranking import rank

OPEN_ALERTS: Final = "open_alerts"
"""The field that counts the fields `alert:<alert_id>`."""

_ALERT: Final = "alert:"
LATEST: Final = 1_000
"""So many records of alerts are kept as the last ones."""
SEQUENCE_OF_ALERT: Final = "sequence:alert:"
"""Begins the fields with the numbers of alerts."""
RISK_SEQUENCE: Final = "sequence:risk"
STAGE_SEQUENCE: Final = "sequence:lifecycle"

_RISK_FIELDS: Final = (
    RISK_SEQUENCE,
    "band",
    "basis",
    "risk_at_ms",
    "reasons",
    "features",
    "probability",
    "model",
    "tier",
    "owner",
    "value",
)
_STAGE_FIELDS: Final = (STAGE_SEQUENCE, "stage", "stage_since_ms", "stage_cause")

What = Literal["alert", "risk", "stage"]


@dataclass(frozen=True)
class Ranked:
    """Where a customer stands in the lists of customers at risk."""

    rank: float
    probability: float | None
    owner: str | None


@dataclass(frozen=True)
class Listed:
    """Where an alert stands in the lists of open alerts, if it is open."""

    alert_id: str
    is_open: bool
    due_ms: int
    severity: Severity
    owner: str | None
    record: str
    """As JSON."""


@dataclass(frozen=True)
class Change:
    """What a record does to the profile of its customer, unless the profile has seen a newer one of the same kind."""

    customer_id: str
    sequence_field: str
    sequence: int
    fields: dict[str, str]
    removed: tuple[str, ...] = ()
    lists: Ranked | Listed | None = None
    """The fields written and removed are of a risk, or of an alert, which is counted."""


@dataclass(frozen=True)
class Removal:
    """What is taken out of a profile and the lists; a profile that holds nothing more goes as a whole."""

    customer_id: str
    what: What
    fields: tuple[str, ...]
    alert_id: str = ""
    """The field of this alert goes too, and is counted if it is there."""


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
            return removal_of(record.customer_id, record.what, record.alert_id)
        case Notice():
            return None


def removal_of(customer_id: str, what: What, alert_id: str = "") -> Removal:
    """All that is known of an alert, of a customer's risk, or of the stage."""
    if what == "alert":
        return Removal(customer_id, what, (SEQUENCE_OF_ALERT + alert_id,), alert_id)
    return Removal(customer_id, what, _RISK_FIELDS if what == "risk" else _STAGE_FIELDS)


def risk_in(profile: Mapping[str, str], customer_id: str) -> RiskRecord | None:
    """The last risk record of a customer, as the profile has it; None: it has none."""
    if RISK_SEQUENCE not in profile:
        return None
    plain: dict[str, object] = {name: profile[name] for name in ("band", "basis", "model", "tier", "owner") if name in profile}
    plain |= {name: float(profile[name]) for name in ("probability", "value") if name in profile}
    plain |= {name: msgspec.json.decode(profile[name]) for name in ("reasons", "features")}
    plain |= {"customer_id": customer_id, "sequence": int(profile[RISK_SEQUENCE]), "at_ms": int(profile["risk_at_ms"])}
    return msgspec.convert({"type": "risk", **plain}, RiskRecord)


def alerts_in(profile: Mapping[str, str]) -> list[AlertRecord]:
    """The open alerts of a customer, likewise."""
    texts = (text for name, text in profile.items() if name.startswith(_ALERT))
    return [msgspec.json.decode(text, type=AlertRecord) for text in texts]


def alert_field(alert_id: str) -> str:
    """The field with the record of an open alert."""
    return _ALERT + alert_id


def _alert(record: AlertRecord, customer_id: str) -> Change:
    field, is_open, text = alert_field(record.alert_id), record.state not in CLOSED_STATES, _json(record)
    return Change(
        customer_id,
        SEQUENCE_OF_ALERT + record.alert_id,
        record.sequence,
        {field: text} if is_open else {},
        () if is_open else (field,),
        Listed(record.alert_id, is_open, record.due_ms, record.severity, record.owner, text),
    )


def _risk(record: RiskRecord) -> Change:
    optional = {
        "probability": record.probability,
        "model": record.model,
        "tier": record.tier,
        "owner": record.owner,
        "value": record.value,
    }
    fields = {
        "band": record.band,
        "basis": record.basis,
        "risk_at_ms": str(record.at_ms),
        "reasons": _json(record.reasons),
        "features": _json(record.features),
        **{name: str(value) for name, value in optional.items() if value is not None},
    }
    removed = tuple(name for name, value in optional.items() if value is None)
    lists = Ranked(rank(record), record.probability, record.owner)
    return Change(record.customer_id, RISK_SEQUENCE, record.sequence, fields, removed, lists)


def _lifecycle(record: LifecycleRecord) -> Change:
    fields = {"stage": record.stage, "stage_since_ms": str(record.at_ms), "stage_cause": record.cause}
    return Change(record.customer_id, STAGE_SEQUENCE, record.sequence, fields)


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
