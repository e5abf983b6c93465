"""What is remembered for `share` rules."""

import msgspec

from detectors.daily_counts import DailyCounts
from detectors.occurrence import Occurrence


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """With `unless`: an event that matches once `for` has passed, for its ticket has had no `unless` event yet."""

    occurrence: Occurrence
    ticket_id: str


class TicketEnd(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An `unless` event, kept as long as the event that it ends may still be on its way."""

    at_ms: int
    ticket_id: str


class ShareWatch(msgspec.Struct, array_like=True):
    """State of one `share` rule for one customer. Days are UTC days, which also name the midnight they begin with."""

    whole_from: int = 0
    """The counts are whole from this day on."""
    kept_days: int = 0
    """How many days are kept for the next look."""
    reached: int = -1
    """The last midnight that is behind us: what comes now counts for later ones."""
    wake_day: int | None = None
    """The next midnight at which something may change."""
    episode_ms: int | None = None
    """The open episode: the midnight at which it opened."""
    every: DailyCounts = msgspec.field(default_factory=DailyCounts)
    matching: DailyCounts = msgspec.field(default_factory=DailyCounts)
    evidence: list[Occurrence] = []
    """The latest matching events, by time."""
    waiting: list[Waiting] = []
    """By time."""
    ends: list[TicketEnd] = []
