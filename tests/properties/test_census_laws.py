"""The counts of a partition are those of its customers, whatever happened, and whoever is at rest."""

from collections import Counter
from collections.abc import Sequence

import pytest
from engine_histories import RECORDS, RULES
from engine_run import EngineRun
from hypothesis import given
from hypothesis import strategies as st

from detectors.census import customers_in, open_alerts_in
from detectors.engine import PartitionEngine
from detectors.told import OPEN_STATES
from schemas.codec import Record
from schemas.events import CustomerErased
from schemas.instants import DAY_MS


def erased(day: int, customer: str) -> CustomerErased:
    return CustomerErased(id=f"x{day}{customer}", customer_id=customer, at_ms=day * DAY_MS)


ERASURES = st.builds(erased, st.integers(0, 60), st.sampled_from(["ann", "bob"]))
HISTORIES = st.tuples(RECORDS, st.lists(ERASURES, max_size=2)).flatmap(lambda two: st.permutations([*two[0], *two[1]]))


def counted(engine: PartitionEngine) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    census = engine._state.head.census
    assert census is not None
    assert min(census.values(), default=1) > 0
    return customers_in(census), open_alerts_in(census)


def looked_at(engine: PartitionEngine) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """The same, by looking at everybody."""
    customers = engine._state.customers
    everybody = [found for name in customers.ids() if (found := customers.find(name)) is not None]
    alerts = [
        (key.partition("/")[0], slot.state)
        for one in everybody
        for key, slot in one.alerts.items()
        if slot.state in OPEN_STATES
    ]
    return Counter((one.stage, one.tier or "") for one in everybody), Counter(alerts)


@given(HISTORIES, st.sets(st.integers(0, 25)), st.sets(st.integers(0, 25)), st.integers(0, 2))
def test_the_counts_are_those_of_the_customers(
    records: Sequence[Record], borders: set[int], crashes: set[int], max_busy: int
) -> None:
    run = EngineRun(RULES, PartitionEngine(0, max_busy=max_busy))
    for place, record in enumerate(records):
        run.feed(record)
        if place in borders:
            run._store.update(run.engine.take_changes())
        if place in crashes:
            run.restored()
    run.engine.take_changes()

    assert counted(run.engine) == looked_at(run.engine)


@given(HISTORIES)
def test_a_state_that_was_never_counted_is_counted_when_it_is_restored(records: Sequence[Record]) -> None:
    run = EngineRun(RULES).feed(*records).restored()
    wanted = counted(run.engine)
    run.engine._state.head.census = None
    again = run.restored()

    assert counted(again.engine) == wanted


def test_standing_leaves_rules_in_shadow_mode_out() -> None:
    run = EngineRun(RULES)
    census = run.engine._state.head.census
    assert census is not None
    census |= {"alert/opened/staged": 2, "alert/escalated/vips": 1, "customer/active/gold/or silver": 3, "customer/new/": 1}

    standing = run.engine.standing()
    assert standing.open_alerts == {("vips", "escalated"): 1}
    assert standing.customers == {("active", "gold/or silver"): 3, ("new", ""): 1}


@pytest.mark.parametrize("tier", ["gold", "a/b", ""])
def test_a_tier_may_have_any_name(tier: str) -> None:
    assert customers_in({f"customer/active/{tier}": 2}) == {("active", tier): 2}
