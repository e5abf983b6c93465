"""Silences: from an event that starts one until an event that ends it, on a clock that runs behind the events.

Events come in any order. Those ahead of the clock wait in `pending`; what the clock has passed is folded into the
cursor. An interval is half-open: a silence that starts at s and is due at d is ended by an event in (s, d) only.
"""

from bisect import insort
from collections.abc import Callable
from typing import Final

from detectors.occurrence import Occurrence
from detectors.state import Cursor, Silence, Step

MAX_SINCE: Final = 16
"""How many of the events that followed a start are remembered, in case that it turns out to be over."""

DueOf = Callable[[int], int]
"""When a silence that starts at an instant is due."""


class SilenceFold:
    """How one step moves a cursor: plain (every event ends one silence and starts the next), or with `after`."""

    def __init__(self, *, after: bool, restart: bool = False) -> None:
        self._after = after
        self._restart = restart

    def step(self, cursor: Cursor, step: Step) -> Cursor:
        """The cursor behind a step that comes before the silence is due."""
        if not self._after:
            settled = cursor.settled + 1
            return Cursor(start=step.occurrence, at_start=settled, settled=settled)
        return self._ended(cursor, step.occurrence) if step.ends else self._followed(cursor, step.occurrence)

    def _ended(self, cursor: Cursor, end: Occurrence) -> Cursor:
        """An event waited for: of what followed it, the first (or the last) starts the next silence."""
        ended_ms = end.at_ms if cursor.ended_ms is None else max(cursor.ended_ms, end.at_ms)
        known = (cursor.start, *cursor.since) if cursor.start is not None else cursor.since
        left = tuple(occurrence for occurrence in known if occurrence.at_ms > ended_ms)
        if not left:
            return Cursor(settled=cursor.settled, ended_ms=ended_ms)
        first = len(left) - 1 if self._restart else 0
        at_start = cursor.settled - (len(left) - 1 - first)
        return Cursor(left[first], at_start, cursor.settled, ended_ms, left[first + 1 :])

    def _followed(self, cursor: Cursor, occurrence: Occurrence) -> Cursor:
        settled = cursor.settled + 1
        at_ms = occurrence.at_ms
        if cursor.ended_ms is not None and at_ms <= cursor.ended_ms:
            return Cursor(cursor.start, cursor.at_start, settled, cursor.ended_ms, cursor.since)
        if cursor.start is None:
            return Cursor(occurrence, settled, settled, cursor.ended_ms)
        earlier = at_ms < cursor.start.at_ms
        if earlier == self._restart:  # the latest counts and this one is earlier, or the earliest and it is later
            since = cursor.since if earlier else _with(cursor.since, occurrence)
            return Cursor(cursor.start, cursor.at_start, settled, cursor.ended_ms, since)
        since = () if self._restart else _with(cursor.since, cursor.start)
        return Cursor(occurrence, settled if self._restart else cursor.at_start, settled, cursor.ended_ms, since)


def expect(silence: Silence, step: Step) -> None:
    """Put a step among those ahead, by time; at the same instant an event waited for comes last, so that it ends."""
    insort(silence.pending, step, key=lambda known: (known.occurrence.at_ms, known.ends))


def absorb(silence: Silence, fold: SilenceFold, due_of: DueOf, now_ms: int | None) -> None:
    """Fold what the clock has passed into the cursor, up to the first step that comes at or after the due time."""
    while now_ms is not None and silence.pending and silence.pending[0].occurrence.at_ms < now_ms:
        start = silence.cursor.start
        if start is not None and silence.pending[0].occurrence.at_ms >= due_of(start.at_ms):
            return
        silence.cursor = fold.step(silence.cursor, silence.pending.pop(0))


def due_ms(silence: Silence, fold: SilenceFold, due_of: DueOf) -> int | None:
    """When the silence is due that lies ahead, given all the events that are known; None if there is none."""
    cursor = silence.cursor
    for step in silence.pending:
        if cursor.start is not None and step.occurrence.at_ms >= due_of(cursor.start.at_ms):
            break
        cursor = fold.step(cursor, step)
    return None if cursor.start is None else due_of(cursor.start.at_ms)


def _with(since: tuple[Occurrence, ...], occurrence: Occurrence) -> tuple[Occurrence, ...]:
    return tuple(sorted((*since, occurrence), key=lambda known: known.at_ms))[:MAX_SINCE]
