"""`absence`: nothing of the awaited kind has happened for so long."""

from typing import Literal

from detectors.calendar_time import add_duration
from detectors.calendars import Calendar
from detectors.customer_update import tiers_from
from detectors.features import seen_at
from detectors.gaps import Spans, extended, unseen, with_gaps
from detectors.kinds import Transition, state_key
from detectors.occurrence import Occurrence
from detectors.predicates import Predicate, event_types
from detectors.silence import DueOf, SilenceFold, absorb, due_ms, expect
from detectors.state import Cursor, Customer, Silence, Step, Told
from schemas.decisions import Because, ClearsIf
from schemas.errors import ContractError
from schemas.events import AnyEvent
from schemas.instants import MAX_INSTANT_MS, Exact, parse_duration
from schemas.rule_kinds import AbsenceRule


class AbsenceKind:
    """One `absence` rule.

    Args:
        rule: valid.
        feeds: whose marks make its now.
        time_zone: of the tenant, for calendar months.
        calendar: makes exact durations business time; None: around the clock.
        gaps: of the feeds, which put a silence off.

    Raises:
        ContractError: a duration or predicate that is none, or months on a calendar.
    """

    def __init__(
        self, rule: AbsenceRule, feeds: tuple[str, ...], time_zone: str, calendar: Calendar | None, gaps: Spans = ()
    ) -> None:
        self.rule = rule
        self.feeds = feeds
        self._of = event_types(rule.of)
        self._after = event_types(rule.after)
        by_tier = {"customer.updated"} if rule.for_by_tier else frozenset()  # it moves the due time
        self.types = self._of | self._after | by_tier
        self.state_key = state_key(rule, rule.of, rule.where, rule.after, rule.where_after, rule.restart)
        self._where = Predicate(rule.where) if rule.where is not None else None
        self._where_after = Predicate(rule.where_after) if rule.where_after is not None else None
        self._fold = SilenceFold(after=bool(rule.after), restart=rule.restart)
        self._gaps = gaps
        self._due_by_tier = {tier: _due_of(text, time_zone, calendar, gaps) for tier, text in rule.for_by_tier.items()}
        self._due = (
            _due_of(rule.for_, time_zone, calendar, gaps) if rule.for_ is not None else _workdays_of(rule, calendar, gaps)
        )

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Start from the last events of each type, which are always remembered, as far as no predicate chose them."""
        known = customer.silences.get(self.state_key)
        if known is not None:  # what the clock has passed ended a silence in time, however long it may be from now on
            absorb(known, self._fold, lambda _: MAX_INSTANT_MS, now_ms)
        if known is not None or self._where is not None or self._where_after is not None:
            return
        ended, begun = _last(customer, self._of), _last(customer, self._after)
        silence = Silence()
        if not self._after and ended is not None:
            silence.cursor = Cursor(settled=_count(customer, self._of) - 1)
            silence.pending = [Step(ended, ends=True)]
        elif begun is not None:
            # Of several since the last event waited for, only the latest is known: it fires later, never wrongly.
            silence.cursor = Cursor(settled=_count(customer, self._after) - 1, ended_ms=ended.at_ms if ended else None)
            silence.pending = [Step(begun, ends=False)]
        if silence.pending:
            customer.silences[self.state_key] = silence

    def regret(self, customer: Customer, at_ms: int, because: Because) -> list[Transition]:
        """A gap became known: take back a silence that is not over its time now; it may be later."""
        silence = customer.silences.get(self.state_key)
        told = silence.told if silence is not None else None
        if told is None or told.closed or self._due_for(customer)(told.start_ms) <= max(told.due_ms, at_ms):
            return []
        told.closed = told.retracted = True
        return [
            Transition(state="retracted", at_ms=at_ms, episode_start_ms=told.start_ms, due_ms=told.due_ms, because=(because,))
        ]

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:
        """Take in an event that starts or ends a silence."""
        if event.type == "customer.updated":
            return []
        # Unknown counts as activity: better no alarm than a false one.
        ends = event.type in self._of and _says(self._where, customer, event) is not False
        follows = event.type in self._after and _says(self._where_after, customer, event) is True
        if not ends and not follows:
            return []
        silence = customer.silences.setdefault(self.state_key, Silence())
        return self._arrived(silence, Step(Occurrence.of(event), ends), self._due_for(customer), now_ms)

    def wake_ms(self, customer: Customer) -> int | None:
        """When the silence that lies ahead is due."""
        silence = customer.silences.get(self.state_key)
        if silence is None or _is_passed(silence):
            return None
        return due_ms(silence, self._fold, self._due_for(customer))

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:
        """Decide the silence that is over its time; what comes after it has an instant of its own."""
        silence = customer.silences[self.state_key]
        due_of = self._due_for(customer)
        absorb(silence, self._fold, due_of, due_ms)
        start = silence.cursor.start
        if start is None or _is_passed(silence) or due_of(start.at_ms) > due_ms:
            return []
        return self._passed(customer, silence, start, due_of(start.at_ms))

    def _passed(self, customer: Customer, silence: Silence, start: Occurrence, due_ms: int) -> list[Transition]:
        """A silence reached its due time; what is already here and ends it does so at once."""
        found: list[Transition] = []
        if self._is_meant(silence.cursor.at_start):
            silence.told = Told(start.at_ms, due_ms)
            found.append(self._opened(customer, silence, start, due_ms))
        else:
            silence.spent = True
        while silence.pending and _is_passed(silence):
            step = silence.pending.pop(0)
            found += self._after_due(silence, step)
        return found

    def _arrived(self, silence: Silence, step: Step, due_of: DueOf, now_ms: int | None) -> list[Transition]:
        at_ms = step.occurrence.at_ms
        told = silence.told
        found: list[Transition] = []
        absorb(silence, self._fold, due_of, now_ms)  # so that a late event finds what has started by now
        if step.ends and told is not None and not told.retracted and told.start_ms < at_ms < told.due_ms:
            was_open, told.closed, told.retracted = not told.closed, True, True
            found.append(_transition("retracted", at_ms, told, step))
            if not was_open:  # a later silence has begun meanwhile: what lies before it is final
                _count_late(silence)
                return found
            found += self._after_due(silence, step)  # this episode is over, even if it would be due sooner by now
            absorb(silence, self._fold, due_of, now_ms)
            return found
        start = silence.cursor.start
        if not self._after and _is_before(silence, at_ms):
            _count_late(silence)
            if now_ms is None or at_ms >= now_ms:  # out of order, but not late
                silence.cursor = _counted_at_start(silence.cursor)
        elif _is_passed(silence) and (not step.ends or start is None or at_ms >= _passed_ms(silence, due_of(start.at_ms))):
            found += self._after_due(silence, step)
        else:
            silence.spent = False
            expect(silence, step)
        absorb(silence, self._fold, due_of, now_ms)
        return found

    def _after_due(self, silence: Silence, step: Step) -> list[Transition]:
        """A step at or after the due time of a silence that was told, or was not worth telling."""
        if not step.ends:
            silence.cursor = self._fold.step(silence.cursor, step)
            return []
        found: list[Transition] = []
        told = silence.told
        if told is not None and not told.closed:
            told.closed = True
            found.append(_transition("resolved", step.occurrence.at_ms, told, step))
        silence.spent = False
        if self._after:
            silence.cursor = self._fold.step(silence.cursor, step)
        else:
            silence.cursor = Cursor(settled=silence.cursor.settled)
            expect(silence, step)
        return found

    def _opened(self, customer: Customer, silence: Silence, start: Occurrence, due_ms: int) -> Transition:
        because = [Because(clause="silence_ms", value=due_ms - start.at_ms, threshold=self._text_for(customer, start.at_ms))]
        because += unseen(self._gaps, start.at_ms, due_ms)
        counted = silence.cursor.at_start
        if self.rule.min_count is not None:
            because.append(Because(clause="min_count", value=counted, threshold=self.rule.min_count))
        if self.rule.max_count is not None:
            because.append(Because(clause="max_count", value=counted, threshold=self.rule.max_count))
        return Transition(
            state="opened",
            at_ms=due_ms,
            episode_start_ms=start.at_ms,
            due_ms=due_ms,
            because=tuple(because),
            evidence=(start.evidence(),),
            clears_if=ClearsIf(code="event", of=sorted(self._of), where=self.rule.where),
        )

    def _is_meant(self, count: int) -> bool:
        rule = self.rule
        return (rule.min_count is None or count >= rule.min_count) and (rule.max_count is None or count <= rule.max_count)

    def _due_for(self, customer: Customer) -> DueOf:
        """When silences of this customer are due."""
        if not self._due_by_tier or not customer.tiers:
            return self._due
        return lambda start_ms: self._due_and_tier(customer, start_ms)[0]

    def _due_and_tier(self, customer: Customer, start_ms: int) -> tuple[int, str | None]:
        """When a silence is due, and by which tier: that of its time, and after a change not before it."""
        for since_ms, until_ms, tier in tiers_from(customer, start_ms):
            due_ms = max(self._due_by_tier.get(tier or "", self._due)(start_ms), since_ms)
            if until_ms is None or due_ms <= until_ms:
                return due_ms, tier
        raise AssertionError("the last of the tiers has no end")

    def _text_for(self, customer: Customer, start_ms: int) -> str:
        standard = self.rule.for_ if self.rule.for_ is not None else f"{self.rule.workdays} workdays"
        return self.rule.for_by_tier.get(self._due_and_tier(customer, start_ms)[1] or "", standard)


def _says(where: Predicate | None, customer: Customer, event: AnyEvent) -> bool | None:
    return where is None or where.holds(event, seen_at(customer.features, event.at_ms))


def _due_of(text: str, time_zone: str, calendar: Calendar | None, gaps: Spans) -> DueOf:
    duration = parse_duration(text)
    if isinstance(duration, Exact):
        exact_ms = duration.ms
        if calendar is None:
            return extended(lambda start_ms: start_ms + exact_ms, gaps)
        hours = with_gaps(calendar, gaps)
        return lambda start_ms: hours.add_ms(start_ms, exact_ms)
    if calendar is not None:
        raise ContractError("bad_duration", f"{text!r} on a calendar: hours of work are wanted (PT8H)")
    return extended(lambda start_ms: add_duration(start_ms, duration, time_zone), gaps)


def _workdays_of(rule: AbsenceRule, calendar: Calendar | None, gaps: Spans) -> DueOf:
    workdays = rule.workdays
    if calendar is None or workdays is None:
        raise ContractError("bad_duration", "either `for`, or `workdays` with a calendar is wanted")
    hours = with_gaps(calendar, gaps)
    return lambda start_ms: hours.workday_end_ms(start_ms, workdays)


def _is_passed(silence: Silence) -> bool:
    """Whether the silence has reached its due time and waits for its end, told or not."""
    return silence.spent or (silence.told is not None and not silence.told.closed)


def _passed_ms(silence: Silence, due_ms: int) -> int:
    """When the silence passed its due time: what was told stands, even if it would be due later by now."""
    told = silence.told
    return told.due_ms if told is not None and not told.closed else due_ms


def _is_before(silence: Silence, at_ms: int) -> bool:
    """Whether an instant lies before all that a plain silence still looks at."""
    start, told = silence.cursor.start, silence.told
    if start is not None:
        return at_ms <= start.at_ms
    return told is not None and at_ms < told.due_ms


def _count_late(silence: Silence) -> None:
    cursor = silence.cursor
    silence.cursor = Cursor(cursor.start, cursor.at_start, cursor.settled + 1, cursor.ended_ms, cursor.since)


def _counted_at_start(cursor: Cursor) -> Cursor:
    return Cursor(cursor.start, cursor.at_start + 1, cursor.settled, cursor.ended_ms, cursor.since)


def _transition(state: Literal["resolved", "retracted"], at_ms: int, told: Told, step: Step) -> Transition:
    return Transition(
        state=state,
        at_ms=at_ms,
        episode_start_ms=told.start_ms,
        due_ms=told.due_ms,
        evidence=(step.occurrence.evidence(),),
    )


def _last(customer: Customer, types: frozenset[str]) -> Occurrence | None:
    known = [customer.lasts[name] for name in sorted(types) if name in customer.lasts]
    return max(known, key=lambda occurrence: occurrence.at_ms, default=None)


def _count(customer: Customer, types: frozenset[str]) -> int:
    return sum(customer.counts.get(name, 0) for name in types)
