"""When to look at which customer: for each set of feeds what comes next, for each set has a clock of its own."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from schemas.instants import DAY_MS

Feeds = tuple[str, ...]
"""Names of feeds, sorted."""
TIDY_AT: Final = 1_024
"""Entries of a later day from which on customers who are noted twice are looked for."""


def clock_key(feeds: Feeds) -> int:
    """Under which a customer keeps the wake-up by the clock of some feeds: short, for every customer has some."""
    return crc32(",".join(feeds).encode())


@dataclass(slots=True)
class _Clock:
    key: int
    today: list[tuple[int, str]] = field(default_factory=list)
    """A heap of what is due until the end of `day`."""
    later: dict[int, list[str]] = field(default_factory=dict)
    """Customers by the day on which they are due."""
    tidy_at: dict[int, int] = field(default_factory=dict)
    """By day: entries from which on that is done again."""
    day: int = -1
    """The day that the clock has reached, counted from the epoch."""


class Timers:
    """The next wake-up of every customer, one per set of feeds; the customers' states say when, here is an order of them.

    A wake-up that moved leaves its old entry behind; it is recognised, and dropped, when it comes up. Of what is due on a
    later day only the customer is noted: most of them wait for weeks, and there are many. A customer whose alerts come and
    go is noted for such a day again and again, so a day's entries are tidied whenever they have doubled.

    Args:
        wakes_of: the wake-ups that a customer's state names, by `clock_key`.
    """

    def __init__(self, wakes_of: Callable[[str], Mapping[int, int]]) -> None:
        self._wakes_of = wakes_of
        self._clocks: dict[Feeds, _Clock] = {}

    def arm(self, customer_id: str, feeds: Feeds, due_ms: int) -> None:
        """Note a wake-up that the customer's state names."""
        clock = self._clocks.get(feeds)
        if clock is None:
            clock = self._clocks[feeds] = _Clock(clock_key(feeds))
        day = due_ms // DAY_MS
        if day <= clock.day:
            heapq.heappush(clock.today, (due_ms, customer_id))
        else:
            noted = clock.later.setdefault(day, [])
            noted.append(customer_id)
            if len(noted) >= clock.tidy_at.get(day, TIDY_AT):
                noted[:] = dict.fromkeys(noted)
                clock.tidy_at[day] = max(TIDY_AT, 2 * len(noted))

    def pop_due(self, now_ms: Callable[[Feeds], int | None]) -> tuple[int, str, Feeds] | None:
        """Take the earliest wake-up that the clock of its feeds has reached; ties go by customer, then feeds."""
        found: tuple[int, str, Feeds] | None = None
        for feeds, clock in self._clocks.items():
            reached_ms = now_ms(feeds)
            if reached_ms is None:
                continue
            if reached_ms // DAY_MS > clock.day:
                self._begin(clock, reached_ms // DAY_MS)
            if clock.today and clock.today[0][0] <= reached_ms and (top := self._top(clock, reached_ms)) is not None:
                candidate = (*top, feeds)
                found = candidate if found is None else min(found, candidate)
        if found is not None:
            heapq.heappop(self._clocks[found[2]].today)
        return found

    def __len__(self) -> int:
        """Wake-ups that are noted, with those that have moved since."""
        return sum(len(clock.today) + sum(map(len, clock.later.values())) for clock in self._clocks.values())

    def clear(self) -> None:
        """Forget everything, to be armed anew."""
        self._clocks.clear()

    def _begin(self, clock: _Clock, day: int) -> None:
        """The clock has reached another day."""
        for reached in sorted(known for known in clock.later if known <= day):
            clock.tidy_at.pop(reached, None)
            for customer_id in clock.later.pop(reached):
                due_ms = self._wakes_of(customer_id).get(clock.key)
                if due_ms is not None and due_ms // DAY_MS == reached:
                    heapq.heappush(clock.today, (due_ms, customer_id))
        clock.day = day

    def _top(self, clock: _Clock, reached_ms: int) -> tuple[int, str] | None:
        """What comes first of today, if it is due."""
        today = clock.today
        while today and today[0][0] <= reached_ms:
            due_ms, customer_id = today[0]
            if self._wakes_of(customer_id).get(clock.key) == due_ms:
                return today[0]
            heapq.heappop(today)
        return None
