"""`sla` when a rule set or a calendar is published while clocks run: what was used stays used, what is over stays over."""

from engine_run import EngineRun
from ticket_run import (
    NEW_YORK,
    OFFICE,
    answered,
    asked,
    clock_at,
    opened,
    reopened,
    resolved,
    sla,
    told_of,
    updated,
)

from detectors.calendars import AlwaysOpen, BusinessCalendar
from schemas.calendars import CalendarDocument
from schemas.control import CalendarPublished
from schemas.rule_kinds import SlaTarget

LATER = clock_at("2026-03-20T00:00")
REPLY_10H = sla(SlaTarget(target="PT10H"))
REPLY_2H = sla(SlaTarget(target="PT2H"), version="2")
RESOLVE_8H = sla(SlaTarget(target="PT8H", calendar="office"), clock="resolution", pause_on=["pending"])
RESOLVE_4H = sla(SlaTarget(target="PT4H", calendar="office"), clock="resolution", pause_on=["pending"], version="2")
RESOLVE_24H = sla(SlaTarget(target="PT24H"), clock="resolution", pause_on=["pending"], version="2")


def test_a_shorter_target_moves_the_deadline_of_a_clock_that_runs() -> None:
    run = EngineRun(REPLY_10H).feed(opened("2026-03-02T08:00"), clock_at("2026-03-02T09:00"))
    assert told_of(run.publish(REPLY_2H, revision=2).feed(LATER)) == ["opened 2026-03-02T10:00"]


def test_a_target_that_was_over_already_is_breached_at_the_publication() -> None:
    run = EngineRun(REPLY_10H).feed(opened("2026-03-02T08:00"), clock_at("2026-03-02T12:00"))
    assert told_of(run.publish(REPLY_2H, revision=2)) == ["opened 2026-03-02T12:00"]
    assert run.alerts[0].rule.startswith("sla@2")


def test_a_longer_target_leaves_what_was_told() -> None:
    run = EngineRun(REPLY_2H).feed(opened("2026-03-02T08:00"), clock_at("2026-03-02T12:00"))
    run.publish(REPLY_10H, revision=2).feed(clock_at("2026-03-02T13:00"), answered("2026-03-02T14:00"), LATER)
    assert told_of(run) == ["opened 2026-03-02T10:00", "resolved 2026-03-02T14:00"]


def test_what_was_over_is_not_judged_by_a_promise_that_came_later() -> None:
    run = EngineRun(REPLY_10H).feed(opened("2026-03-02T08:00"), answered("2026-03-02T13:00"), clock_at("2026-03-02T14:00"))
    assert told_of(run.publish(REPLY_2H, revision=2).feed(LATER)) == []


def test_a_pause_and_then_another_policy() -> None:
    #  Mon 09:00 +3 h, pending from 12:00; from 15:00 on 4 h are promised; open Tue 09:00 +1 h
    run = EngineRun(RESOLVE_8H).feed(
        opened("2026-03-02T09:00"), updated("2026-03-02T12:00", status="pending"), clock_at("2026-03-02T15:00")
    )
    run.publish(RESOLVE_4H, revision=2).feed(updated("2026-03-03T09:00", status="open"), LATER)
    assert told_of(run) == ["opened 2026-03-03T10:00"]


def test_another_policy_on_another_calendar_carries_the_share() -> None:
    #  Mon 09:00 to 14:30: 4 of 8 office hours; then 12 of 24 hours are left
    run = EngineRun(RESOLVE_8H).feed(opened("2026-03-02T09:00"), clock_at("2026-03-02T14:30"))
    assert told_of(run.publish(RESOLVE_24H, revision=2).feed(LATER)) == ["opened 2026-03-03T02:30"]


def test_two_changes_of_policy_one_after_the_other() -> None:
    run = EngineRun(RESOLVE_8H).feed(opened("2026-03-02T09:00"), clock_at("2026-03-02T14:30"))
    run.publish(RESOLVE_24H, revision=2).feed(clock_at("2026-03-02T20:30"))  # 18 of 24 h
    run.publish(RESOLVE_8H, revision=3).feed(LATER)  # 6 of 8 h
    assert told_of(run) == ["opened 2026-03-03T11:00"]


def test_other_opening_hours_count_from_their_publication() -> None:
    #  Mon 09:00 +3 h; then the office is open from 18:00 to 20:00 only: 5 h are Mon 2 h, Tue 2 h, Wed 1 h
    run = EngineRun(RESOLVE_8H).feed(opened("2026-03-02T09:00"), clock_at("2026-03-02T12:00"))
    evenings = CalendarDocument(time_zone="Asia/Shanghai", weekly={day: ["18:00-20:00"] for day in OFFICE.weekly})
    run.feed(CalendarPublished(at_ms=0, name="office", version="evenings", revision=7, document=evenings), LATER)
    assert told_of(run) == ["opened 2026-03-04T19:00"]
    assert run.alerts[0].versions.calendar == "evenings"


def test_the_same_promises_published_again_change_nothing() -> None:
    late = updated("2026-03-02T10:00", status="pending")
    run = EngineRun(RESOLVE_8H).feed(opened("2026-03-02T09:00"), clock_at("2026-03-02T11:00"))
    run.publish(RESOLVE_8H, revision=2).feed(late, LATER)
    assert told_of(run) == []


def test_solved_before_a_policy_and_reopened_under_it() -> None:
    run = EngineRun(RESOLVE_8H).feed(opened("2026-03-02T09:00"), resolved("2026-03-02T12:00"), clock_at("2026-03-02T15:00"))
    run.publish(RESOLVE_4H, revision=2).feed(reopened("2026-03-03T09:00"), LATER)
    assert told_of(run) == ["opened 2026-03-03T10:00"]


def test_a_run_of_messages_that_begins_under_a_new_policy_is_measured_by_it_alone() -> None:
    before = sla(SlaTarget(target="PT10H"), clock="next_response")
    after = sla(SlaTarget(target="PT2H"), clock="next_response", version="2")
    start = [opened("2026-03-02T08:00"), answered("2026-03-02T08:30"), asked("2026-03-02T09:00")]
    run = EngineRun(before).feed(*start, answered("2026-03-02T14:00"), clock_at("2026-03-02T15:00"))
    run.publish(after, revision=2).feed(asked("2026-03-02T16:00"), LATER)
    assert told_of(run) == ["opened 2026-03-02T18:00"]


def test_a_restart_after_a_publication_changes_nothing() -> None:
    run = EngineRun(RESOLVE_8H).feed(opened("2026-03-02T09:00"), clock_at("2026-03-02T14:30"))
    run.publish(RESOLVE_24H, revision=2).restored().feed(LATER)
    assert told_of(run) == ["opened 2026-03-03T02:30"]


def test_a_late_answer_from_before_a_publication_takes_the_breach_back() -> None:
    run = EngineRun(REPLY_2H).feed(opened("2026-03-02T08:00"), clock_at("2026-03-02T12:00"))
    run.publish(REPLY_10H, revision=2).feed(answered("2026-03-02T09:00"), LATER)
    assert told_of(run) == ["opened 2026-03-02T10:00", "retracted 2026-03-02T09:00"]


def test_calendars_are_told_apart_by_their_hours() -> None:
    office, again, york = (BusinessCalendar.from_document(one) for one in (OFFICE, OFFICE, NEW_YORK))
    assert office.fingerprint == again.fingerprint != york.fingerprint
    assert AlwaysOpen("UTC").fingerprint != AlwaysOpen("Asia/Shanghai").fingerprint


def test_a_policy_that_is_published_twice_does_not_judge_what_lay_before_the_first_time() -> None:
    #  8 - 12 used, pending; a target of 2 h arrives at 13 and once more at 14; nothing runs, so nothing is breached
    start = [opened("2026-03-02T08:00"), updated("2026-03-02T12:00", status="pending")]
    run = EngineRun(sla(SlaTarget(target="PT8H"), pause_on=["pending"])).feed(*start, clock_at("2026-03-02T13:00"))
    shorter = sla(SlaTarget(target="PT2H"), pause_on=["pending"], version="2")
    run.publish(shorter, revision=2).feed(clock_at("2026-03-02T14:00")).publish(shorter, revision=3)
    assert told_of(run.feed(updated("2026-03-02T15:00", status="open"), LATER)) == ["opened 2026-03-02T15:00"]
