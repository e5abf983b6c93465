"""Counts per UTC day, for rules that are decided at midnights over whole days.

A day is a number, `at_ms // DAY_MS`; the same number names the midnight at which it begins.
"""

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from schemas.instants import DAY_MS


def utc_day(at_ms: int) -> int:
    """The UTC day of an instant.

    >>> utc_day(DAY_MS - 1), utc_day(DAY_MS)
    (0, 1)
    """
    return at_ms // DAY_MS


def next_midnight(at_ms: int) -> int:
    """The first midnight that is not before an instant; the first day that lies after it as a whole.

    >>> next_midnight(DAY_MS), next_midnight(DAY_MS + 1)
    (1, 2)
    """
    return -(-at_ms // DAY_MS)


def reached_day(before: int, now_ms: int | None) -> int:
    """The last midnight that a clock has passed, which has passed `before` already."""
    return before if now_ms is None else max(before, utc_day(now_ms))


class DailyCounts(msgspec.Struct, array_like=True):
    """How many there were on each day that had any."""

    days: list[int] = []
    """Ascending."""
    counts: list[int] = []
    """Of the day in the same place."""

    def add(self, day: int) -> None:
        """One more on a day, in any order."""
        days = self.days
        if days and days[-1] == day:
            self.counts[-1] += 1
            return
        place = bisect_left(days, day)
        if place < len(days) and days[place] == day:
            self.counts[place] += 1
        else:
            days.insert(place, day)
            self.counts.insert(place, 1)

    def total(self, first: int, end: int) -> int:
        """How many there were in `[first, end)`.

        >>> DailyCounts([3, 5], [10, 1]).total(3, 5)
        10
        """
        return sum(self.counts[bisect_left(self.days, first) : bisect_left(self.days, end)])

    def forget(self, before: int) -> None:
        """Drop the days before one."""
        place = bisect_left(self.days, before)
        del self.days[:place], self.counts[:place]

    def next_change(self, midnight: int, lags: Iterable[int]) -> int | None:
        """The first later midnight at which a day gets into a window that ends so many days before it.

        >>> DailyCounts([3, 5], [10, 1]).next_change(4, (0, 7))
        6
        """
        found = None
        for lag in lags:
            place = bisect_left(self.days, midnight - lag)
            if place < len(self.days):
                change = self.days[place] + lag + 1
                found = change if found is None else min(found, change)
        return found
