"""Business time: how much of it lies between two instants, and when so much of it will have passed.

A calendar is asked in instants and answers in instants and open milliseconds; local time stays inside. Intervals
are half-open. A local time that a zone skips moves forward by the gap, one that it repeats is the first; an
interval whose border moved stays within its date, and where two of a date then overlap, the time counts once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Protocol
from zlib import crc32
from zoneinfo import ZoneInfo

from detectors.calendar_check import WEEKDAYS, Minutes, check_calendar, read_intervals
from detectors.calendar_time import as_zone
from schemas.calendars import CalendarDocument
from schemas.errors import ContractError
from schemas.instants import format_instant, from_epoch_ms
from schemas.zones import from_wall_clock, load_zone

__all__ = ["AlwaysOpen", "BusinessCalendar", "Calendar", "check_calendar"]

_HORIZON_MONTHS: Final = 120
_LAST_MONTH: Final = 9999 * 12 + 10
"""November 9999: the last month whose end is still a date."""
_MAX_CACHED_MONTHS: Final = 256


class Calendar(Protocol):
    """What a clock asks of business time; all instants are milliseconds since the epoch."""

    def consumed_ms(self, start_ms: int, end_ms: int) -> int:
        """Open milliseconds in [start, end); 0 if the end is not after the start."""

    def add_ms(self, start_ms: int, consumed_ms: int) -> int:
        """The earliest instant by which so many open milliseconds have passed; the start itself for 0."""

    def workday_end_ms(self, start_ms: int, workdays: int) -> int:
        """When the nth working day after the start's local date closes; n is at least 1."""

    def is_open(self, at_ms: int) -> bool:
        """Whether the millisecond that begins at the instant is open."""

    def covers(self, at_ms: int) -> bool:
        """Whether the holidays of that local year are known; False puts a warning on an alert."""

    @property
    def fingerprint(self) -> int:
        """The same for the same opening hours."""


@dataclass(frozen=True, slots=True)
class _Month:
    """One local month's open spans in UTC, ascending and apart; `before[i]` is what the month consumed before span i."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    before: tuple[int, ...]
    total_ms: int
    days: tuple[int, ...]
    """Days of the month that are working days, and beside them when each closes."""
    closes: tuple[int, ...]

    def consumed_by(self, at_ms: int) -> int:
        """Open milliseconds of this month before the instant."""
        i = bisect_right(self.starts, at_ms) - 1
        return self.before[i] + min(at_ms, self.ends[i]) - self.starts[i] if i >= 0 else 0


class BusinessCalendar:
    """Opening hours in a time zone, with the dates that differ.

    >>> from schemas.instants import HOUR_MS, parse_instant
    >>> office = BusinessCalendar.from_document(CalendarDocument(time_zone="Europe/Berlin", weekly={
    ...     "fri": ["09:00-12:00", "13:00-17:00"], "mon": ["09:00-17:00"]}))
    >>> friday_noon = parse_instant("2026-03-27T12:00:00+01:00")
    >>> format_instant(office.add_ms(friday_noon, 5 * HOUR_MS))  # clocks change on Sunday
    '2026-03-30T08:00:00Z'
    """

    def __init__(
        self,
        *,
        zone: ZoneInfo,
        weekly: tuple[tuple[Minutes, ...], ...],
        opened: dict[date, tuple[Minutes, ...]],
        closed: frozenset[date],
        make_up: frozenset[date],
        expanded_until: int | None,
    ) -> None:
        self._zone = zone
        self._weekly = weekly
        self._opened = opened
        self._closed = closed
        self._make_up = make_up
        self._expanded_until = expanded_until
        dated = (sorted(opened.items()), sorted(closed), sorted(make_up), expanded_until)
        self.fingerprint = crc32(repr((zone.key, weekly, dated)).encode())
        self._months: dict[int, _Month] = {}  # derived, bounded, not state

    @classmethod
    def from_document(cls, document: CalendarDocument) -> "BusinessCalendar":
        """Build a calendar from its published form.

        Raises:
            ContractError: `bad_calendar`, with the first of `check_calendar`'s faults.
        """
        if faults := check_calendar(document):
            raise ContractError("bad_calendar", faults[0])
        return cls(
            zone=load_zone(document.time_zone),
            weekly=tuple(read_intervals(document.weekly.get(day, ())) for day in WEEKDAYS),
            opened={date.fromisoformat(day): read_intervals(intervals) for day, intervals in document.open.items()},
            closed=frozenset(map(date.fromisoformat, [*document.closed, *document.holidays])),
            make_up=frozenset(map(date.fromisoformat, document.make_up)),
            expanded_until=document.expanded_until,
        )

    def consumed_ms(self, start_ms: int, end_ms: int) -> int:
        """Open milliseconds in [start, end); 0 if the end is not after the start."""
        if end_ms <= start_ms:
            return 0
        first, last = self._month_of(start_ms), self._month_of(end_ms)
        whole = sum(self._month(month).total_ms for month in range(first, last))
        return whole + self._month(last).consumed_by(end_ms) - self._month(first).consumed_by(start_ms)

    def add_ms(self, start_ms: int, consumed_ms: int) -> int:
        """The earliest instant t with `consumed_ms(start, t) == consumed_ms`; the start itself for 0.

        Raises:
            ContractError: `never_open`: ten years without an open minute come first.
        """
        if consumed_ms < 0:
            raise ValueError(f"business time runs forward, and {consumed_ms} ms were asked for")
        if consumed_ms == 0:
            return start_ms
        left_ms = consumed_ms + self._month(self._month_of(start_ms)).consumed_by(start_ms)
        for month in self._months_from(start_ms):
            if left_ms <= month.total_ms:
                i = bisect_left(month.before, left_ms) - 1
                return month.starts[i] + left_ms - month.before[i]
            left_ms -= month.total_ms
        raise AssertionError  # pragma: no cover - the months end in an error

    def workday_end_ms(self, start_ms: int, workdays: int) -> int:
        """The end of the last open minute of the nth working day (a local date that opens) after the start's date.

        Raises:
            ContractError: `never_open`, as `add_ms`.
        """
        if workdays < 1:
            raise ValueError(f"workdays count from 1, and {workdays} were asked for")
        left = workdays + bisect_right(self._month(self._month_of(start_ms)).days, self._local(start_ms).day)
        for month in self._months_from(start_ms):
            if left <= len(month.days):
                return month.closes[left - 1]
            left -= len(month.days)
        raise AssertionError  # pragma: no cover - the months end in an error

    def is_open(self, at_ms: int) -> bool:
        """Whether the millisecond that begins at the instant is open."""
        month = self._month(self._month_of(at_ms))
        i = bisect_right(month.starts, at_ms) - 1
        return i >= 0 and at_ms < month.ends[i]

    def covers(self, at_ms: int) -> bool:
        """False when the local year is past the last one whose holidays the document holds."""
        return self._expanded_until is None or self._local(at_ms).year <= self._expanded_until

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms // 1000, self._zone)

    def _month_of(self, at_ms: int) -> int:
        local = self._local(at_ms)
        return local.year * 12 + local.month - 1

    def _months_from(self, start_ms: int) -> Iterator[_Month]:
        """The start's month and those after it, until ten years in a row were closed."""
        index = last_open = self._month_of(start_ms)
        while index - last_open <= _HORIZON_MONTHS and index <= _LAST_MONTH:
            month = self._month(index)
            if month.total_ms:
                last_open = index
            yield month
            index += 1
        since = format_instant(start_ms)
        raise ContractError("never_open", f"the calendar has no open time in the ten years after {since}: add weekly hours")

    def _month(self, index: int) -> _Month:
        month = self._months.get(index)
        if month is None:
            if len(self._months) >= _MAX_CACHED_MONTHS:
                del self._months[next(iter(self._months))]
            month = self._months[index] = self._lay_out(index)
        return month

    def _lay_out(self, index: int) -> _Month:
        first = date(index // 12, index % 12 + 1, 1)
        spans: list[tuple[int, int]] = []
        before: list[int] = []
        total_ms = 0
        closes: dict[int, int] = {}
        day = first
        while day.month == first.month:
            for start_ms, end_ms in self._spans(day):
                spans.append((start_ms, end_ms))
                before.append(total_ms)
                total_ms += end_ms - start_ms
                closes[day.day] = end_ms
            day += timedelta(days=1)
        starts, ends = tuple(start for start, _ in spans), tuple(end for _, end in spans)
        return _Month(starts, ends, tuple(before), total_ms, tuple(closes), tuple(closes.values()))

    def _hours(self, day: date) -> tuple[Minutes, ...]:
        """The intervals of a date: `open`, then `make_up`, then `closed` and `holidays`, then `weekly`."""
        opened = self._opened.get(day)
        if opened is not None:
            return opened
        if day in self._make_up:
            return self._weekly[0]
        return () if day in self._closed else self._weekly[day.weekday()]

    def _spans(self, day: date) -> list[tuple[int, int]]:
        """The open spans of a date in UTC, ascending and apart; none on a date that the zone skipped."""
        hours = self._hours(day)
        if not hours:
            return []
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  (a wall clock's reading)
        over_ms = from_wall_clock(midnight + timedelta(days=1), self._zone)
        spans: list[tuple[int, int]] = []
        # Sorted, because a border that a gap moved may have come to stand behind the next interval.
        for start_ms, end_ms in sorted((self._instant(midnight, start), self._instant(midnight, end)) for start, end in hours):
            from_ms, to_ms = start_ms, min(end_ms, over_ms)
            if spans and from_ms <= spans[-1][1]:
                from_ms, to_ms = spans[-1][0], max(spans.pop()[1], to_ms)
            if from_ms < to_ms:
                spans.append((from_ms, to_ms))
        return spans

    def _instant(self, midnight: datetime, minute: int) -> int:
        return from_wall_clock(midnight + timedelta(minutes=minute), self._zone)


class AlwaysOpen:
    """Around the clock: business time is time. Its working days are the dates of a zone.

    >>> AlwaysOpen().add_ms(1_000, 500)
    1500
    """

    def __init__(self, zone: str | ZoneInfo = "UTC") -> None:
        self._zone = as_zone(zone)
        self.fingerprint = crc32(repr(self._zone.key).encode())

    def consumed_ms(self, start_ms: int, end_ms: int) -> int:
        """The milliseconds in [start, end); 0 if the end is not after the start."""
        return max(0, end_ms - start_ms)

    def add_ms(self, start_ms: int, consumed_ms: int) -> int:
        """The instant so many milliseconds later."""
        if consumed_ms < 0:
            raise ValueError(f"business time runs forward, and {consumed_ms} ms were asked for")
        return start_ms + consumed_ms

    def workday_end_ms(self, start_ms: int, workdays: int) -> int:
        """The midnight that ends the nth date after the start's."""
        if workdays < 1:
            raise ValueError(f"workdays count from 1, and {workdays} were asked for")
        wall = from_epoch_ms(start_ms).astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return from_wall_clock(wall + timedelta(days=workdays + 1), self._zone)

    def is_open(self, at_ms: int) -> bool:  # noqa: ARG002  (the protocol's)
        """Always."""
        return True

    def covers(self, at_ms: int) -> bool:  # noqa: ARG002  (the protocol's)
        """Always: there are no holidays to know."""
        return True
