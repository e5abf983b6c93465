"""What is remembered for `decline` rules."""

import msgspec

from detectors.daily_counts import DailyCounts


class DayValues(msgspec.Struct, frozen=True, array_like=True):
    """The different values of a day that is not over, or not for long."""

    day: int
    hashes: list[int]
    """Eight bytes of each value."""


class Trend(msgspec.Struct, array_like=True):
    """State of one `decline` rule for one customer. Days are UTC days, which also name the midnight they begin with."""

    whole_from: int = 0
    """The counts are whole from this day on."""
    kept_days: int = 0
    """How many days are kept for the next look."""
    is_first: bool = False
    """`whole_from` follows the first event of the customer: when an earlier one becomes known, it moves."""
    reached: int = -1
    """The last midnight that is behind us: what comes now counts for later ones."""
    wake_day: int | None = None
    """The next midnight at which something may change."""
    episode_ms: int | None = None
    """The open episode: the midnight at which it opened."""
    counts: DailyCounts = msgspec.field(default_factory=DailyCounts)
    values: list[DayValues] = []
    """With `distinct`; by day."""
