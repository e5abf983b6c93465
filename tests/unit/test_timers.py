"""Timers: whatever the clocks do, wake-ups come in the order of time, and only those that still stand."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import timers
from detectors.timers import TIDY_AT, Feeds, Timers, clock_key
from schemas.instants import DAY_MS, HOUR_MS

ORDERS: Feeds = ("orders",)
TICKETS: Feeds = ("tickets",)


class Line:
    """Timers over what customers say, and two clocks."""

    def __init__(self) -> None:
        self.wakes: dict[str, dict[int, int]] = {}
        self.now_ms: dict[Feeds, int | None] = {ORDERS: None, TICKETS: None}
        self.timers = Timers(lambda name: self.wakes.get(name, {}))

    def arm(self, name: str, due_ms: int, feeds: Feeds = ORDERS) -> None:
        self.wakes.setdefault(name, {})[clock_key(feeds)] = due_ms
        self.timers.arm(name, feeds, due_ms)

    def reach(self, now_ms: int, feeds: Feeds = ORDERS) -> list[tuple[int, str]]:
        """Who is woken, and when that was due."""
        self.now_ms[feeds] = now_ms
        found = []
        while (due := self.timers.pop_due(self.now_ms.__getitem__)) is not None:
            due_ms, name, woken_by = due
            assert self.wakes[name].pop(clock_key(woken_by)) == due_ms
            found.append((due_ms, name))
        return found


def test_a_wake_up_comes_when_its_clock_has_reached_it() -> None:
    line = Line()
    line.arm("ann", 10)
    assert line.reach(9) == []
    assert line.reach(10) == [(10, "ann")]
    assert line.reach(11) == []


def test_each_set_of_feeds_has_a_clock_of_its_own() -> None:
    line = Line()
    line.arm("ann", 10)
    line.arm("ann", 5, TICKETS)
    assert line.reach(100) == [(10, "ann")]
    assert line.reach(100, TICKETS) == [(5, "ann")]


def test_ties_go_by_customer() -> None:
    line = Line()
    for name in ("cid", "ann", "bob"):
        line.arm(name, 3 * DAY_MS)
    assert line.reach(3 * DAY_MS) == [(3 * DAY_MS, name) for name in ("ann", "bob", "cid")]


def test_one_that_moved_comes_at_its_new_time_alone() -> None:
    #  day 0        1        2        3
    #  first        X ------ moved -> X
    line = Line()
    line.arm("ann", DAY_MS)
    line.arm("ann", 3 * DAY_MS)
    line.arm("bob", 2 * DAY_MS)
    line.arm("bob", 2 * DAY_MS - 1)
    assert line.reach(2 * DAY_MS) == [(2 * DAY_MS - 1, "bob")]
    assert line.reach(4 * DAY_MS) == [(3 * DAY_MS, "ann")]


def test_of_a_customer_who_is_gone_nothing_is_heard() -> None:
    line = Line()
    line.arm("ann", 10)
    line.arm("ann", 2 * DAY_MS, TICKETS)
    del line.wakes["ann"]
    assert line.reach(DAY_MS) == []
    assert line.reach(3 * DAY_MS, TICKETS) == []


def test_who_is_put_off_again_and_again_is_not_noted_each_time() -> None:
    #  day 0                   30
    #  near, far, near, far    X
    line = Line()
    line.reach(0)
    for now_ms in range(1, 20_000):
        for name in ("ann", "bob", "cid"):
            line.arm(name, now_ms)
        assert len(line.reach(now_ms)) == 3
        for name in ("ann", "bob", "cid"):
            line.arm(name, 30 * DAY_MS)
    assert len(line.timers) <= TIDY_AT
    assert line.reach(31 * DAY_MS) == [(30 * DAY_MS, name) for name in ("ann", "bob", "cid")]


moves = st.tuples(st.sampled_from("abc"), st.integers(0, 5 * 24))
steps = st.lists(st.one_of(moves, st.integers(0, 5 * 24)), max_size=30)


@pytest.fixture(scope="module", params=[1, TIDY_AT])
def tidied(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timers, "TIDY_AT", request.param)
        yield


@pytest.mark.usefixtures("tidied")
@given(steps)
def test_who_is_woken_is_whoever_a_look_at_all_customers_finds(steps: list[tuple[str, int] | int]) -> None:
    line = Line()
    now_ms = 0
    for step in steps:
        if isinstance(step, tuple):
            line.arm(step[0], step[1] * HOUR_MS)
        else:
            now_ms = max(now_ms, step * HOUR_MS)
        all_due = sorted((due_ms, name) for name, wakes in line.wakes.items() for due_ms in wakes.values())
        assert line.reach(now_ms) == [found for found in all_due if found[0] <= now_ms]
