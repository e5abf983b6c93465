"""`renewal` without a predicate equals its definition whatever the order in which events and ticks arrive.

The definition goes by spans: from an event that sets another date until the next that does. Each opens once, at `before`
ahead of its date, or at its event where that is nearer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from contract_run import agreed, cancelled, renewal, renewed
from engine_run import EngineRun, tick, told_by
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Record
from schemas.control import Tick
from schemas.events import ContractCancelled, ContractRenewed, ContractSet
from schemas.instants import DAY_MS

BEFORE_MS = 5 * DAY_MS
RULES = renewal(5)
HALVES = st.integers(0, 50).map(lambda half: half / 2)
DATES = st.integers(4, 30)
EVENTS = st.one_of(
    st.builds(agreed, HALVES, DATES),
    st.builds(agreed, HALVES, DATES),
    st.builds(renewed, HALVES, DATES),
    st.builds(cancelled, HALVES),
)
RECORDS = st.lists(st.one_of(EVENTS, st.builds(tick, HALVES)), max_size=12)

ContractEvent = ContractSet | ContractRenewed | ContractCancelled


def date_of(event: ContractEvent) -> int | None:
    return None if isinstance(event, ContractCancelled) else event.renews_at_ms


def by_time(events: Sequence[ContractEvent]) -> list[ContractEvent]:
    return sorted(events, key=lambda event: event.at_ms)


@dataclass
class Span:
    first: ContractEvent
    date_ms: int
    opens_ms: int
    end: ContractEvent | None = None


@dataclass
class Episode:
    span: Span
    open: bool = True
    retracted: bool = False


@dataclass
class Definition:
    now_ms: int = -1
    known: list[ContractEvent] = field(default_factory=list)
    held: list[ContractEvent] = field(default_factory=list)
    """Those known, but for the ones that came when a later one had been passed already."""
    passed: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    over: dict[str, str | None] = field(default_factory=dict)
    """Spans whose alert was told to be over, with the event that ended it."""
    latest: Episode | None = None
    told: list[str] = field(default_factory=list)

    def take(self, record: Record) -> None:
        if isinstance(record, ContractEvent):
            self.arrive(record)
        elif isinstance(record, Tick):
            self.now_ms = max(self.now_ms, record.at_ms)
        for span in self.spans():
            self.close()
            if span.first.id not in self.opened and self.is_due(span):
                self.opened.add(span.first.id)
                self.latest = Episode(span)
                self.tell("opened", span.opens_ms)
        self.close()
        self.passed |= {event.id for event in self.held if event.at_ms <= self.now_ms}

    def spans(self) -> list[Span]:
        spans: list[Span] = []
        date_ms: int | None = None
        for event in by_time(self.held):
            before_ms, date_ms = date_ms, date_of(event)
            if date_ms == before_ms and not (isinstance(event, ContractRenewed) and self.may_end(spans[-1], event)):
                continue
            if spans and spans[-1].end is None:
                spans[-1].end = event
            if date_ms is None:
                continue
            opens_ms = max(event.at_ms, date_ms - BEFORE_MS)
            if date_ms == before_ms:  # renewed until the date that stood there: nothing is new before the next look
                opens_ms = max(date_ms - BEFORE_MS, (event.at_ms // DAY_MS + 1) * DAY_MS)
            spans.append(Span(event, date_ms, opens_ms))
        return spans

    def may_end(self, span: Span, event: ContractEvent) -> bool:
        """Whether an event that does not move the date meets an open alert: not one that was told to be over before."""
        return span.opens_ms <= event.at_ms and self.over.get(span.first.id, event.id) == event.id

    def is_due(self, span: Span) -> bool:
        until_ms = span.date_ms if span.end is None else min(span.date_ms, span.end.at_ms + 1)
        return span.opens_ms <= self.now_ms and span.opens_ms < until_ms

    def close(self) -> None:
        latest = self.latest
        if latest is None or not latest.open:
            return
        span = next(span for span in self.spans() if span.first.id == latest.span.first.id)
        if span.end is not None and span.end.at_ms < span.date_ms:
            latest.open = False
            self.over[span.first.id] = span.end.id
            self.passed.add(span.end.id)
            self.tell("resolved", span.end.at_ms)
        elif span.date_ms <= self.now_ms:
            latest.open = False
            self.over[span.first.id] = None
            self.tell("expired", span.date_ms)

    def arrive(self, event: ContractEvent) -> None:
        self.known.append(event)
        is_overtaken = any(other.id in self.passed and other.at_ms > event.at_ms for other in self.known)
        latest = self.latest
        if latest is not None and not latest.retracted and event.at_ms < latest.span.opens_ms and not self.was_meant(latest):
            latest.retracted = True
            self.tell("retracted", event.at_ms)
            is_overtaken = is_overtaken and not latest.open
            latest.open = False
        if not is_overtaken:
            self.held.append(event)

    def was_meant(self, episode: Episode) -> bool:
        opens_ms, date_ms = episode.span.opens_ms, episode.span.date_ms
        before = [event for event in by_time(self.known) if event.at_ms < opens_ms]
        then = [event for event in self.known if event.at_ms == opens_ms]
        return any(date_of(event) == date_ms for event in then) or not before or date_of(before[-1]) == date_ms

    def tell(self, state: str, at_ms: int) -> None:
        self.told.append(f"{state}@{at_ms / DAY_MS:g}")


@given(RECORDS)
def test_it_equals_its_definition_whatever_the_order(records: Sequence[Record]) -> None:
    definition = Definition()
    for record in [*records, tick(40)]:
        definition.take(record)
    assert told_by(RULES, [*records, tick(40)]) == definition.told


@given(st.lists(EVENTS, max_size=8), st.lists(HALVES, max_size=8), st.randoms())
def test_in_the_end_only_what_is_so_is_open(events: Sequence[ContractEvent], days: Sequence[float], chance: object) -> None:
    records: list[Record] = [*events, *(tick(day) for day in days)]
    chance.shuffle(records)  # type: ignore[attr-defined]
    run = EngineRun(RULES).feed(*records, tick(26), tick(27))
    states = {alert.episode_start_ms: alert.state for alert in run.alerts}
    arrived = [record for record in records if isinstance(record, ContractEvent)]
    date_ms = date_of(by_time(arrived)[-1]) if arrived else None
    is_near = date_ms is not None and 0 < date_ms - 27 * DAY_MS <= BEFORE_MS
    assert [date for date, state in states.items() if state == "opened"] == ([date_ms] if is_near else [])
