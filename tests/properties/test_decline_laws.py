"""Laws of `decline`: it equals its definition, whatever the order, the ticks and the crashes."""

from collections.abc import Sequence
from fractions import Fraction

from engine_run import EngineRun, rule_set, tick
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.codec import Record, encode
from schemas.control import Tick
from schemas.decisions import AlertRecord
from schemas.events import LoginSucceeded, UsageRecorded
from schemas.instants import DAY_MS
from schemas.rule_kinds import DeclineRule

HOURS_6 = DAY_MS // 4
BY = {0.1: Fraction(1, 10), 0.4: Fraction(2, 5), 0.5: Fraction(1, 2), 0.9: Fraction(9, 10), 1.0: Fraction(1)}
WHERE = 'event.outcome == "ok"'
Said = tuple[str, int, int, int]
Happened = UsageRecorded | LoginSucceeded


@st.composite
def usages(draw: st.DrawFn) -> list[Happened]:
    """Usage of a few features in about thirty days, several at one instant among them, in any order; and a login, maybe."""
    drawn = st.tuples(st.integers(0, 120), st.sampled_from("abc"), st.sampled_from(["ok", "ok", "error"]))
    found = draw(st.lists(drawn, max_size=30))
    logins = draw(st.lists(st.integers(0, 120), max_size=1))
    return [
        *(LoginSucceeded(id="login", customer_id="ann", at_ms=quarter * HOURS_6) for quarter in logins),
        *(
            UsageRecorded(id=f"u{place}", customer_id="ann", at_ms=quarter * HOURS_6, feature=feature, outcome=outcome)  # type: ignore[arg-type]
            for place, (quarter, feature, outcome) in enumerate(found)
        ),
    ]


DECLINES = st.builds(
    DeclineRule,
    id=st.just("decline"),
    version=st.just("1"),
    of=st.just(["usage.recorded"]),
    where=st.sampled_from([None, WHERE]),
    distinct=st.sampled_from([None, "feature"]),
    recent=st.sampled_from(["P1D", "P2D", "P5D"]),
    baseline=st.sampled_from(["P2D", "P4D", "P10D"]),
    by=st.sampled_from(list(BY)),
    direction=st.sampled_from(["down", "up", "both"]),
    min_count=st.integers(1, 4),
)
QUARTERS = st.lists(st.integers(0, 160), max_size=6)
END = tick(60)


class Definition:
    """A decline, day by day over everything that is known: nothing is remembered but what was said."""

    def __init__(self, rule: DeclineRule, missed: Sequence[Record] = ()) -> None:
        self.rule = rule
        self.recent, self.baseline = int(rule.recent[1:-1]), int(rule.baseline[1:-1])
        self.since_ms = max((event.at_ms + 1 for event in missed if isinstance(event, UsageRecorded)), default=None)
        self.first_ms: int | None = None
        self.others = [event for event in missed if isinstance(event, LoginSucceeded)]
        self.known: list[UsageRecorded] = []
        self.uncounted: set[str] = set()
        self.midnight = -1
        self.is_open = False
        self.said: list[Said] = []

    def take(self, record: Record) -> None:
        if isinstance(record, UsageRecorded) and record not in self.known:
            self.known.append(record)
            if self.rule.distinct and record.at_ms // DAY_MS < self.midnight - 2:
                self.uncounted.add(record.id)
            self.first_ms = min(event.at_ms for event in (*self.others, *self.known))
        elif isinstance(record, LoginSucceeded):
            self.others.append(record)
        elif isinstance(record, Tick):
            for midnight in range(self.midnight + 1, record.at_ms // DAY_MS + 1):
                self.midnight = midnight
                self.look(midnight)

    def count(self, first: int, end: int) -> int:
        found = 0
        for day in range(first, end):
            values = []
            for event in self.known:
                meant = self.rule.where is None or event.outcome == "ok"
                if event.at_ms // DAY_MS == day and meant and event.id not in self.uncounted:
                    values.append(event.feature)
            found += len(set(values)) if self.rule.distinct else len(values)
        return found

    def look(self, midnight: int) -> None:
        first = midnight - self.recent - self.baseline
        since_ms = self.first_ms if self.since_ms is None else self.since_ms
        if since_ms is None or first * DAY_MS < since_ms:
            return
        recent, baseline = self.count(midnight - self.recent, midnight), self.count(first, midnight - self.recent)
        rates = Fraction(recent, self.recent), Fraction(baseline, self.baseline)
        differs = baseline >= self.rule.min_count and self.differs(*rates)
        if differs != self.is_open:
            self.is_open = differs
            self.said.append(("opened" if differs else "resolved", midnight, recent, baseline))

    def differs(self, recent: Fraction, baseline: Fraction) -> bool:
        by = BY[self.rule.by]
        down = self.rule.direction != "up" and recent <= (1 - by) * baseline
        up = self.rule.direction != "down" and recent >= (1 + by) * baseline
        return down or up


def said_by(rule: DeclineRule, alerts: Sequence[AlertRecord]) -> list[Said]:
    found: list[Said] = []
    for alert in alerts:
        recent = round(float(alert.because[0].value) * int(rule.recent[1:-1]))
        baseline = round(float(alert.because[1].value) * int(rule.baseline[1:-1]))
        found.append((alert.state, alert.at_ms // DAY_MS, recent, baseline))
    return found


def bare(alerts: Sequence[AlertRecord]) -> list[AlertRecord]:
    """Without what depends on when it was decided."""
    return [replace(alert, decided_ms=0) for alert in alerts]


def interleaved(data: st.DataObject, events: Sequence[Happened], quarters: Sequence[int]) -> list[Record]:
    """Ticks and events in any order: most events are late."""
    records: list[Record] = [*events, *(tick(quarter / 4) for quarter in quarters)]
    return [*data.draw(st.permutations(records)), END]


@settings(max_examples=300)
@given(DECLINES, usages(), QUARTERS, st.data())
def test_it_equals_its_definition_with_late_and_repeated_events(
    rule: DeclineRule, events: list[Happened], quarters: list[int], data: st.DataObject
) -> None:
    run, definition = EngineRun(rule_set(rule)), Definition(rule)
    for record in interleaved(data, events, quarters):
        definition.take(record)
        run.feed(record) if isinstance(record, Tick) else run.feed(record, record)
    assert said_by(rule, run.alerts) == definition.said


@given(DECLINES, usages(), QUARTERS)
def test_it_equals_its_definition_when_everything_comes_in_its_turn(
    rule: DeclineRule, events: list[Happened], quarters: list[int]
) -> None:
    records: list[Record] = [*events, *(tick(quarter / 4) for quarter in quarters), END]
    run, definition = EngineRun(rule_set(rule)), Definition(rule)
    for record in sorted(records, key=lambda record: (record.at_ms, not isinstance(record, Tick))):
        definition.take(record)
        run.feed(record)
    assert said_by(rule, run.alerts) == definition.said


@given(DECLINES, usages(), QUARTERS, st.integers(0, 20), st.data())
def test_a_new_rule_equals_its_definition_once_what_it_missed_is_out_of_sight(
    rule: DeclineRule, events: list[Happened], quarters: list[int], place: int, data: st.DataObject
) -> None:
    records = interleaved(data, events, quarters)
    before, after = records[:place], records[place:]
    definition = Definition(replace(rule, enabled_from_ms=0), before)
    run = EngineRun(rule_set()).feed(*before).publish(rule_set(definition.rule), revision=2)
    definition.midnight = max((record.at_ms // DAY_MS for record in before if isinstance(record, Tick)), default=-1)
    for record in after:
        definition.take(record)
        run.feed(record)
    assert said_by(rule, run.alerts) == definition.said


@given(DECLINES, usages(), QUARTERS, st.sets(st.integers(0, 25)), st.data())
def test_crashes_change_nothing_and_publishing_again_does_not_either(
    rule: DeclineRule, events: list[Happened], quarters: list[int], places: set[int], data: st.DataObject
) -> None:
    rules = rule_set(rule)
    undisturbed, crashed, published = EngineRun(rules), EngineRun(rules), EngineRun(rules)
    for place, record in enumerate(interleaved(data, events, quarters)):
        for run in (undisturbed, crashed, published):
            run.feed(record)
        if place in places:
            crashed.restored()
            published.publish(rules, revision=place + 2)
    assert [encode(alert) for alert in crashed.alerts] == [encode(alert) for alert in undisturbed.alerts]
    assert said_by(rule, published.alerts) == said_by(rule, undisturbed.alerts)


@given(DECLINES, usages(), QUARTERS)
def test_how_often_the_clock_ticks_changes_nothing(rule: DeclineRule, events: list[Happened], quarters: list[int]) -> None:
    rules = rule_set(rule)
    ordered = sorted(events, key=lambda event: event.at_ms)
    records: list[Record] = [*ordered, *(tick(quarter / 4) for quarter in quarters), END]
    often = sorted(records, key=lambda record: (record.at_ms, not isinstance(record, Tick)))
    assert bare(EngineRun(rules).feed(*often).alerts) == bare(EngineRun(rules).feed(*ordered, END).alerts)


@given(DECLINES, usages(), st.data())
def test_the_order_of_arrival_ahead_of_the_clock_changes_nothing(
    rule: DeclineRule, events: list[Happened], data: st.DataObject
) -> None:
    rules = rule_set(rule)
    #  what the rule does not look at comes first: it moves the beginning only together with what the rule looks at
    logins: list[Record] = [event for event in events if isinstance(event, LoginSucceeded)]
    counted = [event for event in events if isinstance(event, UsageRecorded)]
    ordered = sorted(counted, key=lambda event: event.at_ms)
    shuffled = data.draw(st.permutations(counted))
    assert EngineRun(rules).feed(*logins, *shuffled, END).alerts == EngineRun(rules).feed(*logins, *ordered, END).alerts


@given(DECLINES, usages(), st.integers(1, 40))
def test_what_was_foreseen_comes_true_if_nothing_else_happens(rule: DeclineRule, events: list[Happened], day: int) -> None:
    rules = rule_set(rule)
    for opened in EngineRun(rules).feed(*(event for event in events if event.at_ms < day * DAY_MS), END).alerts:
        if opened.state == "opened" and opened.clears_if is not None:
            seen = [event for event in events if event.at_ms < min(opened.at_ms, day * DAY_MS)]
            cleared = EngineRun(rules).feed(*seen, END).alerts
            later = [alert.at_ms for alert in cleared if alert.state == "resolved" and alert.at_ms > opened.at_ms]
            assert later[0] == opened.clears_if.at_ms


def test_a_login_before_the_first_use_moves_the_first_look_nearer_in_whatever_order_they_come() -> None:
    rule = DeclineRule(
        id="decline", version="1", of=["usage.recorded"], recent="P1D", baseline="P2D", by=0.1, direction="down", min_count=1
    )
    first, later = (UsageRecorded(id=f"u{day}", customer_id="ann", at_ms=int(day * DAY_MS), feature="a") for day in (0.25, 3))
    login = LoginSucceeded(id="login", customer_id="ann", at_ms=0)
    for before in ((login, first), (first, login)):
        run = EngineRun(rule_set(rule)).feed(*before, later, tick(30))
        assert run.told == ["opened@3", "resolved@4", "opened@5", "resolved@7"]
