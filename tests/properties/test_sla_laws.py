"""The SLA clocks against a stopwatch that is looked at every minute (`tests/sla_oracle.py`)."""

from dataclasses import replace
from typing import Any

import pytest
from engine_run import EngineRun
from hypothesis import given
from hypothesis import strategies as st
from sla_oracle import CHANGES, HORIZON, MONDAY, OFFICE, REPLIES, TIERS, WARNINGS, Desk, Promise, Step, Stopwatch

import detectors.tickets
from detectors.calendars import AlwaysOpen, BusinessCalendar
from detectors.customer_update import MAX_TIERS, update
from detectors.sla_clock import SlaClock
from detectors.sla_terms import ClockSpec, Target
from detectors.state import Customer
from detectors.tickets import take
from schemas.codec import Record
from schemas.control import Tick
from schemas.events import (
    CustomerUpdated,
    TicketClosed,
    TicketEvent,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketUpdated,
)
from schemas.instants import MINUTE_MS

MINUTES = st.integers(0, 180).map(lambda half: MONDAY + 2 * half)
KINDS = st.sampled_from([*CHANGES, *REPLIES, *TIERS, "answer", "message", "message", "resolved", "reopened", "closed"])
PROMISES = st.builds(
    Promise,
    st.sampled_from(["first_response", "next_response", "resolution"]),
    st.sampled_from(["resolved", "closed"]),
    st.integers(1, 10).map(lambda n: 4 * n),
    st.sampled_from([("pending",), ("pending", "hold"), ()]),
)


def event_of(step: Step) -> TicketEvent | CustomerUpdated:
    if step.what in TIERS:
        return CustomerUpdated(id=step.name, customer_id="ann", at_ms=step.minute * MINUTE_MS, tier=step.what)
    fields: dict[str, Any] = {"id": step.name, "customer_id": "ann", "at_ms": step.minute * MINUTE_MS, "ticket_id": "T"}
    if step.what in CHANGES:
        return TicketUpdated(**fields, **CHANGES[step.what])  # type: ignore[arg-type]
    if step.what in REPLIES:
        return TicketReplied(**fields, **REPLIES[step.what])
    kinds: dict[str, Any] = {
        "opened": TicketOpened,
        "resolved": TicketResolved,
        "reopened": TicketReopened,
        "closed": TicketClosed,
    }
    event: TicketEvent = kinds[step.what](**fields)
    return event


def named(steps: list[Step]) -> list[Step]:
    """Each with an id of its own, in the order of arrival; a ticket is opened once, and tiers change as often as is kept."""
    found: list[Step] = []
    for number, step in enumerate(steps):
        most = {"opened": 1, **dict.fromkeys(TIERS, MAX_TIERS // 2)}.get(step.what, len(steps))
        if sum(known.what == step.what for known in found) < most:
            found.append(Step(step.minute, step.what, f"e{number}"))
    return found


STEPS = st.lists(st.builds(Step, MINUTES, KINDS), max_size=12).map(lambda steps: [Step(MONDAY, "opened"), *steps]).map(named)
ARRIVALS = st.lists(st.builds(Step, MINUTES, KINDS | st.just("opened")), min_size=1, max_size=10).map(named)


def desk_of(promise: Promise, records: list[Step]) -> list[str]:
    desk = Desk(promise)
    for record in records:
        desk.hear(record)
    return desk.told


def engine_of(promise: Promise, records: list[Step], crashes: frozenset[int] = frozenset()) -> list[str]:
    run = EngineRun(promise.rules)
    for place, record in enumerate(records):
        run.feed(record_of(record))
        if place in crashes:
            run.restored()
    return told_of(run)


def told_of(run: EngineRun) -> list[str]:
    return [
        f"{alert.state}{alert.fraction or ''}@{minute_of(alert.at_ms)} of {minute_of(alert.episode_start_ms)}"
        for alert in run.alerts
    ]


def minute_of(at_ms: int) -> int:
    return at_ms // MINUTE_MS - MONDAY


def record_of(step: Step) -> Record:
    return Tick(at_ms=step.minute * MINUTE_MS, marks_ms={}) if step.what == "tick" else event_of(step)


LAST = Step(HORIZON - 10, "tick")
TICKS = st.builds(Step, MINUTES, st.just("tick"))


def clock_over(steps: list[Step], promise: Promise) -> SlaClock:
    office, always = BusinessCalendar.from_document(OFFICE), AlwaysOpen()
    lengths = [*[2 * promise.minutes] * 3, promise.minutes]
    targets = tuple(
        Target(target, always if target.calendar is None else office, None, minutes * MINUTE_MS)
        for target, minutes in zip(promise.targets, lengths, strict=True)
    )
    spec: Any = ClockSpec(promise.clock, promise.until, frozenset(promise.pause_on), WARNINGS, targets)  # type: ignore[arg-type]
    customer = Customer({}, None, id="ann", first_ms=0)
    for step in steps:
        event = event_of(step)
        if isinstance(event, CustomerUpdated):
            update(customer, event)
        else:
            take(customer.tickets, event)
    return SlaClock(spec).run(customer.tickets["T"].moments, customer.tiers)


@given(PROMISES, STEPS)
def test_whatever_is_reached_is_reached_when_the_stopwatch_says(promise: Promise, steps: list[Step]) -> None:
    clock = clock_over(steps, promise)
    found = [
        (run.start.at_ms, [(one.at_ms, one.fraction) for one in run.warnings], run.breach, run.end) for run in clock.episodes
    ]
    ahead = [(one.at_ms // MINUTE_MS, one.fraction) for one in clock.ahead()]
    runs = Stopwatch(promise).watch(steps)
    assert [run.start * MINUTE_MS for run in runs] == [start for start, _, _, _ in found]
    for place, (run, (_, warnings, breach, end)) in enumerate(zip(runs, found, strict=True)):
        crossed = [(at_ms // MINUTE_MS, fraction) for at_ms, fraction in warnings]
        crossed += [(breach.at_ms // MINUTE_MS, 1.0)] if breach is not None else []
        crossed += ahead if place == len(found) - 1 else []
        assert sorted(run.crossed) == sorted(one for one in crossed if one[0] <= HORIZON)
        assert run.end == (None if end is None else end.at_ms // MINUTE_MS)


@given(PROMISES, ARRIVALS, st.lists(TICKS, max_size=5), st.data())
def test_what_is_told_equals_the_whole_history_looked_at_after_each_record(
    promise: Promise, steps: list[Step], ticks: list[Step], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(steps), max_size=3))
    records = [*data.draw(st.permutations([*steps, *ticks])), *again, LAST]
    assert engine_of(promise, records) == desk_of(promise, records)


@given(PROMISES, STEPS, st.lists(TICKS, max_size=6))
def test_with_few_moments_kept_it_is_told_all_the_same(promise: Promise, steps: list[Step], ticks: list[Step]) -> None:
    records = [*sorted([*steps, *ticks], key=lambda record: record.minute), LAST]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectors.tickets, "MANY_MOMENTS", 4)
        assert engine_of(promise, records) == desk_of(promise, records)


@given(PROMISES, ARRIVALS, st.data())
def test_the_order_of_arrival_ahead_of_the_clock_does_not_matter(
    promise: Promise, steps: list[Step], data: st.DataObject
) -> None:
    unique = list({step.minute: step for step in steps}.values())  # at one instant the log's order counts
    shuffled = data.draw(st.permutations(unique))
    in_order = engine_of(promise, [*sorted(unique, key=lambda step: step.minute), LAST])
    assert engine_of(promise, [*shuffled, LAST]) == in_order


@given(PROMISES, STEPS, st.lists(TICKS, max_size=6), st.frozensets(st.integers(0, 18)))
def test_ticks_in_between_and_crashes_change_nothing(
    promise: Promise, steps: list[Step], ticks: list[Step], crashes: frozenset[int]
) -> None:
    in_order = sorted(steps, key=lambda step: step.minute)
    often = sorted([*steps, *ticks], key=lambda record: (record.minute, record.what != "tick"))
    assert engine_of(promise, [*often, LAST], crashes) == engine_of(promise, [*in_order, LAST])


@given(PROMISES, ARRIVALS, st.lists(TICKS, max_size=4), st.data())
def test_every_alert_is_of_one_episode_and_its_records_are_counted(
    promise: Promise, steps: list[Step], ticks: list[Step], data: st.DataObject
) -> None:
    run = EngineRun(promise.rules).feed(*map(record_of, [*data.draw(st.permutations([*steps, *ticks])), LAST]))
    episodes = {(alert.alert_id, alert.episode_start_ms) for alert in run.alerts}
    assert len(episodes) == len({alert_id for alert_id, _ in episodes})
    for alert_id, _ in episodes:
        sequences = [alert.sequence for alert in run.alerts if alert.alert_id == alert_id]
        assert sequences == list(range(1, len(sequences) + 1))


@given(PROMISES, STEPS, st.lists(st.tuples(st.integers(0, 89), st.integers(1, 10)), min_size=1, max_size=3), st.booleans())
def test_what_was_used_stays_used_when_other_promises_are_published(
    promise: Promise,
    steps: list[Step],
    changes: list[tuple[int, int]],
    crash: bool,  # noqa: FBT001
) -> None:
    """Everything else happens at minutes that are a multiple of four."""
    apart = [replace(step, minute=step.minute - step.minute % 4) for step in steps]
    promises = {MONDAY + 4 * quarter + 2: replace(promise, minutes=4 * n) for quarter, n in changes}
    run, desk = EngineRun(promise.rules), Desk(promise)
    records = [*apart, *(Step(minute, "tick") for minute in promises)]
    for record in [*sorted(records, key=lambda one: one.minute), LAST]:
        run.feed(record_of(record))
        desk.hear(record)
        if record.minute in promises:
            run.publish(promises[record.minute].rules, revision=record.minute)
            desk.publish(promises[record.minute])
            if crash:
                run.restored()
    assert told_of(run) == desk.told
