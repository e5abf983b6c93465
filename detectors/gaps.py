"""Gaps: spans in which events of a feed were lost for good. What nobody can have seen is neither a silence nor a share.

A silence is extended by the part of a gap that lies in it, and a window that overlaps a gap is unknown. Spans are
half-open, `(from_ms, until_ms)`, ascending and apart.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from detectors.calendars import Calendar
from schemas.decisions import Because
from schemas.instants import DAY_MS

Spans = tuple[tuple[int, int], ...]
Gaps = Mapping[str, Iterable[tuple[int, int]]]
"""Of each feed that has some."""
NO_GAPS: Final[Gaps] = {}


def with_span(spans: Spans, from_ms: int, until_ms: int) -> Spans:
    """These and one more.

    >>> with_span(((1, 3), (8, 9)), 2, 5)
    ((1, 5), (8, 9))
    """
    apart = [span for span in spans if span[1] < from_ms or span[0] > until_ms]
    touched = [span for span in spans if span not in apart]
    joined = (min([from_ms, *(span[0] for span in touched)]), max([until_ms, *(span[1] for span in touched)]))
    return tuple(sorted([*apart, joined]))


def without_span(spans: Spans, from_ms: int, until_ms: int) -> Spans:
    """What is left of them outside one.

    >>> without_span(((1, 9),), 2, 5)
    ((1, 2), (5, 9))
    """
    pieces = ((first, min(end, from_ms)) for first, end in spans), ((max(first, until_ms), end) for first, end in spans)
    return tuple(sorted({(first, end) for piece in pieces for first, end in piece if first < end}))


def of_feeds(gaps: Gaps, feeds: Iterable[str]) -> Spans:
    """In which at least one of these feeds has a gap."""
    found: Spans = ()
    for feed in feeds:
        for from_ms, until_ms in gaps.get(feed, ()):
            found = with_span(found, from_ms, until_ms)
    return found


def overlapping(spans: Spans, from_ms: int, until_ms: int) -> Spans:
    """The spans that have an instant in common with `[from_ms, until_ms)`."""
    return tuple(span for span in spans if span[0] < until_ms and span[1] > from_ms)


def overlaps_days(spans: Spans, first: int, end: int) -> bool:
    """Whether a gap touches the UTC days `[first, end)`."""
    return bool(spans) and bool(overlapping(spans, first * DAY_MS, end * DAY_MS))


def next_known(spans: Spans, days: int, midnight: int) -> int | None:
    """The first later midnight with a gap behind the so many days before it; None if no gap lies in the way."""
    ends = (-(-until_ms // DAY_MS) + days for from_ms, until_ms in spans if from_ms < midnight * DAY_MS)
    return min((end for end in ends if end > midnight), default=None)


def extended(due_of: Callable[[int], int], spans: Spans) -> Callable[[int], int]:
    """When a silence is due, put off by whatever part of the gaps lies between its start and then.

    >>> extended(lambda start_ms: start_ms + 10, ((3, 5), (11, 14), (40, 50)))(0)
    15
    """
    if not spans:
        return due_of
    return lambda start_ms: put_off(due_of(start_ms), start_ms, spans)


def put_off(due_ms: int, start_ms: int, spans: Spans) -> int:
    """The same for one silence."""
    for from_ms, until_ms in spans:
        if until_ms > start_ms and from_ms < due_ms:
            due_ms += until_ms - max(from_ms, start_ms)
    return due_ms


def unseen(gaps: Spans, start_ms: int, due_ms: int) -> list[Because]:
    """By how much a silence was put off, if it was."""
    lost_ms = sum(min(end_ms, due_ms) - max(from_ms, start_ms) for from_ms, end_ms in overlapping(gaps, start_ms, due_ms))
    return [Because(clause="unseen_ms", value=lost_ms)] if lost_ms else []


def with_gaps(calendar: Calendar, spans: Spans) -> Calendar:
    """A calendar on which gaps are closed: a clock that waits for an event stands still while it could not be seen."""
    return GapCalendar(calendar, spans) if spans else calendar


class GapCalendar:
    """See `with_gaps`.

    Args:
        calendar: the opening hours otherwise. They stay the promise: the fingerprint is theirs.
        spans: of the gaps.
    """

    def __init__(self, calendar: Calendar, spans: Spans) -> None:
        self._calendar = calendar
        self._spans = spans
        self.fingerprint = calendar.fingerprint

    def consumed_ms(self, start_ms: int, end_ms: int) -> int:
        """Open milliseconds in [start, end) outside the gaps."""
        lost_ms = (self._lost_ms(span, start_ms, end_ms) for span in self._spans)
        return self._calendar.consumed_ms(start_ms, end_ms) - sum(lost_ms)

    def add_ms(self, start_ms: int, consumed_ms: int) -> int:
        """The earliest instant by which so many open milliseconds outside the gaps have passed."""
        wanted_ms = consumed_ms
        found_ms = self._calendar.add_ms(start_ms, wanted_ms)
        for span in self._spans:
            if span[1] > start_ms and span[0] < found_ms:
                wanted_ms += self._lost_ms(span, start_ms, span[1])
                found_ms = self._calendar.add_ms(start_ms, wanted_ms)
        return found_ms

    def workday_end_ms(self, start_ms: int, workdays: int) -> int:
        """When the nth working day closes, put off by the open hours that the gaps took."""
        end_ms = self._calendar.workday_end_ms(start_ms, workdays)
        return self.add_ms(start_ms, self._calendar.consumed_ms(start_ms, end_ms))

    def is_open(self, at_ms: int) -> bool:
        """Whether the millisecond is open, and in no gap."""
        return self._calendar.is_open(at_ms) and not overlapping(self._spans, at_ms, at_ms + 1)

    def covers(self, at_ms: int) -> bool:
        """Whether the holidays of that local year are known."""
        return self._calendar.covers(at_ms)

    def _lost_ms(self, span: tuple[int, int], start_ms: int, end_ms: int) -> int:
        return self._calendar.consumed_ms(max(span[0], start_ms), min(span[1], end_ms))
