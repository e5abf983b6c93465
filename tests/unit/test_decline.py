"""`decline`: the rate of the days just before a midnight against that of the days before them."""

import pytest
from engine_run import EngineRun, contact, order, rule_set, tick, told_by

from schemas.codec import Record
from schemas.decisions import Because, ClearsIf
from schemas.events import UsageRecorded
from schemas.instants import DAY_MS
from schemas.rule_kinds import DeclineRule
from schemas.rules import RuleSet

_names = iter(range(1_000_000))


def orders_down(**fields: object) -> RuleSet:
    """Half of the rate, or less, over four days, compared with the eight days before."""
    return rule_set(
        DeclineRule(
            **{  # type: ignore[arg-type]
                "id": "orders-down",
                "version": "1",
                "of": ["order.placed"],
                "recent": "P4D",
                "baseline": "P8D",
                "by": 0.5,
                **fields,
            }
        )
    )


def fewer_features() -> RuleSet:
    """Different features a day over two days, compared with the four days before."""
    return orders_down(of=["usage.recorded"], distinct="feature", recent="P2D", baseline="P4D")


def usage(day: float, feature: str) -> UsageRecorded:
    return UsageRecorded(id=f"u{next(_names)}", customer_id="ann", at_ms=int(day * DAY_MS), feature=feature)


def test_it_opens_when_the_rate_has_halved() -> None:
    #  day 0 1 2 3 4 5 6 7 | 8 9 10 11 ^ 12
    #      1 1 1 1 1 1 1 1 | 1 - -  1      2 / 4 a day against 8 / 8
    daily: list[Record] = [order(day) for day in range(9)]
    assert told_by(orders_down(), [*daily, order(11), tick(11.9)]) == []
    assert told_by(orders_down(), [*daily, order(11), tick(12)]) == ["opened@12"]


def test_a_rate_just_above_the_limit_says_nothing() -> None:
    assert told_by(orders_down(), [*(order(day) for day in range(10)), order(11), tick(12)]) == []


def test_a_limit_in_decimals_is_met_exactly() -> None:
    #  1 / 10 a day against 1: down by exactly 0.9, and 1 - 0.9 is less than 0.1 in floating point
    daily: list[Record] = [order(day) for day in range(10)]
    rules = orders_down(recent="P10D", baseline="P10D", by=0.9)
    assert told_by(rules, [*daily, order(10.5), tick(20)]) == ["opened@20"]
    assert told_by(rules, [*daily, order(10.5), order(10.6), tick(20)]) == []


def test_it_clears_when_orders_come_again() -> None:
    daily: list[Record] = [order(day) for day in range(8)]
    records: list[Record] = [*daily, order(11), tick(12), order(12.2), order(12.4), order(12.6), tick(13)]
    assert told_by(orders_down(), records) == ["opened@12", "resolved@13"]


def test_it_clears_when_the_baseline_has_come_down_too() -> None:
    #  one order a day until 8, then one in four days
    records: list[Record] = [*(order(day) for day in range(8)), *(order(day) for day in range(11, 40, 4)), tick(40)]
    told = told_by(orders_down(), records)
    assert told[0] == "opened@12"
    assert told[-1].startswith("resolved")


def test_it_clears_when_the_baseline_holds_too_few() -> None:
    #  orders on days 0 to 7; at 18 the baseline [6, 14) holds two
    daily: list[Record] = [order(day) for day in range(8)]
    assert told_by(orders_down(min_count=3), [*daily, tick(60)]) == ["opened@12", "resolved@18"]


def test_fewer_than_enough_in_the_baseline_say_nothing() -> None:
    daily: list[Record] = [order(day) for day in range(8)]
    assert told_by(orders_down(min_count=8), [*daily, tick(60)]) == ["opened@12", "resolved@13"]
    assert told_by(orders_down(min_count=9), [*daily, tick(60)]) == []


def test_it_may_look_for_a_rise() -> None:
    up = orders_down(direction="up")
    weekly: list[Record] = [order(day) for day in (0, 3, 6)]
    assert told_by(up, [*weekly, order(10), order(11), tick(12)]) == []  # 2 / 4 against 3 / 8: a third more
    assert told_by(up, [*weekly, order(9), order(10), order(11), tick(12)]) == ["opened@12"]


def test_it_may_look_for_both() -> None:
    both = orders_down(direction="both")
    rising: list[Record] = [order(0), order(3), order(6), order(9), order(10), order(11), tick(12)]
    run = EngineRun(both).feed(*rising)
    assert run.told == ["opened@12"]
    assert run.alerts[0].clears_if is not None
    assert run.alerts[0].clears_if.code == "rate_below"
    assert told_by(both, [*(order(day) for day in range(8)), tick(12)]) == ["opened@12"]


def test_a_rise_that_becomes_a_fall_stays_one_alert() -> None:
    both = orders_down(direction="both", recent="P1D", baseline="P2D")
    many: list[Record] = [order(0), order(1), order(2), order(2.1), order(2.2)]
    assert told_by(both, [*many, tick(4.5)]) == ["opened@3"]
    assert told_by(both, [*many, tick(9)]) == ["opened@3", "resolved@6"]


def test_other_orders_do_not_count() -> None:
    large = orders_down(where="event.amount >= 100.0")
    records: list[Record] = [*(order(day, amount=100) for day in range(8)), *(order(day) for day in range(8, 12)), tick(12)]
    assert told_by(large, records) == ["opened@12"]


def test_a_customer_has_to_be_known_for_both_windows() -> None:
    #  first order 0.5: the baseline [1, 9) is the first that lies after it
    daily: list[Record] = [order(day + 0.5) for day in range(8)]
    assert told_by(orders_down(), [*daily, tick(12.5)]) == []
    assert told_by(orders_down(), [*daily, tick(13)]) == ["opened@13"]


def test_a_customer_is_known_from_the_first_event_of_any_kind() -> None:
    daily: list[Record] = [contact(0), *(order(day + 0.5) for day in range(1, 8))]
    assert told_by(orders_down(), [*daily, tick(11.9)]) == []
    assert told_by(orders_down(), [*daily, tick(12)]) == ["opened@12"]


def test_an_order_that_arrives_out_of_its_turn_makes_the_customer_older() -> None:
    daily: list[Record] = [order(day + 0.5) for day in range(8)]
    assert told_by(orders_down(), [*daily, order(0), tick(12)]) == ["opened@12"]


def test_a_new_rule_waits_until_what_it_has_missed_is_out_of_the_baseline() -> None:
    run = EngineRun(rule_set()).feed(order(0), order(4.5), tick(5)).publish(orders_down(), revision=2)
    run.feed(*(order(day) for day in range(5, 13)), tick(16.9))
    assert run.told == []
    assert run.feed(tick(17)).told == ["opened@17"]


def test_publishing_again_does_not_begin_anew() -> None:
    daily: list[Record] = [order(day) for day in range(8)]
    run = EngineRun(orders_down()).feed(*daily, tick(9)).publish(orders_down(), revision=2)
    assert run.feed(tick(12)).told == ["opened@12"]


def test_a_lower_limit_is_looked_at_at_the_next_midnight() -> None:
    daily: list[Record] = [order(day) for day in range(10)]
    run = EngineRun(orders_down(by=0.9)).feed(*daily, tick(12.5)).publish(orders_down(by=0.7), revision=2)
    assert run.feed(tick(13)).told == ["opened@13"]


def test_longer_windows_are_known_once_they_were_lived_through() -> None:
    short, long = orders_down(recent="P1D", baseline="P2D", min_count=4), orders_down(min_count=4)
    run = EngineRun(short).feed(*(order(day) for day in range(8)), tick(8)).publish(long, revision=2)
    #  days before 6 are forgotten
    assert run.feed(*(order(day) for day in range(8, 11)), tick(17.9)).told == []
    assert run.feed(tick(18)).told == ["opened@18"]


def test_a_late_order_counts_for_the_looks_that_are_ahead() -> None:
    daily: list[Record] = [order(day) for day in range(8)]
    late: list[Record] = [order(10 + hour / 24) for hour in range(3)]
    assert told_by(orders_down(), [*daily, tick(11), *late, tick(12)]) == []
    assert told_by(orders_down(), [*daily, tick(12), *late, tick(13)]) == ["opened@12", "resolved@13"]


def test_the_different_values_of_a_day_count_once() -> None:
    #  three features a day until 4, then one of them again and again
    rich: list[Record] = [usage(day + 0.1 * place, feature) for day in range(4) for place, feature in enumerate("abca")]
    poor: list[Record] = [usage(day + 0.1 * place, "a") for day in range(4, 6) for place in range(5)]
    run = EngineRun(fewer_features()).feed(usage(0, "a"), *rich, *poor, tick(6))
    assert run.told == ["opened@6"]
    assert [clause.value for clause in run.alerts[0].because][:2] == [1.0, 3.0]


def test_a_value_that_comes_late_is_counted_as_long_as_the_day_is_known() -> None:
    def counted(now: float) -> float | int | str:
        records: list[Record] = [*(usage(day, "a") for day in range(6)), tick(now), usage(3.5, "b"), usage(3.6, "b"), tick(8)]
        return EngineRun(fewer_features_open()).feed(*records).alerts[-1].because[1].value

    assert counted(5.9) == 1.25  # the baseline [2, 6) has five
    assert counted(6) == 1.0


def fewer_features_open() -> RuleSet:
    return orders_down(of=["usage.recorded"], distinct="feature", recent="P2D", baseline="P4D", by=1.0)


def test_an_alert_says_what_it_saw_and_what_would_clear_it() -> None:
    daily: list[Record] = [order(day) for day in range(8)]
    alert = EngineRun(orders_down(where="event.amount > 1.0")).feed(*daily, order(11), tick(12)).alerts[0]
    assert alert.because == [
        Because(clause="recent_per_day", value=0.25),
        Because(clause="baseline_per_day", value=1.0),
        Because(clause="change", value=-0.75, threshold=-0.5),
        Because(clause="min_count", value=8, threshold=1),
    ]
    assert alert.episode_start_ms == alert.due_ms == alert.at_ms == 12 * DAY_MS
    assert alert.evidence == []
    #  at 16 the recent days [12, 16) are empty; at 20 the baseline [8, 16) holds the order of day 11 alone, at 24 none
    assert alert.clears_if == ClearsIf(
        code="rate_above", of=["order.placed"], at_ms=24 * DAY_MS, above=0.5, where="event.amount > 1.0"
    )


def test_a_customer_who_is_gone_needs_no_look() -> None:
    run = EngineRun(orders_down()).feed(order(0), tick(30))
    customer = run.customer("ann")
    assert customer is not None
    (trend,) = customer.trends.values()
    assert trend.wake_day is None
    assert trend.counts.days == []


@pytest.mark.parametrize("count", [1, 5, 50])
def test_many_orders_a_day_take_one_place(count: int) -> None:
    run = EngineRun(orders_down()).feed(*(order(0.01 * place) for place in range(count)))
    (trend,) = run.customer("ann").trends.values()
    assert (trend.counts.days, trend.counts.counts) == ([0], [count])
