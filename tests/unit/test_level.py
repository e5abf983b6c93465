"""`level`: opens at the event whose value crosses the limit, closes at the one beyond the clear limit."""

from itertools import count

import pytest
from engine_run import EngineRun, order, rule_set, tick

from detectors.rules_compiled import CompiledRules
from schemas.decisions import ClearsIf
from schemas.errors import ContractError
from schemas.events import OrderPlaced, SurveyAnswered
from schemas.instants import DAY_MS
from schemas.rule_kinds import LevelRule

_ids = count()


def answer(day: float, score: float, survey: str = "csat", customer: str = "ann") -> SurveyAnswered:
    name = f"s{next(_ids)}"
    return SurveyAnswered(id=name, customer_id=customer, at_ms=int(day * DAY_MS), survey=survey, score=score, scale_max=5)  # type: ignore[arg-type]


def low(**fields: object) -> LevelRule:
    return LevelRule(
        **{"id": "low", "version": "1", "of": ["survey.answered"], "value": "event.score", "below": 3.0, **fields}  # type: ignore[arg-type]
    )


def high(**fields: object) -> LevelRule:
    fields = {"id": "high", "version": "1", "of": ["order.placed"], "value": "event.amount", "above": 100.0, **fields}
    return LevelRule(**fields)  # type: ignore[arg-type]


def test_a_value_below_the_limit_opens_at_its_event_and_one_beyond_the_clear_limit_closes() -> None:
    #  below 3, clear above 4
    #  4 ---- 2 ---- 3.5 ---- 4 ---- 4.5
    #  1      2      3        4      5
    run = EngineRun(rule_set(low(clear_above=4.0)))
    run.feed(answer(1, 4), answer(2, 2), answer(3, 3.5), answer(4, 4), answer(5, 4.5))
    assert run.told == ["opened@2", "resolved@5"]
    opened, resolved = run.alerts
    assert opened.episode_start_ms == opened.due_ms == 2 * DAY_MS
    assert [(because.clause, because.value, because.threshold) for because in opened.because] == [("value", 2.0, 3.0)]
    assert [(because.clause, because.value, because.threshold) for because in resolved.because] == [("value", 4.5, 4.0)]
    assert [evidence.at_ms for evidence in resolved.evidence] == [5 * DAY_MS]


def test_the_alert_says_what_would_clear_it() -> None:
    run = EngineRun(rule_set(low(clear_above=4.0, where='event.survey == "csat"'), high()))
    run.feed(answer(1, 2), order(1, amount=200))
    below, above = (alert.clears_if for alert in run.alerts)
    assert below == ClearsIf(code="value_above", of=["survey.answered"], where='event.survey == "csat"', above=4.0)
    assert above == ClearsIf(code="value_below", of=["order.placed"], below=100.0)


@pytest.mark.parametrize(("score", "told"), [(2.9, ["opened@1"]), (3.0, []), (3.1, [])])
def test_the_limit_itself_is_not_below_it(score: float, told: list[str]) -> None:
    assert EngineRun(rule_set(low())).feed(answer(1, score)).told == told


@pytest.mark.parametrize(("score", "told"), [(2.9, ["opened@1"]), (3.0, ["opened@1", "resolved@2"])])
def test_without_a_clear_limit_the_limit_itself_clears(score: float, told: list[str]) -> None:
    assert EngineRun(rule_set(low())).feed(answer(1, 1), answer(2, score)).told == told


@pytest.mark.parametrize(("amount", "told"), [(80.0, ["opened@1"]), (79.0, ["opened@1", "resolved@2"])])
def test_above_is_below_turned_round(amount: float, told: list[str]) -> None:
    run = EngineRun(rule_set(high(clear_below=80.0)))
    assert run.feed(order(0, amount=100), order(1, amount=101), order(2, amount=amount)).told == told


def test_only_events_of_which_the_predicate_is_true_count() -> None:
    run = EngineRun(rule_set(low(where='event.survey == "csat"')))
    run.feed(answer(1, 1, survey="nps"), answer(2, 1), answer(3, 5, survey="nps"))
    assert run.told == ["opened@2"]


def test_a_value_that_is_unknown_is_no_match() -> None:
    items = [OrderPlaced(id=f"i{day}", customer_id="ann", at_ms=day * DAY_MS, order_id="1", amount=1) for day in (1, 2)]
    rule = LevelRule(id="few", version="1", of=["order.placed"], value="event.items", below=3.0)
    assert EngineRun(rule_set(rule)).feed(*items).told == []


def test_a_value_may_be_made_of_features_as_they_were_before_the_event() -> None:
    #  orders before:  0     1     2
    rule = LevelRule(id="many", version="1", of=["order.placed"], value="features.orders", above=1.0)
    run = EngineRun(rule_set(rule)).feed(order(1), order(2), order(3))
    assert run.told == ["opened@3"]


def test_at_the_same_instant_the_log_decides() -> None:
    assert EngineRun(rule_set(low())).feed(answer(1, 5), answer(1, 1)).told == ["opened@1"]
    assert EngineRun(rule_set(low())).feed(answer(1, 1), answer(1, 5)).told == ["opened@1", "resolved@1"]


def test_an_episode_that_begins_again_at_the_same_instant_goes_on_with_the_same_alert() -> None:
    run = EngineRun(rule_set(low())).feed(answer(1, 1), answer(1, 5), answer(1, 1))
    assert run.told == ["opened@1", "resolved@1", "opened@1"]
    assert {alert.alert_id for alert in run.alerts} == {run.alerts[0].alert_id}
    assert [alert.sequence for alert in run.alerts] == [1, 2, 3]


def test_a_late_low_value_opens_at_its_own_instant() -> None:
    run = EngineRun(rule_set(low())).feed(tick(10), answer(4, 1))
    assert run.told == ["opened@4"]
    assert run.alerts[0].decided_ms == 10 * DAY_MS


def test_a_late_low_value_before_a_high_one_opens_and_closes() -> None:
    #  score  5 ---- (1) ---- 5 ---- now
    #  day    1       2       3      10
    assert EngineRun(rule_set(low())).feed(answer(1, 5), answer(3, 5), tick(10), answer(2, 1)).told == [
        "opened@2",
        "resolved@3",
    ]


def test_a_late_high_value_between_two_low_ones_makes_two_episodes() -> None:
    #  score  1 ---- (5) ---- 1 ---- now
    #  day    1       2       3      10
    run = EngineRun(rule_set(low())).feed(answer(1, 1), answer(3, 1), tick(10), answer(2, 5))
    assert run.told == ["opened@1", "resolved@2", "opened@3"]
    assert run.alerts[2].alert_id != run.alerts[0].alert_id


def test_what_was_told_stands_when_an_earlier_event_comes_late() -> None:
    #  (1) ---- 1 ---- (5) ---- 5        told: opened@2, resolved@4
    #   1       2       3       4
    run = EngineRun(rule_set(low())).feed(answer(2, 1), answer(4, 5), tick(10))
    assert run.feed(answer(1, 1), answer(3, 5)).told == ["opened@2", "resolved@4"]


def test_a_limit_that_has_moved_judges_the_next_event() -> None:
    run = EngineRun(rule_set(low())).feed(answer(1, 2.5), tick(2))
    run.publish(rule_set(low(below=2.0)), revision=2)
    assert run.told == ["opened@1"]
    assert run.feed(answer(3, 2.5)).told == ["opened@1", "resolved@3"]


def test_a_dwell_that_ends_sooner_opens_nothing() -> None:
    run = EngineRun(rule_set(low(dwell="P3D"))).feed(answer(1, 1), tick(2), answer(3, 5), tick(9), answer(10, 1), tick(20))
    assert run.told == ["opened@13"]


def test_a_level_has_one_limit() -> None:
    for fields in ({"above": 4.0}, {"below": None}):
        with pytest.raises(ContractError, match="either `below` or `above`"):
            CompiledRules(rule_set(low(**fields)))
