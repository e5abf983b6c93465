"""The circuit breaker: told the time, it says who may ask a sink that fails."""

from streams.breaker import Breaker


def opened(at_s: float = 0.0, under_way: int = 5) -> Breaker:
    """So many calls under way that all fail at once."""
    breaker = Breaker()
    for _ in range(under_way):
        assert breaker.wait_s(at_s) == 0
        breaker.began()
    assert [breaker.failed(at_s) for _ in range(under_way)] == [number == 4 for number in range(under_way)]
    return breaker


def probed(breaker: Breaker, at_s: float) -> None:
    assert breaker.wait_s(at_s) == 0
    breaker.began()
    assert breaker.wait_s(at_s) > 0  # nobody else


def test_after_five_failures_in_a_row_nobody_asks_for_a_second() -> None:
    #  failures  |||||
    #            0 ------- 1
    breaker = opened()
    assert (breaker.wait_s(0.0), breaker.wait_s(0.75), breaker.wait_s(1.0)) == (1.0, 0.25, 0.0)
    assert breaker.is_open


def test_a_success_between_failures_begins_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(4):
            breaker.began()
            breaker.failed(0.0)
        assert breaker.failing_since_s == 0.0
        breaker.took()
        assert breaker.failing_since_s is None
    assert not breaker.is_open


def test_many_calls_that_fail_together_open_it_once() -> None:
    # Eight alerts are under way when the other side goes away: the pause is the first one, not the fourth.
    breaker = opened(under_way=8)
    assert breaker.wait_s(0.0) == 1.0


def test_one_asks_first_and_each_failure_of_it_doubles_the_pause_up_to_half_a_minute() -> None:
    #  0 - 1 -- 3 ---- 7 -------- 15 ...
    breaker, now_s, pauses = opened(), 1.0, []
    for _ in range(7):
        probed(breaker, now_s)
        assert not breaker.failed(now_s)
        pauses.append(breaker.wait_s(now_s))
        now_s += pauses[-1]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert breaker.failing_since_s == 0.0


def test_when_it_goes_through_everybody_may_and_the_next_trouble_begins_small() -> None:
    breaker = opened()
    probed(breaker, 1.0)
    breaker.failed(1.0)
    probed(breaker, 3.0)
    breaker.took()
    assert (breaker.is_open, breaker.wait_s(3.0), breaker.failing_since_s) == (False, 0.0, None)
    for _ in range(5):
        breaker.began()
        breaker.failed(4.0)
    assert breaker.wait_s(4.0) == 1.0


def test_a_call_that_was_cut_short_says_nothing_and_the_next_one_asks() -> None:
    breaker = opened()
    probed(breaker, 1.0)
    breaker.gave_up()
    assert breaker.wait_s(1.0) == 0.0
