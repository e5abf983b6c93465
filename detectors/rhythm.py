"""`rhythm`: nothing of the awaited kind has happened for much longer than the customer's own mean gap."""

from bisect import insort
from fractions import Fraction
from operator import attrgetter
from typing import Final, Literal

from detectors.features import seen_at
from detectors.gaps import Spans, put_off, unseen
from detectors.kinds import Transition, state_key
from detectors.occurrence import Occurrence
from detectors.predicates import Predicate, event_types
from detectors.rhythm_state import Beat, Course, Lull, Rhythm
from detectors.state import Customer
from schemas.decisions import Because, ClearsIf
from schemas.events import AnyEvent
from schemas.instants import MAX_INSTANT_MS, exact_ms
from schemas.rule_kinds import RhythmRule

_by_time: Final = attrgetter("at_ms")


class RhythmKind:
    """One `rhythm` rule.

    A silence is measured against the gaps up to its start; what is learned of older events later changes only the
    silences that start later. Of an event of which it is unknown whether it matches, only its instant is used: it ends a
    silence and starts the next, but counts for no gap.

    Args:
        rule: valid.
        feeds: whose marks make its now.
        gaps: of the feeds, which put a silence off.

    Raises:
        ContractError: a duration or predicate that is none, or a duration of months.
    """

    def __init__(self, rule: RhythmRule, feeds: tuple[str, ...], gaps: Spans = ()) -> None:
        self.rule = rule
        self.feeds = feeds
        self.types = event_types(rule.of)
        self.state_key = state_key(rule, rule.of, rule.where)
        self._where = Predicate(rule.where) if rule.where is not None else None
        self._gaps = gaps
        times = Fraction(str(rule.times))  # as it is written: 1.1 times 10 days are 11 days, to the millisecond
        self._times, self._times_over = times.numerator, times.denominator
        self._min_gap_ms = exact_ms(rule.min_gap) if rule.min_gap is not None else 0

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Start from the last event, which is always remembered; which gaps came before it is not known."""
        rhythm = customer.rhythms.get(self.state_key)
        if rhythm is not None:  # what the clock has passed came in time, however impatient the rule is from now on
            while now_ms is not None and rhythm.pending and rhythm.pending[0].at_ms < now_ms:
                rhythm.course = rhythm.course.after(rhythm.pending.pop(0))
        if rhythm is not None or self._where is not None:
            return
        known = [customer.lasts[name] for name in sorted(self.types) if name in customer.lasts]
        if known:
            last = max(known, key=_by_time)
            customer.rhythms[self.state_key] = Rhythm(pending=[Beat(last)], from_ms=last.at_ms)

    def regret(self, customer: Customer, at_ms: int, because: Because) -> list[Transition]:
        """A gap became known: take back a silence that is not too long now; it may be later."""
        rhythm = customer.rhythms.get(self.state_key)
        lull = rhythm.lull if rhythm is not None else None
        if rhythm is None or lull is None or lull.closed:
            return []
        due_ms = self._due_ms(rhythm.course)
        if due_ms is not None and due_ms <= max(lull.due_ms, at_ms):
            return []
        lull.closed = lull.retracted = True
        return [
            Transition(state="retracted", at_ms=at_ms, episode_start_ms=lull.start_ms, due_ms=lull.due_ms, because=(because,))
        ]

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:
        """Take in an event that ends a silence and starts the next."""
        # Unknown counts as activity: better no alarm than a false one.
        holds = self._where is None or self._where.holds(event, seen_at(customer.features, event.at_ms))
        rhythm = customer.rhythms.get(self.state_key)
        if holds is False or (rhythm is not None and rhythm.from_ms is not None and event.at_ms < rhythm.from_ms):
            return []
        if rhythm is None:
            rhythm = customer.rhythms[self.state_key] = Rhythm()
        return self._arrived(rhythm, Beat(Occurrence.of(event), holds is True), now_ms)

    def wake_ms(self, customer: Customer) -> int | None:
        """When the silence that lies ahead is due, given all the events that are known."""
        rhythm = customer.rhythms.get(self.state_key)
        if rhythm is None or rhythm.is_lull:
            return None
        course = rhythm.course
        for beat in rhythm.pending:
            due_ms = self._due_ms(course)
            if due_ms is not None and beat.at_ms >= due_ms:
                return due_ms
            course = course.after(beat)
        return self._due_ms(course)

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:
        """Decide the silence that is over its time; what comes after it has an instant of its own."""
        rhythm = customer.rhythms[self.state_key]
        self._absorb(rhythm, due_ms)
        start, passed_ms = rhythm.course.start, self._due_ms(rhythm.course)
        if rhythm.is_lull or start is None or passed_ms is None or passed_ms > due_ms:
            return []
        rhythm.lull = Lull(start.at_ms, passed_ms)
        found = [self._opened(rhythm.course, start, passed_ms)]
        if rhythm.pending:  # here already, and not before the due time
            found.append(_ended(rhythm, rhythm.lull, rhythm.pending.pop(0)))
        return found

    def _due_ms(self, course: Course) -> int | None:
        """When a silence is too long; None while too little is known of the customer's gaps."""
        start, pace = course.start, course.pace
        if start is None or pace.gaps < 1 or pace.count < self.rule.min_count:
            return None
        own_ms = -(-self._times * pace.span_ms // (self._times_over * pace.gaps))  # rounded up
        due_ms = put_off(start.at_ms + max(own_ms, self._min_gap_ms), start.at_ms, self._gaps)
        return due_ms if due_ms <= MAX_INSTANT_MS else None

    def _arrived(self, rhythm: Rhythm, beat: Beat, now_ms: int | None) -> list[Transition]:
        self._absorb(rhythm, now_ms)  # first: what is late must not count for a start that the clock has passed
        lull = rhythm.lull
        found: list[Transition] = []
        if lull is not None and not lull.retracted and lull.start_ms < beat.at_ms < lull.due_ms:
            was_open, lull.closed, lull.retracted = not lull.closed, True, True
            found.append(_closed("retracted", lull, beat))
            if not was_open:  # a later silence has begun meanwhile: what lies before it is final
                rhythm.course = rhythm.course.counting(beat)
                return found
        if _is_behind(rhythm, beat):
            rhythm.course = rhythm.course.counting(beat)
        elif lull is not None and not lull.closed:
            found.append(_ended(rhythm, lull, beat))
        else:
            insort(rhythm.pending, beat, key=_by_time)
        self._absorb(rhythm, now_ms)
        return found

    def _absorb(self, rhythm: Rhythm, now_ms: int | None) -> None:
        """Fold in what the clock has passed, up to the first beat that comes at or after the due time."""
        while now_ms is not None and rhythm.pending and rhythm.pending[0].at_ms < now_ms:
            due_ms = self._due_ms(rhythm.course)
            if due_ms is not None and rhythm.pending[0].at_ms >= due_ms:
                return
            rhythm.course = rhythm.course.after(rhythm.pending.pop(0))

    def _opened(self, course: Course, start: Occurrence, due_ms: int) -> Transition:
        pace, waited_ms = course.pace, due_ms - start.at_ms
        times = round(waited_ms * pace.gaps / pace.span_ms, 3)
        return Transition(
            state="opened",
            at_ms=due_ms,
            episode_start_ms=start.at_ms,
            due_ms=due_ms,
            because=(
                Because(clause="silence_ms", value=waited_ms, threshold=waited_ms),
                *unseen(self._gaps, start.at_ms, due_ms),
                Because(clause="gap_ms", value=pace.span_ms // pace.gaps),
                Because(clause="times_gap", value=times, threshold=self.rule.times),
                Because(clause="min_count", value=pace.count, threshold=self.rule.min_count),
            ),
            evidence=(start.evidence(),),
            clears_if=ClearsIf(code="event", of=sorted(self.types), where=self.rule.where),
        )


def _is_behind(rhythm: Rhythm, beat: Beat) -> bool:
    """Whether a beat lies before all that is still looked at."""
    start, lull = rhythm.course.start, rhythm.lull
    if start is not None:
        return beat.at_ms <= start.at_ms
    return lull is not None and beat.at_ms < lull.due_ms


def _ended(rhythm: Rhythm, lull: Lull, beat: Beat) -> Transition:
    """A beat at or after the due time of a silence: it ends it, and starts the next once the clock has passed it."""
    lull.closed = True
    rhythm.course = Course(settled=rhythm.course.settled)
    insort(rhythm.pending, beat, key=_by_time)
    return _closed("resolved", lull, beat)


def _closed(state: Literal["resolved", "retracted"], lull: Lull, beat: Beat) -> Transition:
    return Transition(
        state=state,
        at_ms=beat.at_ms,
        episode_start_ms=lull.start_ms,
        due_ms=lull.due_ms,
        evidence=(beat.occurrence.evidence(),),
    )
