"""The SLA clock against a stopwatch that is looked at every minute."""

from dataclasses import dataclass

from engine_run import EngineRun, rule_set, tick
from hypothesis import given
from hypothesis import strategies as st

from detectors.calendars import BusinessCalendar
from detectors.sla_clock import ClockSpec, SlaClock, Target
from detectors.tickets import Moment, take
from schemas.calendars import CalendarDocument
from schemas.events import TicketClosed, TicketEvent, TicketOpened, TicketReopened, TicketResolved, TicketUpdated
from schemas.instants import DAY_MS, MINUTE_MS
from schemas.rule_kinds import SlaRule, SlaTarget

HOURS = ["00:00-00:40", "01:10-02:00", "05:00-05:30"]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OFFICE = CalendarDocument(time_zone="UTC", weekly=dict.fromkeys(WEEKDAYS[:3], HOURS))
OPEN_MINUTES = {minute for start, end in ((0, 40), (70, 120), (300, 330)) for minute in range(start, end)}
MINUTES = st.integers(0, 1500)
KINDS = st.sampled_from(["pending", "open", "resolved", "reopened", "closed"])


@dataclass(frozen=True)
class Step:
    minute: int
    what: str


STEPS = st.lists(st.builds(Step, MINUTES, KINDS), max_size=8)


def event_of(step: Step, number: int) -> TicketEvent:
    at_ms, name = step.minute * MINUTE_MS, f"e{number}"
    match step.what:
        case "opened":
            return TicketOpened(id=name, customer_id="ann", at_ms=at_ms, ticket_id="T")
        case "pending":
            return TicketUpdated(id=name, customer_id="ann", at_ms=at_ms, ticket_id="T", status="pending")
        case "open":
            return TicketUpdated(id=name, customer_id="ann", at_ms=at_ms, ticket_id="T", status="open")
        case "resolved":
            return TicketResolved(id=name, customer_id="ann", at_ms=at_ms, ticket_id="T")
        case "reopened":
            return TicketReopened(id=name, customer_id="ann", at_ms=at_ms, ticket_id="T")
        case _:
            return TicketClosed(id=name, customer_id="ann", at_ms=at_ms, ticket_id="T")


def is_open(minute: int) -> bool:
    """1970 began on a Thursday."""
    return (minute // 1440 + 3) % 7 < 3 and minute % 1440 in OPEN_MINUTES


def first_breach(steps: list[Step], target: int, until: int) -> int | None:
    """The minute at which a stopwatch reaches the target for the first time, looked at every minute."""
    ordered = sorted(steps, key=lambda step: step.minute)
    consumed, waiting, ended, place = 0, False, False, 0
    for minute in range(ordered[0].minute, until):
        while place < len(ordered) and ordered[place].minute == minute:
            what = ordered[place].what
            waiting = {"pending": True, "open": False, "reopened": False, "opened": False}.get(what, waiting)
            ended = what in {"resolved", "closed"}  # and any status opens it again
            place += 1
        if is_open(minute) and not waiting and not ended:
            consumed += 1
        if consumed >= target:
            return minute + 1
    return None


START = Step(0, "opened")
MONDAY = 4 * 1440  # 1970-01-05


def from_monday(steps: list[Step]) -> list[Step]:
    return [Step(step.minute + MONDAY, step.what) for step in [START, *steps]]


def clock_over(steps: list[Step], target: int) -> SlaClock:
    promise = Target(
        SlaTarget(target=f"PT{target}M", calendar="c"), BusinessCalendar.from_document(OFFICE), "1", target * MINUTE_MS
    )
    spec = ClockSpec("resolution", "resolved", frozenset({"pending"}), (), (promise,))
    tickets: dict[str, object] = {}
    for number, step in enumerate(steps):
        take(tickets, event_of(step, number), None)  # type: ignore[arg-type]
    moments: list[Moment] = tickets["T"].moments  # type: ignore[attr-defined]
    return SlaClock(spec, None).run(moments)


@given(STEPS, st.integers(1, 150))
def test_a_breach_comes_when_the_stopwatch_says(steps: list[Step], target: int) -> None:
    shifted = from_monday(steps)
    clock = clock_over(shifted, target)
    breaches = [episode.breach for episode in clock.episodes if episode.breach is not None]
    found = [crossing.at_ms // MINUTE_MS for crossing in [*breaches, *clock.ahead()]]
    assert (found[0] if found else None) == first_breach(shifted, target, MONDAY + 14 * 1440)


@given(STEPS, st.data())
def test_the_order_of_arrival_ahead_of_the_clock_does_not_matter(steps: list[Step], data: st.DataObject) -> None:
    rule = SlaRule(
        id="sla",
        version="1",
        clock="resolution",
        targets=[SlaTarget(target="PT2H", calendar="c")],
        pause_on=["pending"],
        warn_at=[0.5],
    )
    unique = list({step.minute: step for step in from_monday(steps)}.values())  # at one instant the log's order counts
    events = [event_of(step, number) for number, step in enumerate(unique)]
    shuffled = data.draw(st.permutations(events))
    rules = rule_set(rule, calendars={"c": OFFICE})
    last = tick((MONDAY / 1440) + 20)
    in_order = EngineRun(rules).feed(*sorted(events, key=lambda event: event.at_ms), last)
    mixed = EngineRun(rules).feed(*shuffled, last)
    assert mixed.told == in_order.told


@given(STEPS, st.lists(MINUTES, max_size=6), st.sets(st.integers(0, 14)))
def test_ticks_in_between_and_crashes_change_nothing(steps: list[Step], ticks: list[int], crashes: set[int]) -> None:
    rule = SlaRule(
        id="sla",
        version="1",
        clock="resolution",
        until="closed",
        targets=[SlaTarget(target="PT90M", calendar="c")],
        warn_at=[0.25, 0.75],
    )
    rules = rule_set(rule, calendars={"c": OFFICE})
    events = [event_of(step, number) for number, step in enumerate(from_monday(steps))]
    records = [*events, *(tick((MONDAY + minute) * MINUTE_MS / DAY_MS) for minute in ticks)]
    last = tick((MONDAY / 1440) + 20)
    often, once = EngineRun(rules), EngineRun(rules).feed(*sorted(events, key=lambda event: event.at_ms), last)
    for place, record in enumerate(sorted(records, key=lambda record: (record.at_ms, record.type != "tick"))):
        often.feed(record)
        if place in crashes:
            often.restored()
    assert often.feed(last).told == once.told
