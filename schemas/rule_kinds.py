"""The rules of a rules file, one struct a kind, tagged by `kind`; every default filled in that a reader needs.

Durations stay ISO 8601 text (`schemas.instants.parse_duration`), so that the audit trail reads like the file.
"""

import sys
from typing import Annotated, Literal

import msgspec

from schemas.events import Category, EpochMs, Id, Number, Priority, Share

Severity = Literal["info", "warning", "high", "critical"]
Mode = Literal["live", "shadow"]
Stage = Literal["new", "active", "silent", "high_risk", "churned"]
PauseStatus = Literal["pending", "hold"]
Subject = Literal["customer", "ticket", "contract"]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=sys.float_info.max)]
RuleId = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^/#@\s]+$")]
"""Names a rule in alerts (`id@version`) and in state; hence no `/`, `#`, `@` or blanks."""


class RuleBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every rule has."""

    id: RuleId
    version: Id
    severity: Severity = "warning"
    mode: Mode = "live"
    needs: list[str] | None = None
    """Feeds whose marks make the rule's `now`; None: those that deliver the types it names; empty: the greatest mark."""
    tiers: list[str] | None = None
    """Only customers of these tiers."""
    stages: list[Stage] | None = None
    """Only customers in these lifecycle stages."""
    enabled_from_ms: EpochMs | None = None
    """Openings before this instant are not made; None: from the rule's `now` when it first arrives."""
    dwell: str | None = None
    """What the rule looks for has to hold for so long before an alert opens."""
    cooldown: str | None = None
    """After a closing, no opening for so long; one that comes sooner is looked at again at its end."""
    ack_by: str | None = None
    """An open alert that nobody has acknowledged for so long is escalated."""
    expire_after: str | None = None
    """An alert that is open for so long is closed."""
    inhibits: list[RuleId] = []
    """While an alert of this rule is open, those of these rules are not delivered for the same customer."""
    owner: list[str] = []
    """First that exists: `customer.owner`, `team.NAME` (takes turns by hash), or a name."""
    next_action: str | None = None

    @property
    def kind(self) -> str:
        """The tag, like `absence`."""
        return str(self.__struct_config__.tag)

    @property
    def subject(self) -> Subject:
        """What its alerts are about, beside the customer."""
        return "customer"


class AbsenceRule(RuleBase, frozen=True, kw_only=True, tag="absence"):
    """None of `of` for `for` since the last of them; with `after`, since the first `after` that followed it."""

    of: list[str]
    for_: str | None = msgspec.field(name="for", default=None)
    """None: `workdays` says how long."""
    for_by_tier: dict[str, str] = {}
    """Another `for` for these tiers."""
    workdays: AtLeastOne | None = None
    """Instead of `for`: ends with the last open minute of the n-th working day."""
    where: str | None = None
    after: list[str] = []
    where_after: str | None = None
    restart: bool = False
    """With `after`: the latest `after` starts the silence, not the earliest."""
    calendar: str | None = None
    min_count: AtLeastOne | None = None
    max_count: AtLeastOne | None = None


class RhythmRule(RuleBase, frozen=True, kw_only=True, tag="rhythm"):
    """None of `of` for `times` the customer's own mean gap: (last - first) / (distinct UTC days - 1)."""

    of: list[str]
    where: str | None = None
    times: Positive
    min_count: AtLeastOne = 2
    """Only after at least so many events up to the last one."""
    min_gap: str | None = None
    """Never sooner than this after the last event."""


class SlaTarget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A promise and whom it is for; a field that is not set matches everything."""

    priority: Priority | None = None
    tier: str | None = None
    category: Category | None = None
    team: str | None = None
    target: str | None = None
    workdays: AtLeastOne | None = None
    """Instead of `target`: ends with the last open minute of the n-th working day."""
    calendar: str | None = None
    """None: around the clock."""


class SlaRule(RuleBase, frozen=True, kw_only=True, tag="sla"):
    """A ticket's clock reaches its target."""

    clock: Literal["first_response", "next_response", "resolution"]
    until: Literal["resolved", "closed"] = "resolved"
    """For `resolution`: which event it waits for."""
    targets: list[SlaTarget]
    """The first that matches; a ticket that none matches has no clock."""
    warn_at: list[Share] = []
    """Fractions of the target, ascending."""
    pause_on: list[PauseStatus] = []
    """The clock stands still while the ticket has one of these statuses."""

    @property
    def subject(self) -> Subject:
        """Each ticket by itself."""
        return "ticket"


class CountRule(RuleBase, frozen=True, kw_only=True, tag="count"):
    """At least `at_least` matching events within a trailing window `(t - within, t]`."""

    of: list[str]
    where: str | None = None
    at_least: AtLeastOne
    within: str


class ShareRule(RuleBase, frozen=True, kw_only=True, tag="share"):
    """Of at least `among` events within whole UTC days, at least `share` match.

    An event matches by `where`; or, with `unless` and `for`, once `for` has passed without an `unless` event of its ticket.
    """

    of: list[str]
    where: str | None = None
    unless: list[str] = []
    for_: str | None = msgspec.field(name="for", default=None)
    share: Share
    among: AtLeastOne
    within: str
    clear_below: Share | None = None
    """None: `share`."""


class LevelRule(RuleBase, frozen=True, kw_only=True, tag="level"):
    """The value of the latest matching event is below `below`, or above `above`, until it is beyond the clear limit."""

    of: list[str]
    where: str | None = None
    value: str
    """A CEL expression of a number, over `event` and `features`."""
    below: Number | None = None
    above: Number | None = None
    clear_above: Number | None = None
    """With `below`; None: the limit itself."""
    clear_below: Number | None = None
    """With `above`; None: the limit itself."""


class DeclineRule(RuleBase, frozen=True, kw_only=True, tag="decline"):
    """The rate a day of the window `recent` differs by at least `by` from that of the window `baseline` before it."""

    of: list[str]
    where: str | None = None
    distinct: str | None = None
    """Count the different values of this field a day, not events."""
    recent: str
    baseline: str
    by: Positive
    direction: Literal["down", "up", "both"] = "down"
    min_count: AtLeastOne = 1
    """Only with at least so many in the baseline."""


class RenewalRule(RuleBase, frozen=True, kw_only=True, tag="renewal"):
    """A contract's renewal date is nearer than `before`, and `where` holds; looked at daily until the date."""

    before: str
    where: str | None = None
    """A CEL expression over `features`."""

    @property
    def subject(self) -> Subject:
        """Each contract by itself."""
        return "contract"


class ScoreRule(RuleBase, frozen=True, kw_only=True, tag="score"):
    """Churn probability above `above`."""

    above: Share
    clear_below: Share


class AllRule(RuleBase, frozen=True, kw_only=True, tag="all"):
    """All of these rules have an open alert for the customer."""

    rules: list[RuleId]


class AnyRule(RuleBase, frozen=True, kw_only=True, tag="any"):
    """Any of these rules has an open alert for the customer."""

    rules: list[RuleId]


Rule = (
    AbsenceRule
    | RhythmRule
    | SlaRule
    | CountRule
    | ShareRule
    | LevelRule
    | DeclineRule
    | RenewalRule
    | ScoreRule
    | AllRule
    | AnyRule
)
