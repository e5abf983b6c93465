"""How many records a feed usually brings at which hour of the week, and whether it has been quiet for longer than that.

A quiet night brings no records, and neither does a source that broke. The difference is what was to be expected: the
silence of a feed is measured in records that should have come meanwhile. Were arrivals independent, so many would fail to
come by chance once in e to their power; since they come in bursts, the longest such silences of the last weeks count too.
The broker's times of ingest's reports are all the time there is.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from schemas.instants import HOUR_MS
from schemas.progress import Arrivals

HOURS_A_WEEK: Final = 168
WEEKS_KEPT: Final = 8
LEAST_WEEKS: Final = 2
"""Of an hour of the week, before anything is expected in it."""
LEAST_EXPECTED: Final = 20.0
"""Records that should have come before a feed is silent, at least: e to the minus 20th is 2e-9."""
TIMES_LONGEST: Final = 2.0
"""And so many times what was missing in the longest silence of the last weeks that ended by itself."""
LEAST_SILENCE_MS: Final = 15 * 60_000
"""A shorter silence is not worth anybody's attention, however busy the feed."""
_LONGEST_PAUSE_MS: Final = 5 * 60_000
"""Between two reports of a source partition: after a longer one nobody knows in which hour its records came."""
_UNKNOWN: Final = -1


@dataclass(slots=True)
class _Lane:
    position: int
    heard_ms: int
    caught_up: bool


@dataclass(slots=True)
class FeedArrivals:
    """Of one feed. Told of every report; the same reports give the same answers."""

    zone: tzinfo = UTC
    """Of the hours of the week: shops open by local time."""
    last_ms: int | None = None
    """When the last record is known to have come, at the latest."""
    _first_hour: int | None = None
    _counts: list[int] = field(default_factory=list)
    """Records by the hour, from the first hour that is kept."""
    _longest: dict[int, float] = field(default_factory=dict)
    """By week, counted from the epoch: what was missing in the longest silence that ended by itself."""
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _rates: dict[int, float] = field(default_factory=dict)
    _rated_hour: int = -1
    silent_since_ms: int | None = None
    """While it is silent: when the last record came."""
    catching_up: bool = False
    """It was silent, and now brings what should have come then: it is no further than its events."""
    changed: bool = False
    """An hour has begun, or a silence began or ended: what is known is worth keeping."""

    def report(self, lane: str, position: int, at_ms: int, *, caught_up: bool) -> None:
        """Ingest has read a source partition so far."""
        known = self._lanes.get(lane)
        self._lanes[lane] = _Lane(position, at_ms, caught_up)
        self._reach(at_ms)
        if known is None:
            self.last_ms = at_ms if self.last_ms is None else self.last_ms
            return
        is_sure = known.caught_up and caught_up and at_ms - known.heard_ms <= _LONGEST_PAUSE_MS
        if not is_sure:
            self._do_not_know(known.heard_ms, at_ms)
        if position <= known.position:
            return
        self._ended(at_ms, is_sure=is_sure)
        hour = (at_ms - 1) // HOUR_MS - (self._first_hour or 0)  # they came before the report
        if 0 <= hour < len(self._counts) and self._counts[hour] != _UNKNOWN:
            self._counts[hour] += position - known.position

    def is_up_to_date(self) -> None:
        """What comes now has happened just now."""
        if self.catching_up:
            self.catching_up, self.changed = False, True

    def missing(self, now_ms: int) -> float:
        """How many records should have come since the last one."""
        return 0.0 if self.last_ms is None else self._expected(self.last_ms, now_ms)

    def limit(self) -> float:
        """How many may be missing."""
        return max(LEAST_EXPECTED, TIMES_LONGEST * max(self._longest.values(), default=0.0))

    def look(self, now_ms: int) -> bool:
        """Whether the feed is silent: quieter than it ever is, everything having been read."""
        if self.silent_since_ms is not None:
            return True
        if self.last_ms is None or now_ms - self.last_ms < LEAST_SILENCE_MS:
            return False
        if not all(lane.caught_up for lane in self._lanes.values()) or self.missing(now_ms) < self.limit():
            return False
        self.silent_since_ms, self.changed = self.last_ms, True
        return True

    def excuse(self, from_ms: int, until_ms: int) -> None:
        """A silence within a span is true: what is missing counts from its end. One that began before it is not."""
        if self.last_ms is None or until_ms <= self.last_ms or (self.silent_since_ms is not None and from_ms > self.last_ms):
            return
        self.changed |= self.silent_since_ms is not None
        self._do_not_know(self.last_ms, until_ms)
        self.last_ms, self.silent_since_ms = until_ms, None

    def snapshot(self, feed: str) -> Arrivals:
        """What the next clock has to know."""
        self.changed = False
        return Arrivals(
            feed=feed,
            first_hour=self._first_hour or 0,
            counts=list(self._counts),
            longest={str(week): round(value, 3) for week, value in sorted(self._longest.items())},
            last_ms=self.last_ms,
            silent_since_ms=self.silent_since_ms,
            catching_up=self.catching_up,
            positions={lane: known.position for lane, known in sorted(self._lanes.items())},
        )

    def resume(self, kept: Arrivals) -> None:
        """Go on from what an earlier clock knew; reports that came since then are told next."""
        self._first_hour, self._counts = kept.first_hour, list(kept.counts)
        self._longest = {int(week): value for week, value in kept.longest.items()}
        self.last_ms, self.silent_since_ms, self.catching_up = kept.last_ms, kept.silent_since_ms, kept.catching_up
        running_ms = (kept.first_hour + len(kept.counts) - 1) * HOUR_MS  # what came since then came at some time
        self._lanes = {lane: _Lane(position, running_ms, caught_up=False) for lane, position in kept.positions.items()}

    # -- hours

    def _reach(self, at_ms: int) -> None:
        """Begin the hours up to an instant, and forget those that are too old."""
        hour = at_ms // HOUR_MS
        if self._first_hour is None:
            self._first_hour, self._counts = hour, [_UNKNOWN]  # it has begun without us
            return
        behind = hour - self._first_hour - len(self._counts) + 1
        if behind <= 0:
            return
        self._counts += [0] * behind
        self.changed = True
        surplus = len(self._counts) - WEEKS_KEPT * HOURS_A_WEEK
        if surplus > 0:
            del self._counts[:surplus]
            self._first_hour += surplus
        oldest = hour // HOURS_A_WEEK - WEEKS_KEPT
        self._longest = {week: value for week, value in self._longest.items() if week > oldest}

    def _do_not_know(self, from_ms: int, until_ms: int) -> None:
        first_hour = self._first_hour or 0
        for hour in range(max(from_ms // HOUR_MS, first_hour), until_ms // HOUR_MS + 1):
            self._counts[hour - first_hour] = _UNKNOWN

    def _ended(self, at_ms: int, *, is_sure: bool) -> None:
        """Records came. An outage says nothing about how long usual silences are, nor about its hours."""
        week, missed = at_ms // HOUR_MS // HOURS_A_WEEK, self.missing(at_ms)
        if self.silent_since_ms is not None:
            self._do_not_know(self.silent_since_ms, at_ms)
            self.catching_up = self.changed = True
        elif is_sure and missed > self._longest.get(week, 0.0):
            self._longest[week] = missed
        self.last_ms, self.silent_since_ms = at_ms, None

    # -- rates

    def _expected(self, from_ms: int, until_ms: int) -> float:
        self._rate()
        total = 0.0
        from_ms = max(from_ms, until_ms - WEEKS_KEPT * HOURS_A_WEEK * HOUR_MS)
        for hour in range(from_ms // HOUR_MS, until_ms // HOUR_MS + 1):
            share = (min(until_ms, (hour + 1) * HOUR_MS) - max(from_ms, hour * HOUR_MS)) / HOUR_MS
            total += self._rates.get(self._hour_of_week(hour), 0.0) * share
        return total

    def _rate(self) -> None:
        """The mean of each hour of the week without its busiest week, which may have been a campaign.

        Once an hour, and while nothing comes not at all: the silence must not teach that it is usual.
        """
        this_hour = (self.last_ms or 0) // HOUR_MS
        if self._rated_hour >= this_hour:
            return
        self._rated_hour = this_hour
        seen: dict[int, list[int]] = {}
        for place, count in enumerate(self._counts[: max(0, this_hour - (self._first_hour or 0))]):
            if count != _UNKNOWN:
                seen.setdefault(self._hour_of_week((self._first_hour or 0) + place), []).append(count)
        self._rates = {
            hour: (sum(counts) - max(counts)) / (len(counts) - 1) for hour, counts in seen.items() if len(counts) >= LEAST_WEEKS
        }

    def _hour_of_week(self, hour: int) -> int:
        local = datetime.fromtimestamp(hour * HOUR_MS / 1000, self.zone)
        return local.weekday() * 24 + local.hour
