"""Laws of what rules see of the features: neither how often the clock ticks nor a crash changes it."""

from collections.abc import Sequence
from itertools import count

from engine_run import EngineRun, order, tick, told_by
from hypothesis import example, given
from hypothesis import strategies as st
from standing_run import churn_rules

from schemas.codec import Record
from schemas.events import ContractSet, LoginSucceeded
from schemas.instants import DAY_MS
from schemas.rule_kinds import AbsenceRule, CountRule, LevelRule, RenewalRule

LOOKING = churn_rules(
    RenewalRule(id="idle", version="1", before="P30D", where="features.logins_30d < 1.5"),
    LevelRule(id="fewer", version="1", of=["login.succeeded"], value="features.logins_30d", below=0.8),
    CountRule(id="again", version="1", of=["order.placed"], where="features.orders > 1.0", at_least=2, within="P20D"),
    AbsenceRule(
        id="regular",
        version="1",
        of=["login.succeeded"],
        after=["order.placed"],
        where_after="features.logins_30d > 0.5",
        for_="P9D",
    ),
)
DAYS = st.integers(0, 70)
_ids = count()


def login(day: int) -> LoginSucceeded:
    return LoginSucceeded(id=f"l{next(_ids)}", customer_id="ann", at_ms=day * DAY_MS)


def contract(day: int, renews: int) -> ContractSet:
    name = f"k{next(_ids)}"
    return ContractSet(id=name, customer_id="ann", at_ms=day * DAY_MS, contract_id="1", renews_at_ms=renews * DAY_MS)


EVENTS = st.lists(
    st.one_of(st.builds(login, DAYS), st.builds(order, DAYS), st.builds(contract, st.integers(0, 40), st.integers(35, 90))),
    max_size=14,
)


@given(EVENTS, st.lists(DAYS, max_size=12), st.sets(st.integers(0, 25)))
@example([contract(0, 60), order(1), login(31), login(32), login(33)], list(range(40)), set())
def test_what_rules_see_of_the_features_does_not_depend_on_ticks_or_crashes(
    events: list[Record], days: list[int], crashes: set[int]
) -> None:
    #  in order of time, with ticks in between or with one at the end
    in_order = sorted(events, key=lambda one: one.at_ms)
    records: Sequence[Record] = sorted([*in_order, *map(tick, days)], key=lambda one: (one.at_ms, one.type != "tick"))
    run = EngineRun(LOOKING)
    for place, record in enumerate([*records, tick(99)]):
        run.feed(record)
        if place in crashes:
            run.restored()
    assert sorted(run.told) == sorted(told_by(LOOKING, [*in_order, tick(99)]))
