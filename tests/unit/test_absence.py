"""`absence`: silence on time, whatever the order in which events and ticks arrive."""

from engine_run import EngineRun, absence, complaint, contact, feed, order, rule_set, tick, tier, told_by

from schemas.calendars import CalendarDocument
from schemas.instants import DAY_MS, format_instant, parse_instant
from schemas.rule_kinds import AbsenceRule

SILENT_90 = rule_set(absence(90))


def test_a_silence_opens_when_the_clock_reaches_its_due_time() -> None:
    #  order                 due
    #  0 --------------------- 90
    #                    ^tick 89.9   ^tick 90
    run = EngineRun(SILENT_90).feed(order(0), tick(89.99))
    assert run.told == []
    assert run.feed(tick(90)).told == ["opened@90"]


def test_it_opens_once_however_often_the_clock_ticks() -> None:
    assert told_by(SILENT_90, [order(0), tick(90), tick(91), tick(400)]) == ["opened@90"]


def test_a_late_tick_only_means_a_later_decision() -> None:
    run = EngineRun(SILENT_90).feed(order(0), tick(300))
    assert run.told == ["opened@90"]
    assert run.alerts[0].decided_ms == 300 * DAY_MS


def test_an_order_before_the_due_time_starts_the_silence_anew() -> None:
    assert told_by(SILENT_90, [order(0), order(89), tick(178), tick(179)]) == ["opened@179"]


def test_an_order_at_the_due_time_opens_and_resolves() -> None:
    #  0 ------------------ 90 order
    #                       due: silence is [0, 90), which is over
    assert told_by(SILENT_90, [order(0), order(90), tick(90)]) == ["opened@90", "resolved@90"]


def test_an_order_after_the_due_time_that_is_already_here_opens_and_resolves() -> None:
    assert told_by(SILENT_90, [order(0), order(120), tick(200)]) == ["opened@90", "resolved@120"]
    assert told_by(SILENT_90, [order(0), tick(100), order(120), tick(200)]) == ["opened@90", "resolved@120"]


def test_a_resolved_silence_is_followed_by_the_next() -> None:
    told = told_by(SILENT_90, [order(0), order(100), tick(150), tick(190)])
    assert told == ["opened@90", "resolved@100", "opened@190"]


def test_a_late_order_inside_a_silence_takes_the_alert_back() -> None:
    #  0 ------- 50 -------- 90
    #            ^ arrives after the alert
    told = told_by(SILENT_90, [order(0), tick(90), order(50), tick(139), tick(140)])
    assert told == ["opened@90", "retracted@50", "opened@140"]


def test_a_late_order_takes_the_latest_alert_back_even_when_it_is_resolved_and_says_nothing_new() -> None:
    told = told_by(SILENT_90, [order(0), tick(90), order(95), order(50), tick(184)])
    assert told == ["opened@90", "resolved@95", "retracted@50"]


def test_a_late_order_between_the_due_time_and_the_end_says_nothing() -> None:
    assert told_by(SILENT_90, [order(0), tick(90), order(120), order(100), tick(125)]) == ["opened@90", "resolved@120"]


def test_a_late_order_before_the_silence_changes_nothing() -> None:
    assert told_by(SILENT_90, [order(10), tick(100), order(5), tick(120)]) == ["opened@100"]


def test_events_ahead_of_the_clock_are_kept_until_it_passes_them() -> None:
    #  the clock stands at 1 while 200 arrives, and then 5 and 80
    told = told_by(SILENT_90, [order(0), tick(1), order(200), order(5), order(80), tick(201)])
    assert told == ["opened@170", "resolved@200"]


def test_a_feed_that_is_not_live_holds_the_clock_whatever_a_tick_says() -> None:
    run = EngineRun(SILENT_90).feed(order(0), tick(10), feed(10, "orders", "dead"), tick(200))
    assert run.told == []
    assert run.feed(feed(200, "orders", "live"), tick(201)).told == ["opened@90"]


def test_a_feed_without_a_mark_decides_nothing() -> None:
    assert told_by(SILENT_90, [order(0), tick(200, orders=None)]) == []


def test_only_the_feeds_that_a_rule_needs_hold_its_clock() -> None:
    assert told_by(SILENT_90, [order(0), tick(200, orders=200, logins=3)]) == ["opened@90"]
    both = rule_set(absence(90, needs=["orders", "logins"]))
    assert told_by(both, [order(0), tick(200, orders=200, logins=3)]) == []


def test_min_count_asks_for_a_cycle_before_the_silence() -> None:
    twice = rule_set(absence(90, min_count=2))
    assert told_by(twice, [order(0), tick(200)]) == []
    assert told_by(twice, [order(0), order(1), tick(200)]) == ["opened@91"]


def test_max_count_is_for_those_who_bought_once() -> None:
    once = rule_set(absence(30, min_count=1, max_count=1))
    assert told_by(once, [order(0), tick(30)]) == ["opened@30"]
    assert told_by(once, [order(0), order(1), tick(90)]) == []


def test_a_tier_may_have_a_duration_of_its_own() -> None:
    by_tier = rule_set(absence(90, for_by_tier={"vip": "P60D"}))
    assert told_by(by_tier, [tier(0, "vip"), order(0), tick(60)]) == ["opened@60"]
    assert told_by(by_tier, [order(0), tick(60)]) == []


def test_becoming_a_customer_whom_the_rule_is_for_is_enough() -> None:
    vips = rule_set(absence(60, tiers=["vip"]))
    assert told_by(vips, [order(0), tick(70), tier(71, "vip"), tick(72)]) == ["opened@71"]


def test_calendar_months_keep_the_day_of_the_month() -> None:
    months = rule_set(absence(id="quarter", for_="P3M"), time_zone="Europe/Berlin")
    start = parse_instant("2026-01-31T10:00:00+01:00") / DAY_MS
    run = EngineRun(months).feed(order(start), tick(start + 200))
    assert [format_instant(alert.due_ms) for alert in run.alerts] == ["2026-04-30T08:00:00Z"]


def test_hours_on_a_calendar_count_open_time_only() -> None:
    office = CalendarDocument(time_zone="UTC", weekly={"mon": ["09:00-17:00"], "tue": ["09:00-17:00"]})
    rules = rule_set(absence(id="handoff", for_="PT10H", calendar="office"), calendars={"office": office})
    monday = parse_instant("2026-01-05T10:00:00Z") / DAY_MS
    run = EngineRun(rules).feed(order(monday), tick(monday + 3))
    assert [format_instant(alert.due_ms) for alert in run.alerts] == ["2026-01-06T12:00:00Z"]


UNANSWERED = rule_set(AbsenceRule(id="unanswered", version="1", of=["order.placed"], after=["contact.made"], for_="P7D"))


def test_with_after_the_silence_starts_at_the_first_of_them() -> None:
    assert told_by(UNANSWERED, [order(0), contact(1), contact(5), tick(8)]) == ["opened@8"]
    assert told_by(UNANSWERED, [order(0), tick(400)]) == []


def test_with_restart_it_starts_at_the_last_of_them() -> None:
    rules = rule_set(AbsenceRule(id="u", version="1", of=["order.placed"], after=["contact.made"], for_="P7D", restart=True))
    assert told_by(rules, [contact(1), contact(5), tick(11.9), tick(12)]) == ["opened@12"]


def test_what_is_awaited_at_the_very_instant_of_the_start_ends_it() -> None:
    assert told_by(UNANSWERED, [contact(1), order(1), tick(30)]) == []
    assert told_by(UNANSWERED, [order(1), contact(1), tick(30)]) == []


def test_a_late_answer_lets_a_contact_that_followed_it_start_the_next_silence() -> None:
    #  contact 1 ... answer 3 (late) ... contact 5, here since long
    told = told_by(UNANSWERED, [contact(1), contact(5), tick(9), order(3), tick(11), tick(12)])
    assert told == ["opened@8", "retracted@3", "opened@12"]


def test_further_contacts_while_it_is_open_are_ignored_until_an_answer() -> None:
    told = told_by(UNANSWERED, [contact(1), tick(8), contact(9), tick(40), order(41), contact(42), tick(60)])
    assert told == ["opened@8", "resolved@41", "opened@49"]


def test_a_predicate_chooses_the_events_that_start_it() -> None:
    handoff = rule_set(
        AbsenceRule(
            id="handoff",
            version="1",
            of=["ticket.opened"],
            after=["order.placed"],
            where_after="event.amount >= 1000.0",
            for_="P2D",
        )
    )
    assert told_by(handoff, [order(0, amount=50), tick(10)]) == []
    assert told_by(handoff, [order(0, amount=5000), tick(10)]) == ["opened@2"]
    assert told_by(handoff, [order(0, amount=5000), complaint(1), tick(10)]) == []


def test_an_alert_says_why_from_what_and_what_would_clear_it() -> None:
    run = EngineRun(rule_set(absence(90, min_count=1, next_action="Call."))).feed(order(0, event_id="o-1"), tick(90))
    alert = run.alerts[0]
    assert [(clause.clause, clause.value, clause.threshold) for clause in alert.because] == [
        ("silence_ms", 90 * DAY_MS, "P90D"),
        ("min_count", 1, 1),
    ]
    assert [(evidence.type, evidence.id) for evidence in alert.evidence] == [("order.placed", "o-1")]
    assert alert.clears_if is not None
    assert alert.clears_if.of == ["order.placed"]
    assert alert.next_action == "Call."
    assert alert.feeds == {"orders": "live"}


def test_an_order_ends_an_alert_although_the_rule_waits_longer_by_now() -> None:
    run = EngineRun(rule_set(absence(10))).feed(order(0), tick(11)).publish(rule_set(absence(20, version="2")), revision=2)
    assert run.feed(order(15), tick(16)).told == ["opened@10", "resolved@15"]


def test_a_silence_that_ended_in_time_is_not_too_long_afterwards() -> None:
    run = EngineRun(rule_set(absence(20))).feed(order(0), tick(5), order(15), tick(16))
    assert run.publish(rule_set(absence(10, version="2")), revision=2).feed(tick(17)).told == []


def test_a_late_order_counts_only_for_the_silences_to_come() -> None:
    twice = rule_set(absence(30, min_count=2))
    assert told_by(twice, [order(10), tick(20), order(5), tick(45), order(50), tick(90)]) == ["opened@80"]
