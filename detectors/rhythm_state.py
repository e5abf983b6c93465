"""What is remembered for `rhythm` rules: a customer's own pace, and the silence that is measured against it."""

from typing import Final, Self

import msgspec

from detectors.occurrence import Occurrence
from schemas.instants import DAY_MS

RECENT_DAYS: Final = 16
"""How many of the days with an event are known by name."""


class Beat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event that ends one silence and starts the next; `counted` unless it is unknown whether it matches."""

    occurrence: Occurrence
    counted: bool = True

    @property
    def at_ms(self) -> int:
        """When."""
        return self.occurrence.at_ms


class Pace(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A mean gap, as a fraction that is not rounded: `span_ms` over `gaps`."""

    count: int = 0
    """Of the events."""
    span_ms: int = 0
    """From the first to the last of them."""
    gaps: int = 0
    """Between their different UTC days."""


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """Events counted, in whatever order they came."""

    count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    day_count: int = 0
    """Different UTC days."""
    days: tuple[int, ...] = ()
    """The latest of them, ascending."""

    def plus(self, at_ms: int) -> Self:
        """With one event more.

        One so old that its day is no longer known by name is not taken for another day: that makes the mean gap longer,
        and an alert later, never sooner.
        """
        if not self.count:
            return type(self)(1, at_ms, at_ms, 1, (at_ms // DAY_MS,))
        day, days, day_count = at_ms // DAY_MS, self.days, self.day_count
        if day not in days and (len(days) < RECENT_DAYS or day > days[0]):
            days, day_count = tuple(sorted((*days, day))[-RECENT_DAYS:]), day_count + 1
        return type(self)(self.count + 1, min(self.first_ms, at_ms), max(self.last_ms, at_ms), day_count, days)

    @property
    def pace(self) -> Pace:
        """What they say of the gaps between them."""
        return Pace(self.count, self.last_ms - self.first_ms, max(0, self.day_count - 1))


class Course(msgspec.Struct, frozen=True, array_like=True):
    """Where a rhythm stands, as far as its clock has come."""

    start: Occurrence | None = None
    """The last event."""
    pace: Pace = Pace()
    """As it was known at the start: what arrives late changes later silences only."""
    settled: Tally = Tally()

    def after(self, beat: Beat) -> Self:
        """Behind a beat that comes before the silence is due."""
        settled = self.settled.plus(beat.at_ms) if beat.counted else self.settled
        return type(self)(beat.occurrence, settled.pace, settled)

    def counting(self, beat: Beat) -> Self:
        """With a beat that lies behind the start."""
        settled = self.settled.plus(beat.at_ms) if beat.counted else self.settled
        return type(self)(self.start, self.pace, settled)


class Lull(msgspec.Struct, array_like=True):
    """The latest silence that was said to be too long."""

    start_ms: int
    due_ms: int
    closed: bool = False
    retracted: bool = False


class Rhythm(msgspec.Struct, array_like=True):
    """State of one `rhythm` rule for one customer."""

    course: Course = Course()
    pending: list[Beat] = []
    """Ahead of the clock, by time."""
    lull: Lull | None = None
    from_ms: int | None = None
    """Events before it were not all seen, and are left out; None: all were."""

    @property
    def is_lull(self) -> bool:
        """Whether the silence is too long already, and waits for its end."""
        return self.lull is not None and not self.lull.closed
