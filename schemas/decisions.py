"""Outbound records: what the engine decides."""

from typing import Annotated, Literal

import msgspec

from schemas.events import Count, EpochMs, Id, Number, Share, SourcePosition, Verdict
from schemas.models import HorizonMs
from schemas.rule_kinds import Mode, Severity, Stage

AlertState = Literal["warned", "opened", "escalated", "acked", "snoozed", "resolved", "expired", "retracted"]
REMARKS: frozenset[str] = frozenset({"noted", "judged", "assigned"})
"""What people say of an alert, or do with it, that leaves its state as it is."""
CLOSED_STATES: frozenset[AlertState] = frozenset({"resolved", "expired", "retracted"})
Band = Literal["low", "elevated", "high", "critical"]
Sequence = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
"""1, 2, ... of one subject: of two records the greater holds."""


class Because(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One clause that held: a code, the value seen and the threshold; units stand in the clause's name."""

    clause: Id
    value: Number | int | str
    threshold: Number | int | str | None = None
    beside: dict[str, Number] = {}
    """Features by name: what the value is compared with where it is said in words."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An input record that the decision rests on."""

    type: Id
    at_ms: EpochMs
    id: Id
    src: SourcePosition | None = None


class ClearsIf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would close the alert."""

    code: Literal[
        "event",
        "window_empties",
        "probability_below",
        "value_above",
        "value_below",
        "share_below",
        "rate_above",
        "rate_below",
        "features",
        "rules_close",
        "feed_live",
    ]
    of: list[Id] = []
    """Event types, any of them; with `rules_close` the ids of rules."""
    at_ms: EpochMs | None = None
    """By itself at this instant, if nothing else happens."""
    below: Number | None = None
    above: Number | None = None
    where: str | None = None
    """Only such events: a predicate of the rules file. With `features`: it clears once this no longer holds."""
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How many events it takes, at once; None: one."""
    probability: Share | None = None
    """What the model would say then."""


class Versions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the decision was made with."""

    engine: Count
    rules: Id
    calendar: Id | None = None
    model: Id | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all outbound records have in common: one object of JSON, tagged by `type`."""


class AlertRecord(Decision, frozen=True, kw_only=True, tag="alert"):
    """One transition of an alert; upsert by `alert_id`, keep the greatest `sequence`."""

    customer_id: Id | None = None
    """None only where `feed` says what it is about."""
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
    feed: Id | None = None
    episode_start_ms: EpochMs
    due_ms: EpochMs
    fraction: Number | None = None
    """Of a warning: how much of the target was used."""
    severity: Severity
    mode: Mode
    tier: Id | None = None
    owner: Id | None = None
    ack_by_ms: EpochMs | None = None
    """Escalated then, unless somebody acknowledges it."""
    snoozed_until_ms: EpochMs | None = None
    by: Id | None = None
    """Who did it, where a person did."""
    note: str | None = None
    verdict: Verdict | None = None
    next_action: str | None = None
    because: list[Because] = []
    evidence: list[Evidence] = []
    clears_if: ClearsIf | None = None
    inhibited_by: Id | None = None
    """An open alert that says more: this one is recorded, and not delivered."""
    feeds: dict[str, str] = {}
    """Status of the feeds that the rule needs."""
    notes: list[str] = []
    """Doubts about the decision, in codes, e.g. `calendar_past_published_year`."""
    versions: Versions
    risk: Share | None = None
    value_at_risk: Number | None = None
    """The customer's yearly value times the risk, in currency units; None while one of them is not known."""


def happened(alert: AlertRecord) -> str:
    """What a record tells: the state that the alert is in now, or `noted`, `judged`, `assigned` where the state stays.

    An alert that is acknowledged or snoozed and given away is told as `acked` or `snoozed` again, with the new owner.
    """
    if alert.note is not None:
        return "noted"
    if alert.verdict is not None:
        return "judged"
    if alert.by is not None and alert.state not in {"acked", "snoozed"}:
        return "assigned"
    return alert.state


class RiskReason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What raises the risk: features that say nearly the same, and the one of them that says it best."""

    feature: Id
    """That adds the most."""
    value: Number
    contribution: Number
    """Of all of them, to the log odds above those of the average customer."""
    about: str | None = None
    """What they tell of."""


class RiskRecord(Decision, frozen=True, kw_only=True, tag="risk"):
    """The churn risk of a customer; keep the greatest `sequence`."""

    customer_id: Id
    sequence: Sequence
    at_ms: EpochMs
    probability: Share | None = None
    """None while rules alone decide."""
    band: Band
    basis: Literal["model", "rules"]
    reasons: list[RiskReason] = []
    features: dict[str, Number] = {}
    model: Id | None = None
    tier: Id | None = None
    owner: Id | None = None
    value: Number | None = None
    """What the customer is worth in a year, in currency units; these three as `customer.updated` said last."""


class LifecycleRecord(Decision, frozen=True, kw_only=True, tag="lifecycle"):
    """A customer moved to another stage."""

    customer_id: Id
    sequence: Sequence
    at_ms: EpochMs
    stage: Stage
    before: Stage | None = None
    before_for_ms: Count | None = None
    """Time spent in the stage before."""
    cause: Id


class ErasureRecord(Decision, frozen=True, kw_only=True, tag="erasure"):
    """Proof that a customer was erased here: counts, and a keyed hash of the id; nothing that names the customer."""

    customer_hash: Id
    at_ms: EpochMs
    alerts: Count
    """Alerts whose records were taken out."""
    examples: Count
    """Pending training examples that were dropped."""


class ExampleRecord(Decision, frozen=True, kw_only=True, tag="example"):
    """A matured training example: features frozen at `at_ms`, label known at `at_ms` + `horizon_ms`."""

    customer_id: Id
    at_ms: EpochMs
    horizon_ms: HorizonMs
    churned: bool
    names: list[Id]
    features: list[Number]
    active: bool
    """Whether the customer had any churn-relevant activity within the horizon before `at_ms`."""
    silence_days: Number | None = None
    """Since the last churn-relevant activity before `at_ms`; None where only an explicit end is churn."""

    def __post_init__(self) -> None:
        if len(self.names) != len(self.features):
            raise ValueError(f"{len(self.names)} names and {len(self.features)} features: each has its own")


AnyDecision = AlertRecord | RiskRecord | LifecycleRecord | ExampleRecord | ErasureRecord


LetterStage = Literal["import", "ingest", "detect", "deliver"]
"""Who could not use a record."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be used; the value that is written is the original's bytes, the rest goes to headers."""

    value: bytes | None
    reason: str
    """Stable code, e.g. `bad_json`."""
    message: str
    stage: LetterStage
    topic: str
    """With `partition` and `offset` where the record stood first, also if it was redriven since."""
    partition: int
    offset: int
    epoch: int = 0
    """Of the topic, if it is a source."""
    timestamp_ms: int = -1
    """Of the record, if it is one of a source; below 0: it has none."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """Of the record, if it is one of a source: a mapping may read them."""
    redriven: int | None = None
    """Offset in `churn.redrive` by which it came in this time; None: at its first position."""
