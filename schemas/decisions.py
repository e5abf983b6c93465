"""Outbound records: what the engine decides."""

from typing import Literal

import msgspec

from schemas.events import EpochMs, SourcePosition
from schemas.rules import Mode, Severity, Stage

AlertState = Literal["warned", "opened", "escalated", "acked", "snoozed", "resolved", "expired", "retracted"]
CLOSED_STATES: frozenset[AlertState] = frozenset({"resolved", "expired", "retracted"})
Band = Literal["low", "elevated", "high", "critical"]


class Because(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One clause that held: a code, the value seen and the threshold; units stand in the clause's name."""

    clause: str
    value: float | int | str
    threshold: float | int | str | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An input record that the decision rests on."""

    type: str
    at_ms: EpochMs
    id: str
    src: SourcePosition | None = None


class ClearsIf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would close the alert."""

    code: Literal["event", "window_empties", "probability_below"]
    of: list[str] = []
    at_ms: EpochMs | None = None
    below: float | None = None


class Versions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the decision was made with."""

    engine: int
    rules: str
    calendar: str | None = None
    model: str | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all outbound records have in common: they are about a customer, and one object of JSON."""

    customer_id: str


class AlertRecord(Decision, frozen=True, kw_only=True, tag="alert"):
    """One transition of an alert; upsert by `alert_id`, keep the greatest `sequence`."""

    alert_id: str
    sequence: int
    state: AlertState
    at_ms: EpochMs
    """Instant of the transition: the due time of a timer, the event's time for an event."""
    decided_ms: EpochMs
    """The rule's `now` at the decision."""
    rule: str
    """`id@version`."""
    kind: str
    ticket_id: str | None = None
    contract_id: str | None = None
    episode_start_ms: EpochMs
    due_ms: EpochMs
    fraction: float | None = None
    """Of a warning: how much of the target was used."""
    severity: Severity
    mode: Mode
    tier: str | None = None
    owner: str | None = None
    next_action: str | None = None
    because: list[Because] = []
    evidence: list[Evidence] = []
    clears_if: ClearsIf | None = None
    feeds: dict[str, str] = {}
    """Status of the feeds that the rule needs."""
    notes: list[str] = []
    """Doubts about the decision, in codes, e.g. `calendar_past_published_year`."""
    versions: Versions
    risk: float | None = None


class RiskReason(msgspec.Struct, frozen=True, kw_only=True):
    """A feature and what it adds to the log odds."""

    feature: str
    value: float
    contribution: float


class RiskRecord(Decision, frozen=True, kw_only=True, tag="risk"):
    """The churn risk of a customer; keep the greatest `sequence`."""

    sequence: int
    at_ms: EpochMs
    probability: float | None = None
    """None while rules alone decide."""
    band: Band
    basis: Literal["model", "rules"]
    reasons: list[RiskReason] = []
    features: dict[str, float] = {}
    model: str | None = None


class LifecycleRecord(Decision, frozen=True, kw_only=True, tag="lifecycle"):
    """A customer moved to another stage."""

    sequence: int
    at_ms: EpochMs
    stage: Stage
    before: Stage | None = None
    before_for_ms: int | None = None
    """Time spent in the stage before."""
    cause: str


class ExampleRecord(Decision, frozen=True, kw_only=True, tag="example"):
    """A matured training example: features frozen at `at_ms`, label known at `at_ms` + `horizon_ms`."""

    at_ms: EpochMs
    horizon_ms: int
    churned: bool
    names: list[str]
    features: list[float]
    active: bool
    """Whether the customer had any churn-relevant activity within the horizon before `at_ms`."""


AnyDecision = AlertRecord | RiskRecord | LifecycleRecord | ExampleRecord


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be used; the value that is written is the original's bytes, the rest goes to headers."""

    value: bytes
    reason: str
    """Stable code, e.g. `bad_json`."""
    message: str
    stage: Literal["ingest", "detect", "deliver"]
    topic: str
    partition: int
    offset: int
