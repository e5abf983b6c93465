"""`renewal` equals its definition, written for clarity, on any history: late, doubled and simultaneous events among it."""

from collections.abc import Sequence

from contract_run import agreed, cancelled, login, renewal, renewed, solved
from engine_run import EngineRun, complaint, tick, told_by
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.codec import Record, encode
from schemas.events import AnyEvent, ContractCancelled, ContractRenewed, ContractSet, TicketOpened, TicketResolved
from schemas.instants import DAY_MS
from schemas.rules import Churn, RuleSet

BEFORE = 5
WORRY = "features.tickets_open > 0.0"
HALVES = st.integers(0, 50).map(lambda half: half / 2)
"""Days, so that many events fall on the instant of a look."""
DATES = st.integers(4, 30)
CONTRACT_EVENTS = st.one_of(
    st.builds(agreed, HALVES, DATES),
    st.builds(agreed, HALVES, DATES),
    st.builds(renewed, HALVES, DATES),
    st.builds(cancelled, HALVES),
)
TICKETS = st.sampled_from(["t", "u"])
TICKET_EVENTS = st.one_of(
    st.builds(lambda day, ticket: complaint(day, ticket=ticket), HALVES, TICKETS), st.builds(solved, HALVES, TICKETS)
)
CONTRACTS = st.lists(CONTRACT_EVENTS, max_size=8)
EVENTS = st.lists(st.one_of(CONTRACT_EVENTS, CONTRACT_EVENTS, TICKET_EVENTS), max_size=12)
RECORDS = st.lists(st.one_of(CONTRACT_EVENTS, CONTRACT_EVENTS, TICKET_EVENTS, st.builds(tick, HALVES)), max_size=16)
IDLE = renewal(BEFORE, where="features.logins_7d < 2.0", churn=Churn())
RULES = st.sampled_from([renewal(BEFORE), renewal(BEFORE, where=WORRY)])


def in_order(events: Sequence[AnyEvent], days: Sequence[float] = ()) -> list[Record]:
    """By time, with ticks in between that are reached before the events of their instant arrive."""
    records: list[Record] = [*events, *(tick(day) for day in days)]
    return sorted(records, key=lambda record: (record.at_ms, record.type != "tick"))


def alerts_of(rules: RuleSet, records: Sequence[Record]) -> list[tuple[object, ...]]:
    alerts = EngineRun(rules).feed(*records).alerts
    return [(alert.state, alert.at_ms, alert.sequence, [(one.clause, one.value) for one in alert.because]) for alert in alerts]


def worried(events: Sequence[AnyEvent], at_ms: int) -> bool:
    """Whether a ticket was open, by what was strictly before the instant."""
    open_tickets: set[str] = set()
    seen: set[str] = set()
    for event in sorted(events, key=lambda one: (one.at_ms, one.type == "ticket.resolved")):
        if event.at_ms >= at_ms:
            break
        if isinstance(event, TicketOpened) and event.ticket_id not in seen:
            open_tickets.add(event.ticket_id)
            seen.add(event.ticket_id)
        elif isinstance(event, TicketResolved):
            open_tickets.discard(event.ticket_id)
    return bool(open_tickets)


def by_definition(rules: RuleSet, events: Sequence[AnyEvent], until_ms: int) -> list[str]:
    """Every half day, in the order of time: first the look, or the date itself, then the events of that instant."""
    where = getattr(rules.rules[0], "where", None)
    date_ms: int | None = None
    open_ms: int | None = None
    told: list[str] = []

    def look(at_ms: int) -> None:
        nonlocal open_ms
        holds = where is None or worried(events, at_ms)
        if open_ms is None and holds:
            open_ms = date_ms
            told.append(f"opened@{at_ms / DAY_MS:g}")
        elif open_ms is not None and not holds:
            open_ms = None
            told.append(f"resolved@{at_ms / DAY_MS:g}")

    for at_ms in range(0, until_ms + 1, DAY_MS // 2):
        left_ms = date_ms - at_ms if date_ms is not None else 0
        if open_ms == at_ms:
            open_ms = None
            told.append(f"expired@{at_ms / DAY_MS:g}")
        elif 0 < left_ms <= BEFORE * DAY_MS and left_ms % DAY_MS == 0:
            look(at_ms)
        for event in events:
            if event.at_ms != at_ms or not isinstance(event, ContractSet | ContractRenewed | ContractCancelled):
                continue
            before_ms, date_ms = date_ms, None if isinstance(event, ContractCancelled) else event.renews_at_ms
            if open_ms is not None and (isinstance(event, ContractRenewed) or date_ms != open_ms):
                open_ms = None
                told.append(f"resolved@{at_ms / DAY_MS:g}")
            if date_ms is not None and date_ms != before_ms and 0 < date_ms - at_ms <= BEFORE * DAY_MS:
                look(at_ms)
    return told


@given(RULES, EVENTS, st.lists(HALVES, max_size=10))
def test_it_equals_its_definition(rules: RuleSet, events: Sequence[AnyEvent], days: Sequence[float]) -> None:
    ordered = sorted(events, key=lambda event: event.at_ms)
    assert told_by(rules, [*in_order(ordered, days), tick(40)]) == by_definition(rules, ordered, 40 * DAY_MS)


@given(RULES, EVENTS, st.lists(HALVES, max_size=10))
def test_how_often_the_clock_ticks_changes_nothing(rules: RuleSet, events: Sequence[AnyEvent], days: Sequence[float]) -> None:
    assert told_by(rules, [*in_order(events, days), tick(40)]) == told_by(rules, [*in_order(events), tick(40)])


@given(st.lists(CONTRACT_EVENTS, max_size=4), st.lists(st.builds(login, HALVES), max_size=12), st.lists(HALVES, max_size=10))
@example([agreed(0, renews=30)], [login(24), login(26), login(27)], [day / 2 for day in range(60)])
def test_what_a_look_finds_does_not_depend_on_the_ticks(
    contracts: Sequence[AnyEvent], logins: Sequence[AnyEvent], days: Sequence[float]
) -> None:
    #  with a model to learn the features are settled as the clock goes by, which no look must see too early
    events = [*contracts, *logins]
    assert alerts_of(IDLE, [*in_order(events, days), tick(40)]) == alerts_of(IDLE, [*in_order(events), tick(40)])


@given(RULES, RECORDS, st.sets(st.integers(0, 16)))
def test_a_crash_anywhere_changes_nothing(rules: RuleSet, records: Sequence[Record], crashes: set[int]) -> None:
    undisturbed, crashed = EngineRun(rules), EngineRun(rules)
    for place, record in enumerate([*records, tick(40)]):
        undisturbed.feed(record)
        crashed.feed(record)
        if place in crashes:
            crashed.restored()
    assert [encode(alert) for alert in crashed.alerts] == [encode(alert) for alert in undisturbed.alerts]


@given(RULES, RECORDS)
def test_events_that_come_twice_change_nothing(rules: RuleSet, records: Sequence[Record]) -> None:
    doubled = [record for record in records for _ in range(2)]
    assert told_by(rules, [*doubled, tick(40)]) == told_by(rules, [*records, tick(40)])
