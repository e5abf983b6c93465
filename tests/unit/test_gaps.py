"""Events that were lost for good: silences are put off by the gap, windows that overlap it are unknown. Times are days."""

from typing import Any

from engine_run import EngineRun, absence, complaint, feed, order, reply, rule_set, tick

from detectors.engine import PartitionEngine
from schemas.codec import Record
from schemas.control import FeedConfirmed, FeedGap, RulesPublished
from schemas.instants import DAY_MS
from schemas.rule_kinds import CountRule, DeclineRule, RhythmRule, ShareRule, SlaRule, SlaTarget
from schemas.rules import Churn, Lifecycle

SILENT = rule_set(absence(10))


def gap(day: float, first: float, end: float, source: str = "orders", revision: int = 0) -> FeedGap:
    """Told on a day: what happened between two others is lost."""
    return FeedGap(
        at_ms=int(day * DAY_MS), source=source, from_ms=int(first * DAY_MS), until_ms=int(end * DAY_MS), revision=revision
    )


def confirmed(day: float, first: float, end: float, source: str = "orders", revision: int = 0) -> FeedConfirmed:
    """Told on a day: between two others nothing happened."""
    return FeedConfirmed(
        at_ms=int(day * DAY_MS), source=source, from_ms=int(first * DAY_MS), until_ms=int(end * DAY_MS), revision=revision
    )


def clauses(run: EngineRun, place: int = -1) -> dict[str, Any]:
    return {one.clause: one.value for one in run.alerts[place].because}


# --- silences


def test_a_silence_is_put_off_by_the_gap_in_it() -> None:
    #  day    0  2--5      10    13
    #  ann    o  gap        .    due
    run = EngineRun(SILENT).feed(order(0), tick(6), gap(6, 2, 5), tick(12.9))
    assert run.told == []
    assert run.feed(tick(14)).told == ["opened@13"]
    assert clauses(run) == {"silence_ms": 13 * DAY_MS, "unseen_ms": 3 * DAY_MS}


def test_of_a_gap_counts_what_lies_in_the_silence() -> None:
    #  day    0  1--4      10   12   14
    #  ann       o (at 2)            due: 2 days of the gap came after the order
    run = EngineRun(SILENT).feed(order(2), gap(6, 1, 4), tick(13.9))
    assert run.told == []
    assert run.feed(tick(15)).told == ["opened@14"]


def test_a_gap_that_a_longer_silence_reaches_puts_it_off_too() -> None:
    #  day    0  2--5        11--13     15
    #  ann    o  gap         gap       due: without the first gap, 10 would have come before the second
    run = EngineRun(SILENT).feed(order(0), gap(6, 2, 5), gap(14, 11, 13), tick(14.9))
    assert run.told == []
    assert run.feed(tick(16)).told == ["opened@15"]


def test_gaps_that_overlap_are_one() -> None:
    run = EngineRun(SILENT).feed(order(0), gap(6, 2, 5), gap(7, 4, 6), tick(13.9))
    assert run.told == []
    assert run.feed(tick(15)).told == ["opened@14"]


def test_a_gap_of_another_feed_is_none() -> None:
    assert EngineRun(SILENT).feed(order(0), gap(6, 2, 5, "logins"), tick(11)).told == ["opened@10"]


def test_an_alert_that_rests_on_the_gap_is_taken_back_and_comes_again_when_it_is_true() -> None:
    #  day    0    8--12          10         12.5            14
    #  ann    o    gap        opened@10   gap is told    opened again
    run = EngineRun(SILENT).feed(order(0), tick(12), gap(12.5, 8, 12))
    assert run.told == ["opened@10", "retracted@12"]
    assert clauses(run) == {"feed_gap": "orders, 1970-01-09T00:00:00Z to 1970-01-13T00:00:00Z"}
    run.restored().feed(tick(15))
    assert run.told == ["opened@10", "retracted@12", "opened@14"]
    assert [alert.sequence for alert in run.alerts] == [1, 2, 3]
    assert len({alert.alert_id for alert in run.alerts}) == 1


def test_an_alert_from_before_the_gap_stands() -> None:
    run = EngineRun(SILENT).feed(order(0), tick(12), gap(13, 11, 12), tick(14))
    assert run.told == ["opened@10"]


def test_an_alert_that_is_true_in_spite_of_the_gap_stands() -> None:
    assert EngineRun(SILENT).feed(order(0), tick(12), gap(12, 3, 4), tick(20)).told == ["opened@10"]


def test_an_order_after_the_alert_was_taken_back_is_an_order() -> None:
    run = EngineRun(SILENT).feed(order(0), tick(12), gap(12.5, 8, 12), order(13), tick(22.9))
    assert run.told == ["opened@10", "retracted@12"]
    assert run.feed(tick(24)).told[2:] == ["opened@23"]


def test_a_new_silence_after_the_gap_has_its_usual_length() -> None:
    assert EngineRun(SILENT).feed(order(0), gap(6, 2, 5), order(7), tick(18)).told == ["opened@17"]


def test_whoever_says_that_there_was_no_gap_after_all_is_believed() -> None:
    run = EngineRun(SILENT).feed(order(0), gap(6, 2, 5), confirmed(7, 0, 9), tick(11))
    assert run.told == ["opened@10"]


def test_what_was_told_before_is_told_again_by_a_clock_that_restarts_and_changes_nothing() -> None:
    again = (gap(6, 2, 5, revision=3), confirmed(7, 2, 5, revision=4))
    run = EngineRun(SILENT).feed(order(0), *again, tick(11), *again, tick(12))
    assert run.told == ["opened@10"]


def test_gaps_outlive_a_crash() -> None:
    run = EngineRun(SILENT).feed(order(0), gap(6, 2, 5)).restored().feed(tick(12.9))
    assert run.told == []
    assert run.feed(tick(14)).told == ["opened@13"]


def test_a_gap_is_known_to_rules_that_come_later() -> None:
    engine = PartitionEngine(0)
    published = RulesPublished(at_ms=0, version="1", revision=1, document=SILENT)
    records: list[Record] = [order(0), gap(6, 2, 5), published, tick(12), tick(14)]
    decided = [engine.apply(offset, record) for offset, record in enumerate(records)]
    assert [[alert.at_ms // DAY_MS for alert in decisions.alerts] for decisions in decided] == [[], [], [], [], [13]]


def test_a_gap_makes_no_dead_letter() -> None:
    run = EngineRun(SILENT).feed(gap(6, 2, 5), confirmed(6, 2, 5))
    assert [decided.dead_letters for decided in run.decisions] == [[], [], []]


# --- rhythm and tickets


def test_a_rhythm_waits_longer_too() -> None:
    #  day    0 2 4    5---8     due: 4 + 3 x 2 = 10, and 3 for the gap
    rhythm = RhythmRule(id="rhythm", version="1", of=["order.placed"], times=3, min_count=3)
    run = EngineRun(rule_set(rhythm)).feed(order(0), order(2), order(4), gap(9, 5, 8), tick(12.9))
    assert run.told == []
    assert run.feed(tick(14)).told == ["opened@13"]


def test_a_rhythm_that_was_broken_by_the_gap_alone_is_taken_back() -> None:
    rhythm = RhythmRule(id="rhythm", version="1", of=["order.placed"], times=3, min_count=3)
    run = EngineRun(rule_set(rhythm)).feed(order(0), order(2), order(4), tick(11), gap(11, 5, 8), tick(14))
    assert run.told == ["opened@10", "retracted@11", "opened@13"]


def answer_within(days: int) -> SlaRule:
    return SlaRule(id="sla", version="1", clock="first_response", targets=[SlaTarget(target=f"P{days}D")])


def test_a_ticket_clock_stands_still_while_no_answer_could_be_seen() -> None:
    #  day    0  1---3    4          6
    #  T      o  gap     target     breach
    run = EngineRun(rule_set(answer_within(4))).feed(complaint(0, ticket="T"), gap(3.5, 1, 3, "tickets"), tick(5.9))
    assert run.told == []
    assert run.feed(tick(7)).told == ["opened@6"]


def test_a_breach_that_rests_on_the_gap_is_taken_back() -> None:
    run = EngineRun(rule_set(answer_within(4))).feed(complaint(0, ticket="T"), tick(4.5), gap(4.5, 1, 3, "tickets"))
    assert run.told == ["opened@4", "retracted@4.5"]
    assert run.feed(tick(5), reply(5.5, ticket="T"), tick(7)).told == ["opened@4", "retracted@4.5"]


def test_a_breach_that_was_taken_back_is_told_when_it_is_one() -> None:
    run = EngineRun(rule_set(answer_within(4))).feed(complaint(0, ticket="T"), tick(4.5), gap(4.5, 1, 3, "tickets"))
    assert run.feed(tick(7)).told == ["opened@4", "retracted@4.5", "opened@6"]


# --- windows


def test_a_burst_is_not_over_before_its_window_was_seen_whole() -> None:
    #  day    0  1     3--6    10           16
    #  cem    t  t     gap     usual end    the last window that saw the gap is over
    burst = CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P10D")
    run = EngineRun(rule_set(burst)).feed(complaint(0), complaint(1), gap(7, 3, 6, "tickets"), tick(15.9))
    assert run.told == ["opened@1"]
    assert run.feed(tick(17)).told == ["opened@1", "resolved@16"]


def test_a_burst_that_went_on_meanwhile_ends_with_its_own_window() -> None:
    burst = CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P10D")
    events: list[Record] = [complaint(0), complaint(1), gap(7, 3, 6, "tickets"), complaint(14), complaint(15)]
    run = EngineRun(rule_set(burst)).feed(*events, tick(23.9))
    assert run.told == ["opened@1"]
    assert run.feed(tick(25)).told == ["opened@1", "resolved@24"]


def test_a_share_is_not_looked_at_over_days_with_a_gap() -> None:
    #  day    0 1 2  3----4  5 6 7 8 9     window of 4 days: with a look at 3, and none from 4 to 7
    share = ShareRule(
        id="share", version="1", of=["ticket.opened"], where='event.category == "complaint"', within="P4D", share=0.5, among=2
    )
    run = EngineRun(rule_set(share)).feed(gap(4, 3, 4, "tickets"), complaint(4.5), complaint(4.6), tick(7.9))
    assert run.told == []
    assert run.feed(tick(8.5)).told == ["opened@8"]


def test_a_decline_is_not_looked_at_over_days_with_a_gap() -> None:
    #  day    0 .. 9: an order a day, then none; recent 2 days, baseline 6; the gap is day 10
    decline = DeclineRule(id="less", version="1", of=["order.placed"], recent="P2D", baseline="P6D", by=0.5, min_count=2)
    orders = [order(day + 0.5) for day in range(10)]
    without = EngineRun(rule_set(decline)).feed(*orders, tick(19))
    assert without.told[:1] == ["opened@11"]
    run = EngineRun(rule_set(decline)).feed(*orders, gap(11, 10, 11), tick(19))
    assert run.told == []


# --- stages and examples


def test_a_customer_who_was_taken_for_silent_is_active_again() -> None:
    rules = rule_set(lifecycle=Lifecycle(silent_after="P10D", churned_after="P50D"))
    run = EngineRun(rules).feed(order(0), order(1), tick(12), gap(12, 2, 9), tick(17.9))
    stages = [(record.stage, record.cause, record.at_ms / DAY_MS) for decided in run.decisions for record in decided.lifecycle]
    assert stages[2:] == [("silent", "no_activity", 11), ("active", "feed_gap", 12)]
    assert run.feed(tick(19)).customer().stage == "silent"


def test_an_example_whose_horizon_overlaps_a_gap_has_no_label() -> None:
    def examples(*, lost: bool) -> int:
        run = EngineRun(rule_set(churn=Churn(horizon="P10D"))).feed(order(0), tick(1))
        run.feed(tick(9)).feed(*[gap(9, 0, 9)] if lost else []).feed(tick(40))
        return sum(record.at_ms < 9 * DAY_MS for decided in run.decisions for record in decided.examples)

    assert examples(lost=False) > 0
    assert examples(lost=True) == 0


def test_other_feeds_than_those_of_activity_take_no_label_away() -> None:
    run = EngineRun(rule_set(churn=Churn(horizon="P10D"))).feed(order(0), tick(1), gap(1, 0, 30, "tickets"), tick(40))
    assert sum(len(decided.examples) for decided in run.decisions) > 0


def test_a_feed_that_is_not_alive_keeps_its_mark_through_a_gap() -> None:
    run = EngineRun(SILENT).feed(order(0), tick(3), feed(4, "orders", "dead"), gap(5, 3, 4), tick(30))
    assert run.told == []
    assert run.feed(feed(31, "orders", "live"), tick(31)).told == ["opened@11"]
