"""Laws of `level`, against oracles that look at the whole history again for each event."""

from collections.abc import Sequence
from itertools import count

import pytest
from engine_run import EngineRun, day_of, rule_set, tick
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Record, encode
from schemas.events import SurveyAnswered
from schemas.instants import DAY_MS
from schemas.rule_kinds import LevelRule

BELOW, CLEAR_ABOVE = 3.0, 4.0
VALUE = "event.score / event.scale_max * 5.0"
RULES = rule_set(LevelRule(id="low", version="1", of=["survey.answered"], value=VALUE, below=BELOW, clear_above=CLEAR_ABOVE))
_ids = count()


def answer(day: int, score: float) -> SurveyAnswered:
    name = f"s{next(_ids)}"
    return SurveyAnswered(id=name, customer_id="ann", at_ms=day * DAY_MS, survey="csat", score=score, scale_max=5)


ANSWERS = st.lists(st.builds(answer, st.integers(0, 12), st.sampled_from([1.0, 2.0, 3.0, 3.5, 4.0, 4.5, 5.0])), max_size=12)


def by_definition(answers: Sequence[SurveyAnswered]) -> list[str]:
    """What the values say once all are known, in the order of time and of the log."""
    told: list[str] = []
    is_open = False
    for one in sorted(answers, key=lambda known: known.at_ms):
        if not is_open and one.score < BELOW:
            is_open = True
            told.append(f"opened@{day_of(one.at_ms)}")
        elif is_open and one.score > CLEAR_ABOVE:
            is_open = False
            told.append(f"resolved@{day_of(one.at_ms)}")
    return told


def as_they_arrive(answers: Sequence[SurveyAnswered]) -> list[str]:
    """After each arrival: what follows in the whole history known by then from the crossing that was told last."""
    told: list[str] = []
    is_open, last = False, (-1, -1)
    for arrived in range(1, len(answers) + 1):
        history = sorted((one.at_ms, place, one.score) for place, one in enumerate(answers[:arrived]))
        for at_ms, place, score in history:
            if (at_ms, place) > last and (score > CLEAR_ABOVE if is_open else score < BELOW):
                is_open, last = not is_open, (at_ms, place)
                told.append(f"{'opened' if is_open else 'resolved'}@{day_of(at_ms)}")
    return told


@pytest.fixture(autouse=True)
def _everything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.level.MAX_LATER", 99)


@given(ANSWERS)
def test_in_order_of_time_a_level_equals_its_definition(answers: list[SurveyAnswered]) -> None:
    in_order = sorted(answers, key=lambda one: one.at_ms)
    assert EngineRun(RULES).feed(*in_order).told == by_definition(answers)


@given(ANSWERS)
def test_in_any_order_a_level_equals_the_oracle(answers: list[SurveyAnswered]) -> None:
    assert EngineRun(RULES).feed(*answers).told == as_they_arrive(answers)


@given(ANSWERS)
def test_in_any_order_a_level_ends_where_its_definition_ends(answers: list[SurveyAnswered]) -> None:
    told, expected = EngineRun(RULES).feed(*answers).told, by_definition(answers)
    assert told[-1:] == [] or told[-1].startswith("opened") == (bool(expected) and expected[-1].startswith("opened"))
    assert bool(told) or not expected or expected[-1].startswith("resolved")


@given(ANSWERS, st.lists(st.tuples(st.integers(0, 12), st.integers(0, 15)), max_size=6))
def test_neither_ticks_nor_duplicates_nor_crashes_change_a_level(
    answers: list[SurveyAnswered], disturbances: list[tuple[int, int]]
) -> None:
    run = EngineRun(RULES)
    for place, one in enumerate(answers):
        run.feed(one)
        for where, day in disturbances:
            if where == place:
                disturbed: Sequence[Record] = (tick(day), one)
                run.feed(*disturbed).restored()
    plain = EngineRun(RULES).feed(*answers)
    assert [(told.alert_id, told.sequence, told.state, told.at_ms) for told in run.alerts] == [
        (told.alert_id, told.sequence, told.state, told.at_ms) for told in plain.alerts
    ]


@given(ANSWERS)
def test_the_bound_on_what_is_kept_is_no_matter_in_order_of_time(answers: list[SurveyAnswered]) -> None:
    in_order = sorted(answers, key=lambda one: one.at_ms)
    unbounded = [encode(alert) for alert in EngineRun(RULES).feed(*in_order).alerts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detectors.level.MAX_LATER", 0)
        assert [encode(alert) for alert in EngineRun(RULES).feed(*in_order).alerts] == unbounded


@given(ANSWERS)
def test_every_alert_id_is_one_episode_and_no_transition_is_told_twice(answers: list[SurveyAnswered]) -> None:
    alerts = EngineRun(RULES).feed(*answers).alerts
    assert len({(alert.alert_id, alert.sequence) for alert in alerts}) == len(alerts)
    assert len({alert.alert_id for alert in alerts}) == len({alert.episode_start_ms for alert in alerts})
