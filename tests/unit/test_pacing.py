"""How long detect lets records gather, and how long it waits after failures."""

from hypothesis import given
from hypothesis import strategies as st

from streams.pacing import LAST_RETRY_S, gap_left_s, retry_in_s

SECONDS = st.floats(0, 1_000, allow_nan=False)


def gap(*, since: float, took: float = 0.004, waiting: int = 1, least: float = 0.05) -> float:
    return gap_left_s(since_last_s=since, last_took_s=took, waiting_records=waiting, min_gap_s=least, batch_records=2_000)


def test_the_first_record_after_a_pause_is_committed_at_once() -> None:
    assert gap(since=10) == 0


def test_a_busy_partition_waits_for_the_rest_of_the_gap() -> None:
    #  last began      now            next
    #  0 ------------- 0.02 --------- 0.05
    assert gap(since=0.02) == 0.05 - 0.02


def test_the_gap_is_over_at_its_very_end() -> None:
    assert gap(since=0.05) == 0
    assert gap(since=0.05 - 1e-6) > 0


def test_a_full_batch_does_not_wait_for_more() -> None:
    assert gap(since=0, waiting=2_000) == 0
    assert gap(since=0, waiting=1_999) > 0


def test_a_slow_broker_gets_fewer_and_larger_transactions() -> None:
    #  the last one took 0.2 s: at most half of the time is spent in transactions
    assert gap(since=0.2, took=0.2) == 0.2
    assert gap(since=0.2, took=0.004) == 0


def test_a_broker_that_was_stuck_for_a_minute_does_not_make_the_next_record_wait_for_two() -> None:
    assert gap(since=0, took=60) <= 1


def test_without_a_least_gap_only_the_broker_s_own_time_counts() -> None:
    assert gap(since=0, took=0.004, least=0) == 0.008


@given(since=SECONDS, took=SECONDS, waiting=st.integers(0, 10_000), least=st.floats(0, 5))
def test_no_record_waits_longer_than_the_setting_or_a_second(since: float, took: float, waiting: int, least: float) -> None:
    left = gap(since=since, took=took, waiting=waiting, least=least)

    assert 0 <= left <= max(least, 1)
    assert left == 0 or waiting < 2_000


@given(failures=st.integers(1, 100_000))
def test_pauses_grow_up_to_a_bound(failures: int) -> None:
    assert 0 < retry_in_s(failures) <= retry_in_s(failures + 1) <= LAST_RETRY_S
