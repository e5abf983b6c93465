"""Stages, reviews and risk through the engine: what ticks, dead feeds and published models do to them."""

import pytest
from engine_run import EngineRun, absence, complaint, contact, feed, order, rule_set, tick, updated
from standing_run import FIRST_REVIEW_MS, churn_rules, examples, model, risks, stages

from detectors.features import NAMES
from schemas.codec import encode
from schemas.instants import DAY_MS, WEEK_MS
from schemas.rule_kinds import CountRule, ScoreRule
from schemas.rules import BandAt, Bands, Lifecycle


def test_reviews_release_examples_one_horizon_later_however_the_clock_moves() -> None:
    events = [order(100), order(103), order(190)]
    jumping = EngineRun(churn_rules()).feed(*events, tick(300))
    walking = EngineRun(churn_rules()).feed(*events)
    for day in range(101, 301):
        walking.feed(tick(day))

    assert [encode(one) for one in examples(jumping)] == [encode(one) for one in examples(walking)]
    released = examples(jumping)
    assert [one.at_ms for one in released] == [FIRST_REVIEW_MS + n * WEEK_MS for n in range(len(released))]
    assert released[-1].at_ms / DAY_MS + 30 <= 300 < released[-1].at_ms / DAY_MS + 37
    assert all(one.churned != (one.at_ms / DAY_MS <= 190 < one.at_ms / DAY_MS + 30) for one in released[1:])


def test_the_features_of_an_example_are_those_before_its_review() -> None:
    run = EngineRun(churn_rules()).feed(order(100), order(103), order(150), tick(200))
    recency = NAMES.index("order_recency_days")
    found = {one.at_ms: one.features[recency] for one in examples(run)}

    assert len(found) == 10
    for at_ms, days in found.items():
        day = at_ms / DAY_MS
        assert days == pytest.approx(day - max(placed for placed in (100, 103, 150) if placed < day))


def test_a_dead_feed_holds_reviews_and_looks() -> None:
    run = EngineRun(churn_rules()).feed(order(100), feed(101, "logins", "dead"), tick(300, logins=101))

    assert examples(run) == []
    assert risks(run) == []
    assert examples(run.feed(feed(301, "logins", "live"), tick(301)))


def test_without_a_churn_section_there_are_stages_and_nothing_else() -> None:
    run = EngineRun(rule_set()).feed(order(100), order(101), tick(400))

    assert stages(run) == ["new@100", "active@101", "silent@146", "churned@281"]
    assert (examples(run), risks(run)) == ([], [])


def test_rules_decide_the_band_until_a_model_does() -> None:
    run = EngineRun(churn_rules(absence(20, severity="high"))).feed(order(100), tick(101), tick(120), tick(121))
    assert [(risk.basis, risk.band, risk.at_ms / DAY_MS) for risk in risks(run)] == [
        ("rules", "low", 101),
        ("rules", "high", 120),
    ]

    run.feed(model(), order(122), tick(123), tick(153))
    assert [(risk.basis, risk.band) for risk in risks(run)[2:]] == [("model", "low"), ("model", "critical")]
    assert risks(run)[-1].model == "m1"
    assert [reason.feature for reason in risks(run)[-1].reasons] == ["order_recency_days"]
    assert [risk.sequence for risk in risks(run)] == [1, 2, 3, 4]


def test_a_model_that_may_not_decide_leaves_it_to_the_rules() -> None:
    for published in (model(usable=False), model(horizon_days=31)):
        run = EngineRun(churn_rules()).feed(published, order(100), tick(150))
        assert [risk.basis for risk in risks(run)] == ["rules"]


def test_rules_decide_again_once_the_model_may_no_longer() -> None:
    run = EngineRun(churn_rules(absence(20, severity="high"))).feed(model(), order(100), tick(101), tick(121))
    run.feed(model(revision=2, usable=False), tick(122), order(123), tick(124))
    run.feed(model(revision=3), order(125), tick(126))
    assert [(risk.basis, risk.band, risk.model) for risk in risks(run)] == [
        ("model", "low", "m1"),
        ("model", "elevated", "m1"),
        ("rules", "high", None),
        ("rules", "low", None),
        ("model", "low", "m3"),
    ]


def test_a_model_that_is_of_no_use_is_refused_and_the_old_one_goes_on() -> None:
    run = EngineRun(churn_rules()).feed(model(), model(revision=2, feature="shoe_size"), order(100), tick(150))

    assert [letter.reason for decided in run.decisions for letter in decided.dead_letters] == ["bad_model"]
    assert risks(run)[-1].model == "m1"


def test_a_score_rule_opens_at_a_look_and_clears_when_the_customer_comes_back() -> None:
    rules = churn_rules(ScoreRule(id="risk", version="1", above=0.8, clear_below=0.6))
    run = EngineRun(rules).feed(model(), order(100))
    for day in range(101, 160):
        run.feed(tick(day))
    (opened,) = run.alerts
    assert opened.state == "opened"
    assert 127 < opened.at_ms / DAY_MS <= 134  # recency of 27 is a probability of .8; the next review is within a week

    run.feed(order(159.5), tick(160))
    assert [alert.state for alert in run.alerts] == ["opened", "resolved"]
    assert run.alerts[-1].at_ms == 160 * DAY_MS
    assert run.alerts[-1].alert_id == opened.alert_id


def test_the_end_of_a_dwell_is_looked_at_in_time() -> None:
    rules = churn_rules(ScoreRule(id="risk", version="1", above=0.5, clear_below=0.4, dwell="P2D"))
    run = EngineRun(rules).feed(model(), order(100))
    for half_day in range(202, 280):
        run.feed(tick(half_day / 2))
    (opened,) = run.alerts

    assert opened.at_ms - opened.episode_start_ms == 2 * DAY_MS


def test_an_open_alert_makes_a_high_risk_until_it_closes() -> None:
    burst = CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P5D")
    rules = churn_rules(burst, lifecycle=Lifecycle(high_risk_rules=["burst"]))
    run = EngineRun(rules).feed(order(100), order(101), complaint(102), complaint(103), tick(104), tick(105), tick(110))

    assert stages(run) == ["new@100", "active@101", "high_risk@104", "active@110"]


def test_a_rule_in_shadow_mode_has_no_effect_on_anybody() -> None:
    rules = churn_rules(absence(20, severity="high", mode="shadow"), lifecycle=Lifecycle(high_risk_rules=["silent"]))
    run = EngineRun(rules).feed(order(100), tick(125))

    assert len(run.alerts) == 1
    assert {risk.band for risk in risks(run)} == {"low"}
    assert stages(run) == ["new@100"]


def test_a_rule_set_that_has_no_churn_section_any_more_drops_what_is_pending() -> None:
    run = EngineRun(churn_rules()).feed(order(100), tick(120))
    run.engine.take_changes()
    run.publish(rule_set(version="2"), revision=2).feed(tick(200))
    changes = dict(run.engine.take_changes())

    assert examples(run) == []
    assert [value for key, value in changes.items() if key.startswith(b"x/")] == [None] * 3


def test_reviews_that_begin_late_do_not_look_back() -> None:
    run = EngineRun(rule_set()).feed(order(100), tick(200))
    run.publish(churn_rules(version="2"), revision=2).feed(order(207), tick(300))

    assert 200 * DAY_MS < examples(run)[0].at_ms < 207 * DAY_MS
    assert not examples(run)[0].churned
    assert stages(run)[0] == "new@100"


def test_events_that_say_nothing_to_the_features_wake_nobody() -> None:
    run = EngineRun(churn_rules()).feed(order(100), tick(101))
    told = len(risks(run))
    run.feed(contact(101.5), tick(102))

    assert len(risks(run)) == told


def test_a_risk_says_tier_owner_and_value_and_a_change_of_them_is_told_at_the_next_tick() -> None:
    #  order   tick   updated  tick   the same again  tick   owner   tick
    #  100     101    101.5    102    102.5           103    103.5   104
    run = EngineRun(churn_rules()).feed(order(100), tick(101))
    run.feed(updated(101.5, tier="gold", owner="kim", value=1200.0), tick(102))
    run.feed(updated(102.5, tier="gold", value=1200.0), tick(103))
    run.feed(updated(103.5, owner="lee"), tick(104), tick(105))

    assert [(risk.at_ms / DAY_MS, risk.tier, risk.owner, risk.value) for risk in risks(run)] == [
        (101, None, None, None),
        (102, "gold", "kim", 1200.0),
        (104, "gold", "lee", 1200.0),
    ]
    assert [risk.sequence for risk in risks(run)] == [1, 2, 3]


def test_what_is_known_of_a_customer_before_the_first_look_is_told_with_it_alone() -> None:
    run = EngineRun(churn_rules()).feed(updated(100, value=50.0), order(100), tick(101), tick(102))

    assert [(risk.at_ms / DAY_MS, risk.value) for risk in risks(run)] == [(101, 50.0)]


def test_a_value_that_changes_a_band_with_a_price_is_told_with_the_band() -> None:
    bands = Bands(elevated=BandAt(contact=5, saves=0.5))
    run = EngineRun(churn_rules(bands=bands)).feed(model(), order(100), tick(101))
    run.feed(updated(101.5, value=10_000.0), tick(102))

    assert [(risk.band, risk.value) for risk in risks(run)] == [("low", None), ("elevated", 10_000.0)]
