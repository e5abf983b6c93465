"""The rules file as it is published: one document, validated, every default filled in that a reader needs."""

from typing import Annotated, Final

import msgspec

from schemas.calendars import CalendarDocument
from schemas.events import Id, Share
from schemas.instants import exact_ms
from schemas.rule_kinds import Rule, RuleId

NO_TIME: Final = "PT0S"


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
    high_risk_rules: list[RuleId] = []


Amount = Annotated[float, msgspec.Meta(gt=0, le=1e15)]


class BandAt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where a band begins, if not at a number: by volume (`top`) or by what a contact costs and brings (`contact`, `saves`)."""

    top: Annotated[int, msgspec.Meta(ge=1, le=10**9)] | None = None
    """So many a day: the highest scores of the active customers that are reviewed on it."""
    contact: Amount | None = None
    """What a contact costs, in the currency of the values."""
    saves: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Of the customers who would leave, the share that a contact keeps."""
    value: Amount | None = None
    """What a customer who is kept is worth; None: what `customer.updated` said, and without that the band never begins."""


class Bands(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the risk bands begin; below `elevated` is `low`."""

    elevated: Share | BandAt = 0.4
    high: Share | BandAt = 0.65
    critical: Share | BandAt = 0.85


LocalDates = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
"""Local dates `[first, after last)`, as `2026-02-15/2026-02-24`."""


class RuleSet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The whole document."""

    version: Id
    tenant: Id
    time_zone: str = "UTC"
    forget_after: str = "P400D"
    """Alerts that were closed for so long are taken out of the topics and of the state."""
    churn: Churn | None = None
    """None: no model is trained, and rules alone decide."""
    feeds: dict[str, Feed] = msgspec.field(default_factory=lambda: dict(DEFAULT_FEEDS))
    lifecycle: Lifecycle = Lifecycle()
    bands: Bands = Bands()
    freeze: list[LocalDates] = []
    """A timer that is due inside is decided at the end; dates of `time_zone`."""
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
