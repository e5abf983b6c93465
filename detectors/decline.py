"""`decline`: the rate a day of a recent window differs from that of the window before it.

It is looked at at midnights by the rule's now: `recent` are the whole UTC days before the midnight, `baseline` those
before them. Late events count for the looks that are still ahead; what was told stands. No single event is evidence of a
trend, so an alert shows none.
"""

from fractions import Fraction
from hashlib import blake2b
from typing import Final

from detectors.daily_counts import next_midnight, reached_day, utc_day
from detectors.decline_state import DayValues, Trend
from detectors.features import seen_at
from detectors.gaps import Spans, next_known, overlaps_days
from detectors.kinds import Transition, state_key
from detectors.predicates import Predicate, event_types
from detectors.state import Customer
from schemas.decisions import Because, ClearsIf
from schemas.events import AnyEvent
from schemas.instants import DAY_MS, exact_ms
from schemas.rule_kinds import DeclineRule

LATE_DAYS: Final = 2
"""With `distinct`, an event of a day that has been over for longer is not counted: the day's values are forgotten."""


class DeclineKind:
    """One `decline` rule.

    Both windows have to lie after the customer's first event of any type, as far as it was known at the last event that
    the rule looks at; if the rule is new, after the last event that it has missed.

    Args:
        rule: valid; `recent` and `baseline` are numbers of whole days.
        feeds: whose marks make its now.
        gaps: of the feeds: no look is taken at days that overlap one.

    Raises:
        ContractError: a duration or predicate that is none.
    """

    def __init__(self, rule: DeclineRule, feeds: tuple[str, ...], gaps: Spans = ()) -> None:
        self.rule = rule
        self._gaps = gaps
        self.feeds = feeds
        self.types = event_types(rule.of)
        self.state_key = state_key(rule, rule.of, rule.where, rule.distinct)
        self._where = Predicate(rule.where) if rule.where is not None else None
        self._recent_days = exact_ms(rule.recent) // DAY_MS
        self._baseline_days = exact_ms(rule.baseline) // DAY_MS
        self._days = self._recent_days + self._baseline_days
        # As the decimal number that was written: in floating point 1 - 0.9 is less than 0.1, and a limit met exactly is met.
        by = Fraction(str(rule.by))
        self._down_to = 1 - by if rule.direction != "up" else None
        self._up_to = 1 + by if rule.direction != "down" else None

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Count from after the last event that a new rule has missed; look again soon, for thresholds may have moved."""
        trend = customer.trends.get(self.state_key)
        if trend is None:
            missed = [customer.lasts[name].at_ms for name in sorted(self.types) if name in customer.lasts]
            if missed:
                whole_from = next_midnight(max(missed) + 1)
                customer.trends[self.state_key] = Trend(whole_from=whole_from, kept_days=self._days)
            return
        midnight = reached_day(trend.reached, now_ms)
        if self._days > trend.kept_days:
            trend.whole_from, trend.is_first = max(trend.whole_from, midnight + 1 - trend.kept_days), False
        trend.kept_days = self._days
        self._pass(trend, midnight)
        if trend.counts.days or trend.episode_ms is not None:
            trend.wake_day = trend.reached + 1

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:
        """Count an event; nothing is told before midnight."""
        # Whatever it was: of an order that came first the rule would be told, so there was none between the two.
        begins = next_midnight(customer.first_ms)
        trend, moved = customer.trends.get(self.state_key), False
        if trend is None:
            trend = customer.trends[self.state_key] = Trend(whole_from=begins, is_first=True, kept_days=self._days)
        elif trend.is_first and begins < trend.whole_from:
            trend.whole_from, moved = begins, True
        midnight = reached_day(trend.reached, now_ms)
        if midnight > trend.reached:
            self._pass(trend, midnight)
        day = utc_day(event.at_ms)
        if day > trend.reached - self._days and self._is_counted(customer, trend, event, day):
            trend.counts.add(day)
        self._wake_after(trend, (trend.reached if moved else max(day, trend.reached)) + 1)
        return []

    def wake_ms(self, customer: Customer) -> int | None:
        """The next midnight at which something may change."""
        trend = customer.trends.get(self.state_key)
        return None if trend is None or trend.wake_day is None else trend.wake_day * DAY_MS

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:
        """Compare the days before a midnight."""
        trend = customer.trends[self.state_key]
        midnight = utc_day(due_ms)
        found = self._look(trend, midnight)
        change = trend.counts.next_change(midnight, (0, self._recent_days, self._days))
        known = next_known(self._gaps, self._days, midnight)
        change = min((one for one in (change, known) if one is not None), default=None)
        if midnight < self._whole_at(trend):  # a rule whose windows have become longer
            change = self._whole_at(trend)
        self._pass(trend, midnight)
        trend.wake_day = None
        self._wake_after(trend, change)
        return found

    # -- counting

    def _is_counted(self, customer: Customer, trend: Trend, event: AnyEvent, day: int) -> bool:
        if self._where is not None and self._where.holds(event, seen_at(customer.features, event.at_ms)) is not True:
            return False
        return self.rule.distinct is None or self._is_new_value(trend, getattr(event, self.rule.distinct, None), day)

    def _is_new_value(self, trend: Trend, value: object, day: int) -> bool:
        """Whether the day did not have this value yet; from here on it has."""
        if value is None or day < trend.reached - LATE_DAYS:
            return False
        plain = float(value) if isinstance(value, int) else value
        mark = int.from_bytes(blake2b(repr(plain).encode(), digest_size=8).digest(), "big")
        place = sum(known.day < day for known in trend.values)
        if place == len(trend.values) or trend.values[place].day != day:
            trend.values.insert(place, DayValues(day, []))
        hashes = trend.values[place].hashes
        if mark in hashes:
            return False
        hashes.append(mark)
        return True

    def _pass(self, trend: Trend, midnight: int) -> None:
        """A midnight is behind us: forget what no later look needs."""
        trend.reached = midnight
        while trend.values and trend.values[0].day < midnight - LATE_DAYS:
            trend.values.pop(0)
        trend.counts.forget(midnight + 1 - self._days)

    # -- deciding

    def _look(self, trend: Trend, midnight: int) -> list[Transition]:
        if midnight < self._whole_at(trend) or overlaps_days(self._gaps, midnight - self._days, midnight):
            return []
        recent, baseline = self._counted(trend, midnight, midnight)
        at_ms = midnight * DAY_MS
        if trend.episode_ms is None and self._differs(recent, baseline):
            trend.episode_ms = at_ms
            return [self._opened(trend, midnight, recent, baseline)]
        if trend.episode_ms is not None and not self._differs(recent, baseline):
            episode_ms, trend.episode_ms = trend.episode_ms, None
            because = self._because(recent, baseline)
            return [Transition(state="resolved", at_ms=at_ms, episode_start_ms=episode_ms, due_ms=episode_ms, because=because)]
        return []

    def _counted(self, trend: Trend, midnight: int, end: int) -> tuple[int, int]:
        """What the two windows of a midnight hold of the days before `end`."""
        between = midnight - self._recent_days
        counts = trend.counts
        return counts.total(between, end), counts.total(midnight - self._days, min(between, end))

    def _ratio(self, recent: int, baseline: int) -> Fraction:
        return Fraction(recent * self._baseline_days, baseline * self._recent_days)

    def _differs(self, recent: int, baseline: int) -> bool:
        if baseline < self.rule.min_count:
            return False
        ratio = self._ratio(recent, baseline)
        return (self._down_to is not None and ratio <= self._down_to) or (self._up_to is not None and ratio >= self._up_to)

    def _opened(self, trend: Trend, midnight: int, recent: int, baseline: int) -> Transition:
        at_ms = midnight * DAY_MS
        per_day = Fraction(baseline, self._baseline_days)
        of, where, clears_ms = sorted(self.types), self.rule.where, self._clears_ms(trend, midnight)
        if self._down_to is not None and self._ratio(recent, baseline) <= self._down_to:
            least = float(self._down_to * per_day)
            clears_if = ClearsIf(code="rate_above", of=of, at_ms=clears_ms, above=least, where=where)
        else:
            most = float((self._up_to or 0) * per_day)
            clears_if = ClearsIf(code="rate_below", of=of, at_ms=clears_ms, below=most, where=where)
        because = self._because(recent, baseline)
        return Transition(
            state="opened", at_ms=at_ms, episode_start_ms=at_ms, due_ms=at_ms, because=because, clears_if=clears_if
        )

    def _because(self, recent: int, baseline: int) -> tuple[Because, ...]:
        found = [
            Because(clause="recent_per_day", value=recent / self._recent_days),
            Because(clause="baseline_per_day", value=baseline / self._baseline_days),
            Because(clause="min_count", value=baseline, threshold=self.rule.min_count),
        ]
        if baseline:
            change = float(self._ratio(recent, baseline) - 1)
            is_down = self._up_to is None or (self._down_to is not None and change < 0)
            found.insert(2, Because(clause="change", value=change, threshold=-self.rule.by if is_down else self.rule.by))
        return tuple(found)

    def _clears_ms(self, trend: Trend, midnight: int) -> int | None:
        """When the days that were looked at have moved on so far that it clears."""
        moves = {day + lag + 1 for day in trend.counts.days for lag in (self._recent_days, self._days)}
        for later in sorted(move for move in moves if move > midnight):
            if not self._differs(*self._counted(trend, later, midnight)):
                return later * DAY_MS
        return None

    # -- waking

    def _whole_at(self, trend: Trend) -> int:
        """The first midnight whose windows were observed in full."""
        return trend.whole_from + self._days

    def _wake_after(self, trend: Trend, midnight: int | None) -> None:
        """Look at a midnight, if something can come of it; else only once everything can be forgotten."""
        if trend.wake_day is not None and midnight is not None and trend.wake_day <= midnight:
            return
        wake_day = midnight
        if trend.episode_ms is None:
            if sum(trend.counts.counts) < self.rule.min_count:
                wake_day = max(trend.counts.days[-1] + self._days, trend.reached + 1) if trend.counts.days else None
            elif midnight is not None:
                wake_day = max(midnight, self._whole_at(trend))
        if wake_day is not None:
            trend.wake_day = wake_day if trend.wake_day is None else min(trend.wake_day, wake_day)
