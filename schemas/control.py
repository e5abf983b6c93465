"""Control records of the log: ticks, feed status and published documents. No customer, no source."""

from typing import Final, Literal, get_args

import msgspec

from schemas.calendars import CalendarDocument
from schemas.events import Count, EpochMs, Id
from schemas.models import ModelDocument
from schemas.rules import RuleSet

FeedStatus = Literal["live", "lagging", "silent", "dead"]


class Control(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What every control record has."""

    at_ms: EpochMs

    @property
    def type(self) -> str:
        """The tag, like `tick`."""
        return str(self.__struct_config__.tag)


class Tick(Control, frozen=True, kw_only=True, tag="tick"):
    """The only clock that the engine has.

    `marks_ms` maps a feed to its watermark, null while it has none; a feed that is left out has `at_ms`.
    """

    marks_ms: dict[str, EpochMs | None] = {}


class FeedChanged(Control, frozen=True, kw_only=True, tag="feed.changed"):
    """A feed came alive, lags, is silent or dead; only a live feed's mark moves."""

    source: Id
    status: FeedStatus
    since_ms: EpochMs
    reason: Id | None = None
    """Why a dead feed is: its source is paused, and somebody has to do something; None: nothing is known."""


class FeedSpan(Control, frozen=True, kw_only=True):
    """What people say about a feed's silence in [`from_ms`, `until_ms`)."""

    source: Id
    from_ms: EpochMs
    until_ms: EpochMs
    revision: Count = 0
    """As that of a document: one that is not above the last of its feed is ignored. 0: it has none, as in a file."""
    by: Id | None = None

    def __post_init__(self) -> None:
        if self.until_ms <= self.from_ms:
            raise ValueError(f"`until_ms` is {self.until_ms}: it comes after `from_ms`, which is {self.from_ms}")


class FeedConfirmed(FeedSpan, frozen=True, kw_only=True, tag="feed.confirmed"):
    """The shop really was closed: the silence of the feed is true."""


class FeedGap(FeedSpan, frozen=True, kw_only=True, tag="feed.gap"):
    """Those events are lost for good."""


class Published(Control, frozen=True, kw_only=True):
    """A document takes effect here, unless its revision is not above the one held."""

    version: Id
    revision: Count
    """Offset of the document in `churn.control`."""
    by: Id | None = None


class RulesPublished(Published, frozen=True, kw_only=True, tag="rules.published"):
    """The rule set from here on."""

    document: RuleSet


class CalendarPublished(Published, frozen=True, kw_only=True, tag="calendar.published"):
    """The named calendar from here on, in place of the rule set's own of that name."""

    name: Id
    document: CalendarDocument


class ModelPublished(Published, frozen=True, kw_only=True, tag="model.published"):
    """The scoring part of the model from here on."""

    document: ModelDocument


AnyControl = Tick | FeedChanged | FeedConfirmed | FeedGap | RulesPublished | CalendarPublished | ModelPublished

CONTROL_TYPES: Final = tuple(sorted(str(control.__struct_config__.tag) for control in get_args(AnyControl)))
"""Every `type` that a control record may have; a source may not send one."""
