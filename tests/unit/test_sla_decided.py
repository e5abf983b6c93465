"""`sla`: the awkward cases, one by one as they were decided."""

import pytest
from engine_run import EngineRun
from msgspec.structs import replace
from ticket_run import answered, asked, clock_at, closed, opened, reopened, resolved, sla, ticket, told, told_of, updated

from schemas.events import CustomerUpdated, TicketClosed, TicketReplied
from schemas.instants import parse_instant
from schemas.rule_kinds import SlaTarget
from schemas.rules import RuleSet

LATER = clock_at("2026-03-20T00:00")
REPLY_24H = sla(SlaTarget(target="PT24H"))
RESOLVE_10H = sla(SlaTarget(target="PT10H"), clock="resolution", pause_on=["pending"], warn_at=[0.5])
URGENT_2H = sla(SlaTarget(priority="urgent", target="PT2H"), SlaTarget(target="PT10H"), clock="resolution", warn_at=[0.5])


@pytest.mark.parametrize("clock", ["first_response", "next_response"])
def test_closed_without_an_answer_the_response_clocks_end(clock: str) -> None:
    rules = sla(SlaTarget(target="PT2H"), clock=clock)
    start = [opened("2026-03-02T08:00"), answered("2026-03-02T08:30"), asked("2026-03-02T09:00")]
    records = start if clock == "next_response" else start[:1]
    assert told(rules, *records, closed("2026-03-02T09:30"), LATER) == []


def test_closing_ends_a_clock_that_waits_for_the_resolution() -> None:
    records = [opened("2026-03-02T08:00"), clock_at("2026-03-02T13:30"), closed("2026-03-02T14:00"), LATER]
    assert told(RESOLVE_10H, *records) == ["warned0.5 2026-03-02T13:00", "resolved 2026-03-02T14:00"]


def test_measured_to_closing_a_reopened_ticket_goes_on_with_what_was_used() -> None:
    #  8 ---- 12 resolved .... next day 8 reopened -- 14
    rules = sla(SlaTarget(target="PT10H"), clock="resolution", until="closed")
    records = [opened("2026-03-02T08:00"), resolved("2026-03-02T12:00"), reopened("2026-03-03T08:00"), LATER]
    assert told(rules, *records) == ["opened 2026-03-03T14:00"]


def test_reopened_after_a_warning_it_is_another_alert_and_is_not_warned_of_again() -> None:
    #  8 --- 13 warned - 14 resolved .... next day 8 reopened -- 12
    records = [
        opened("2026-03-02T08:00"),
        clock_at("2026-03-02T13:30"),
        resolved("2026-03-02T14:00"),
        reopened("2026-03-03T08:00"),
        LATER,
    ]
    run = EngineRun(RESOLVE_10H).feed(*records)
    assert told_of(run) == ["warned0.5 2026-03-02T13:00", "resolved 2026-03-02T14:00", "opened 2026-03-03T12:00"]
    assert run.alerts[2].episode_start_ms == parse_instant("2026-03-03T08:00:00+08:00")
    assert run.alerts[2].alert_id != run.alerts[0].alert_id


def test_reopened_twice_before_anything_is_told_it_is_still_the_alert_of_the_first_reopening() -> None:
    #  8 -- 14 warned, resolved ... reopened 8, resolved 9, reopened 12 -- 15
    records = [
        opened("2026-03-02T08:00"),
        clock_at("2026-03-02T13:30"),
        resolved("2026-03-02T14:00"),
        reopened("2026-03-03T08:00"),
        clock_at("2026-03-03T08:30"),
        resolved("2026-03-03T09:00"),
        reopened("2026-03-03T12:00"),
        LATER,
    ]
    run = EngineRun(RESOLVE_10H).feed(*records)
    assert told_of(run)[2:] == ["opened 2026-03-03T15:00"]
    assert run.alerts[2].episode_start_ms == parse_instant("2026-03-03T08:00:00+08:00")


def test_reopening_sets_open_whatever_the_status_was() -> None:
    #  8 pending 9, resolved 10, reopened 12 ---- 16 warned - 21
    records = [
        opened("2026-03-02T08:00"),
        updated("2026-03-02T09:00", status="pending"),
        resolved("2026-03-02T10:00"),
        reopened("2026-03-02T12:00"),
        LATER,
    ]
    assert told(RESOLVE_10H, *records) == ["warned0.5 2026-03-02T16:00", "opened 2026-03-02T21:00"]


def test_a_target_changed_after_the_breach_lets_it_stand_until_the_answer() -> None:
    records = [
        opened("2026-03-02T08:00", priority="urgent"),
        clock_at("2026-03-02T11:00"),
        updated("2026-03-02T11:30", priority="low"),
        clock_at("2026-03-02T12:00"),
    ]
    assert told(URGENT_2H, *records) == ["warned0.5 2026-03-02T09:00", "opened 2026-03-02T10:00"]
    assert told(URGENT_2H, *records, resolved("2026-03-02T13:00"), LATER)[2:] == ["resolved 2026-03-02T13:00"]


def test_a_change_that_jumps_warning_and_target_opens_at_the_update() -> None:
    records = [opened("2026-03-02T08:00"), updated("2026-03-02T11:00", priority="urgent"), LATER]
    run = EngineRun(URGENT_2H).feed(*records)
    assert told_of(run) == ["opened 2026-03-02T11:00"]
    assert run.alerts[0].due_ms == run.alerts[0].at_ms
    assert (run.alerts[0].because[0].value, run.alerts[0].because[0].threshold) == (3 * 3_600_000, 2 * 3_600_000)


def test_a_change_at_the_very_deadline_comes_too_late() -> None:
    records = [opened("2026-03-02T08:00", priority="urgent"), updated("2026-03-02T10:00", priority="low"), LATER]
    assert told(URGENT_2H, *records) == ["warned0.5 2026-03-02T09:00", "opened 2026-03-02T10:00"]
    pause = updated("2026-03-02T18:00", status="pending")
    assert told(RESOLVE_10H, opened("2026-03-02T08:00"), pause, LATER)[1:] == ["opened 2026-03-02T18:00"]


def test_a_smaller_target_while_the_clock_stands_opens_when_it_goes_on() -> None:
    #  8 --- 11 pending, 12 urgent ...... 15 open
    rules = sla(
        SlaTarget(priority="urgent", target="PT2H"), SlaTarget(target="PT10H"), clock="resolution", pause_on=["pending"]
    )
    records = [
        opened("2026-03-02T08:00"),
        updated("2026-03-02T11:00", status="pending"),
        updated("2026-03-02T12:00", priority="urgent"),
        clock_at("2026-03-02T14:00"),
    ]
    assert told(rules, *records) == []
    assert told(rules, *records, updated("2026-03-02T15:00", status="open"), LATER) == ["opened 2026-03-02T15:00"]


def test_the_customer_writing_while_pending_does_not_start_the_clock() -> None:
    records = [opened("2026-03-02T08:00"), updated("2026-03-02T12:00", status="pending"), asked("2026-03-02T13:00"), LATER]
    assert told(RESOLVE_10H, *records) == []


def test_on_hold_the_clock_runs_unless_the_rule_pauses_on_it() -> None:
    records = [opened("2026-03-02T08:00"), updated("2026-03-02T09:00", status="hold"), LATER]
    assert told(RESOLVE_10H, *records)[1:] == ["opened 2026-03-02T18:00"]
    assert told(sla(SlaTarget(target="PT10H"), clock="resolution", pause_on=["hold"]), *records) == []


def test_a_late_pause_moves_what_lies_ahead_and_what_was_told_stands() -> None:
    #  8 ---- 13 warned, clock at 14; late: pending from 12 to 13:30
    late = [updated("2026-03-02T12:00", status="pending"), updated("2026-03-02T13:30", status="open")]
    records = [opened("2026-03-02T08:00"), clock_at("2026-03-02T14:00"), *late, LATER]
    assert told(RESOLVE_10H, *records) == ["warned0.5 2026-03-02T13:00", "opened 2026-03-02T19:30"]
    records = [opened("2026-03-02T08:00"), clock_at("2026-03-02T18:30"), *late, resolved("2026-03-02T19:00"), LATER]
    assert told(RESOLVE_10H, *records) == [
        "warned0.5 2026-03-02T13:00",
        "opened 2026-03-02T18:00",
        "resolved 2026-03-02T19:00",
    ]


def test_a_late_change_of_priority_may_put_the_deadline_behind_us() -> None:
    records = [opened("2026-03-02T08:00"), clock_at("2026-03-02T12:00"), updated("2026-03-02T08:30", priority="urgent"), LATER]
    assert told(URGENT_2H, *records) == ["warned0.5 2026-03-02T09:00", "opened 2026-03-02T10:00"]


def test_a_late_reopening_starts_the_clock_again_from_its_own_time() -> None:
    #  8 - 9 resolved ... 11 reopened, heard of at 12 ---- 15 warned, 20
    records = [
        opened("2026-03-02T08:00"),
        resolved("2026-03-02T09:00"),
        clock_at("2026-03-02T12:00"),
        reopened("2026-03-02T11:00"),
        LATER,
    ]
    assert told(RESOLVE_10H, *records) == ["warned0.5 2026-03-02T15:00", "opened 2026-03-02T20:00"]


def test_a_late_answer_after_warning_and_breach_takes_both_back() -> None:
    rules = sla(SlaTarget(target="PT10H"), warn_at=[0.5])
    records = [opened("2026-03-02T08:00"), clock_at("2026-03-02T19:00"), answered("2026-03-02T10:00"), LATER]
    assert told(rules, *records) == [
        "warned0.5 2026-03-02T13:00",
        "opened 2026-03-02T18:00",
        "retracted 2026-03-02T10:00",
    ]


def test_a_late_answer_takes_back_a_breach_that_was_closed_already() -> None:
    records = [
        opened("2026-03-02T08:00"),
        clock_at("2026-03-03T09:00"),
        answered("2026-03-03T10:00"),
        answered("2026-03-02T09:00"),
        LATER,
    ]
    assert told(REPLY_24H, *records) == [
        "opened 2026-03-03T08:00",
        "resolved 2026-03-03T10:00",
        "retracted 2026-03-02T09:00",
    ]


def test_a_late_answer_between_the_deadline_and_the_told_answer_changes_nothing() -> None:
    records = [
        opened("2026-03-02T08:00"),
        clock_at("2026-03-03T09:00"),
        answered("2026-03-03T10:00"),
        answered("2026-03-03T08:30"),
        LATER,
    ]
    assert told(REPLY_24H, *records) == ["opened 2026-03-03T08:00", "resolved 2026-03-03T10:00"]


def test_a_late_opening_does_not_move_what_was_told() -> None:
    rules = sla(SlaTarget(target="PT24H"), warn_at=[0.5])
    records = [updated("2026-03-02T12:00", priority="high"), clock_at("2026-03-03T01:00"), opened("2026-03-02T10:00"), LATER]
    run = EngineRun(rules).feed(*records)
    assert told_of(run) == ["warned0.5 2026-03-03T00:00", "opened 2026-03-03T10:00"]
    assert {alert.episode_start_ms for alert in run.alerts} == {parse_instant("2026-03-02T12:00:00+08:00")}


def test_a_reply_that_is_heard_of_before_the_opening_answers_it() -> None:
    records = [answered("2026-03-02T09:00"), clock_at("2026-03-02T12:00"), opened("2026-03-02T08:00"), LATER]
    assert told(REPLY_24H, *records) == []


def test_of_two_answers_heard_of_in_the_wrong_order_the_earlier_counts() -> None:
    records = [opened("2026-03-02T08:00"), answered("2026-03-03T09:00"), answered("2026-03-02T10:00"), LATER]
    assert told(REPLY_24H, *records) == []


def test_handed_to_a_team_in_another_time_zone_the_share_is_carried_to_its_hours() -> None:
    #  Shanghai Mon 09:00 +3 h, lunch, +1 h = 4 of 8 at 14:30 (01:30 in New York); then 4 h of 8 from 09:00 in New York
    rules = sla(
        SlaTarget(team="apac", target="PT8H", calendar="office"), SlaTarget(team="us", target="PT8H", calendar="new-york")
    )
    records = [opened("2026-03-02T09:00", team="apac"), updated("2026-03-02T14:30", team="us"), LATER]
    assert told(rules, *records) == ["opened 2026-03-03T02:00"]  # 13:00 in New York
    rules = sla(
        SlaTarget(team="apac", target="PT8H", calendar="office"), SlaTarget(team="us", target="PT4H", calendar="new-york")
    )
    assert told(rules, *records) == ["opened 2026-03-03T00:00"]  # half of 4 h: 11:00 in New York


def test_no_target_for_a_while_uses_nothing_up() -> None:
    #  8 - 10 apac, 10 - 14 nobody's, from 14 apac again
    rules = sla(SlaTarget(team="apac", target="PT3H"))
    records = [
        opened("2026-03-02T08:00", team="apac"),
        updated("2026-03-02T10:00", team="other"),
        updated("2026-03-02T14:00", team="apac"),
        LATER,
    ]
    assert told(rules, *records) == ["opened 2026-03-02T15:00"]


def test_a_category_may_have_a_target_of_its_own() -> None:
    rules = sla(SlaTarget(category="complaint", target="PT1H"), SlaTarget(target="PT24H"))
    records = [opened("2026-03-02T08:00"), updated("2026-03-02T08:30", category="complaint"), LATER]
    assert told(rules, *records) == ["opened 2026-03-02T09:00"]


def test_clocks_of_one_ticket_run_side_by_side() -> None:
    first, whole = sla(SlaTarget(target="PT1H")).rules[0], RESOLVE_10H.rules[0]
    rules = RuleSet(version="1", tenant="shop", feeds=RESOLVE_10H.feeds, rules=[first, replace(whole, id="whole")])
    run = EngineRun(rules).feed(opened("2026-03-02T08:00"), answered("2026-03-02T10:00"), LATER)
    assert told_of(run) == [
        "opened 2026-03-02T09:00",
        "resolved 2026-03-02T10:00",
        "warned0.5 2026-03-02T13:00",
        "opened 2026-03-02T18:00",
    ]


def test_tickets_are_decided_in_order_of_time_however_rarely_the_clock_is_heard_of() -> None:
    rules = sla(SlaTarget(target="PT10H"), warn_at=[0.5])
    records = [opened("2026-03-02T08:00"), opened("2026-03-02T10:00", name="T2"), LATER]
    assert told(rules, *records) == [
        "warned0.5 2026-03-02T13:00",
        "warned0.5 2026-03-02T15:00",
        "opened 2026-03-02T18:00",
        "opened 2026-03-02T20:00",
    ]


def test_a_ticket_with_thanks_after_its_end_is_forgotten_all_the_same() -> None:
    run = EngineRun(REPLY_24H)
    for day in range(1, 29):
        run.feed(opened(f"2026-01-{day:02}T10:00", name=f"old{day}"))
        run.feed(ticket(TicketReplied, f"2026-01-{day:02}T11:00", name=f"old{day}", by="agent"))
        run.feed(ticket(TicketClosed, f"2026-01-{day:02}T12:00", name=f"old{day}"))
        run.feed(ticket(TicketReplied, f"2026-01-{day:02}T13:00", name=f"old{day}", by="customer"))
    run.feed(CustomerUpdated(id="u", customer_id="ann", at_ms=parse_instant("2026-06-01T00:00:00Z"), tier="vip"))
    size = run.size()
    run.feed(opened("2026-09-01T10:00", name="new"))
    after = run.size()
    assert after < size / 2


def tier(at: str, name: str) -> CustomerUpdated:
    return CustomerUpdated(id=f"u{at}{name}", customer_id="ann", at_ms=parse_instant(f"{at}:00+08:00"), tier=name)


def test_a_ticket_heard_of_late_has_the_tiers_of_its_own_time() -> None:
    #  8 opened ----- 10 vip - 11
    rules = sla(SlaTarget(tier="vip", target="PT3H"), SlaTarget(target="PT24H"))
    assert told(rules, tier("2026-03-02T10:00", "vip"), opened("2026-03-02T08:00"), LATER) == ["opened 2026-03-02T11:00"]
    late = [opened("2026-03-02T08:00"), tier("2026-03-02T07:00", "vip"), tier("2026-03-02T06:00", "basic"), LATER]
    assert told(rules, *late) == ["opened 2026-03-02T11:00"]
