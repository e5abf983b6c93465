"""`sla` with `clock: next_response`: from the first message that follows our answer to our next answer, each time anew."""

from engine_run import EngineRun
from ticket_run import (
    answered,
    asked,
    clock_at,
    closed,
    opened,
    reopened,
    resolved,
    sla,
    told,
    told_of,
    updated,
)

from schemas.codec import Record
from schemas.instants import format_instant, parse_instant
from schemas.rule_kinds import SlaTarget

NEXT_2H = sla(SlaTarget(target="PT2H"), clock="next_response")
WARNED_2H = sla(SlaTarget(target="PT2H"), clock="next_response", warn_at=[0.5])
FIRST = [opened("2026-03-02T08:00"), answered("2026-03-02T09:00")]
LATER = clock_at("2026-03-09T00:00")


def test_a_message_after_our_answer_starts_the_clock() -> None:
    #  opened 8   answer 9   message 10 ----- 12
    assert told(NEXT_2H, *FIRST, asked("2026-03-02T10:00"), LATER) == ["opened 2026-03-02T12:00"]


def test_the_opening_and_what_is_written_before_our_first_answer_belong_to_the_first_response() -> None:
    assert told(NEXT_2H, opened("2026-03-02T08:00"), asked("2026-03-02T08:30"), LATER) == []


def test_an_answer_in_time_says_nothing_and_the_next_message_starts_anew() -> None:
    first, second = asked("2026-03-02T10:00"), asked("2026-03-02T11:30")
    assert told(NEXT_2H, *FIRST, first, answered("2026-03-02T11:00"), second, LATER) == ["opened 2026-03-02T13:30"]


def test_of_several_messages_before_an_answer_the_first_counts() -> None:
    messages = [asked("2026-03-02T10:00"), asked("2026-03-02T11:00"), asked("2026-03-02T11:50")]
    assert told(NEXT_2H, *FIRST, *messages, LATER) == ["opened 2026-03-02T12:00"]


def test_each_run_is_an_alert_of_its_own_that_begins_with_its_message() -> None:
    records = [
        *FIRST,
        asked("2026-03-02T10:00"),
        clock_at("2026-03-02T12:30"),
        answered("2026-03-02T13:00"),
        asked("2026-03-02T14:00"),
        clock_at("2026-03-02T17:00"),
    ]
    run = EngineRun(NEXT_2H).feed(*records)
    assert told_of(run) == ["opened 2026-03-02T12:00", "resolved 2026-03-02T13:00", "opened 2026-03-02T16:00"]
    starts = [format_instant(alert.episode_start_ms + 8 * 3_600_000)[11:16] for alert in run.alerts]
    assert starts == ["10:00", "10:00", "14:00"]
    assert run.alerts[0].alert_id != run.alerts[2].alert_id


def test_warnings_are_given_in_each_run() -> None:
    records = [*FIRST, asked("2026-03-02T10:00"), answered("2026-03-02T11:30"), asked("2026-03-02T12:00")]
    assert told(WARNED_2H, *records, clock_at("2026-03-02T13:30")) == [
        "warned0.5 2026-03-02T11:00",
        "resolved 2026-03-02T11:30",
        "warned0.5 2026-03-02T13:00",
    ]


def test_a_private_note_is_no_answer_and_starts_nothing() -> None:
    note = answered("2026-03-02T11:00", public=False)
    assert told(NEXT_2H, *FIRST, asked("2026-03-02T10:00"), note, LATER) == ["opened 2026-03-02T12:00"]
    assert told(NEXT_2H, *FIRST, note, LATER) == []


def test_an_answer_at_the_deadline_is_too_late() -> None:
    records = [*FIRST, asked("2026-03-02T10:00"), answered("2026-03-02T12:00"), LATER]
    assert told(NEXT_2H, *records) == ["opened 2026-03-02T12:00", "resolved 2026-03-02T12:00"]


def test_a_message_and_an_answer_in_the_same_millisecond_count_in_log_order() -> None:
    message, answer = asked("2026-03-02T10:00"), answered("2026-03-02T10:00")
    assert told(NEXT_2H, *FIRST, message, answer, LATER) == []
    assert told(NEXT_2H, *FIRST, answer, message, LATER) == ["opened 2026-03-02T12:00"]


def test_the_customer_writes_last_and_the_ticket_is_solved() -> None:
    solved_in_time = [*FIRST, asked("2026-03-02T10:00"), resolved("2026-03-02T11:00"), LATER]
    assert told(NEXT_2H, *solved_in_time) == []
    too_late = [*FIRST, asked("2026-03-02T10:00"), clock_at("2026-03-02T12:30"), closed("2026-03-02T13:00")]
    assert told(NEXT_2H, *too_late) == ["opened 2026-03-02T12:00", "resolved 2026-03-02T13:00"]


def test_thanks_on_a_solved_ticket_start_nothing_unless_it_is_opened_again() -> None:
    #  solved 10 --- message 11 ... reopened 15 ----- 17
    thanks = [*FIRST, resolved("2026-03-02T10:00"), asked("2026-03-02T11:00")]
    assert told(NEXT_2H, *thanks, LATER) == []
    run = EngineRun(NEXT_2H).feed(*thanks, reopened("2026-03-02T15:00"), LATER)
    assert told_of(run) == ["opened 2026-03-02T17:00"]
    assert run.alerts[0].episode_start_ms == parse_instant("2026-03-02T11:00:00+08:00")


def test_a_ticket_that_was_solved_without_an_answer_counts_as_answered() -> None:
    records = [opened("2026-03-02T08:00"), resolved("2026-03-02T09:00"), reopened("2026-03-02T10:00")]
    assert told(NEXT_2H, *records, LATER) == []
    assert told(NEXT_2H, *records, asked("2026-03-02T11:00"), LATER) == ["opened 2026-03-02T13:00"]


def test_written_while_we_wait_for_the_customer_it_runs_from_the_update_on() -> None:
    rules = sla(SlaTarget(target="PT2H"), clock="next_response", pause_on=["pending"])
    waiting = [*FIRST, updated("2026-03-02T09:30", status="pending"), asked("2026-03-02T10:00")]
    assert told(rules, *waiting, LATER) == []
    assert told(rules, *waiting, updated("2026-03-02T15:00", status="open"), LATER) == ["opened 2026-03-02T17:00"]


def test_it_counts_open_hours_and_whole_working_days_from_its_message() -> None:
    #  Fri 17:00: 1 h, Mon 1 h
    rules = sla(SlaTarget(target="PT2H", calendar="office"), clock="next_response")
    assert told(rules, *FIRST, asked("2026-03-06T17:00"), clock_at("2026-03-12T00:00")) == ["opened 2026-03-09T10:00"]
    rules = sla(SlaTarget(workdays=1, calendar="office"), clock="next_response")
    assert told(rules, *FIRST, asked("2026-03-05T17:00"), clock_at("2026-03-12T00:00")) == ["opened 2026-03-06T18:00"]


def test_a_late_answer_takes_the_breach_back_and_later_messages_are_a_run_of_their_own() -> None:
    records = [
        *FIRST,
        asked("2026-03-02T10:00"),
        asked("2026-03-02T11:30"),
        clock_at("2026-03-02T12:30"),
        answered("2026-03-02T11:00"),
        LATER,
    ]
    assert told(NEXT_2H, *records) == ["opened 2026-03-02T12:00", "retracted 2026-03-02T11:00", "opened 2026-03-02T13:30"]


def test_a_late_message_moves_the_start_if_nothing_was_told() -> None:
    early = asked("2026-03-02T09:30")
    records = [*FIRST, asked("2026-03-02T10:00"), clock_at("2026-03-02T11:00"), early, LATER]
    assert told(NEXT_2H, *records) == ["opened 2026-03-02T11:30"]
    records = [*FIRST, asked("2026-03-02T10:00"), clock_at("2026-03-02T12:00"), early, LATER]
    assert told(NEXT_2H, *records) == ["opened 2026-03-02T12:00"]


def test_a_late_message_moves_the_start_of_a_second_run_too() -> None:
    second = [asked("2026-03-02T14:00"), clock_at("2026-03-02T14:30"), asked("2026-03-02T13:30"), LATER]
    records = [*FIRST, asked("2026-03-02T10:00"), clock_at("2026-03-02T12:00"), answered("2026-03-02T13:00"), *second]
    run = EngineRun(NEXT_2H).feed(*records)
    assert told_of(run)[2:] == ["opened 2026-03-02T15:30"]
    assert run.alerts[2].episode_start_ms == parse_instant("2026-03-02T13:30:00+08:00")


def conversation(days: int) -> list[Record]:
    """A message at ten and an answer at eleven, day by day."""
    found: list[Record] = []
    start_ms = parse_instant("2026-03-02T10:00:00+08:00")
    for day in range(days):
        at_ms = start_ms + day * 86_400_000
        found += [asked(format_instant(at_ms)), answered(format_instant(at_ms + 3_600_000)), clock_after(at_ms)]
    return found


def clock_after(at_ms: int) -> Record:
    return clock_at(format_instant(at_ms + 10 * 3_600_000)[:16])


def test_a_conversation_of_years_is_not_kept_whole_and_is_told_as_if_it_were() -> None:
    run = EngineRun(NEXT_2H).feed(opened("2026-03-02T08:00"), answered("2026-03-02T09:00"), *conversation(500))
    assert told_of(run) == []
    run.feed(asked("2029-03-02T10:00"), clock_at("2029-03-02T13:00"), answered("2029-03-02T14:00"))
    assert told_of(run) == ["opened 2029-03-02T12:00", "resolved 2029-03-02T14:00"]
    assert run.size() < 10_000


def test_what_arrives_for_a_part_of_a_conversation_that_is_no_longer_kept_is_not_told() -> None:
    run = EngineRun(NEXT_2H).feed(opened("2026-03-02T08:00"), answered("2026-03-02T09:00"), *conversation(500))
    run.feed(asked("2026-03-20T09:00"), LATER)
    assert told_of(run) == []


def test_messages_by_the_hundred_without_an_answer_are_one_run() -> None:
    start_ms = parse_instant("2026-03-02T11:00:00+08:00")
    nagging = [asked(format_instant(start_ms + minute * 60_000)) for minute in range(300)]
    run = EngineRun(NEXT_2H).feed(*FIRST, *nagging, clock_at("2026-03-03T00:00"))
    assert told_of(run) == ["opened 2026-03-02T13:00"]
    run.feed(answered("2026-03-03T10:00"))
    assert told_of(run) == ["opened 2026-03-02T13:00", "resolved 2026-03-03T10:00"]
