"""Laws of the engine that hold for any records: where batches end, crashes, ticks and order do not matter."""

from collections.abc import Sequence

from engine_histories import DAYS, EVENTS, GAPS, RECORDS, RULES
from engine_run import EngineRun, absence, complaint, order, rule_set, tick, tier, told_by
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.codec import Record, encode
from schemas.control import FeedConfirmed, FeedGap
from schemas.decisions import AlertRecord
from schemas.events import AnyEvent
from schemas.instants import DAY_MS
from schemas.rule_kinds import (
    CountRule,
)

TIMELY = EVENTS


def decided_by(run: EngineRun) -> list[bytes]:
    return [encode(alert) for alert in run.alerts]


@given(RECORDS, st.sets(st.integers(0, 25)))
def test_a_crash_anywhere_changes_nothing(records: Sequence[Record], crashes: set[int]) -> None:
    undisturbed, crashed = EngineRun(RULES), EngineRun(RULES)
    for place, record in enumerate(records):
        undisturbed.feed(record)
        crashed.feed(record)
        if place in crashes:
            crashed.restored()
    assert decided_by(crashed) == decided_by(undisturbed)


@given(RECORDS, st.sets(st.integers(0, 25)))
def test_where_a_batch_ends_changes_no_state(records: Sequence[Record], borders: set[int]) -> None:
    whole, cut = EngineRun(RULES), EngineRun(RULES)
    state: dict[bytes, bytes | None] = {}
    for place, record in enumerate(records):
        whole.feed(record)
        cut.feed(record)
        if place in borders:
            state.update(cut.engine.take_changes())
    state.update([*cut.engine.take_changes(), cut.engine.head_change()])
    assert state == dict([*whole.engine.take_changes(), whole.engine.head_change()])


@given(RECORDS)
def test_customers_do_not_know_of_each_other(records: Sequence[Record]) -> None:
    both = EngineRun(RULES).feed(*records, tick(99))
    for customer in ("ann", "bob"):
        mine = [record for record in records if getattr(record, "customer_id", customer) == customer]
        alone = EngineRun(RULES).feed(*mine, tick(99))
        assert decided_by(alone) == [encode(alert) for alert in both.alerts if alert.customer_id == customer]


@given(RECORDS)
def test_no_transition_is_told_twice(records: Sequence[Record]) -> None:
    told = [(alert.alert_id, alert.sequence) for alert in EngineRun(RULES).feed(*records, tick(99)).alerts]
    assert len(told) == len(set(told))


@given(st.lists(EVENTS, max_size=20))
def test_forwarding_everything_twice_changes_nothing(events: Sequence[AnyEvent]) -> None:
    doubled = [event for event in events for _ in range(2)]
    assert told_by(RULES, [*doubled, tick(99)]) == told_by(RULES, [*events, tick(99)])


@given(st.lists(st.builds(order, DAYS), min_size=1, max_size=15), st.lists(DAYS, max_size=10))
def test_silences_do_not_depend_on_how_often_the_clock_ticks(orders: Sequence[AnyEvent], days: Sequence[int]) -> None:
    #  in order of time, with ticks in between or with one at the end
    rules = rule_set(absence(9), absence(id="cycle", for_="P12D", min_count=2))
    records: list[Record] = [*orders, *(tick(day) for day in days)]
    ordered = sorted(records, key=lambda record: (record.at_ms, record.type != "tick"))
    one_tick = told_by(rules, [*sorted(orders, key=lambda one: one.at_ms), tick(99)])
    assert sorted(told_by(rules, [*ordered, tick(99)])) == sorted(one_tick)


@given(st.lists(TIMELY, max_size=15), st.lists(DAYS, max_size=8))
@example([order(13), tier(19, "vip")], [19])
def test_no_alert_depends_on_how_often_the_clock_ticks(events: Sequence[AnyEvent], days: Sequence[int]) -> None:
    #  in order of time; with or without ticks in between, the same is told, only later
    ordered = sorted(events, key=lambda one: one.at_ms)
    ticked = sorted([*events, *(tick(day) for day in days)], key=lambda record: (record.at_ms, record.type != "tick"))
    seldom, often = EngineRun(RULES).feed(*ordered, tick(99)), EngineRun(RULES).feed(*ticked, tick(99))
    assert sorted(map(told_of, often.alerts)) == sorted(map(told_of, seldom.alerts))


def told_of(alert: AlertRecord) -> tuple[str, ...]:
    return (alert.alert_id, f"{alert.sequence:03}", alert.state, f"{alert.at_ms:015}")


@given(
    st.lists(st.builds(order, DAYS), max_size=12).flatmap(lambda orders: st.tuples(st.just(orders), st.permutations(orders)))
)
def test_silences_do_not_depend_on_the_order_of_arrival_ahead_of_the_clock(pair: tuple[list[AnyEvent], list[AnyEvent]]) -> None:
    rules = rule_set(absence(9), absence(id="cycle", for_="P12D", min_count=2, max_count=4))
    orders, shuffled = pair
    in_order = sorted(orders, key=lambda one: one.at_ms)
    assert sorted(told_by(rules, [*shuffled, tick(99)])) == sorted(told_by(rules, [*in_order, tick(99)]))


@given(st.lists(st.integers(0, 80), min_size=1, max_size=15), st.integers(1, 20), st.integers(1, 90))
def test_silences_equal_their_definition(days: list[int], length: int, until: int) -> None:
    instants = sorted({day for day in days if day <= until})
    expected = []
    for start, following in zip(instants, [*instants[1:], None], strict=False):
        due = start + length
        if due <= until and (following is None or following >= due):
            expected.append(f"opened@{due}")
            if following is not None:
                expected.append(f"resolved@{following}")
    told = told_by(rule_set(absence(length)), [*(order(day) for day in days if day <= until), tick(until)])
    assert sorted(told) == sorted(expected)


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=10),
    st.integers(1, 15),
    st.lists(st.tuples(st.integers(0, 70), st.integers(1, 9)), max_size=3),
)
def test_silences_with_gaps_equal_their_definition(days: list[int], length: int, gaps: list[tuple[int, int]]) -> None:
    #  so many days without an order, not counting those of which nobody knows
    lost = {day for first, count in gaps for day in range(first, first + count)}
    instants, expected = sorted(set(days)), []
    for start, following in zip(instants, [*instants[1:], None], strict=False):
        seen = [day for day in range(start, 200) if day not in lost]
        due = seen[length - 1] + 1
        if following is None or following >= due:
            expected.append(f"opened@{due}")
            expected += [f"resolved@{following}"] if following is not None else []
    told_of_gaps = [
        FeedGap(at_ms=0, source="orders", from_ms=first * DAY_MS, until_ms=(first + count) * DAY_MS) for first, count in gaps
    ]
    assert sorted(told_by(rule_set(absence(length)), [*told_of_gaps, *map(order, days), tick(200)])) == sorted(expected)


@given(RECORDS, st.integers(0, 25), GAPS)
def test_a_gap_that_is_taken_back_at_once_changes_nothing_that_is_to_come(
    records: Sequence[Record], place: int, gap: FeedGap
) -> None:
    #  what was open is taken back, and told again: in the end everybody knows the same
    before = [record for record in records[:place] if not isinstance(record, FeedGap | FeedConfirmed)]
    back = FeedConfirmed(at_ms=gap.at_ms, source=gap.source, from_ms=gap.from_ms, until_ms=gap.until_ms)
    plain = EngineRun(rule_set(absence(9))).feed(*before, tick(99))
    corrected = EngineRun(rule_set(absence(9))).feed(*before, gap, back, tick(99))
    assert open_alerts(corrected) == open_alerts(plain)


def open_alerts(run: EngineRun) -> set[str]:
    last = {alert.alert_id: alert.state for alert in run.alerts}
    return {alert_id for alert_id, state in last.items() if state == "opened"}


@given(st.lists(st.integers(0, 60), max_size=12), st.integers(2, 4), st.integers(1, 12), st.lists(DAYS, max_size=6))
def test_bursts_equal_their_definition(days: list[int], needed: int, within: int, ticks: list[int]) -> None:
    #  in order of time, however often the clock ticks; looked at twice a day
    expected, is_open = [], False
    for half in range(99 * 2):
        is_full = sum(half / 2 - within < day <= half / 2 for day in days) >= needed
        if is_full != is_open:
            expected.append(f"{'opened' if is_full else 'resolved'}@{half / 2:g}")
        is_open = is_full
    rules = rule_set(CountRule(id="b", version="1", of=["ticket.opened"], at_least=needed, within=f"P{within}D"))
    records: list[Record] = [*(complaint(day) for day in days), *(tick(day) for day in ticks)]
    ordered = sorted(records, key=lambda record: (record.at_ms, record.type != "tick"))
    assert told_by(rules, [*ordered, tick(99)]) == expected
