"""Laws of `share`: it equals its definition, whatever the order, the ticks and the crashes."""

from collections.abc import Sequence

from engine_run import EngineRun, rule_set, tick
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.codec import Record, encode
from schemas.control import Tick
from schemas.decisions import AlertRecord
from schemas.events import AnyEvent, SurveyAnswered, TicketClosed, TicketOpened, TicketReopened, TicketResolved
from schemas.instants import DAY_MS
from schemas.rule_kinds import ShareRule

TICKETS = [f"t{number}" for number in range(6)]
LIMITS = [0.25, 1 / 3, 0.5, 0.75, 1.0]
HOURS_6 = DAY_MS // 4
ENDINGS: st.SearchStrategy[type[TicketResolved | TicketClosed | TicketReopened]] = st.sampled_from(
    [TicketResolved, TicketClosed, TicketReopened]
)


@st.composite
def answers(draw: st.DrawFn, size: int = 20) -> list[AnyEvent]:
    """Survey answers, low or good, several at one instant among them, in any order."""
    drawn = draw(st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=size))
    return [
        SurveyAnswered(
            id=f"s{place}", customer_id="ann", at_ms=quarter * HOURS_6, survey="csat", score=1 if low else 5, scale_max=5
        )
        for place, (quarter, low) in enumerate(drawn)
    ]


@st.composite
def ticket_events(draw: st.DrawFn) -> list[AnyEvent]:
    """Each ticket is opened once; what ends it and reopens it may come before, at any instant."""
    found: list[AnyEvent] = []
    for name in TICKETS[: draw(st.integers(1, len(TICKETS)))]:
        opened, ends = draw(st.integers(0, 100)), draw(st.lists(st.integers(-4, 20), max_size=2))
        found.append(TicketOpened(id=f"o{name}", customer_id="ann", at_ms=opened * HOURS_6, ticket_id=name))
        for place, after in enumerate(ends):
            struct = draw(ENDINGS)
            at_ms = max(0, opened + after) * HOURS_6
            found.append(struct(id=f"e{place}{name}", customer_id="ann", at_ms=at_ms, ticket_id=name))
    return draw(st.permutations(found))


@st.composite
def shares(draw: st.DrawFn, *, by_end: bool) -> ShareRule:
    """Rules of every shape."""
    share = draw(st.sampled_from(LIMITS))
    return ShareRule(
        id="share",
        version="1",
        of=["ticket.opened", "ticket.reopened"] if by_end else ["survey.answered"],
        where=None if by_end else "event.score < 3.0",
        unless=["ticket.resolved", "ticket.closed"] if by_end else [],
        for_=draw(st.sampled_from(["PT12H", "P1D", "P3D"])) if by_end else None,
        share=share,
        among=draw(st.integers(1, 4)),
        within=f"P{draw(st.integers(3, 9))}D",
        clear_below=draw(st.sampled_from([None, *(limit for limit in LIMITS if limit <= share)])),
    )


SHARES_WITH_EVENTS = st.one_of(
    st.tuples(shares(by_end=False), answers()),
    st.tuples(shares(by_end=True), ticket_events()),
)
QUARTERS = st.lists(st.integers(0, 160), max_size=6)
END = tick(60)
Said = tuple[str, int, int, int]


class Definition:
    """A share, day by day over everything that is known: nothing is remembered but what was said."""

    def __init__(self, rule: ShareRule, missed: Sequence[Record] = ()) -> None:
        self.rule = rule
        self.within = int(rule.within[1:-1])
        self.for_ms = {"PT12H": DAY_MS // 2, "P1D": DAY_MS, "P3D": 3 * DAY_MS, None: 0}[rule.for_]
        self.missed_ms = max((event.at_ms for event in missed if event.type in rule.of), default=-1)
        self.known: list[AnyEvent] = []
        self.matched: set[str] = set()
        self.looked_at: set[str] = set()
        self.midnight = -1
        self.is_open = False
        self.said: list[Said] = []

    def take(self, record: Record) -> None:
        if isinstance(record, Tick):
            for midnight in range(self.midnight + 1, record.at_ms // DAY_MS + 1):
                self.midnight = midnight
                self.look(midnight)
        elif record not in self.known:
            self.known.append(record)  # type: ignore[arg-type]
            if self.rule.unless and record.at_ms + self.for_ms <= self.midnight * DAY_MS:
                self.looked_at.add(record.id)  # type: ignore[union-attr]

    def look(self, midnight: int) -> None:
        every, matching = 0, 0
        for event in self.known:
            if event.type in self.rule.of and self.matches(event, midnight):
                self.matched.add(event.id)
            if event.type in self.rule.of and midnight - self.within <= event.at_ms // DAY_MS < midnight:
                every += 1
                matching += event.id in self.matched
        if max(0, midnight - self.within) * DAY_MS <= self.missed_ms:
            return
        clear_below = self.rule.share if self.rule.clear_below is None else self.rule.clear_below
        if not self.is_open and every >= self.rule.among and matching / every >= self.rule.share:
            self.is_open = True
            self.said.append(("opened", midnight, matching, every))
        elif self.is_open and (every < self.rule.among or matching / every < clear_below):
            self.is_open = False
            self.said.append(("resolved", midnight, matching, every))

    def matches(self, event: AnyEvent, midnight: int) -> bool:
        if isinstance(event, SurveyAnswered):
            return event.score < 3
        if event.id in self.looked_at or event.at_ms + self.for_ms > midnight * DAY_MS:
            return False
        self.looked_at.add(event.id)
        for end in self.known:
            same = end.type in self.rule.unless and end.ticket_id == event.ticket_id  # type: ignore[union-attr]
            if same and event.at_ms <= end.at_ms < event.at_ms + self.for_ms:
                return False
        return True


def said_by(alerts: Sequence[AlertRecord]) -> list[Said]:
    found: list[Said] = []
    for alert in alerts:
        share, among, _ = alert.because
        matching = round(float(share.value) * int(among.value))
        found.append((alert.state, alert.at_ms // DAY_MS, matching, int(among.value)))
    return found


def bare(alerts: Sequence[AlertRecord]) -> list[AlertRecord]:
    """Without what depends on when it was decided."""
    return [replace(alert, decided_ms=0) for alert in alerts]


def interleaved(draw: st.DataObject, events: Sequence[AnyEvent], quarters: Sequence[int]) -> list[Record]:
    """Ticks and events in any order: most events are late."""
    ticks = [tick(quarter / 4) for quarter in quarters]
    return [*draw.draw(st.permutations([*events, *ticks])), END]


@settings(max_examples=300)
@given(SHARES_WITH_EVENTS, QUARTERS, st.data())
def test_it_equals_its_definition_with_late_and_repeated_events(
    case: tuple[ShareRule, list[AnyEvent]], quarters: list[int], data: st.DataObject
) -> None:
    rule, events = case
    run, definition = EngineRun(rule_set(rule)), Definition(rule)
    for record in interleaved(data, events, quarters):
        definition.take(record)
        run.feed(record) if isinstance(record, Tick) else run.feed(record, record)
    assert said_by(run.alerts) == definition.said


@given(SHARES_WITH_EVENTS, QUARTERS, st.integers(0, 20), st.data())
def test_a_new_rule_equals_its_definition_once_what_it_missed_is_out_of_sight(
    case: tuple[ShareRule, list[AnyEvent]], quarters: list[int], place: int, data: st.DataObject
) -> None:
    rule, events = case
    records = interleaved(data, events, quarters)
    before, after = records[:place], records[place:]
    missed = [record for record in before if not isinstance(record, Tick)]
    definition = Definition(replace(rule, enabled_from_ms=0), missed)
    run = EngineRun(rule_set()).feed(*before).publish(rule_set(definition.rule), revision=2)
    definition.midnight = max((record.at_ms // DAY_MS for record in before if isinstance(record, Tick)), default=-1)
    for record in after:
        definition.take(record)
        run.feed(record)
    assert said_by(run.alerts) == definition.said


@given(SHARES_WITH_EVENTS, QUARTERS, st.sets(st.integers(0, 25)), st.data())
def test_crashes_change_nothing_and_publishing_again_does_not_either(
    case: tuple[ShareRule, list[AnyEvent]], quarters: list[int], places: set[int], data: st.DataObject
) -> None:
    rules = rule_set(case[0])
    undisturbed, crashed, published = EngineRun(rules), EngineRun(rules), EngineRun(rules)
    for place, record in enumerate(interleaved(data, case[1], quarters)):
        for run in (undisturbed, crashed, published):
            run.feed(record)
        if place in places:
            crashed.restored()
            published.publish(rules, revision=place + 2)
    assert [encode(alert) for alert in crashed.alerts] == [encode(alert) for alert in undisturbed.alerts]
    assert said_by(published.alerts) == said_by(undisturbed.alerts)


@given(SHARES_WITH_EVENTS, QUARTERS)
def test_how_often_the_clock_ticks_changes_nothing(case: tuple[ShareRule, list[AnyEvent]], quarters: list[int]) -> None:
    rules = rule_set(case[0])
    ordered = sorted(case[1], key=lambda event: event.at_ms)
    records: list[Record] = [*ordered, *(tick(quarter / 4) for quarter in quarters), END]
    often = sorted(records, key=lambda record: (record.at_ms, not isinstance(record, Tick)))
    assert bare(EngineRun(rules).feed(*often).alerts) == bare(EngineRun(rules).feed(*ordered, END).alerts)


@given(SHARES_WITH_EVENTS, st.data())
def test_the_order_of_arrival_ahead_of_the_clock_changes_nothing(
    case: tuple[ShareRule, list[AnyEvent]], data: st.DataObject
) -> None:
    rules = rule_set(case[0])
    events = list({event.at_ms: event for event in case[1]}.values())
    ordered = sorted(events, key=lambda event: event.at_ms)
    shuffled = data.draw(st.permutations(events))
    assert EngineRun(rules).feed(*shuffled, END).alerts == EngineRun(rules).feed(*ordered, END).alerts


@given(shares(by_end=False), answers())
def test_what_was_foreseen_comes_true_if_nothing_else_happens(rule: ShareRule, events: list[AnyEvent]) -> None:
    rules = rule_set(rule)
    for opened in EngineRun(rules).feed(*events, END).alerts:
        if opened.state == "opened" and opened.clears_if is not None:
            seen = [event for event in events if event.at_ms < opened.at_ms]
            cleared = [alert.at_ms for alert in EngineRun(rules).feed(*seen, END).alerts if alert.state == "resolved"]
            assert min(at_ms for at_ms in cleared if at_ms > opened.at_ms) == opened.clears_if.at_ms
