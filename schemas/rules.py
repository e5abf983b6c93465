"""The rules file as it is published: one document, validated, every default filled in that a reader needs.

Durations stay ISO 8601 text (`schemas.instants.parse_duration`), so that the audit trail reads like the file.
"""

from typing import Annotated, Final, Literal

import msgspec

from schemas.calendars import CalendarDocument
from schemas.events import EpochMs, Id, Priority, Share
from schemas.instants import exact_ms

NO_TIME: Final = "PT0S"
Severity = Literal["info", "warning", "high", "critical"]
Mode = Literal["live", "shadow"]
Stage = Literal["new", "active", "silent", "high_risk", "churned"]
PauseStatus = Literal["pending", "hold"]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stream of events whose clock moves as one."""

    types: list[str]
    """Event types it delivers; `order.*` stands for all that begin so."""
    lateness: str = NO_TIME
    """How long after it happened an event of this feed may still come."""

    @property
    def lateness_ms(self) -> int:
        """The same as a number; 0 where nothing comes late."""
        return 0 if self.lateness == NO_TIME else exact_ms(self.lateness)


DEFAULT_FEEDS: Final = {
    "orders": Feed(types=["order.*"]),
    "logins": Feed(types=["login.*", "usage.*"]),
    "tickets": Feed(types=["ticket.*", "survey.*"]),
    "crm": Feed(types=["contact.*", "contract.*", "customer.*", "campaign.*", "referral.*", "progress.*"]),
}


class Churn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model predicts: none of `of` for `horizon`, or one of `or`."""

    horizon: str = "P90D"
    of: list[str] = msgspec.field(default_factory=lambda: ["order.placed"])
    or_: list[str] = msgspec.field(name="or", default_factory=list)


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits between the stages."""

    silent_after: str = "P45D"
    churned_after: str = "P180D"
    high_risk_above: Share = 0.8
    high_risk_clear: Share = 0.6
    high_risk_rules: list[str] = []


class Bands(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lower limits of the risk bands; below `elevated` is `low`."""

    elevated: Share = 0.4
    high: Share = 0.65
    critical: Share = 0.85


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
    owner: list[str] = []
    """First that exists: `customer.owner`, `team.NAME` (takes turns by hash), or a name."""
    next_action: str | None = None

    @property
    def kind(self) -> str:
        """The tag, like `absence`."""
        return str(self.__struct_config__.tag)


class AbsenceRule(RuleBase, frozen=True, kw_only=True, tag="absence"):
    """None of `of` for `for` since the last of them; with `after`, since the first `after` that followed it."""

    of: list[str]
    for_: str = msgspec.field(name="for")
    for_by_tier: dict[str, str] = {}
    """Another `for` for these tiers."""
    where: str | None = None
    after: list[str] = []
    where_after: str | None = None
    restart: bool = False
    """With `after`: the latest `after` starts the silence, not the earliest."""
    calendar: str | None = None
    min_count: AtLeastOne | None = None
    max_count: AtLeastOne | None = None


class SlaTarget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A promise and whom it is for; a field that is not set matches everything."""

    priority: Priority | None = None
    tier: str | None = None
    category: str | None = None
    team: str | None = None
    target: str | None = None
    workdays: AtLeastOne | None = None
    """Instead of `target`: ends with the last open minute of the n-th working day."""
    calendar: str | None = None
    """None: around the clock."""


class SlaRule(RuleBase, frozen=True, kw_only=True, tag="sla"):
    """A ticket's clock reaches its target."""

    clock: Literal["first_response", "resolution"]
    until: Literal["resolved", "closed"] = "resolved"
    """For `resolution`: which event it waits for."""
    targets: list[SlaTarget]
    """The first that matches; a ticket that none matches has no clock."""
    warn_at: list[Share] = []
    """Fractions of the target, ascending."""
    pause_on: list[PauseStatus] = []
    """The clock stands still while the ticket has one of these statuses."""


class CountRule(RuleBase, frozen=True, kw_only=True, tag="count"):
    """At least `at_least` matching events within a trailing window `(t - within, t]`."""

    of: list[str]
    where: str | None = None
    at_least: AtLeastOne
    within: str
    cooldown: str | None = None


class ScoreRule(RuleBase, frozen=True, kw_only=True, tag="score"):
    """Churn probability above `above` for `dwell`."""

    above: Share
    clear_below: Share
    dwell: str | None = None
    cooldown: str | None = None


Rule = AbsenceRule | SlaRule | CountRule | ScoreRule

KINDS_BUILT: Final = ("absence", "count", "score", "sla")
KINDS_PLANNED: Final = ("all", "any", "decline", "level", "renewal", "rhythm", "share")
"""Known to the format, refused by name until a release builds them."""


class RuleSet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The whole document."""

    version: Id
    tenant: Id
    time_zone: str = "UTC"
    churn: Churn | None = None
    """None: no model is trained, and rules alone decide."""
    feeds: dict[str, Feed] = msgspec.field(default_factory=lambda: dict(DEFAULT_FEEDS))
    lifecycle: Lifecycle = Lifecycle()
    bands: Bands = Bands()
    teams: dict[str, list[str]] = {}
    calendars: dict[str, CalendarDocument] = {}
    rules: list[Rule] = []

    def feed_of(self, event_type: str) -> str | None:
        """The feed that delivers a type, None if no feed does."""
        for name, feed in self.feeds.items():
            if any(type_matches(pattern, event_type) for pattern in feed.types):
                return name
        return None


def type_matches(pattern: str, event_type: str) -> bool:
    """Whether `order.*` or `order.placed` covers a type."""
    return event_type.startswith(pattern[:-1]) if pattern.endswith(".*") else event_type == pattern
