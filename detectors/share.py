"""`share`: of at least `among` events within whole UTC days, at least `share` match.

It is looked at at midnights by the rule's now, over the days `[midnight - within, midnight)`. Late events count for the
looks that are still ahead; what was told stands.
"""

from bisect import insort
from typing import Final

from detectors.daily_counts import next_midnight, reached_day, utc_day
from detectors.features import seen_at
from detectors.gaps import Spans, next_known, overlaps_days
from detectors.kinds import Transition, state_key
from detectors.occurrence import Occurrence
from detectors.predicates import Predicate, event_types
from detectors.share_state import ShareWatch, TicketEnd, Waiting
from detectors.state import Customer
from schemas.decisions import Because, ClearsIf
from schemas.events import AnyEvent, TicketEvent
from schemas.instants import DAY_MS, exact_ms
from schemas.rule_kinds import ShareRule

MAX_EVIDENCE: Final = 4
"""How many of the matching events an alert shows, the latest."""


class ShareKind:
    """One `share` rule.

    With `unless`, an event matches at the first midnight at or after `at + for` if no `unless` event of its ticket lies in
    `[at, at + for)`; once it matches, it goes on doing so. One that comes so late that `for` was over at the last look
    counts and never matches: what ended it may be forgotten already.

    Args:
        rule: valid; `within` is a number of whole days.
        feeds: whose marks make its now.
        gaps: of the feeds: no look is taken at days that overlap one.

    Raises:
        ContractError: a duration or predicate that is none.
    """

    def __init__(self, rule: ShareRule, feeds: tuple[str, ...], gaps: Spans = ()) -> None:
        self.rule = rule
        self._gaps = gaps
        self.feeds = feeds
        self._of = event_types(rule.of)
        self._unless = event_types(rule.unless)
        self.types = self._of | self._unless
        self.state_key = state_key(rule, rule.of, rule.where, rule.unless, rule.for_)
        self._where = Predicate(rule.where) if rule.where is not None else None
        self._for_ms = exact_ms(rule.for_) if rule.for_ is not None else None
        self._within_days = exact_ms(rule.within) // DAY_MS
        self._clear_below = rule.share if rule.clear_below is None else rule.clear_below

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Count from after the last event that a new rule has missed; look again soon, for thresholds may have moved."""
        watch = customer.shares.get(self.state_key)
        if watch is None:
            missed = [customer.lasts[name].at_ms for name in sorted(self._of) if name in customer.lasts]
            if missed:
                whole_from = next_midnight(max(missed) + 1)
                customer.shares[self.state_key] = ShareWatch(whole_from=whole_from, kept_days=self._within_days)
            return
        midnight = reached_day(watch.reached, now_ms)
        if self._within_days > watch.kept_days:
            watch.whole_from = max(watch.whole_from, midnight + 1 - watch.kept_days)
        watch.kept_days = self._within_days
        self._pass(watch, midnight)
        if watch.every.days or watch.episode_ms is not None:
            watch.wake_day = watch.reached + 1

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:
        """Count an event; nothing is told before midnight."""
        watch = customer.shares.get(self.state_key)
        if watch is None:
            # Whoever had such events before the rule came was given a watch then: for this customer it is the first.
            watch = customer.shares[self.state_key] = ShareWatch(kept_days=self._within_days)
        midnight = reached_day(watch.reached, now_ms)
        if midnight > watch.reached:
            self._pass(watch, midnight)
        if event.type in self._unless and isinstance(event, TicketEvent):
            self._end(watch, event)
        day = utc_day(event.at_ms)
        if event.type in self._of and day > watch.reached - self._within_days:
            watch.every.add(day)
            self._match(customer, watch, event)
        self._wake_after(watch, max(day, watch.reached) + 1)
        return []

    def wake_ms(self, customer: Customer) -> int | None:
        """The next midnight at which something may change."""
        watch = customer.shares.get(self.state_key)
        return None if watch is None or watch.wake_day is None else watch.wake_day * DAY_MS

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:
        """Look at the days before a midnight."""
        watch = customer.shares[self.state_key]
        midnight = utc_day(due_ms)
        self._settle(watch, midnight)
        found = self._look(watch, midnight)
        change = self._next_change(watch, midnight)
        self._pass(watch, midnight)
        watch.wake_day = None
        self._wake_after(watch, change)
        return found

    # -- counting

    def _match(self, customer: Customer, watch: ShareWatch, event: AnyEvent) -> None:
        occurrence = Occurrence.of(event)
        if self._for_ms is not None:
            if isinstance(event, TicketEvent) and self._may_match(watch, event, event.at_ms + self._for_ms):
                insort(watch.waiting, Waiting(occurrence, event.ticket_id), key=lambda known: known.occurrence.at_ms)
        elif self._where is None or self._where.holds(event, seen_at(customer.features, event.at_ms)) is True:
            self._matched(watch, occurrence)

    def _may_match(self, watch: ShareWatch, event: TicketEvent, due_ms: int) -> bool:
        ended = any(end.ticket_id == event.ticket_id and event.at_ms <= end.at_ms < due_ms for end in watch.ends)
        return not ended and due_ms > watch.reached * DAY_MS

    def _matched(self, watch: ShareWatch, occurrence: Occurrence) -> None:
        day = utc_day(occurrence.at_ms)
        watch.matching.add(day)
        insort(watch.evidence, occurrence, key=lambda known: known.at_ms)
        of_day = [place for place, known in enumerate(watch.evidence) if utc_day(known.at_ms) == day]
        if len(of_day) > MAX_EVIDENCE:
            del watch.evidence[of_day[0]]

    def _end(self, watch: ShareWatch, event: TicketEvent) -> None:
        """An `unless` event: what waits for it in its ticket does not match."""
        for_ms = self._for_ms or 0
        watch.ends.append(TicketEnd(event.at_ms, event.ticket_id))
        watch.waiting = [
            known
            for known in watch.waiting
            if known.ticket_id != event.ticket_id or not known.occurrence.at_ms <= event.at_ms < known.occurrence.at_ms + for_ms
        ]

    def _settle(self, watch: ShareWatch, midnight: int) -> None:
        """What has waited long enough matches from now on."""
        if self._for_ms is None:
            return
        since_ms = midnight * DAY_MS - self._for_ms
        while watch.waiting and watch.waiting[0].occurrence.at_ms <= since_ms:
            self._matched(watch, watch.waiting.pop(0).occurrence)
        watch.ends = [end for end in watch.ends if end.at_ms > since_ms]

    def _pass(self, watch: ShareWatch, midnight: int) -> None:
        """A midnight is behind us: forget what no later look needs."""
        self._settle(watch, midnight)
        watch.reached = midnight
        first = midnight + 1 - self._within_days
        watch.every.forget(first)
        watch.matching.forget(first)
        behind = sum(one.at_ms < midnight * DAY_MS for one in watch.evidence)
        if behind > MAX_EVIDENCE or (behind and utc_day(watch.evidence[0].at_ms) < first):
            latest = watch.evidence[max(0, behind - MAX_EVIDENCE) :]
            watch.evidence = [one for one in latest if utc_day(one.at_ms) >= first]

    # -- deciding

    def _look(self, watch: ShareWatch, midnight: int) -> list[Transition]:
        first = midnight - self._within_days
        if max(first, 0) < watch.whole_from or overlaps_days(self._gaps, first, midnight):
            return []
        every, matching = watch.every.total(first, midnight), watch.matching.total(first, midnight)
        if watch.episode_ms is None and every >= self.rule.among and matching / every >= self.rule.share:
            watch.episode_ms = midnight * DAY_MS
            return [self._opened(watch, midnight, every, matching)]
        if watch.episode_ms is not None and self._is_over(every, matching):
            episode_ms, watch.episode_ms = watch.episode_ms, None
            because = self._because(every, matching, self._clear_below)
            at_ms = midnight * DAY_MS
            return [Transition(state="resolved", at_ms=at_ms, episode_start_ms=episode_ms, due_ms=episode_ms, because=because)]
        return []

    def _is_over(self, every: int, matching: int) -> bool:
        return every < self.rule.among or matching / every < self._clear_below

    def _opened(self, watch: ShareWatch, midnight: int, every: int, matching: int) -> Transition:
        at_ms = midnight * DAY_MS
        first_ms = at_ms - self._within_days * DAY_MS
        shown = [one for one in watch.evidence if first_ms <= one.at_ms < at_ms][-MAX_EVIDENCE:]
        return Transition(
            state="opened",
            at_ms=at_ms,
            episode_start_ms=at_ms,
            due_ms=at_ms,
            because=self._because(every, matching, self.rule.share),
            evidence=tuple(one.evidence() for one in shown),
            clears_if=ClearsIf(
                code="share_below",
                of=sorted(self._of),
                at_ms=self._clears_ms(watch, midnight),
                below=self._clear_below,
                where=f"!({self.rule.where})" if self.rule.where is not None else None,
            ),
        )

    def _because(self, every: int, matching: int, threshold: float) -> tuple[Because, ...]:
        return (
            Because(clause="share", value=matching / every if every else 0.0, threshold=threshold),
            Because(clause="among", value=every, threshold=self.rule.among),
            Because(clause="within_ms", value=self._within_days * DAY_MS),
        )

    def _clears_ms(self, watch: ShareWatch, midnight: int) -> int | None:
        """When the days that were looked at have left so far that it clears; with `unless` that is not foreseen."""
        if self._for_ms is not None:
            return None
        for day in watch.every.days:
            last = day + self._within_days + 1
            every, matching = watch.every.total(day + 1, midnight), watch.matching.total(day + 1, midnight)
            if midnight < last and self._is_over(every, matching):
                return last * DAY_MS
        return None

    # -- waking

    def _wake_after(self, watch: ShareWatch, midnight: int | None) -> None:
        """Look at a midnight, if something can come of it; else only once everything can be forgotten."""
        if watch.wake_day is not None and midnight is not None and watch.wake_day <= midnight:
            return
        wake_day = midnight if watch.episode_ms is not None or self._can_open(watch) else self._forgotten_day(watch)
        if wake_day is not None:
            watch.wake_day = wake_day if watch.wake_day is None else min(watch.wake_day, wake_day)

    def _can_open(self, watch: ShareWatch) -> bool:
        matching = bool(watch.matching.days) or bool(watch.waiting)
        return matching and sum(watch.every.counts) >= self.rule.among

    def _forgotten_day(self, watch: ShareWatch) -> int | None:
        days = [day + self._within_days for day in watch.every.days[-1:]]
        days += [next_midnight(end.at_ms + (self._for_ms or 0)) for end in watch.ends]
        return max(*days, watch.reached + 1) if days else None

    def _next_change(self, watch: ShareWatch, midnight: int) -> int | None:
        """The next midnight at which other days are looked at, or an event has waited long enough."""
        changes = [watch.every.next_change(midnight, (0, self._within_days)), watch.whole_from + self._within_days]
        changes.append(next_known(self._gaps, self._within_days, midnight))
        if watch.waiting:
            changes.append(next_midnight(watch.waiting[0].occurrence.at_ms + (self._for_ms or 0)))
        return min((change for change in changes if change is not None and change > midnight), default=None)
