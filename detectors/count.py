"""`count`: so many matching events within a trailing window `(t - within, t]`."""

from bisect import bisect_right, insort
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from detectors.features import seen_at
from detectors.gaps import Spans
from detectors.kinds import Transition, state_key
from detectors.occurrence import Occurrence
from detectors.predicates import Predicate, event_types
from detectors.state import Burst, Customer
from schemas.decisions import Because, ClearsIf
from schemas.events import AnyEvent
from schemas.instants import exact_ms
from schemas.rule_kinds import CountRule

_instant: Final = attrgetter("at_ms")


class CountKind:
    """One `count` rule. It opens at the event that completes a window, without waiting for the clock.

    Args:
        rule: valid; `within` is an exact duration.
        feeds: whose marks make its now, by which it clears.
        gaps: of the feeds: nobody knows that a window has emptied while it overlaps one. Opening is another matter: what
            was lost could only add to what was seen.
    """

    def __init__(self, rule: CountRule, feeds: tuple[str, ...], gaps: Spans = ()) -> None:
        self.rule = rule
        self._gaps = gaps
        self.feeds = feeds
        self.types = event_types(rule.of)
        self.state_key = state_key(rule, rule.of, rule.where)
        self._where = Predicate(rule.where) if rule.where is not None else None
        self._within_ms = exact_ms(rule.within)

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Nothing: which events match is only known from here on, and a window that misses some opens late, not wrongly."""

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:
        """Count an event; an unknown predicate is no match."""
        if self._where is not None and self._where.holds(event, seen_at(customer.features, event.at_ms)) is not True:
            return []
        burst = customer.bursts.setdefault(self.state_key, Burst())
        occurrence = Occurrence.of(event)
        insort(burst.recent, occurrence, key=_instant)
        completed = None
        if burst.episode_ms is None:  # the first window that is full now that this event is there; what is told is final
            ends = (end for end in self._completing(burst) if end.at_ms >= occurrence.at_ms and end.at_ms > burst.over_ms)
            completed = next(ends, None)
        found: list[Transition] = []
        if completed is not None:
            late = now_ms is not None and occurrence.at_ms < now_ms
            found.append(self._opened(burst, completed.at_ms, occurrence.at_ms if late else completed.at_ms))
        self._forget(burst, now_ms)
        return found

    def wake_ms(self, customer: Customer) -> int | None:
        """When the window is no longer full."""
        burst = customer.bursts.get(self.state_key)
        if burst is None or burst.episode_ms is None:
            return None
        # An event at the very instant at which the oldest leaves keeps it open: that instant has to be over.
        over_ms = self._empties_ms(burst, burst.episode_ms) + 1
        for from_ms, until_ms in self._gaps:
            if from_ms < over_ms < until_ms + self._within_ms:
                over_ms = until_ms + self._within_ms
                full = [end.at_ms for end in self._completing(burst) if end.at_ms < over_ms]
                over_ms = max(over_ms, *(self._empties_ms(burst, at_ms) + 1 for at_ms in full[-1:]), 0)
        return over_ms

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:
        """Close an episode whose window has emptied; events ahead of the clock may have completed another one since."""
        burst = customer.bursts[self.state_key]
        found = self._close(burst, due_ms - 1)
        later = next((end for end in self._completing(burst) if end.at_ms >= due_ms), None)
        if later is not None:
            found.append(self._opened(burst, later.at_ms, later.at_ms))
        self._forget(burst, due_ms)
        return found

    def _completing(self, burst: Burst) -> Iterator[Occurrence]:
        """The events whose windows hold enough, by time."""
        needed = self.rule.at_least
        for first, end in zip(burst.recent, burst.recent[needed - 1 :], strict=False):
            if end.at_ms - first.at_ms < self._within_ms:
                yield end

    def _opened(self, burst: Burst, episode_ms: int, at_ms: int) -> Transition:
        burst.episode_ms = episode_ms
        window = [one for one in burst.recent if at_ms - self._within_ms < one.at_ms <= max(at_ms, episode_ms)]
        return Transition(
            state="opened",
            at_ms=at_ms,
            episode_start_ms=episode_ms,
            due_ms=episode_ms,
            because=(
                Because(clause="count", value=len(window), threshold=self.rule.at_least),
                Because(clause="within_ms", value=self._within_ms),
            ),
            evidence=tuple(one.evidence() for one in window[-self.rule.at_least :]),
            clears_if=ClearsIf(code="window_empties", at_ms=self._empties_ms(burst, episode_ms)),
        )

    def _empties_ms(self, burst: Burst, episode_ms: int) -> int:
        """When the window, which was full at the episode's start, no longer is, by the events that are known."""
        recent, needed = burst.recent, self.rule.at_least
        place = max(needed, bisect_right(recent, episode_ms, key=_instant))  # some of it is forgotten if a gap held it open
        empties_ms = recent[place - needed].at_ms + self._within_ms
        while place < len(recent) and recent[place].at_ms <= empties_ms:
            place += 1
            empties_ms = recent[place - needed].at_ms + self._within_ms
        return empties_ms

    def _close(self, burst: Burst, at_ms: int) -> list[Transition]:
        episode_ms = burst.episode_ms
        if episode_ms is None:
            return []
        burst.episode_ms, burst.over_ms = None, at_ms
        left = sum(at_ms - self._within_ms < one.at_ms <= at_ms for one in burst.recent)
        because = (Because(clause="count", value=left, threshold=self.rule.at_least),)
        return [Transition(state="resolved", at_ms=at_ms, episode_start_ms=episode_ms, due_ms=episode_ms, because=because)]

    def _forget(self, burst: Burst, now_ms: int | None) -> None:
        """Drop what no window that a coming event can still complete needs: before the clock, but the last few."""
        if now_ms is None:
            return
        keep = self.rule.at_least
        horizon_ms = now_ms - self._within_ms
        while len(burst.recent) > keep and burst.recent[0].at_ms < horizon_ms:
            burst.recent.pop(0)
