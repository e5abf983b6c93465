"""Laws of stages, reviews and risk through the engine: crashes and borders change nothing, labels equal their definition."""

from collections.abc import Sequence

from engine_run import EngineRun, absence, complaint, order, rule_set, tick
from hypothesis import given
from hypothesis import strategies as st
from standing_run import churn_rules, examples, model

from schemas.codec import Record, encode
from schemas.events import ContractCancelled, LoginSucceeded
from schemas.instants import DAY_MS
from schemas.rule_kinds import CountRule, ScoreRule
from schemas.rules import Lifecycle

DAYS = st.floats(100, 220).map(lambda day: round(day, 2))
CUSTOMERS = st.sampled_from(["ann", "bob"])
_serial = iter(range(10**9))


def login(day: float, customer: str) -> LoginSucceeded:
    return LoginSucceeded(id=f"l{next(_serial)}", customer_id=customer, at_ms=int(day * DAY_MS))


def cancelled(day: float, customer: str) -> ContractCancelled:
    return ContractCancelled(id=f"x{next(_serial)}", customer_id=customer, at_ms=int(day * DAY_MS), contract_id="k")


RECORDS = st.lists(
    st.one_of(
        st.builds(order, DAYS, CUSTOMERS),
        st.builds(login, DAYS, CUSTOMERS),
        st.builds(complaint, DAYS, CUSTOMERS),
        st.builds(cancelled, DAYS, CUSTOMERS),
        st.builds(tick, DAYS),
        st.builds(model, revision=st.integers(1, 5), usable=st.booleans()),
    ),
    max_size=25,
)
RULES = churn_rules(
    absence(20, severity="high"),
    CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P7D"),
    ScoreRule(id="risk", version="1", above=0.6, clear_below=0.4, dwell="P2D", cooldown="P3D"),
    lifecycle=Lifecycle(silent_after="P15D", churned_after="P60D", high_risk_rules=["burst"]),
)


def all_told(run: EngineRun) -> list[bytes]:
    return [
        encode(record)
        for decided in run.decisions
        for record in (*decided.alerts, *decided.shadow, *decided.lifecycle, *decided.risk, *decided.examples)
    ]


@given(RECORDS, st.sets(st.integers(0, 25)))
def test_a_crash_anywhere_changes_no_decision_and_no_state(records: Sequence[Record], crashes: set[int]) -> None:
    undisturbed, crashed = EngineRun(RULES), EngineRun(RULES)
    for place, record in enumerate([*records, tick(400)]):
        undisturbed.feed(record)
        crashed.feed(record)
        if place in crashes:
            crashed.restored()

    assert all_told(crashed) == all_told(undisturbed)


@given(RECORDS)
def test_sequences_have_no_hole_and_no_double(records: Sequence[Record]) -> None:
    run = EngineRun(RULES).feed(*records, tick(400))
    for customer in ("ann", "bob"):
        for kind in ("risk", "lifecycle"):
            told = [
                record.sequence
                for decided in run.decisions
                for record in getattr(decided, kind)
                if record.customer_id == customer
            ]
            assert told == list(range(1, len(told) + 1))


@given(RECORDS)
def test_stages_follow_from_one_another(records: Sequence[Record]) -> None:
    run = EngineRun(RULES).feed(*records, tick(400))
    for customer in ("ann", "bob"):
        told = [record for decided in run.decisions for record in decided.lifecycle if record.customer_id == customer]
        assert [record.before for record in told] == [None, *(record.stage for record in told)][: len(told)]
        assert all(record.stage != record.before for record in told)


@given(
    st.lists(st.one_of(st.builds(order, DAYS, CUSTOMERS), st.builds(cancelled, DAYS, CUSTOMERS)), max_size=20), st.lists(DAYS)
)
def test_labels_equal_their_definition_whenever_the_clock_ticks(events: list[Record], ticks: list[float]) -> None:
    #  the events in order of time, with ticks behind them, so that none is late
    ordered = sorted(events, key=lambda one: one.at_ms)
    records: list[Record] = sorted([*ordered, *(tick(day) for day in ticks)], key=lambda one: (one.at_ms, one.type == "tick"))
    run = EngineRun(churn_rules()).feed(*records, tick(400))

    for example in examples(run):
        inside = [
            one.type
            for one in ordered
            if getattr(one, "customer_id", "") == example.customer_id
            and example.at_ms <= one.at_ms < example.at_ms + example.horizon_ms
        ]
        assert example.churned == ("order.placed" not in inside or "contract.cancelled" in inside)


@given(st.lists(st.builds(order, DAYS), min_size=1, max_size=15), st.lists(DAYS, max_size=10))
def test_examples_do_not_depend_on_how_often_the_clock_ticks(orders: list[Record], days: list[float]) -> None:
    ordered = sorted(orders, key=lambda one: one.at_ms)
    between: list[Record] = sorted([*ordered, *(tick(day) for day in days)], key=lambda one: (one.at_ms, one.type == "tick"))
    rules = rule_set(churn=RULES.churn)

    often = EngineRun(rules).feed(*between, tick(400))
    once = EngineRun(rules).feed(*ordered, tick(400))
    assert [encode(one) for one in examples(often)] == [encode(one) for one in examples(once)]
