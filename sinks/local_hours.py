"""Hours of a week by the clock on the wall: when somebody is left alone, and when the digest comes. Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schemas.instants import from_epoch_ms, to_epoch_ms
from schemas.zones import from_wall_clock

DAY_MINUTES: Final = 24 * 60
WEEK_MINUTES: Final = 7 * DAY_MINUTES
_DAYS_AHEAD: Final = 8
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When a recipient is left alone, week for week.

    Args:
        spans: minutes of the week from Monday 00:00, `[start, end)`, sorted, neither overlapping nor touching; what goes
            over the end of the week is two spans.
    """

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]]) -> "QuietHours":
        """From spans in any order, which may overlap; one that ends beyond the week goes on at its beginning."""
        cut = sorted(part for start, end in spans for part in _within_the_week(start, end))
        joined: list[tuple[int, int]] = []
        for start, end in cut:
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((start, end))
        return cls(tuple(joined))

    def until_ms(self, now_ms: int, zone: ZoneInfo) -> int | None:
        """The end of the quiet time that it is now, always later than now; None: it is none, or there is no other.

        An end that the zone skips moves forward; of one that it repeats the first that lies ahead is meant.
        """
        wall = _wall(now_ms, zone)
        minute = minute_of_week(wall)
        span = next((span for span in self.spans if span[0] <= minute < span[1]), None)
        if span is None or self.spans == ((0, WEEK_MINUTES),):
            return None
        end = span[1]
        if end == WEEK_MINUTES and self.spans[0][0] == 0:
            end += self.spans[0][1]
        ends = wall.replace(second=0, microsecond=0) + (end - minute) * _MINUTE
        return _next_ms(ends, zone, now_ms)

    def holds(self, at_ms: int, zone: ZoneInfo) -> bool:
        """Whether it is quiet at an instant."""
        minute = minute_of_week(_wall(at_ms, zone))
        return any(start <= minute < end for start, end in self.spans)


NEVER_QUIET: Final = QuietHours()


def next_digest_ms(now_ms: int, zone: ZoneInfo, at: time, quiet: QuietHours) -> int:
    """The next instant after now at which the wall shows `at` and it is not quiet.

    A day that skips the time has it when the gap is over; a day that repeats it, the first time.
    """
    today = local_date(now_ms, zone)
    for days in range(_DAYS_AHEAD + 1):
        due_ms = from_wall_clock(datetime.combine(today + timedelta(days=days), at), zone)
        if due_ms > now_ms and not quiet.holds(due_ms, zone):
            return due_ms
    raise ValueError(f"it is quiet at {at} on every day")


def local_date(at_ms: int, zone: ZoneInfo) -> date:
    """The date on the wall."""
    return _wall(at_ms, zone).date()


def minute_of_week(wall: datetime) -> int:
    """Minutes since Monday 00:00 on the wall."""
    return wall.weekday() * DAY_MINUTES + wall.hour * 60 + wall.minute


def _wall(at_ms: int, zone: ZoneInfo) -> datetime:
    return from_epoch_ms(at_ms).astimezone(zone).replace(tzinfo=None)


def _within_the_week(start: int, end: int) -> list[tuple[int, int]]:
    if end <= WEEK_MINUTES:
        return [(start, end)]
    return [(start, WEEK_MINUTES), (0, end - WEEK_MINUTES)]


def _next_ms(wall: datetime, zone: ZoneInfo, now_ms: int) -> int:
    first_ms = from_wall_clock(wall, zone)
    return first_ms if first_ms > now_ms else to_epoch_ms(wall.replace(tzinfo=zone, fold=1))
