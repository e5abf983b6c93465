"""`sla`: clocks of tickets, on open hours, with pauses, warnings and second thoughts."""

import pytest
from engine_run import EngineRun, rule_set, tick
from ticket_run import answered, clock_at, closed, opened, reopened, resolved, sla, ticket, told, updated

from schemas.events import CustomerUpdated, TicketResolved
from schemas.instants import DAY_MS, format_instant, parse_instant
from schemas.rule_kinds import SlaTarget

REPLY_24H = sla(SlaTarget(target="PT24H"))
REPLY_8H_OFFICE = sla(SlaTarget(target="PT8H", calendar="office"))
RESOLVE_8H_OFFICE = sla(SlaTarget(target="PT8H", calendar="office"), clock="resolution", pause_on=["pending"])


def test_no_reply_in_time_is_a_breach_at_the_deadline() -> None:
    assert told(REPLY_24H, opened("2026-03-02T10:00"), clock_at("2026-03-03T11:00")) == ["opened 2026-03-03T10:00"]


def test_a_reply_in_time_says_nothing() -> None:
    assert told(REPLY_24H, opened("2026-03-02T10:00"), answered("2026-03-03T09:59"), clock_at("2026-03-09T00:00")) == []


def test_a_reply_at_the_deadline_is_a_breach() -> None:
    #  opened -------------------- deadline
    #                              ^ reply
    records = [opened("2026-03-02T10:00"), answered("2026-03-03T10:00"), clock_at("2026-03-03T10:00")]
    assert told(REPLY_24H, *records) == ["opened 2026-03-03T10:00", "resolved 2026-03-03T10:00"]


def test_a_private_note_and_the_customers_own_words_are_no_reply() -> None:
    note = answered("2026-03-02T11:00", public=False)
    own = answered("2026-03-02T12:00", by="customer")
    assert told(REPLY_24H, opened("2026-03-02T10:00"), note, own, clock_at("2026-03-04T00:00")) == ["opened 2026-03-03T10:00"]


def test_warnings_come_at_fractions_of_the_target() -> None:
    rules = sla(SlaTarget(target="PT10H"), warn_at=[0.5, 0.9])
    records = [
        opened("2026-03-02T10:00"),
        clock_at("2026-03-02T19:30"),
        answered("2026-03-02T19:40"),
        clock_at("2026-03-03T00:00"),
    ]
    assert told(rules, *records) == ["warned0.5 2026-03-02T15:00", "warned0.9 2026-03-02T19:00", "resolved 2026-03-02T19:40"]


def test_an_answer_at_the_instant_of_a_warning_warns_and_resolves() -> None:
    rules = sla(SlaTarget(target="PT10H"), warn_at=[0.5])
    records = [opened("2026-03-02T10:00"), answered("2026-03-02T15:00"), clock_at("2026-03-02T16:00")]
    assert told(rules, *records) == ["warned0.5 2026-03-02T15:00", "resolved 2026-03-02T15:00"]


def test_a_ticket_opened_out_of_hours_starts_with_the_office() -> None:
    #  Friday 20:00, weekend, Monday: 3 h, lunch, 4.5 h, Tuesday 0.5 h
    records = [opened("2026-03-06T20:00"), clock_at("2026-03-11T00:00")]
    assert told(REPLY_8H_OFFICE, *records) == ["opened 2026-03-10T09:30"]


def test_lunch_does_not_count() -> None:
    records = [opened("2026-03-02T10:00"), clock_at("2026-03-04T00:00")]
    assert told(REPLY_8H_OFFICE, *records) == ["opened 2026-03-03T10:30"]


def test_a_holiday_is_closed_and_a_make_up_saturday_has_mondays_hours() -> None:
    #  Fri 13 Feb 16:00: 2 h; Sat 14 (make-up): 6 of 7.5 h, with lunch
    records = [opened("2026-02-13T16:00"), clock_at("2026-02-20T00:00")]
    assert told(REPLY_8H_OFFICE, *records) == ["opened 2026-02-14T16:30"]
    #  Mon 16 Feb 16:00: 2 h; Tue, Wed holidays; Thu 6 h
    records = [opened("2026-02-16T16:00"), clock_at("2026-02-20T00:00")]
    assert told(REPLY_8H_OFFICE, *records) == ["opened 2026-02-19T16:30"]


@pytest.mark.parametrize(
    ("start", "deadline"),
    [("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"), ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z")],
)
def test_24_open_hours_are_24_hours_over_both_changes_of_the_clocks(start: str, deadline: str) -> None:
    rules = sla(SlaTarget(target="PT24H", calendar="berlin"))
    run = EngineRun(rules).feed(opened(start), tick(parse_instant(deadline) / DAY_MS + 1))
    assert [format_instant(alert.at_ms) for alert in run.alerts] == [deadline]


def test_waiting_for_the_customer_stops_the_clock_over_a_weekend() -> None:
    #  Thu 09:00 +3 h, pending from 12:00 until Mon 13:30, +4.5 h, Tue +0.5 h
    records = [
        opened("2026-03-05T09:00"),
        updated("2026-03-05T12:00", status="pending"),
        clock_at("2026-03-09T13:00"),
        updated("2026-03-09T13:30", status="open"),
        clock_at("2026-03-12T00:00"),
    ]
    assert told(RESOLVE_8H_OFFICE, *records) == ["opened 2026-03-10T09:30"]


def test_a_priority_raised_late_keeps_what_was_consumed_and_may_be_breached_at_once() -> None:
    rules = sla(SlaTarget(priority="urgent", target="PT2H"), SlaTarget(target="PT24H"), warn_at=[0.5])
    raised = updated("2026-03-02T15:00", priority="urgent")
    records = [opened("2026-03-02T10:00"), raised, clock_at("2026-03-02T16:00")]
    assert told(rules, *records) == ["opened 2026-03-02T15:00"]
    raised = updated("2026-03-02T11:00", priority="urgent")
    assert told(rules, opened("2026-03-02T10:00"), raised, clock_at("2026-03-02T13:00")) == [
        "warned0.5 2026-03-02T11:00",
        "opened 2026-03-02T12:00",
    ]


def test_a_target_that_changes_its_calendar_carries_the_consumed_share() -> None:
    #  half of 8 office hours by 14:30; then half of 24 hours is left
    rules = sla(SlaTarget(priority="urgent", target="PT24H"), SlaTarget(target="PT8H", calendar="office"))
    records = [opened("2026-03-02T09:00"), updated("2026-03-02T14:30", priority="urgent"), clock_at("2026-03-05T00:00")]
    assert told(rules, *records) == ["opened 2026-03-03T02:30"]


def test_working_days_end_with_the_last_open_minute() -> None:
    rules = sla(SlaTarget(workdays=2, calendar="office"), clock="resolution")
    assert told(rules, opened("2026-03-05T10:00"), clock_at("2026-03-12T00:00")) == ["opened 2026-03-09T18:00"]


def test_a_reopened_ticket_goes_on_with_what_was_consumed() -> None:
    #  3 h consumed before it was resolved, 5 h after it was reopened
    records = [
        opened("2026-03-02T09:00"),
        resolved("2026-03-02T12:00"),
        reopened("2026-03-04T13:30"),
        clock_at("2026-03-06T00:00"),
    ]
    assert told(RESOLVE_8H_OFFICE, *records) == ["opened 2026-03-05T09:30"]


def test_a_status_on_a_resolved_ticket_reopens_it() -> None:
    records = [opened("2026-03-02T09:00"), resolved("2026-03-02T12:00"), updated("2026-03-04T13:30", status="open")]
    assert told(RESOLVE_8H_OFFICE, *records, clock_at("2026-03-06T00:00")) == ["opened 2026-03-05T09:30"]
    records = [opened("2026-03-02T09:00"), resolved("2026-03-02T12:00"), updated("2026-03-04T13:30", team="other")]
    assert told(RESOLVE_8H_OFFICE, *records, clock_at("2026-03-06T00:00")) == []


def test_reopened_after_a_breach_it_is_over_its_target_at_once_and_another_alert() -> None:
    records = [
        opened("2026-03-02T09:00"),
        clock_at("2026-03-03T10:00"),
        resolved("2026-03-03T11:00"),
        reopened("2026-03-04T10:00"),
        clock_at("2026-03-04T11:00"),
        resolved("2026-03-04T12:00"),
    ]
    assert told(RESOLVE_8H_OFFICE, *records) == [
        "opened 2026-03-03T09:30",
        "resolved 2026-03-03T11:00",
        "opened 2026-03-04T10:00",
        "resolved 2026-03-04T12:00",
    ]
    assert len({alert.alert_id for alert in EngineRun(RESOLVE_8H_OFFICE).feed(*records).alerts}) == 2


def test_measured_to_closing_a_resolution_only_pauses() -> None:
    rules = sla(SlaTarget(target="PT8H"), clock="resolution", until="closed")
    records = [
        opened("2026-03-02T09:00"),
        resolved("2026-03-02T12:00"),
        closed("2026-03-09T12:00"),
        clock_at("2026-03-10T00:00"),
    ]
    assert told(rules, *records) == []
    records = [opened("2026-03-02T09:00"), closed("2026-03-02T20:00"), clock_at("2026-03-10T00:00")]
    assert told(rules, *records) == ["opened 2026-03-02T17:00", "resolved 2026-03-02T20:00"]


def test_a_late_answer_takes_the_breach_back() -> None:
    records = [opened("2026-03-02T10:00"), clock_at("2026-03-03T12:00"), answered("2026-03-02T20:00")]
    assert told(REPLY_24H, *records) == ["opened 2026-03-03T10:00", "retracted 2026-03-02T20:00"]
    again = [*records, resolved("2026-03-05T00:00"), clock_at("2026-03-06T00:00")]
    assert told(REPLY_24H, *again) == ["opened 2026-03-03T10:00", "retracted 2026-03-02T20:00"]


def test_a_late_answer_after_a_warning_resolves_it() -> None:
    rules = sla(SlaTarget(target="PT24H"), warn_at=[0.5])
    records = [opened("2026-03-02T10:00"), clock_at("2026-03-03T00:00"), answered("2026-03-02T20:00")]
    assert told(rules, *records) == ["warned0.5 2026-03-02T22:00", "resolved 2026-03-02T20:00"]


def test_solved_without_an_answer_the_response_clock_ends() -> None:
    records = [opened("2026-03-02T10:00"), clock_at("2026-03-03T12:00"), resolved("2026-03-03T13:00")]
    assert told(REPLY_24H, *records) == ["opened 2026-03-03T10:00", "resolved 2026-03-03T13:00"]


def test_an_unknown_ticket_is_opened_by_what_is_heard_of_it_first_and_a_late_open_moves_its_start() -> None:
    unknown = updated("2026-03-02T12:00", priority="high")
    assert told(REPLY_24H, unknown, clock_at("2026-03-04T00:00")) == ["opened 2026-03-03T12:00"]
    assert told(REPLY_24H, unknown, opened("2026-03-02T10:00"), clock_at("2026-03-04T00:00")) == ["opened 2026-03-03T10:00"]


def test_a_second_open_of_a_ticket_is_ignored() -> None:
    records = [opened("2026-03-02T10:00"), opened("2026-03-02T20:00"), clock_at("2026-03-04T00:00")]
    assert told(REPLY_24H, *records) == ["opened 2026-03-03T10:00"]


def test_a_ticket_that_no_target_is_for_has_no_clock() -> None:
    rules = sla(SlaTarget(priority="urgent", target="PT1H"))
    assert told(rules, opened("2026-03-02T10:00"), clock_at("2026-03-09T00:00")) == []


def test_a_tier_may_have_a_target_of_its_own_and_may_change() -> None:
    rules = sla(SlaTarget(tier="vip", target="PT1H"), SlaTarget(target="PT24H"))
    vip = CustomerUpdated(id="u", customer_id="ann", at_ms=parse_instant("2026-03-02T10:30:00+08:00"), tier="vip")
    assert told(rules, opened("2026-03-02T10:00"), vip, clock_at("2026-03-02T12:00")) == ["opened 2026-03-02T11:00"]


def test_a_tier_that_changes_late_may_be_over_its_target_at_the_change() -> None:
    rules = sla(SlaTarget(tier="vip", target="PT1H"), SlaTarget(target="PT24H"))
    vip = CustomerUpdated(id="u", customer_id="ann", at_ms=parse_instant("2026-03-02T15:00:00+08:00"), tier="vip")
    assert told(rules, opened("2026-03-02T10:00"), vip, clock_at("2026-03-02T16:00")) == ["opened 2026-03-02T15:00"]


def test_reopened_after_a_breach_was_taken_back_it_may_be_breached_again() -> None:
    #  0 ---- 5 resolved (late) ... 10 told, taken back ... 20 reopened, 5 h are left
    rules = sla(SlaTarget(target="PT10H"), clock="resolution")
    records = [
        opened("2026-03-02T00:00"),
        clock_at("2026-03-02T11:00"),
        resolved("2026-03-02T05:00"),
        reopened("2026-03-02T20:00"),
        clock_at("2026-03-03T12:00"),
    ]
    assert told(rules, *records) == ["opened 2026-03-02T10:00", "retracted 2026-03-02T05:00", "opened 2026-03-03T01:00"]
    ids = [alert.alert_id for alert in EngineRun(rules).feed(*records).alerts]
    assert ids[0] == ids[1] != ids[2]


def test_a_breach_that_shows_behind_an_end_already_told_is_not_lost() -> None:
    #  warned 15, resolved 20 (ahead of the clock), then a higher priority from 16 arrives: breached at 18
    rules = sla(SlaTarget(priority="urgent", target="PT18H"), SlaTarget(target="PT30H"), clock="resolution", warn_at=[0.5])
    records = [
        opened("2026-03-02T00:00"),
        clock_at("2026-03-02T15:30"),
        resolved("2026-03-02T20:00"),
        updated("2026-03-02T16:00", priority="urgent"),
        clock_at("2026-03-03T12:00"),
    ]
    assert told(rules, *records) == [
        "warned0.5 2026-03-02T15:00",
        "resolved 2026-03-02T20:00",
        "opened 2026-03-02T18:00",
        "resolved 2026-03-02T20:00",
    ]


def test_a_ticket_resolved_long_ago_is_forgotten_with_its_numbering() -> None:
    run = EngineRun(sla(SlaTarget(target="PT8H"), clock="resolution"))
    for day in range(1, 29):
        run.feed(opened(f"2026-01-{day:02}T10:00", name=f"old{day}"))
        run.feed(ticket(TicketResolved, f"2026-01-{day:02}T11:00", name=f"old{day}"))
    size = run.size()
    run.feed(opened("2026-09-01T10:00", name="new"))
    after = run.size()
    assert after < size / 2


def test_updates_that_repeat_what_holds_do_not_pile_up() -> None:
    run = EngineRun(RESOLVE_8H_OFFICE).feed(opened("2026-03-02T00:00"))
    start_ms = parse_instant("2026-03-03T00:00:00Z")
    for hour in range(1000):
        run.feed(updated(format_instant(start_ms + hour * 3_600_000), priority="low", status="pending"))
    assert run.size() < 10_000


def test_past_the_published_years_the_alert_says_so() -> None:
    run = EngineRun(REPLY_8H_OFFICE).feed(opened("2027-03-01T10:00"), clock_at("2027-03-04T00:00"))
    assert run.alerts[0].notes == ["calendar_past_published_year"]
    assert run.alerts[0].versions.calendar == "1"


def test_an_alert_says_how_much_was_consumed_of_what() -> None:
    run = EngineRun(sla(SlaTarget(priority="high", target="PT2H"))).feed(
        opened("2026-03-02T10:00", priority="high"), clock_at("2026-03-02T13:00")
    )
    alert = run.alerts[0]
    assert [(one.clause, one.value, one.threshold) for one in alert.because] == [
        ("first_response_ms", 7_200_000, 7_200_000),
        ("priority", "high", None),
    ]
    assert (alert.ticket_id, alert.kind, alert.evidence[0].type) == ("T1", "sla", "ticket.opened")


def test_several_tickets_have_a_clock_each() -> None:
    records = [opened("2026-03-02T10:00"), opened("2026-03-02T11:00", name="T2"), clock_at("2026-03-04T00:00")]
    run = EngineRun(REPLY_24H).feed(*records)
    assert [alert.ticket_id for alert in run.alerts] == ["T1", "T2"]


def test_a_new_rule_does_not_dig_up_tickets_that_were_late_before_it_came() -> None:
    run = EngineRun(rule_set()).feed(opened("2026-03-02T10:00"), clock_at("2026-03-05T00:00"))
    run.publish(REPLY_24H, revision=2).feed(clock_at("2026-03-09T00:00"))
    assert run.told == []
