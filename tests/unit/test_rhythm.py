"""`rhythm`: silent for longer than the customer's own pace explains."""

import pytest
from engine_run import EngineRun, feed, order, rule_set, tick, told_by
from msgspec.structs import replace

from detectors.rhythm import RhythmKind
from detectors.rhythm_state import RECENT_DAYS, Pace, Tally
from schemas.errors import ContractError
from schemas.instants import DAY_MS, HOUR_MS
from schemas.rule_kinds import RhythmRule
from schemas.rules import RuleSet


def rhythm(times: float = 3.0, **fields: object) -> RuleSet:
    """No order for so many times the customer's own gap."""
    given = {"id": "own", "version": "1", "of": ["order.placed"], "times": times, **fields}
    return rule_set(RhythmRule(**given))  # type: ignore[arg-type]


def test_it_opens_when_several_times_the_own_mean_gap_has_passed() -> None:
    #  orders every 10 days                     3 x 10 days
    #  0    10    20 --------------------------------- 50
    #                                           ^tick 49.9   ^tick 50
    run = EngineRun(rhythm()).feed(order(0), order(10), order(20), tick(49.9))
    assert run.told == []
    assert run.feed(tick(50)).told == ["opened@50"]


def test_who_orders_seldom_may_be_silent_for_longer() -> None:
    assert told_by(rhythm(), [order(0), order(40), tick(159)]) == []
    assert told_by(rhythm(), [order(0), order(40), tick(160)]) == ["opened@160"]


def test_several_orders_of_a_day_are_one_for_the_gaps() -> None:
    #  three orders on day 0, one on day 10: one gap of 10 days, the first order at 0.25
    told = told_by(rhythm(), [order(0.25), order(0.5), order(0.75), order(10.25), tick(99)])
    assert told == ["opened@40.25"]


def test_orders_of_a_single_day_have_no_pace() -> None:
    assert told_by(rhythm(), [order(0), order(0.9), tick(999)]) == []
    assert told_by(rhythm(), [order(0), tick(999)]) == []


def test_two_orders_around_midnight_are_of_two_days() -> None:
    hour = HOUR_MS / DAY_MS
    assert told_by(rhythm(), [order(1 - hour), order(1 + hour), tick(9)]) == [f"opened@{1 + hour + 6 * hour:g}"]


def test_min_count_asks_for_more_orders_first() -> None:
    patient = rhythm(min_count=4)
    assert told_by(patient, [order(0), order(10), order(20), tick(999)]) == []
    assert told_by(patient, [order(0), order(10), order(20), order(30), tick(999)]) == ["opened@60"]


def test_it_never_opens_sooner_than_min_gap() -> None:
    slow = rhythm(min_gap="P14D")
    assert told_by(slow, [order(0), order(1), order(2), tick(15.9)]) == []
    assert told_by(slow, [order(0), order(1), order(2), tick(16)]) == ["opened@16"]
    assert told_by(slow, [order(0), order(10), tick(40)]) == ["opened@40"]


def test_times_is_taken_as_it_is_written() -> None:
    run = EngineRun(rhythm(1.1)).feed(order(0), order(10), tick(99))
    assert [alert.due_ms for alert in run.alerts] == [21 * DAY_MS]


def test_an_order_before_the_due_time_ends_the_silence_and_changes_the_pace() -> None:
    #  0 10 20 ... 45: 3 gaps of 15 days on average, 45 days from 45
    told = told_by(rhythm(), [order(0), order(10), order(20), order(45), tick(89), tick(90)])
    assert told == ["opened@90"]


def test_an_order_at_the_due_time_opens_and_resolves() -> None:
    assert told_by(rhythm(), [order(0), order(10), order(40), tick(40)]) == ["opened@40", "resolved@40"]


def test_an_order_after_the_due_time_resolves_at_once_and_is_a_gap_like_any_other() -> None:
    #  0 10 (40) 50: mean gap (50 - 0) / 2 = 25, next due at 125
    told = told_by(rhythm(), [order(0), order(10), tick(41), order(50), tick(51), tick(124), tick(125)])
    assert told == ["opened@40", "resolved@50", "opened@125"]


def test_several_silences_that_are_over_are_told_in_order() -> None:
    told = told_by(rhythm(), [order(0), order(10), order(50), order(130), tick(400)])
    assert told == ["opened@40", "resolved@50", "opened@125", "resolved@130", "opened@260"]


def test_a_late_order_inside_a_silence_takes_the_alert_back() -> None:
    #  0    10 ---- 25 ---- 40            0, 10, 25: mean gap 12.5
    #               ^ arrives after the alert
    told = told_by(rhythm(), [order(0), order(10), tick(40), order(25), tick(62), tick(63)])
    assert told == ["opened@40", "retracted@25", "opened@62.5"]


def test_a_late_order_takes_the_latest_alert_back_even_when_it_is_resolved() -> None:
    told = told_by(rhythm(), [order(0), order(10), tick(40), order(45), tick(46), order(25), tick(47)])
    assert told == ["opened@40", "resolved@45", "retracted@25"]


def test_a_late_order_between_the_due_time_and_the_end_says_nothing() -> None:
    assert told_by(rhythm(), [order(0), order(10), tick(40), order(50), tick(51), order(45)]) == ["opened@40", "resolved@50"]


def test_a_late_order_before_the_start_concerns_future_silences_only() -> None:
    #  10    20 ------- 50 told; 16 arrives late: what was told stands. From 51 on: 10 16 20 51, 3 gaps of 41/3 days
    run = EngineRun(rhythm()).feed(order(10), order(20), tick(21), order(16), tick(50), order(51), tick(52))
    assert run.told == ["opened@50", "resolved@51"]
    assert run.feed(tick(91.9)).told == ["opened@50", "resolved@51"]
    assert run.feed(tick(92)).told == ["opened@50", "resolved@51", "opened@92"]


def test_orders_ahead_of_the_clock_are_kept_until_it_passes_them() -> None:
    #  the clock stands at 1 while they come in this order
    told = told_by(rhythm(), [order(0), tick(1), order(60), order(10), order(20), tick(61)])
    assert told == ["opened@50", "resolved@60"]


def test_a_feed_that_is_not_live_holds_the_clock() -> None:
    run = EngineRun(rhythm()).feed(order(0), order(10), tick(11), feed(11, "orders", "dead"), tick(99))
    assert run.told == []
    assert run.feed(feed(99, "orders", "live"), tick(100)).told == ["opened@40"]


def test_an_order_of_which_it_is_unknown_whether_it_matches_ends_the_silence_and_counts_for_no_gap() -> None:
    #  0    10 ... 20 without `items`: the next silence starts there, at a pace of 10 days still
    large = rhythm(where="event.items >= 2.0")
    two, one = ({"items": 2}, {"items": 1})
    orders = [replace(order(0), **two), replace(order(10), **two), order(20), replace(order(30), **one)]
    assert told_by(large, [*orders, tick(49)]) == []
    assert told_by(large, [*orders, tick(50)]) == ["opened@50"]


def test_a_new_rule_knows_of_a_known_customer_the_last_order_only() -> None:
    #  0 10 20 |rule| 30 40: two gaps since the last order before the rule
    other = rhythm(id="other")
    run = EngineRun(other).feed(order(0), order(10), order(20), tick(21)).publish(rhythm(min_count=3), revision=2)
    assert run.feed(tick(300)).told == []
    run = EngineRun(other).feed(order(0), order(10), order(20), tick(21)).publish(rhythm(min_count=3), revision=2)
    assert run.feed(order(30), order(12), order(40), tick(69)).told == []
    assert run.feed(tick(70)).told == ["opened@70"]


def test_a_rule_whose_threshold_moves_keeps_the_pace_that_it_knows() -> None:
    run = EngineRun(rhythm(3.0)).feed(order(0), order(10), order(20), tick(45)).publish(rhythm(2.0), revision=2)
    assert run.told == ["opened@40"]


def test_a_silence_that_ended_in_time_is_not_too_long_afterwards() -> None:
    #  0   10   20   30 ------- 50    in time, since 60 was due; when it was over, the rule became impatient: 45
    run = EngineRun(rhythm(3.0)).feed(*map(order, (0, 10, 20, 30)), tick(40), order(50), tick(55))
    assert run.publish(rhythm(1.5, version="2"), revision=2).feed(tick(56)).told == []


def test_an_alert_says_why_from_what_and_what_would_clear_it() -> None:
    run = EngineRun(rhythm(min_count=3)).feed(order(0), order(10), order(20, event_id="o-20"), tick(50))
    alert = run.alerts[0]
    assert [(clause.clause, clause.value, clause.threshold) for clause in alert.because] == [
        ("silence_ms", 30 * DAY_MS, 30 * DAY_MS),
        ("gap_ms", 10 * DAY_MS, None),
        ("times_gap", 3.0, 3.0),
        ("min_count", 3, 3),
    ]
    assert [evidence.id for evidence in alert.evidence] == ["o-20"]
    assert alert.episode_start_ms == 20 * DAY_MS
    assert alert.clears_if is not None
    assert alert.clears_if.of == ["order.placed"]


def test_a_silence_that_would_be_due_after_the_last_instant_is_never_due() -> None:
    assert told_by(rhythm(1e300), [order(0), order(10), tick(80_000)]) == []


def test_a_duration_of_calendar_months_is_refused() -> None:
    rule = RhythmRule(id="own", version="1", of=["order.placed"], times=3.0, min_gap="P1M")
    with pytest.raises(ContractError, match="P1M"):
        RhythmKind(rule, ("orders",))


def test_days_too_old_to_be_known_by_name_never_make_the_gaps_shorter() -> None:
    tally = Tally()
    for day in range(10, 11 + RECENT_DAYS):
        tally = tally.plus(day * DAY_MS)
    assert tally.pace == Pace(count=RECENT_DAYS + 1, span_ms=RECENT_DAYS * DAY_MS, gaps=RECENT_DAYS)
    assert tally.plus(5 * DAY_MS).pace == Pace(count=RECENT_DAYS + 2, span_ms=(RECENT_DAYS + 5) * DAY_MS, gaps=RECENT_DAYS)
