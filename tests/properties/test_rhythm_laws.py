"""`rhythm` equals its definition, written for clarity, on any history: late, doubled and simultaneous orders among it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from engine_run import EngineRun, order, rule_set, tick, told_by
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Record, encode
from schemas.control import Tick
from schemas.instants import DAY_MS
from schemas.rule_kinds import RhythmRule

QUARTERS = st.integers(0, 80).map(lambda quarter: quarter / 4)
"""Days, so that several orders fall on one of them."""
RECORDS = st.lists(st.one_of(st.builds(order, QUARTERS), st.builds(tick, QUARTERS)), max_size=16)
RULES = st.builds(
    lambda times, least, gap: RhythmRule(
        id="own", version="1", of=["order.placed"], times=times, min_count=least, min_gap=f"P{gap}D" if gap else None
    ),
    st.sampled_from([0.5, 1.0, 1.1, 2.0, 3.0]),
    st.integers(1, 4),
    st.integers(0, 4),
)


@dataclass
class Episode:
    start_ms: int
    due_ms: int
    open: bool
    resolved: bool
    retracted: bool = False


@dataclass
class Definition:
    """What the rule says, computed from the whole history at each record."""

    rule: RhythmRule
    now_ms: int = -1
    arrived: list[tuple[int, int]] = field(default_factory=list)
    """Every order with the rule's now at its arrival."""
    beats: list[int] = field(default_factory=list)
    """Those that end a silence and start another."""
    episodes: list[Episode] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def due_ms(self, start_ms: int) -> int | None:
        heard = next(place for place, (at_ms, _) in enumerate(self.arrived) if at_ms == start_ms and at_ms in self.beats)
        counted = [
            at_ms
            for place, (at_ms, now_ms) in enumerate(self.arrived)
            if at_ms <= start_ms and (place <= heard or now_ms <= start_ms)
        ]
        days = {at_ms // DAY_MS for at_ms in counted}
        if len(days) < 2 or len(counted) < self.rule.min_count:
            return None
        mean_gap = Fraction(max(counted) - min(counted), len(days) - 1)
        least = int(self.rule.min_gap[1:-1]) * DAY_MS if self.rule.min_gap else 0
        return start_ms + max(ceil(Fraction(str(self.rule.times)) * mean_gap), least)

    def take(self, record: Record) -> None:
        if isinstance(record, Tick):
            self.now_ms = max(self.now_ms, record.at_ms)
        else:
            self.arrive(record.at_ms)
        for start_ms in sorted(set(self.beats)):
            due_ms = self.due_ms(start_ms)
            if due_ms is None or due_ms > self.now_ms or any(one.start_ms >= start_ms for one in self.episodes):
                continue
            following = min((beat for beat in self.beats if beat > start_ms), default=None)
            if following is None or following >= due_ms:
                self.episodes.append(Episode(start_ms, due_ms, open=following is None, resolved=following is not None))
                self.tell("opened", due_ms)
                if following is not None:
                    self.tell("resolved", following)

    def arrive(self, at_ms: int) -> None:
        self.arrived.append((at_ms, self.now_ms))
        latest = self.episodes[-1] if self.episodes else None
        if latest is not None and not latest.retracted and latest.start_ms < at_ms < latest.due_ms:
            latest.retracted = True
            self.tell("retracted", at_ms)
            if latest.open:
                latest.open = False
                self.beats.append(at_ms)
            return
        if any(beat < self.now_ms and at_ms <= beat for beat in self.beats):
            return
        if latest is not None and latest.resolved and at_ms < latest.due_ms:
            return
        self.beats.append(at_ms)
        if latest is not None and latest.open:
            latest.open, latest.resolved = False, True
            self.tell("resolved", at_ms)

    def tell(self, state: str, at_ms: int) -> None:
        self.told.append(f"{state}@{at_ms / DAY_MS:g}")


def defined(rule: RhythmRule, records: Sequence[Record]) -> list[str]:
    definition = Definition(rule)
    for record in records:
        definition.take(record)
    return definition.told


@given(RULES, RECORDS)
def test_it_equals_its_definition(rule: RhythmRule, records: Sequence[Record]) -> None:
    assert told_by(rule_set(rule), [*records, tick(99)]) == defined(rule, [*records, tick(99)])


@given(RULES, st.lists(st.builds(order, QUARTERS), max_size=12), st.lists(QUARTERS, max_size=8))
def test_how_often_the_clock_ticks_changes_nothing(rule: RhythmRule, orders: Sequence[Record], days: Sequence[float]) -> None:
    #  in order of time, with ticks in between or with one at the end
    records = [*orders, *(tick(day) for day in days)]
    ticking = sorted(records, key=lambda record: (record.at_ms, record.type != "tick"))
    in_order = sorted(orders, key=lambda record: record.at_ms)
    assert told_by(rule_set(rule), [*ticking, tick(99)]) == told_by(rule_set(rule), [*in_order, tick(99)])


@given(RULES, RECORDS, st.sets(st.integers(0, 16)))
def test_a_crash_anywhere_changes_nothing(rule: RhythmRule, records: Sequence[Record], crashes: set[int]) -> None:
    undisturbed, crashed = EngineRun(rule_set(rule)), EngineRun(rule_set(rule))
    for place, record in enumerate([*records, tick(99)]):
        undisturbed.feed(record)
        crashed.feed(record)
        if place in crashes:
            crashed.restored()
    assert [encode(alert) for alert in crashed.alerts] == [encode(alert) for alert in undisturbed.alerts]


@given(RULES, RECORDS)
def test_orders_that_come_twice_change_nothing(rule: RhythmRule, records: Sequence[Record]) -> None:
    doubled = [record for record in records for _ in range(2)]
    assert told_by(rule_set(rule), [*doubled, tick(99)]) == told_by(rule_set(rule), [*records, tick(99)])
