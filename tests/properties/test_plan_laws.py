"""Laws of the plans: whatever comes in whatever order, and wherever it crashes, nothing is lost and nothing is told twice."""

from collections import Counter, defaultdict
from datetime import time

from alert_lives import lives
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_run import DAY, HOUR, MONDAY, Decide, Gone, Lane, Op, Take, Wait, machine, person, routes_to, written

from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.deliveries import StormOrder, StormRecord, ToldRecord
from sinks.local_hours import NEVER_QUIET, QuietHours
from sinks.manners import quiet_until
from sinks.plans import plan_for
from sinks.routes import Budget, Recipient, Route, Routes, StormLimit

NIGHTS = QuietHours.of((day * 1440 + 22 * 60, day * 1440 + 31 * 60) for day in range(7))
SOME = [Route(1, 1, ("ann",), severity=frozenset(["critical"])), Route(2, 2, ("ann",), owner=frozenset(["ann"]))]
RECIPIENTS = st.builds(
    person,
    is_person=st.booleans(),
    quiet=st.sampled_from([NEVER_QUIET, NIGHTS]),
    wake_for=st.sampled_from([frozenset(), frozenset(["critical"])]),
    digest=st.just(time(9)),
    budget=st.sampled_from([None, Budget(0), Budget(1), Budget(2, 500.0)]),
)
STORMS = st.sampled_from([None, StormLimit(13 * HOUR, 1), StormLimit(HOUR, 1), StormLimit(13 * HOUR, 2)])
PEOPLE = st.builds(
    lambda one, storm, routes: routes_to(one, storm=storm, routes=routes), RECIPIENTS, STORMS, st.sampled_from([None, SOME])
)
FILES = st.integers(0, 4).flatmap(lambda n: PEOPLE if n else st.just(routes_to(machine())))


@st.composite
def programs(draw: st.DrawFn) -> list[Op]:
    """Batches of several alerts, mixed, with time passing, and people who decide about storms; at last all is over."""
    queues = [draw(lives(f"a{n}")) for n in range(draw(st.integers(1, 6)))]
    ops: list[Op] = []
    now_ms = MONDAY + draw(st.integers(0, 3 * 24)) * HOUR
    while any(queues):
        now_ms += draw(st.sampled_from([0, 1, HOUR // 2, 3 * HOUR, 13 * HOUR]))
        kind = draw(st.sampled_from(["take", "take", "take", "wait", "release", "drop"]))
        if kind == "take":
            batch: list[AlertRecord] = []
            for index in draw(st.lists(st.integers(0, len(queues) - 1), min_size=1, max_size=6)):
                batch += queues[index][:1]
                del queues[index][:1]
            ops.append(Take(now_ms, tuple(batch)))
        elif kind == "wait":
            ops.append(Wait(now_ms))
        else:
            rule, ago_ms = draw(st.sampled_from(["slow", "silent"])), draw(st.sampled_from([0, 1, HOUR]))
            ops.append(decision(now_ms, rule, kind, now_ms - ago_ms))
    if draw(st.booleans()):
        ops.append(Gone(now_ms, "a0"))
    ops += [decision(now_ms + 1, rule, "release", now_ms + 1) for rule in ("slow", "silent")]
    return [*ops, *(Wait(now_ms + hours * HOUR) for hours in range(7, 90, 7))]


def decision(now_ms: int, rule: str, order: str, at_ms: int) -> Decide:
    return Decide(now_ms, StormOrder(recipient="*", rule=rule, order=order, at_ms=at_ms, by="eve"))  # type: ignore[arg-type]


def lane(routes: Routes, crash_at: int = -1, *, splits: bool = False) -> Lane:
    (name,) = routes.recipients
    return Lane(lambda: plan_for(routes.recipients[name], routes, written, lambda: None), crash_at, splits)


def records_of(ops: list[Op]) -> dict[tuple[str, int], AlertRecord]:
    return {(one.alert_id, one.sequence): one for op in ops if isinstance(op, Take) for one in op.alerts}


@settings(max_examples=60, deadline=None)
@given(FILES, programs())
def test_a_crash_anywhere_loses_nothing_and_repeats_at_most_the_step_under_way(routes: Routes, ops: list[Op]) -> None:
    whole = lane(routes).run(ops)
    for crash_at in range(1, whole.done + 1):
        crashed = lane(routes, crash_at).run(ops)
        assert {(key, alerts) for _, key, alerts in whole.told} <= {(key, alerts) for _, key, alerts in crashed.told}
        times = Counter(key for _, key, _ in crashed.told)
        assert set(times) == {key for _, key, _ in whole.told}
        assert sum(times.values()) <= len(times) + 1
        assert crashed.ledger == whole.ledger


@settings(max_examples=100, deadline=None)
@given(FILES, programs())
def test_whoever_was_told_of_an_alert_hears_of_its_end_in_order_and_nothing_is_kept(routes: Routes, ops: list[Op]) -> None:
    ran = lane(routes).run(ops)
    assert_ends_are_told(ran, ops)
    for numbers in numbers_told(ran).values():
        assert numbers == sorted(set(numbers))


@settings(max_examples=60, deadline=None)
@given(FILES, programs())
def test_that_holds_too_if_other_batches_come_after_a_crash(routes: Routes, ops: list[Op]) -> None:
    for crash_at in range(1, lane(routes).run(ops).done + 1):
        crashed = lane(routes, crash_at, splits=True).run(ops)
        assert_ends_are_told(crashed, ops)
        times = Counter(key for _, key, _ in crashed.told)
        assert sum(times.values()) <= len(times) + 1


def assert_ends_are_told(ran: Lane, ops: list[Op]) -> None:
    records, gone = records_of(ops), {op.alert_id for op in ops if isinstance(op, Gone)}
    for alert_id, numbers in numbers_told(ran).items():
        states = [records[alert_id, number].state for number in numbers]
        if alert_id not in gone and any(state not in {"warned", *CLOSED_STATES} for state in states):
            assert states[-1] in CLOSED_STATES
    assert [row for row in ran.ledger.values() if isinstance(row, ToldRecord | StormRecord)] == []


def numbers_told(ran: Lane) -> dict[str, list[int]]:
    """Of each alert, in the order in which they were told."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for _, _, alerts in ran.told:
        for alert_id, number in alerts:
            found[alert_id].append(number)
    return found


@settings(max_examples=100, deadline=None)
@given(PEOPLE, programs())
def test_people_are_left_alone_when_they_want_to_be_and_have_no_more_at_once_than_they_want(
    routes: Routes, ops: list[Op]
) -> None:
    ran, records = lane(routes).run(ops), records_of(ops)
    recipient: Recipient = routes.recipients["ann"]
    at_once: Counter[int] = Counter()
    for now_ms, key, alerts in ran.told:
        critical = any(records[one].severity == "critical" for one in alerts)
        if quiet_until(recipient, now_ms) is not None:
            assert key.startswith("storm/") or (critical and recipient.manners.wake_for)
        if not key.startswith(("digest/", "storm/", "release/")):
            (one,) = alerts
            spends = not critical and records[one].state not in {"escalated", *CLOSED_STATES}
            at_once[now_ms // DAY] += spends
    if recipient.manners.budget is not None:
        assert max(at_once.values(), default=0) <= recipient.manners.budget.at_once


@settings(max_examples=100, deadline=None)
@given(programs())
def test_a_system_is_told_of_all_that_is_not_inhibited_at_once(ops: list[Op]) -> None:
    ran, records = lane(routes_to(machine())).run(ops), records_of(ops)
    inhibited = {alert_id for (alert_id, _), one in records.items() if one.inhibited_by is not None}
    wanted = [one for op in ops if isinstance(op, Take) for one in op.alerts if one.alert_id not in inhibited]
    found = [(now_ms, *one) for now_ms, _, alerts in ran.told for one in alerts if one[0] not in inhibited]
    assert [(alert_id, number) for _, alert_id, number in found] == [(one.alert_id, one.sequence) for one in wanted]
    taken = {(one.alert_id, one.sequence): op.now_ms for op in ops if isinstance(op, Take) for one in op.alerts}
    assert all(taken[alert_id, number] == now_ms for now_ms, alert_id, number in found)
