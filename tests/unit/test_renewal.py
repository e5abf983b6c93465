"""`renewal`: the date comes near, and there is reason to worry."""

import pytest
from contract_run import agreed, cancelled, login, renewal, renewed, solved
from engine_run import EngineRun, complaint, feed, rule_set, tick, told_by

from detectors.contracts import FORGET_AFTER_MS, MANY_TERMS, Contract, take
from detectors.renewal import RenewalKind
from schemas.codec import Record
from schemas.errors import ContractError
from schemas.instants import DAY_MS
from schemas.rule_kinds import RenewalRule

NEAR = renewal(30)
WORRYING = renewal(30, where="features.tickets_open > 0.0")
"""A number that a test can move up and down at once."""


def test_it_opens_when_the_date_is_near() -> None:
    #  set                  70 ---- 30 days ---- 100 renewal date
    run = EngineRun(NEAR).feed(agreed(0, renews=100), tick(69.9))
    assert run.told == []
    assert run.feed(tick(70)).told == ["opened@70"]


def test_a_late_tick_only_means_a_later_decision() -> None:
    run = EngineRun(NEAR).feed(agreed(0, renews=100), tick(90))
    assert run.told == ["opened@70"]
    assert run.alerts[0].decided_ms == 90 * DAY_MS


def test_the_date_passes_while_it_is_open_and_it_expires() -> None:
    run = EngineRun(NEAR).feed(agreed(0, renews=100), tick(99.9))
    assert run.told == ["opened@70"]
    assert run.feed(tick(100), tick(200)).told == ["opened@70", "expired@100"]


def test_renewed_while_open_resolves_at_once_and_the_new_date_comes_near_in_its_time() -> None:
    run = EngineRun(NEAR).feed(agreed(0, renews=100), tick(70), renewed(80, renews=300))
    assert run.told == ["opened@70", "resolved@80"]
    assert run.feed(tick(269.9)).told == ["opened@70", "resolved@80"]
    assert run.feed(tick(270)).told == ["opened@70", "resolved@80", "opened@270"]
    assert len({alert.alert_id for alert in run.alerts}) == 2


def test_cancelled_while_open_resolves_and_nothing_follows() -> None:
    assert told_by(NEAR, [agreed(0, renews=100), tick(70), cancelled(80), tick(200)]) == ["opened@70", "resolved@80"]


def test_a_date_that_is_moved_away_resolves_and_is_another_episode() -> None:
    run = EngineRun(NEAR).feed(agreed(0, renews=100), tick(70), agreed(75, renews=150), tick(120))
    assert run.told == ["opened@70", "resolved@75", "opened@120"]
    assert [alert.episode_start_ms // DAY_MS for alert in run.alerts] == [100, 100, 150]


def test_a_date_that_is_said_again_changes_nothing() -> None:
    assert told_by(NEAR, [agreed(0, renews=100), tick(70), agreed(75, renews=100), tick(99)]) == ["opened@70"]


def test_renewed_before_the_date_is_near_opens_nothing() -> None:
    assert told_by(NEAR, [agreed(0, renews=100), renewed(60, renews=400), tick(200)]) == []


def test_renewed_at_the_instant_at_which_it_opens_opens_and_resolves() -> None:
    #  silence is [0, 70): a renewal at 70 is not before the look at 70
    assert told_by(NEAR, [agreed(0, renews=100), renewed(70, renews=400), tick(200)]) == ["opened@70", "resolved@70"]


def test_renewed_at_the_date_itself_comes_after_it_expired() -> None:
    assert told_by(NEAR, [agreed(0, renews=100), renewed(100, renews=400), tick(200)]) == ["opened@70", "expired@100"]


def test_a_date_set_inside_the_window_opens_at_that_event() -> None:
    run = EngineRun(NEAR).feed(tick(85), agreed(85, renews=100))
    assert run.told == ["opened@85"]
    assert run.alerts[0].due_ms == 85 * DAY_MS


def test_a_date_set_ahead_of_the_clock_opens_once_the_clock_is_there() -> None:
    run = EngineRun(NEAR).feed(tick(80), agreed(85, renews=100))
    assert run.told == []
    assert run.feed(tick(85)).told == ["opened@85"]


def test_a_contract_that_is_renewed_monthly_is_near_from_its_renewal_on() -> None:
    told = told_by(NEAR, [agreed(0, renews=30), tick(0), renewed(25, renews=55), tick(60)])
    assert told == ["opened@0", "resolved@25", "opened@25", "expired@55"]


def test_a_date_that_is_past_already_opens_nothing() -> None:
    assert told_by(NEAR, [agreed(100, renews=90), tick(300)]) == []
    assert told_by(NEAR, [agreed(100, renews=100), tick(300)]) == []


def test_where_is_looked_at_daily_until_the_date() -> None:
    #  70    71    72    73                   72.5: a ticket is opened; the look at 73 is the first to see it
    #  look  look  look  look
    run = EngineRun(WORRYING).feed(agreed(0, renews=100), complaint(72.5, ticket="t"), tick(72.9))
    assert run.told == []
    assert run.feed(tick(73)).told == ["opened@73"]


def test_while_open_a_look_at_which_where_is_false_resolves() -> None:
    records: list[Record] = [agreed(0, renews=100), complaint(60, ticket="t"), tick(70), solved(74.5, "t"), tick(74.9)]
    run = EngineRun(WORRYING).feed(*records)
    assert run.told == ["opened@70"]
    assert run.feed(tick(75)).told == ["opened@70", "resolved@75"]


def test_worry_that_comes_back_opens_the_same_alert_once_more() -> None:
    records: list[Record] = [
        agreed(0, renews=100),
        complaint(60, ticket="t"),
        solved(74.5, "t"),
        complaint(80.2, ticket="u"),
        tick(200),
    ]
    run = EngineRun(WORRYING).feed(*records)
    assert run.told == ["opened@70", "resolved@75", "opened@81", "expired@100"]
    assert [alert.sequence for alert in run.alerts] == [1, 2, 3, 4]
    assert len({alert.alert_id for alert in run.alerts}) == 1


def test_where_is_false_at_the_last_look_and_the_date_passes_in_silence() -> None:
    assert told_by(WORRYING, [agreed(0, renews=100), tick(80), complaint(99.5, ticket="t"), tick(200)]) == []


def test_a_look_sees_what_came_strictly_before_it() -> None:
    assert told_by(WORRYING, [agreed(0, renews=100), complaint(73, ticket="t"), tick(73.9)]) == []
    assert told_by(WORRYING, [agreed(0, renews=100), complaint(73, ticket="t"), tick(74)]) == ["opened@74"]


def test_a_date_set_inside_the_window_is_looked_at_then_and_on_the_days_of_the_window() -> None:
    #  set at 85.5; looks at 85.5, 86, 87, ...
    assert told_by(WORRYING, [agreed(85.5, renews=100), complaint(85.2, ticket="t"), tick(99)]) == ["opened@85.5"]
    assert told_by(WORRYING, [agreed(85.5, renews=100), complaint(85.7, ticket="t"), tick(99)]) == ["opened@86"]


def test_a_worry_that_is_unknown_opens_nothing() -> None:
    unknown = renewal(30, where="features.orders / features.orders > 0.5")
    assert told_by(unknown, [agreed(0, renews=100), tick(200)]) == []


def test_little_use_before_the_renewal() -> None:
    idle = renewal(30, where="features.logins_30d < 3.0")
    busy = [login(day) for day in range(100)]
    assert told_by(idle, [agreed(0, renews=100), *busy, tick(99)]) == []
    assert told_by(idle, [agreed(0, renews=100), *busy[:30], tick(99)]) == ["opened@85"]


def test_each_contract_has_its_own_alert() -> None:
    run = EngineRun(NEAR).feed(agreed(0, renews=100, contract="a"), agreed(0, renews=110, contract="b"), tick(85))
    assert [(alert.contract_id, alert.at_ms // DAY_MS) for alert in run.alerts] == [("a", 70), ("b", 80)]
    run.feed(renewed(86, renews=500, contract="b"))
    assert [(alert.contract_id, alert.state) for alert in run.alerts[2:]] == [("b", "resolved")]


def test_the_latest_by_time_holds_whatever_the_order_of_arrival() -> None:
    told = told_by(NEAR, [agreed(10, renews=200), agreed(0, renews=100), tick(300)])
    assert told == ["opened@170", "expired@200"]


def test_at_the_same_instant_the_later_in_the_log_holds() -> None:
    assert told_by(NEAR, [agreed(0, renews=100), agreed(0, renews=200), tick(169)]) == []
    assert told_by(NEAR, [agreed(0, renews=200), agreed(0, renews=100), tick(99)]) == ["opened@70"]


def test_a_late_renewal_from_before_the_alert_takes_it_back() -> None:
    told = told_by(NEAR, [agreed(0, renews=100), tick(80), renewed(65, renews=400), tick(99)])
    assert told == ["opened@70", "retracted@65"]


def test_a_late_renewal_takes_the_latest_alert_back_even_when_it_expired() -> None:
    told = told_by(NEAR, [agreed(0, renews=100), tick(110), renewed(65, renews=400), tick(120)])
    assert told == ["opened@70", "expired@100", "retracted@65"]


def test_a_late_renewal_from_after_the_alert_resolves_it() -> None:
    assert told_by(NEAR, [agreed(0, renews=100), tick(90), renewed(80, renews=400)]) == ["opened@70", "resolved@80"]


def test_a_late_renewal_between_the_alert_and_its_end_says_nothing() -> None:
    told = told_by(NEAR, [agreed(0, renews=100), tick(71), renewed(90, renews=400), tick(91), cancelled(80), tick(380)])
    assert told == ["opened@70", "resolved@90", "opened@370"]


def test_a_late_cancellation_that_a_later_date_has_overtaken_takes_the_alert_back_and_the_date_opens_again() -> None:
    #  set 100 at 0 | cancelled 60, late | set 100 at 75 again: near from its event on
    run = EngineRun(NEAR).feed(agreed(0, renews=100), tick(70), agreed(75, renews=100), tick(80), cancelled(60))
    assert run.told == ["opened@70", "retracted@60", "opened@75"]


def test_a_contract_that_is_heard_of_late_opens_where_it_would_have() -> None:
    run = EngineRun(NEAR).feed(tick(90), agreed(0, renews=100))
    assert run.told == ["opened@70"]


def test_a_late_event_that_changes_nothing_says_nothing() -> None:
    told = told_by(NEAR, [agreed(0, renews=100), agreed(10, renews=200), tick(180), agreed(5, renews=150), tick(190)])
    assert told == ["opened@170"]


def test_a_feed_that_is_not_live_holds_the_clock() -> None:
    run = EngineRun(NEAR).feed(agreed(0, renews=100), tick(10), feed(10, "crm", "dead"), tick(80))
    assert run.told == []
    assert run.feed(feed(80, "crm", "live"), tick(81)).told == ["opened@70"]


def test_a_new_rule_looks_at_the_contracts_as_they_stand_and_makes_up_for_nothing() -> None:
    #  the rule arrives at 85.3, a ticket is open: the next look is at 86
    other = renewal(5, id="other")
    run = EngineRun(other).feed(agreed(0, renews=100), complaint(60, ticket="t"), tick(85.3)).publish(WORRYING, revision=2)
    assert run.told == []
    assert run.feed(tick(86)).told == ["opened@86"]


def test_a_rule_that_is_enabled_from_an_earlier_instant_looks_from_there() -> None:
    other, since = renewal(5, id="other"), renewal(30, enabled_from_ms=0)
    run = EngineRun(other).feed(agreed(0, renews=100), tick(85.3)).publish(since, revision=2)
    assert run.told == ["opened@70"]


def test_a_window_that_is_made_longer_opens_at_the_next_look() -> None:
    longer = renewal(60, version="2")
    run = EngineRun(NEAR).feed(agreed(0, renews=100), tick(50.5)).publish(longer, revision=2)
    assert run.feed(tick(51)).told == ["opened@51"]


def test_an_alert_says_why_from_what_and_what_would_clear_it() -> None:
    run = EngineRun(WORRYING).feed(agreed(0, renews=100), complaint(60, ticket="t"), tick(70), solved(70.5, "t"), tick(71))
    opened, resolved = run.alerts
    assert [(clause.clause, clause.value, clause.threshold) for clause in opened.because] == [
        ("renews_in_ms", 30 * DAY_MS, "P30D"),
        ("tickets_open", 1.0, None),
    ]
    assert [(clause.clause, clause.value) for clause in resolved.because] == [
        ("renews_in_ms", 29 * DAY_MS),
        ("tickets_open", 0.0),
    ]
    assert [evidence.type for evidence in opened.evidence] == ["contract.set"]
    assert (opened.contract_id, opened.episode_start_ms, opened.due_ms) == ("c1", 100 * DAY_MS, 70 * DAY_MS)
    assert opened.clears_if is not None
    assert opened.clears_if.of == ["contract.cancelled", "contract.renewed"]
    assert opened.clears_if.at_ms == 100 * DAY_MS


def test_a_duration_of_calendar_months_is_refused() -> None:
    with pytest.raises(ContractError, match="P1M"):
        RenewalKind(RenewalRule(id="renews", version="1", before="P1M"), ("crm",))


def test_of_a_contract_that_is_set_again_and_again_the_latest_dates_are_remembered() -> None:
    contracts: dict[str, Contract] = {}
    for day in range(MANY_TERMS + 5):
        take(contracts, agreed(day, renews=100 + day))
    days = [term.at_ms // DAY_MS for term in contracts["c1"].terms]
    assert days == list(range(5, MANY_TERMS + 5))


def test_dates_that_change_daily_for_a_year_open_where_the_last_one_says() -> None:
    moved = [record for day in range(365) for record in (agreed(day, renews=400 + day), tick(day))]
    assert told_by(NEAR, [*moved, tick(734)]) == ["opened@734"]


def test_contracts_that_ended_long_ago_are_forgotten_when_the_customer_has_a_new_one() -> None:
    contracts: dict[str, Contract] = {}
    for event in (agreed(0, renews=100, contract="a"), agreed(0, renews=900, contract="b"), cancelled(300, contract="c")):
        take(contracts, event)
    day = FORGET_AFTER_MS // DAY_MS
    take(contracts, agreed(100 + day, renews=900, contract="d"))
    assert list(contracts) == ["a", "b", "c", "d"]
    take(contracts, agreed(101 + day, renews=900, contract="e"))
    assert list(contracts) == ["b", "c", "d", "e"]
    take(contracts, agreed(301 + day, renews=900, contract="f"))
    assert list(contracts) == ["b", "d", "e", "f"]


def test_a_contract_with_an_open_alert_is_not_forgotten() -> None:
    #  the feed is dead: nobody knows whether the date has passed
    run = EngineRun(NEAR).feed(agreed(0, renews=100, contract="a"), tick(70), feed(70, "crm", "dead"))
    run.feed(agreed(900, renews=999, contract="b"), feed(900, "crm", "live"), tick(901))
    assert run.told == ["opened@70", "expired@100"]


def test_two_rules_walk_along_the_same_contract() -> None:
    rules = rule_set(*renewal(30).rules, *renewal(60, id="early").rules)
    run = EngineRun(rules).feed(agreed(0, renews=100), tick(50), renewed(60, renews=200), tick(170))
    assert [(alert.rule, alert.state, alert.at_ms // DAY_MS) for alert in run.alerts] == [
        ("early@1", "opened", 40),
        ("early@1", "resolved", 60),
        ("early@1", "opened", 140),
        ("renews@1", "opened", 170),
    ]
