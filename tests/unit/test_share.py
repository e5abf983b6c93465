"""`share`: how many of the events of whole UTC days match, looked at at midnights."""

from engine_run import EngineRun, complaint, order, rule_set, tick, told_by

from schemas.codec import Record
from schemas.decisions import Because, ClearsIf
from schemas.events import SurveyAnswered, TicketClosed, TicketReopened, TicketResolved
from schemas.instants import DAY_MS
from schemas.rule_kinds import ShareRule
from schemas.rules import RuleSet


def bad_scores(**fields: object) -> RuleSet:
    """Half of at least four answers within ten days are low."""
    return rule_set(
        ShareRule(
            **{  # type: ignore[arg-type]
                "id": "bad-scores",
                "version": "1",
                "of": ["survey.answered"],
                "where": "event.score * 2.0 < event.scale_max",
                "share": 0.5,
                "among": 4,
                "within": "P10D",
                **fields,
            }
        )
    )


def unresolved(**fields: object) -> RuleSet:
    """Half of at least two tickets within ten days were not resolved for three."""
    return rule_set(
        ShareRule(
            **{  # type: ignore[arg-type]
                "id": "unresolved",
                "version": "1",
                "of": ["ticket.opened"],
                "unless": ["ticket.resolved", "ticket.closed"],
                "for_": "P3D",
                "share": 0.5,
                "among": 2,
                "within": "P10D",
                **fields,
            }
        )
    )


_names = iter(range(1_000_000))


def answer(day: float, score: float) -> SurveyAnswered:
    name = f"s{next(_names)}"
    return SurveyAnswered(id=name, customer_id="ann", at_ms=int(day * DAY_MS), survey="csat", score=score, scale_max=5)


def low(day: float) -> SurveyAnswered:
    return answer(day, 1)


def good(day: float) -> SurveyAnswered:
    return answer(day, 5)


def resolved(day: float, ticket: str) -> TicketResolved:
    return TicketResolved(id=f"r{next(_names)}", customer_id="ann", at_ms=int(day * DAY_MS), ticket_id=ticket)


def test_it_opens_at_the_midnight_after_the_answer_that_makes_the_share() -> None:
    #  day  0     1     2     3     4
    #       good  good  low   low ^ opened
    records: list[Record] = [good(0.5), good(1.5), low(2.5), low(3.5)]
    assert told_by(bad_scores(), [*records, tick(3.9)]) == []
    assert told_by(bad_scores(), [*records, tick(4)]) == ["opened@4"]


def test_fewer_than_enough_answers_say_nothing() -> None:
    assert told_by(bad_scores(), [low(0), low(1), low(2), tick(20)]) == []


def test_a_share_just_below_the_limit_says_nothing() -> None:
    assert told_by(bad_scores(), [good(0), good(0), good(0), low(1), low(1), tick(8)]) == []


def test_what_cannot_be_judged_counts_and_does_not_match() -> None:
    rules = bad_scores(where="event.score / 0.0 < 1.0 && event.missing == 1.0", among=1, share=0.1)
    assert told_by(rules, [low(0), tick(5)]) == []


def test_an_answer_at_midnight_belongs_to_the_day_that_begins() -> None:
    assert told_by(bad_scores(among=1), [low(3), tick(3)]) == []
    assert told_by(bad_scores(among=1), [low(3), tick(4)]) == ["opened@4"]


def test_it_clears_when_good_answers_come() -> None:
    records: list[Record] = [good(0), good(0), low(0), low(0), tick(1), good(1), tick(2)]
    assert told_by(bad_scores(), records) == ["opened@1", "resolved@2"]


def test_between_the_two_limits_it_stays_open() -> None:
    rules = bad_scores(clear_below=0.4)
    records: list[Record] = [good(0), good(0), low(0), low(0), tick(1), good(1), tick(2)]  # 2 of 5
    assert told_by(rules, records) == ["opened@1"]
    assert told_by(rules, [*records, good(2), tick(3)]) == ["opened@1", "resolved@3"]  # 2 of 6


def test_it_clears_when_too_few_are_left() -> None:
    #  the days [11 - 10, 11) hold three answers only
    assert told_by(bad_scores(), [low(0), low(1), low(1), low(1), tick(30)]) == ["opened@2", "resolved@11"]


def test_it_opens_when_good_answers_leave_the_window() -> None:
    records: list[Record] = [good(0), good(0), good(0), low(1), good(1), low(2), good(2), tick(30)]
    assert told_by(bad_scores(), records) == ["opened@11", "resolved@12"]


def test_each_midnight_that_opens_begins_an_episode_of_its_own() -> None:
    records: list[Record] = [low(0), low(0), good(0), good(0), good(1), low(2), tick(3.5), good(3), tick(5)]
    run = EngineRun(bad_scores()).feed(*records)
    assert run.told == ["opened@1", "resolved@2", "opened@3", "resolved@4"]
    assert [alert.episode_start_ms for alert in run.alerts] == [1 * DAY_MS, 1 * DAY_MS, 3 * DAY_MS, 3 * DAY_MS]


def test_a_late_answer_counts_for_the_looks_that_are_ahead() -> None:
    #  day 0: three low ones; a fourth of day 0 arrives when midnight 2 is behind us
    assert told_by(bad_scores(), [low(0), low(0), low(0), tick(2.5), low(0.5), tick(3)]) == ["opened@3"]


def test_a_late_answer_takes_back_nothing() -> None:
    records: list[Record] = [low(0), low(0), good(0), good(0), tick(1), good(0.5), tick(2)]
    assert told_by(bad_scores(), records) == ["opened@1", "resolved@2"]


def test_an_answer_that_is_older_than_the_window_is_not_counted() -> None:
    assert told_by(bad_scores(), [low(9), low(9), low(9), tick(12), low(1), tick(13)]) == []


def test_a_new_rule_waits_until_what_it_has_missed_is_out_of_the_window() -> None:
    #  the answer of day 3 was before the rule: only the window [4, 14) is known
    missed: list[Record] = [low(3.5), tick(5)]
    run = EngineRun(rule_set()).feed(*missed).publish(bad_scores(among=2), revision=2)
    assert run.feed(low(6), low(7), tick(13)).told == []
    assert run.feed(tick(14)).told == ["opened@14"]


def test_publishing_again_does_not_begin_anew() -> None:
    run = EngineRun(bad_scores()).feed(low(0), low(0), tick(1)).publish(bad_scores(), revision=2)
    assert run.feed(low(1), low(1), tick(2)).told == ["opened@2"]


def test_a_lower_limit_is_looked_at_at_the_next_midnight() -> None:
    run = EngineRun(bad_scores()).feed(low(0), low(0), tick(1.5))
    assert run.publish(bad_scores(among=2), revision=2).feed(tick(2)).told == ["opened@2"]


def test_a_longer_window_is_known_once_it_was_lived_through() -> None:
    #  within 2: day 0 is forgotten at 5; within 4: known from day 4 on, so at 8
    run = EngineRun(bad_scores(among=2, within="P2D")).feed(low(0), tick(1), low(3), tick(5))
    run.publish(bad_scores(among=1, within="P4D"), revision=2).feed(tick(5.5), low(5.5), tick(6))
    assert run.told == []
    assert run.feed(tick(8)).told == ["opened@8"]


def test_an_alert_says_what_it_saw_and_what_would_clear_it() -> None:
    alert = EngineRun(bad_scores()).feed(good(0), low(0.5), low(1), low(1.5), tick(2)).alerts[0]
    assert alert.because == [
        Because(clause="share", value=0.75, threshold=0.5),
        Because(clause="among", value=4, threshold=4),
        Because(clause="within_ms", value=10 * DAY_MS),
    ]
    assert [one.at_ms / DAY_MS for one in alert.evidence] == [0.5, 1, 1.5]
    assert alert.clears_if == ClearsIf(
        code="share_below",
        of=["survey.answered"],
        at_ms=11 * DAY_MS,
        below=0.5,
        where="!(event.score * 2.0 < event.scale_max)",
    )


def test_only_the_latest_matching_events_are_shown() -> None:
    records: list[Record] = [*(low(0.1 * hour) for hour in range(9)), tick(1)]
    alert = EngineRun(bad_scores()).feed(*records).alerts[0]
    assert [round(one.at_ms / DAY_MS, 1) for one in alert.evidence] == [0.5, 0.6, 0.7, 0.8]


def test_a_ticket_matches_at_the_midnight_after_its_time_is_over() -> None:
    #  opened 0.5 ...... 3.5 unresolved for three days
    records: list[Record] = [complaint(0.5, ticket="a"), complaint(0.5, ticket="b"), resolved(1, "b")]
    assert told_by(unresolved(), [*records, tick(3.9)]) == []
    assert told_by(unresolved(), [*records, tick(4)]) == ["opened@4"]


def test_a_ticket_resolved_at_the_very_end_of_its_time_has_matched() -> None:
    both = [complaint(0, ticket="a"), complaint(0, ticket="b")]
    just_before = resolved(2.999, "a"), resolved(2.999, "b")
    at_the_end = resolved(3, "a"), resolved(3, "b")
    assert told_by(unresolved(), [*both, *just_before, tick(9)]) == []
    assert told_by(unresolved(), [*both, *at_the_end, tick(9)]) == ["opened@3"]


def test_a_ticket_resolved_at_the_instant_it_was_opened_does_not_match() -> None:
    assert told_by(unresolved(among=1), [complaint(0, ticket="a"), resolved(0, "a"), tick(9)]) == []


def test_an_end_that_arrives_before_its_opening_ends_it() -> None:
    assert told_by(unresolved(among=1), [resolved(1, "a"), complaint(0, ticket="a"), tick(9)]) == []


def test_a_late_end_counts_if_it_comes_before_the_look() -> None:
    opened = complaint(0.5, ticket="a")
    assert told_by(unresolved(among=1), [opened, tick(3.9), resolved(1, "a"), tick(9)]) == []
    assert told_by(unresolved(among=1), [opened, tick(4), resolved(1, "a"), tick(9)]) == ["opened@4"]


def test_a_ticket_that_becomes_known_after_its_time_counts_and_does_not_match() -> None:
    #  whether it was resolved may be forgotten by then
    assert told_by(unresolved(among=1), [order(0), tick(5), complaint(0.5, ticket="a"), tick(9)]) == []
    half: list[Record] = [complaint(5, ticket="b"), tick(6), complaint(0.5, ticket="a"), tick(9)]
    assert told_by(unresolved(share=0.6), half) == []
    assert told_by(unresolved(share=0.5), half) == ["opened@8"]


def test_a_ticket_reopened_counts_once_more_where_the_rule_says_so() -> None:
    rules = unresolved(of=["ticket.opened", "ticket.reopened"])
    again = TicketReopened(id="again", customer_id="ann", at_ms=2 * DAY_MS, ticket_id="a")
    records: list[Record] = [complaint(0, ticket="a"), resolved(1, "a"), again, tick(9)]
    assert told_by(rules, records) == ["opened@5"]


def test_any_of_the_ends_ends_a_ticket() -> None:
    closed = TicketClosed(id="closed", customer_id="ann", at_ms=DAY_MS, ticket_id="a")
    assert told_by(unresolved(among=1), [complaint(0, ticket="a"), closed, tick(9)]) == []


def test_a_second_opening_of_a_ticket_is_not_counted() -> None:
    assert told_by(unresolved(), [complaint(0, ticket="a"), complaint(1, ticket="a"), tick(9)]) == []


def test_a_customer_without_answers_in_the_window_needs_no_look() -> None:
    run = EngineRun(bad_scores()).feed(low(0), tick(20))
    customer = run.customer("ann")
    (watch,) = customer.shares.values()
    assert watch.wake_day is None
    assert (watch.every.days, watch.evidence) == ([], [])
