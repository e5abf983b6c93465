"""`count`: complaint bursts, exact to the event."""

from engine_run import EngineRun, complaint, order, rule_set, tick, tier, told_by

from schemas.codec import Record
from schemas.rule_kinds import CountRule


def burst(**fields: object) -> CountRule:
    return CountRule(
        **{  # type: ignore[arg-type]
            "id": "burst",
            "version": "1",
            "of": ["ticket.opened"],
            "where": 'event.category == "complaint"',
            "at_least": 3,
            "within": "P30D",
            **fields,
        }
    )


THREE_IN_30 = rule_set(burst())


def test_the_third_complaint_opens_without_waiting_for_the_clock() -> None:
    assert told_by(THREE_IN_30, [complaint(0), complaint(10)]) == []
    assert told_by(THREE_IN_30, [complaint(0), complaint(10), complaint(20)]) == ["opened@20"]


def test_a_complaint_exactly_one_window_old_is_out() -> None:
    #  window of the event at 30: (0, 30]
    assert told_by(THREE_IN_30, [complaint(0), complaint(10), complaint(30)]) == []
    assert told_by(THREE_IN_30, [complaint(0.01), complaint(10), complaint(30)]) == ["opened@30"]


def test_it_clears_when_the_oldest_leaves_the_window() -> None:
    told = told_by(THREE_IN_30, [complaint(0), complaint(10), complaint(20), tick(30), tick(30.5)])
    assert told == ["opened@20", "resolved@30"]


def test_another_complaint_at_the_instant_the_oldest_leaves_keeps_it_open() -> None:
    told = told_by(THREE_IN_30, [complaint(0), complaint(10), complaint(20), tick(30), complaint(30), tick(39), tick(41)])
    assert told == ["opened@20", "resolved@40"]


def test_other_tickets_do_not_count() -> None:
    assert told_by(THREE_IN_30, [complaint(0), complaint(1), order(2), tick(3)]) == []


def test_a_second_open_of_a_ticket_does_not_count() -> None:
    assert told_by(THREE_IN_30, [complaint(0), complaint(1, ticket="t"), complaint(2, ticket="t")]) == []


def test_complaints_in_any_order_open_at_the_one_that_completes_the_window() -> None:
    run = EngineRun(THREE_IN_30).feed(complaint(20), complaint(0), complaint(10))
    assert run.told == ["opened@20"]
    assert run.alerts[0].because[0].value == 3


def test_a_late_complaint_that_completes_the_window_opens_at_its_own_time() -> None:
    assert told_by(THREE_IN_30, [complaint(10), complaint(20), tick(25), complaint(5)]) == ["opened@5"]


def test_an_opening_in_the_cooldown_is_looked_at_again_at_its_end() -> None:
    rules = rule_set(burst(cooldown="P7D"))
    #  open 20, closed 30 ... cooldown until 37; three more by 33 are still in the window then
    records: list[Record] = [complaint(0), complaint(10), complaint(20), tick(31), complaint(31), complaint(32), complaint(33)]
    assert told_by(rules, records) == ["opened@20", "resolved@30"]
    assert told_by(rules, [*records, tick(37)]) == ["opened@20", "resolved@30", "opened@37"]


def test_an_opening_that_is_over_by_the_end_of_the_cooldown_is_not_told() -> None:
    rules = rule_set(burst(within="P2D", cooldown="P7D"))
    first: list[Record] = [complaint(0), complaint(0.5), complaint(1), tick(4)]
    assert told_by(rules, [*first, complaint(4), complaint(4.1), complaint(4.2), tick(30)]) == ["opened@1", "resolved@2"]


def test_the_rule_may_be_for_some_tiers_only() -> None:
    vips = rule_set(burst(tiers=["vip"]))
    assert told_by(vips, [complaint(0), complaint(1), complaint(2)]) == []
    assert told_by(vips, [tier(0, "vip"), complaint(0), complaint(1), complaint(2)]) == ["opened@2"]


def test_a_late_complaint_changes_nothing_about_an_episode_that_is_over() -> None:
    #  told from 20 to 50; with the late one of 19 the window of 21 would be full as well
    told: list[Record] = [complaint(20), complaint(20), complaint(20), complaint(21), tick(52)]
    assert told_by(THREE_IN_30, [*told, complaint(19)]) == ["opened@20", "resolved@50"]
