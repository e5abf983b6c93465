"""The life of an alert, drawn on a line of days: what is told of an episode, and when."""

from itertools import count
from typing import Any

from engine_run import EngineRun, absence, complaint, contact, contract, order, reply, rule_set, tick, tier

from schemas.control import RulesPublished
from schemas.decisions import AlertRecord
from schemas.events import AlertAcked, AlertAssigned, AlertEvent, AlertJudged, AlertNoted, AlertSnoozed, CustomerUpdated
from schemas.instants import DAY_MS
from schemas.rule_kinds import AbsenceRule, AllRule, AnyRule, CountRule, RenewalRule, SlaRule, SlaTarget

_ids = count()


def action(kind: type[AlertEvent], day: float, of: AlertRecord, by: str = "eve", **fields: Any) -> AlertEvent:
    """What somebody does with an alert on a day."""
    name = f"a{next(_ids)}"
    return kind(id=name, customer_id=of.customer_id or "", at_ms=int(day * DAY_MS), alert_id=of.alert_id, by=by, **fields)


def burst(**fields: Any) -> CountRule:
    """Two complaints within ten days."""
    return CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P10D", **fields)


def opened(**fields: Any) -> EngineRun:
    """Silent since day 0, opened on day 9, and the clock stands at 9."""
    return EngineRun(rule_set(absence(9, **fields))).feed(order(0), tick(9))


def test_nobody_acknowledges_and_it_is_escalated_once() -> None:
    run = opened(ack_by="P2D")
    assert run.alerts[0].ack_by_ms == 11 * DAY_MS
    assert run.feed(tick(20), tick(30)).told == ["opened@9", "escalated@11"]


def test_who_acknowledges_in_time_is_left_in_peace() -> None:
    run = opened(ack_by="P2D")
    run.feed(action(AlertAcked, 10.9, run.alerts[0]), tick(20))
    assert run.told == ["opened@9", "acked@10.9"]
    assert [alert.by for alert in run.alerts] == [None, "eve"]
    assert run.alerts[1].because == run.alerts[0].because


def test_at_the_deadline_is_too_late_for_an_acknowledgement() -> None:
    run = opened(ack_by="P2D")
    assert run.feed(action(AlertAcked, 11, run.alerts[0])).told == ["opened@9", "escalated@11", "acked@11"]


def test_a_second_acknowledgement_says_nothing_new() -> None:
    run = opened()
    assert run.feed(action(AlertAcked, 10, run.alerts[0]), action(AlertAcked, 11, run.alerts[0])).told[1:] == ["acked@10"]


def test_a_snoozed_alert_is_told_again_at_its_instant() -> None:
    run = opened(ack_by="P2D")
    run.feed(action(AlertSnoozed, 10, run.alerts[0], until_ms=15 * DAY_MS), tick(14))
    assert run.told == ["opened@9", "snoozed@10"]
    assert run.alerts[1].snoozed_until_ms == 15 * DAY_MS
    assert run.feed(tick(16), tick(30)).told[2:] == ["opened@15", "escalated@17"]


def test_what_clears_while_it_is_snoozed_is_resolved_at_once() -> None:
    run = opened()
    run.feed(action(AlertSnoozed, 10, run.alerts[0], until_ms=15 * DAY_MS), order(12), tick(20))
    assert run.told == ["opened@9", "snoozed@10", "resolved@12"]


def test_a_snooze_that_is_over_before_it_begins_is_a_dead_letter() -> None:
    run = opened()
    run.feed(action(AlertSnoozed, 10, run.alerts[0], until_ms=10 * DAY_MS))
    assert [letter.reason for decided in run.decisions for letter in decided.dead_letters] == ["bad_time"]
    assert run.told == ["opened@9"]


def test_an_assigned_alert_keeps_its_state_and_its_new_owner() -> None:
    run = opened(owner=["desk"])
    run.feed(action(AlertAssigned, 10, run.alerts[0], to="zoe"), order(12))
    assert run.told == ["opened@9", "opened@10", "resolved@12"]
    assert [alert.owner for alert in run.alerts] == ["desk", "zoe", "zoe"]


def test_remarks_and_judgements_come_also_when_it_is_over() -> None:
    run = opened().feed(order(12))
    run.feed(action(AlertNoted, 13, run.alerts[0], text="on holiday"))
    run.feed(action(AlertJudged, 14, run.alerts[0], verdict="false_alarm"))
    assert run.told == ["opened@9", "resolved@12", "resolved@13", "resolved@14"]
    assert (run.alerts[2].note, run.alerts[3].verdict) == ("on holiday", "false_alarm")
    assert [alert.sequence for alert in run.alerts] == [1, 2, 3, 4]


def test_an_action_on_an_alert_that_is_over_or_not_known_is_a_dead_letter() -> None:
    run = opened().feed(order(12))
    run.feed(action(AlertAcked, 13, run.alerts[0]))
    stranger = AlertAcked(id="x", customer_id="bob", at_ms=13 * DAY_MS, alert_id=run.alerts[0].alert_id, by="eve")
    run.feed(stranger)
    reasons = [letter.reason for decided in run.decisions for letter in decided.dead_letters]
    assert reasons == ["alert_not_open", "alert_unknown"]
    assert run.told == ["opened@9", "resolved@12"]


def test_an_alert_that_is_open_for_too_long_expires() -> None:
    assert opened(expire_after="P30D").feed(tick(60), order(61), tick(62)).told == ["opened@9", "expired@39"]


def test_of_an_expiry_and_an_end_at_the_same_instant_the_expiry_comes_first() -> None:
    assert opened(expire_after="P30D").feed(order(39), tick(60)).told[:2] == ["opened@9", "expired@39"]


def test_what_does_not_last_for_the_dwell_is_never_told() -> None:
    run = EngineRun(rule_set(burst(dwell="P4D")))
    #  complaints on 1 and 3: from 3 to 11; on 20 and 29: from 29 on, until 30 only
    run.feed(complaint(1), complaint(3), tick(8), complaint(20), complaint(29), tick(40))
    assert run.told == ["opened@7", "resolved@11"]
    assert run.alerts[0].because[-1].clause == "held_for_ms"


def test_a_cooldown_counts_from_the_closing_and_is_looked_at_again_at_its_end() -> None:
    run = EngineRun(rule_set(burst(cooldown="P5D")))
    #  open from 2 to 11; the burst of 13 and 14 waits until 16; that of 40 needs no wait
    run.feed(
        complaint(1), complaint(2), tick(12), complaint(13), complaint(14), tick(30), complaint(39), complaint(40), tick(41)
    )
    assert run.told == ["opened@2", "resolved@11", "opened@16", "resolved@23", "opened@40"]


def test_a_timer_that_is_due_in_a_freeze_is_decided_at_its_end() -> None:
    frozen = rule_set(absence(9), freeze=["1970-01-08/1970-01-16"])  # days 7 to 15
    run = EngineRun(frozen).feed(order(0, "ann"), order(0, "bob"), tick(10), order(12, "bob"), tick(20))
    assert run.told == ["opened@15"]
    assert run.alerts[0].customer_id == "ann"


def test_a_tier_that_fits_since_the_freeze_began_opens_nothing_before_its_end() -> None:
    frozen = rule_set(absence(9, tiers=["vip"]), freeze=["1970-01-10/1970-01-16"])  # days 9 to 15
    assert EngineRun(frozen).feed(order(0), tick(9), tier(9, "vip"), tick(12)).told == []
    assert EngineRun(frozen).feed(order(0), tick(9), tier(9, "vip"), tick(20)).told == ["opened@15"]


def test_an_event_in_a_freeze_opens_at_once() -> None:
    frozen = rule_set(burst(), freeze=["1970-01-02/1970-01-20"])
    assert EngineRun(frozen).feed(complaint(3), complaint(4)).told == ["opened@4"]


def test_who_was_of_the_tier_when_it_was_due_is_told_even_if_the_news_is_late() -> None:
    #  the tier changes on day 5, which is heard of after the due day
    vips = rule_set(absence(9, tiers=["vip"]))
    assert EngineRun(vips).feed(order(0), tick(10), tier(5, "vip"), tick(11)).told == ["opened@9"]


def test_whoever_leaves_the_tier_keeps_the_alert() -> None:
    vips = rule_set(absence(9, tiers=["vip"]))
    assert EngineRun(vips).feed(tier(0, "vip"), order(0), tick(10), tier(11, "basic"), tick(30)).told == ["opened@9"]


def test_only_customers_in_the_stages_of_the_rule_are_alerted() -> None:
    #  silent after 45 days by the stages; the rule would open on day 9
    rules = rule_set(absence(9, stages=["silent"]))
    assert EngineRun(rules).feed(order(0), order(1), tick(80)).told == ["opened@46"]


def test_an_inhibited_alert_is_recorded_and_names_what_says_more() -> None:
    rules = rule_set(
        absence(9),
        burst(),
        AllRule(id="both", version="1", rules=["silent", "burst"], inhibits=["silent", "burst"], severity="critical"),
    )
    run = EngineRun(rules).feed(order(0), complaint(5), complaint(6), tick(12))
    by_rule = {(alert.rule, alert.state): alert for alert in run.alerts}
    assert run.told == ["opened@6", "opened@9", "opened@9"]
    both = by_rule["both@1", "opened"]
    assert by_rule["burst@1", "opened"].inhibited_by is None  # it came first
    assert by_rule["silent@1", "opened"].inhibited_by == both.alert_id
    assert both.inhibited_by is None
    assert [one.value for one in both.because] == ["burst", "silent"]


def test_all_is_open_while_every_part_is() -> None:
    #  unanswered  ....4-----------------------
    #  burst       ......6--------15
    #  all               6--------15
    rules = rule_set(
        AbsenceRule(id="unanswered", version="1", of=["order.placed"], after=["contact.made"], for_="P3D"),
        burst(),
        AllRule(id="both", version="1", rules=["unanswered", "burst"]),
    )
    run = EngineRun(rules).feed(contact(1), complaint(5), complaint(6), tick(40))
    assert [told for told, alert in zip(run.told, run.alerts, strict=True) if alert.kind == "all"] == [
        "opened@6",
        "resolved@15",
    ]


def test_any_is_open_from_the_first_to_the_last_and_knows_what_closed_it() -> None:
    rules = rule_set(absence(9), burst(), AnyRule(id="either", version="1", rules=["silent", "burst"]))
    run = EngineRun(rules).feed(order(0), complaint(5), complaint(6), tick(20), order(30), tick(31))
    either = [alert for alert in run.alerts if alert.kind == "any"]
    assert [(alert.state, alert.at_ms / DAY_MS) for alert in either] == [("opened", 6), ("resolved", 30)]
    assert either[1].because[0].value == "silent"


def test_a_part_that_was_taken_back_takes_back_what_was_made_of_it() -> None:
    rules = rule_set(absence(9), AnyRule(id="any", version="1", rules=["silent"]))
    run = EngineRun(rules).feed(order(0), tick(10), order(5))
    assert run.told == ["opened@9", "opened@9", "retracted@5", "retracted@5"]


def test_composites_may_be_made_of_composites() -> None:
    rules = rule_set(
        AllRule(id="top", version="1", rules=["either", "burst"]),
        AnyRule(id="either", version="1", rules=["silent"]),
        absence(9),
        burst(),
    )
    run = EngineRun(rules).feed(order(0), tick(9), complaint(10), complaint(11), tick(12))
    assert [(alert.rule, alert.at_ms / DAY_MS) for alert in run.alerts] == [
        ("silent@1", 9), ("either@1", 9), ("burst@1", 11), ("top@1", 11)
    ]  # fmt: skip


def test_a_rule_that_goes_closes_its_alerts_and_one_that_comes_back_goes_on_numbering() -> None:
    silent = rule_set(absence(9))
    run = EngineRun(silent).feed(order(0), tick(10)).publish(rule_set(), revision=2).publish(silent, revision=3)
    assert run.told == ["opened@9", "expired@10"]
    assert run.alerts[1].because[0].clause == "rule_gone"


def test_other_content_under_the_version_that_is_in_force_is_refused() -> None:
    run = EngineRun(rule_set(absence(9)))
    run.publish(rule_set(absence(5)), revision=1)  # not news
    changed = rule_set(absence(5), version="2")
    run.feed(RulesPublished(at_ms=0, version="2", revision=7, document=changed))
    letters = [letter for decided in run.decisions for letter in decided.dead_letters]
    assert [letter.reason for letter in letters] == ["bad_version"]
    assert "rule 'silent'" in letters[0].message
    assert run.feed(order(0), tick(7)).told == []


def test_value_at_risk_is_the_yearly_value_times_the_risk() -> None:
    run = EngineRun(rule_set(absence(9)))
    run.feed(CustomerUpdated(id="v", customer_id="ann", at_ms=0, value=1200.0), order(0), tick(9))
    assert run.alerts[0].value_at_risk is None  # no model, no risk
    customer = run.customer("ann")
    customer.risk.probability = 0.25
    assert run.feed(order(20)).alerts[-1].value_at_risk == 300.0


def test_alerts_that_are_over_for_long_are_taken_out() -> None:
    run = opened().feed(order(12), tick(411))
    assert [tombstone for decided in run.decisions for tombstone in decided.tombstones] == []
    run.feed(tick(412))
    tombstones = [tombstone for decided in run.decisions for tombstone in decided.tombstones]
    assert [(one.topic, one.key) for one in tombstones] == [("alerts", run.alerts[0].alert_id)]


def test_a_remark_on_the_closed_alert_of_a_ticket_belongs_to_that_alert() -> None:
    reply_in_a_day = SlaRule(id="r", version="1", clock="first_response", targets=[SlaTarget(target="P1D")])
    run = EngineRun(rule_set(reply_in_a_day)).feed(complaint(0, ticket="t"), tick(2), reply(3, ticket="t"))
    run.feed(action(AlertJudged, 4, run.alerts[0], verdict="true_alarm"))
    assert [(alert.ticket_id, alert.sequence) for alert in run.alerts] == [("t", 1), ("t", 2), ("t", 3)]
    assert len({alert.alert_id for alert in run.alerts}) == 1


def test_an_alert_that_begins_once_more_after_others_goes_on_numbering() -> None:
    #  the renewal date moves to and fro, and each date is an alert of its own
    run = EngineRun(rule_set(RenewalRule(id="r", version="1", before="P30D", needs=[])))
    run.feed(contract(0, renews_day=20), tick(1), contract(2, renews_day=25), tick(3), contract(4, renews_day=20), tick(5))
    assert run.told == ["opened@0", "resolved@2", "opened@2", "resolved@4", "opened@4"]
    assert [alert.sequence for alert in run.alerts] == [1, 2, 1, 2, 3]


def test_an_older_alert_can_still_be_judged_and_the_newer_one_goes_on() -> None:
    either = AnyRule(id="either", version="1", rules=["silent"])
    run = EngineRun(rule_set(absence(9), either)).feed(order(0), tick(10), order(12), tick(22))
    old, new = run.alerts[0], run.alerts[-1]
    run.feed(action(AlertAcked, 23, old), action(AlertJudged, 23, old, verdict="true_alarm"), order(30), tick(31))
    assert run.told[-3:] == ["resolved@23", "resolved@30", "resolved@30"]
    assert (run.alerts[-3].alert_id, run.alerts[-3].sequence, run.alerts[-3].verdict) == (old.alert_id, 3, "true_alarm")
    assert new.alert_id in {alert.alert_id for alert in run.alerts[-2:]}
    assert [letter.reason for decided in run.decisions for letter in decided.dead_letters] == ["alert_not_open"]
