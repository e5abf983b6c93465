"""Outbound records: what the engine decides."""

from typing import Annotated, Literal

import msgspec

from schemas.events import Count, EpochMs, Id, Number, Share, SourcePosition
from schemas.models import HorizonMs
from schemas.rules import Mode, Severity, Stage

AlertState = Literal["warned", "opened", "escalated", "acked", "snoozed", "resolved", "expired", "retracted"]
CLOSED_STATES: frozenset[AlertState] = frozenset({"resolved", "expired", "retracted"})
Band = Literal["low", "elevated", "high", "critical"]
Sequence = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
"""1, 2, ... of one subject: of two records the greater holds."""


class Because(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One clause that held: a code, the value seen and the threshold; units stand in the clause's name."""

    clause: Id
    value: Number | int | str
    threshold: Number | int | str | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An input record that the decision rests on."""

    type: Id
    at_ms: EpochMs
    id: Id
    src: SourcePosition | None = None


class ClearsIf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would close the alert."""

    code: Literal["event", "window_empties", "probability_below"]
    of: list[Id] = []
    at_ms: EpochMs | None = None
    below: Number | None = None


class Versions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the decision was made with."""

    engine: Count
    rules: Id
    calendar: Id | None = None
    model: Id | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all outbound records have in common: they are about a customer, and one object of JSON."""

    customer_id: Id


class AlertRecord(Decision, frozen=True, kw_only=True, tag="alert"):
    """One transition of an alert; upsert by `alert_id`, keep the greatest `sequence`."""

    alert_id: Id
    sequence: Sequence
    state: AlertState
    at_ms: EpochMs
    """Instant of the transition: the due time of a timer, the event's time for an event."""
    decided_ms: EpochMs
    """The rule's `now` at the decision."""
    rule: Id
    """`id@version`."""
    kind: Id
    ticket_id: Id | None = None
    contract_id: Id | None = None
    episode_start_ms: EpochMs
    due_ms: EpochMs
    fraction: Number | None = None
    """Of a warning: how much of the target was used."""
    severity: Severity
    mode: Mode
    tier: Id | None = None
    owner: Id | None = None
    next_action: str | None = None
    because: list[Because] = []
    evidence: list[Evidence] = []
    clears_if: ClearsIf | None = None
    feeds: dict[str, str] = {}
    """Status of the feeds that the rule needs."""
    notes: list[str] = []
    """Doubts about the decision, in codes, e.g. `calendar_past_published_year`."""
    versions: Versions
    risk: Share | None = None


class RiskReason(msgspec.Struct, frozen=True, kw_only=True):
    """A feature and what it adds to the log odds."""

    feature: Id
    value: Number
    contribution: Number


class RiskRecord(Decision, frozen=True, kw_only=True, tag="risk"):
    """The churn risk of a customer; keep the greatest `sequence`."""

    sequence: Sequence
    at_ms: EpochMs
    probability: Share | None = None
    """None while rules alone decide."""
    band: Band
    basis: Literal["model", "rules"]
    reasons: list[RiskReason] = []
    features: dict[str, Number] = {}
    model: Id | None = None


class LifecycleRecord(Decision, frozen=True, kw_only=True, tag="lifecycle"):
    """A customer moved to another stage."""

    sequence: Sequence
    at_ms: EpochMs
    stage: Stage
    before: Stage | None = None
    before_for_ms: Count | None = None
    """Time spent in the stage before."""
    cause: Id


class ExampleRecord(Decision, frozen=True, kw_only=True, tag="example"):
    """A matured training example: features frozen at `at_ms`, label known at `at_ms` + `horizon_ms`."""

    at_ms: EpochMs
    horizon_ms: HorizonMs
    churned: bool
    names: list[Id]
    features: list[Number]
    active: bool
    """Whether the customer had any churn-relevant activity within the horizon before `at_ms`."""

    def __post_init__(self) -> None:
        if len(self.names) != len(self.features):
            raise ValueError(f"{len(self.names)} names and {len(self.features)} features: each has its own")


AnyDecision = AlertRecord | RiskRecord | LifecycleRecord | ExampleRecord


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be used; the value that is written is the original's bytes, the rest goes to headers."""

    value: bytes
    reason: str
    """Stable code, e.g. `bad_json`."""
    message: str
    stage: Literal["import", "ingest", "detect", "deliver"]
    topic: str
    partition: int
    offset: int
