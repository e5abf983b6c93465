"""What is remembered of a customer between two records: plain values, encoded as bytes when nobody looks."""

from typing import Final

import msgspec

from detectors.alert_state import AlertSlot, PastAlert
from detectors.composite_state import Composite
from detectors.contracts import Contract
from detectors.decline_state import Trend
from detectors.feature_state import FeatureState
from detectors.level_state import Level
from detectors.occurrence import Occurrence
from detectors.rhythm_state import Rhythm
from detectors.risk_state import LabelState, LifecycleState, RiskState, ScoreWatch
from detectors.share_state import ShareWatch
from detectors.tickets import Ticket
from schemas.events import SourcePosition
from schemas.rule_kinds import Stage

RECENT_EVENTS: Final = 16
"""Of how many events of a customer the ids are remembered, to drop duplicates."""


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An occurrence that a silence has yet to pass; `ends` says that it is one of `of`."""

    occurrence: Occurrence
    ends: bool


class Told(msgspec.Struct, array_like=True):
    """The latest silence that was told to somebody."""

    start_ms: int
    due_ms: int
    closed: bool = False
    retracted: bool = False


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a silence stands, as far as its clock has come."""

    start: Occurrence | None = None
    at_start: int = 0
    """How many counted events there were up to the start."""
    settled: int = 0
    """How many there were up to now."""
    ended_ms: int | None = None
    """With `after`: the last of the events waited for."""
    since: tuple[Occurrence, ...] = ()
    """With `after`: those that followed the start, which may yet turn out to be the start of another silence."""


class Silence(msgspec.Struct, array_like=True):
    """State of one `absence` rule for one customer."""

    cursor: Cursor = Cursor()
    pending: list[Step] = []
    """Ahead of the clock, by time."""
    spent: bool = False
    """The silence has passed its due time, and nothing was to be told."""
    told: Told | None = None


class Burst(msgspec.Struct, array_like=True):
    """State of one `count` rule for one customer."""

    recent: list[Occurrence] = []
    """Matching events by time, as many as any window may still need."""
    episode_ms: int | None = None
    """The open episode: the event that completed it."""
    over_ms: int = -1
    """When the latest episode was over: what a late event would complete before is final."""


class Customer(msgspec.Struct, array_like=True):
    """One customer. Fields are only ever added at the end: the state of the release before is read by position."""

    wakes: dict[int, int]
    """By the key of a clock, an instant before which nothing has to be decided; read alone when a partition is restored."""
    look_ms: int | None
    """A look is wanted once the clock has passed this instant (`looks.AT_ONCE`: in the next tick); None: nobody asks."""
    id: str
    first_ms: int
    tier: str | None = None
    owner: str | None = None
    org: str | None = None
    value: float | None = None
    stage: Stage = "new"
    recent: list[int] = []
    """Hashes of the last events."""
    counts: dict[str, int] = {}
    """Events by type."""
    lasts: dict[str, Occurrence] = {}
    """The last event by type."""
    alerts: dict[str, AlertSlot] = {}
    """By rule id, with `/` and the id of the ticket or contract where there is one."""
    silences: dict[str, Silence] = {}
    bursts: dict[str, Burst] = {}
    features: FeatureState = msgspec.field(default_factory=FeatureState)
    labels: LabelState = msgspec.field(default_factory=LabelState)
    risk: RiskState = msgspec.field(default_factory=RiskState)
    scores: dict[str, ScoreWatch] = {}
    lifecycle: LifecycleState = msgspec.field(default_factory=LifecycleState)
    tickets: dict[str, Ticket] = {}
    rhythms: dict[str, Rhythm] = {}
    shares: dict[str, ShareWatch] = {}
    levels: dict[str, Level] = {}
    trends: dict[str, Trend] = {}
    contracts: dict[str, Contract] = {}
    """By id of the contract, whatever the rules."""
    composites: dict[str, Composite] = {}
    past_alerts: list[PastAlert] = []
    tiers: list[tuple[int, str]] = []
    """Since when which tier holds, by time; before the first there was none."""


class Wakes(msgspec.Struct, array_like=True):
    """The first fields of `Customer`, all that a restore needs of it."""

    wakes: dict[int, int]
    look_ms: int | None


class Head(msgspec.Struct, array_like=True):
    """The partition's own record."""

    engine: int
    """Version of the engine that wrote it."""
    position: int = -1
    """Offset of the last record that was applied."""
    tick_ms: int | None = None
    marks_ms: dict[str, int] = {}
    feed_status: dict[str, str] = {}
    revisions: dict[str, int] = {}
    """Of the documents held, by their name."""
    versions: dict[str, str] = {}
    sources: dict[str, SourcePosition] = {}
    """Greatest position seen of each source partition."""
    enabled_from_ms: dict[str, int | None] = {}
    """By rule id: openings before it are not made; None: all are."""
    feed_alerts: dict[str, tuple[int, int]] = {}
    """Feeds that an alert is open for: since when the feed is not live, and when that was told."""
    gaps: dict[str, tuple[tuple[int, int], ...]] = {}
    """By feed: spans in which its events were lost for good, ascending and apart."""
    span_revisions: dict[str, int] = {}
    """By feed: of the last word on its gaps."""
    census: dict[str, int] | None = None
    """How many customers and open alerts there are (`detectors.census`); None: nobody has counted them yet."""
