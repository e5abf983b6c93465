"""What people are told, when, and what they are spared."""

from datetime import time
from typing import Any

from plan_run import DAY, HOUR, MONDAY, person, record, routes_to, told_of, written

from schemas.decisions import AlertRecord
from schemas.deliveries import AnyLedger, StormOrder
from sinks.base import Notice
from sinks.local_hours import QuietHours
from sinks.plans import plan_for
from sinks.routes import Budget, Recipient, Route, StormLimit
from sinks.steps import Step

TEN = MONDAY + 10 * HOUR
NIGHT = MONDAY + 23 * HOUR
NIGHTS = QuietHours.of((day * 1440 + 22 * 60, day * 1440 + 31 * 60) for day in range(7))
MORNING = MONDAY + DAY + 7 * HOUR
DIGEST = MONDAY + DAY + 9 * HOUR
OWN = [Route(1, 1, ("owner",), otherwise=("room",))]


class Ann:
    """A plan, what it has told, and the rows that it had written."""

    def __init__(self, recipient: Recipient | None = None, customers: int | None = None, **file: Any) -> None:
        self.recipient = recipient or person()
        self.plan = plan_for(self.recipient, routes_to(self.recipient, **file), written, lambda: customers)
        self.steps: list[Step] = []
        self.rows: dict[bytes, AnyLedger] = {}

    def restarted(self, **file: Any) -> "Ann":
        """After a crash: another plan, of the same rows."""
        again = Ann(self.recipient, **file)
        again.plan.restore(list(self.rows.values()))
        return again

    def take(self, *alerts: AlertRecord, at: int = TEN) -> list[str]:
        return self._told(self.plan.take(alerts, at))

    def due(self, at: int) -> list[str]:
        return self._told(self.plan.due(at))

    def order(self, order: str, at: int, rule: str = "r") -> list[str]:
        decided = StormOrder(recipient="*", rule=rule, order=order, at_ms=at, by="eve")  # type: ignore[arg-type]
        self.rows[decided.key()] = decided
        return self._told(self.plan.order(decided, at))

    def _told(self, steps: list[Step]) -> list[str]:
        self.steps = steps
        self.rows |= {row.key(): row for step in steps for row in step.remember}
        return [key for step in steps for key, _ in told_of(step)]

    def said(self) -> list[tuple[str, str]]:
        """Of the steps just taken: alerts with their states, in the order of the message."""
        notices = [one for step in self.steps for one in step.send if isinstance(one, Notice)]
        return [(item.alert.alert_id, item.alert.state) for one in notices for item in one.items]


def test_an_opening_its_escalation_and_its_end_are_told_and_what_people_did_is_not() -> None:
    ann = Ann()
    assert ann.take(record()) == ["a/1"]
    assert ann.take(record(sequence=2, by="bob", note="x")) == []
    assert ann.take(record(sequence=3, state="escalated")) == ["a/3"]
    assert ann.take(record(sequence=4, state="acked", by="ann")) == []
    assert ann.take(record(sequence=5, state="snoozed", by="ann")) == []
    assert ann.take(record(sequence=6)) == ["a/6"]  # the snooze is over
    assert ann.take(record(sequence=7, state="resolved")) == ["a/7"]
    assert ann.take(record(sequence=8, state="resolved", by="bob", verdict="saved")) == []


def test_the_same_record_again_leads_to_nothing() -> None:
    ann = Ann()
    ann.take(record(sequence=2))
    assert ann.take(record(sequence=1), record(sequence=2)) == []


def test_a_warning_is_told_and_that_it_came_to_nothing_is_not() -> None:
    ann = Ann()
    assert ann.take(record(state="warned")) == ["a/1"]
    assert ann.take(record(sequence=2, state="warned")) == ["a/2"]  # at another fraction
    assert ann.take(record(sequence=3, state="resolved")) == []
    assert ann.steps[0].forget == (b"ann/alert/a",)


def test_what_opens_and_closes_before_it_is_told_is_not_told_an_sla_apart() -> None:
    ann = Ann()
    assert ann.take(record(), record(sequence=2, state="resolved")) == []
    assert ann.take(record("b", kind="sla"), record("b", 2, "resolved", kind="sla")) == ["b/1", "b/2"]
    # closed and opened anew within the batch: the second time is told
    assert ann.take(record("c"), record("c", 2, "expired"), record("c", 3)) == ["c/3"]


def test_inhibited_alerts_are_not_told_of_but_what_was_told_gets_its_end() -> None:
    ann = Ann()
    assert ann.take(record(inhibited_by="b"), record(sequence=2, state="escalated", inhibited_by="b")) == []
    assert ann.take(record(sequence=3, state="escalated")) == ["a/3"]  # no longer inhibited
    assert ann.take(record(sequence=4, state="resolved", inhibited_by="b")) == ["a/4"]


def test_the_new_owner_is_told_as_if_it_had_opened_and_the_old_one_of_its_end() -> None:
    ann, bob = Ann(routes=OWN), Ann(person("bob"), routes=OWN)
    for one in (ann, bob):
        one.take(record(owner="ann", severity="high"))
    assigned = record(sequence=2, state="acked", owner="bob", by="eve")
    assert ann.take(assigned) == []
    assert bob.take(assigned) == ["a/2"]
    assert bob.said() == [("a", "opened")]
    again = record(sequence=3, state="acked", owner="ann", by="bob")
    assert ann.take(again) == ["a/3"]
    assert bob.take(again) == []
    ended = record(sequence=4, state="resolved", owner="ann")
    assert (ann.take(ended), bob.take(ended)) == (["a/4"], ["a/4"])


def test_who_takes_an_alert_is_not_told_of_it_but_of_its_end() -> None:
    ann = Ann(routes=OWN)
    ann.take(record(owner="bob"))
    assert ann.take(record(sequence=2, owner="ann", by="ann")) == []
    assert ann.take(record(sequence=3, state="expired", owner="ann")) == ["a/3"]


def test_quiet_hours_hold_what_comes_until_they_end_and_then_it_is_told_together() -> None:
    #  22:00 ---- 23:00 --------------- 07:00
    #            a, b, critical c       a and b
    ann = Ann(person(quiet=NIGHTS))
    assert ann.take(record("a"), record("b", severity="warning"), record("c", severity="critical"), at=NIGHT) == ["c/1"]
    assert ann.plan.next_due_ms() == MORNING
    assert ann.due(MORNING - 1) == []
    assert ann.due(MORNING) == [f"digest/ann/{MORNING}"]
    assert ann.said() == [("a", "opened"), ("b", "opened")]
    assert ann.take(record("a", 2, "resolved"), at=MORNING + 1) == ["a/2"]


def test_what_is_over_acked_or_somebody_elses_before_the_morning_is_not_told() -> None:
    ann = Ann(person(quiet=NIGHTS), routes=OWN)
    for name in "abcd":
        ann.take(record(name, owner="ann"), at=NIGHT)
    ann.take(record("a", 2, "resolved", owner="ann"), at=NIGHT)
    ann.take(record("b", 2, "acked", owner="ann", by="bob"), at=NIGHT)
    ann.take(record("c", 2, owner="bob", by="eve"), at=NIGHT)
    ann.take(record("d", 2, owner="ann", by="bob", note="look at the second order"), at=NIGHT)
    assert ann.due(MORNING) == [f"digest/ann/{MORNING}"]
    assert ann.said() == [("d", "opened")]
    assert ann.take(record("b", 3, "acked", owner="ann", by="bob", note="called"), at=MORNING) == []


def test_what_was_told_before_stays_known_though_its_return_was_let_go() -> None:
    ann = Ann(person(quiet=NIGHTS))
    ann.take(record(), record(sequence=2, state="snoozed", by="ann"))
    ann.take(record(sequence=3), at=NIGHT)  # the snooze is over
    ann.take(record(sequence=4, state="acked", by="bob"), record(sequence=5, state="acked", by="bob", note="x"), at=NIGHT)
    assert ann.due(MORNING) == []
    assert ann.take(record(sequence=6, state="resolved"), at=MORNING) == ["a/6"]


def test_an_sla_that_was_broken_at_night_is_told_in_the_morning_though_it_was_answered_since() -> None:
    ann = Ann(person(quiet=NIGHTS))
    ann.take(record(kind="sla"), at=NIGHT)
    ann.take(record(sequence=2, state="resolved", kind="sla"), at=NIGHT + 1)
    ann.take(record("b", kind="sla"), at=NIGHT)
    ann.take(record("b", 2, "retracted", kind="sla"), at=NIGHT + 1)  # a late answer: it was not broken
    ann.due(MORNING)
    assert ann.said() == [("a", "resolved")]


def test_what_was_due_while_nobody_could_tell_it_waits_for_the_end_of_the_next_quiet_hours() -> None:
    ann = Ann(person(digest=time(9), budget=Budget(0), quiet=NIGHTS))
    ann.take(record())
    assert ann.due(DIGEST + 14 * HOUR) == []
    assert ann.plan.next_due_ms() == MORNING + DAY
    assert ann.due(MORNING + DAY) == [f"digest/ann/{DIGEST}"]


def test_the_first_of_a_day_above_the_limit_come_at_once_and_the_rest_in_the_digest() -> None:
    ann = Ann(person(budget=Budget(2, 500.0)))
    alerts = [record(name, value_at_risk=value) for name, value in zip("abcde", [600, 499, 500, 700, None], strict=True)]
    assert ann.take(*alerts) == ["a/1", "c/1"]
    assert ann.take(record("f", severity="critical", value_at_risk=1.0)) == ["f/1"]
    assert ann.take(record("b", 2, "escalated", value_at_risk=499)) == ["b/2"]
    assert ann.due(DIGEST) == [f"digest/ann/{DIGEST}"]
    assert ann.said() == [("d", "opened"), ("e", "opened")]
    assert ann.take(record("g", value_at_risk=600), at=DIGEST) == ["g/1"]  # a new day


def test_what_was_told_in_a_digest_ends_in_one_and_what_came_at_once_ends_at_once() -> None:
    ann = Ann(person(budget=Budget(1)))
    ann.take(record("a"), record("b"))
    ann.due(DIGEST)
    ends = [record("a", 2, "resolved"), record("b", 2, "resolved")]
    assert ann.take(*ends, at=DIGEST + 1) == ["a/2"]
    assert ann.due(DIGEST + DAY) == [f"digest/ann/{DIGEST + DAY}"]
    assert ann.said() == [("b", "resolved")]


def test_a_digest_has_the_most_urgent_first_and_what_is_over_last() -> None:
    ann = Ann(person(budget=Budget(0), wake_for=frozenset()))
    ann.take(record("over"))
    ann.due(DIGEST)
    now = DIGEST + 1
    ann.take(record("over", 2, "resolved"), record("low", severity="warning"), at=now)
    ann.take(record("rich", value_at_risk=900.0), record("poor", value_at_risk=9.0), record("unknown"), at=now)
    ann.due(DIGEST + DAY)
    assert [name for name, _ in ann.said()] == ["rich", "poor", "unknown", "low", "over"]


def test_more_customers_than_the_limit_are_one_message_and_the_rest_is_held() -> None:
    ann = Ann(storm=StormLimit(HOUR, 2))
    assert ann.take(*(record(f"a{n}", customer_id=f"c{n % 2}") for n in range(6))) == [f"a{n}/1" for n in range(6)]
    assert ann.take(record("b", customer_id="c2"), at=TEN + 1) == [f"storm/ann/r/{TEN + 1}"]
    assert ann.take(record("c", customer_id="c3", severity="critical"), record("d", rule="other@1"), at=TEN + 2) == ["d/1"]
    assert ann.take(record("b", 2, "escalated", customer_id="c2"), at=TEN + 3) == []
    assert ann.take(record("a0", 2, "resolved", customer_id="c0"), at=TEN + 3) == ["a0/2"]  # was told before
    assert ann.plan.next_due_ms() == TEN + HOUR  # then a0 does not count any more, and is forgotten
    assert ann.due(TEN + HOUR) == []
    assert [step.forget for step in ann.steps] == [(b"ann/alert/a0",)]
    assert ann.due(TEN + 400 * DAY) == []


def test_customers_that_come_slower_than_the_window_are_no_storm() -> None:
    ann = Ann(storm=StormLimit(HOUR, 1))
    assert ann.take(record("a", customer_id="c1"), at=TEN) == ["a/1"]
    assert ann.take(record("b", customer_id="c2"), at=TEN + HOUR) == ["b/1"]
    assert ann.take(record("c", customer_id="c3"), at=TEN + 2 * HOUR - 1) == [f"storm/ann/r/{TEN + 2 * HOUR - 1}"]


def test_a_share_of_all_customers_is_a_storm_where_it_is_known_how_many_there_are() -> None:
    alerts = [record(f"a{n}", customer_id=f"c{n}") for n in range(13)]
    assert len(Ann(storm=StormLimit(HOUR, None, 0.05)).take(*alerts)) == 13
    assert Ann(storm=StormLimit(HOUR, None, 0.05), customers=240).take(*alerts)[-1] == f"storm/ann/r/{TEN}"
    # a share of a few is no storm
    assert Ann(storm=StormLimit(HOUR, None, 0.05), customers=20).take(*alerts)[9:] == ["a9/1", f"storm/ann/r/{TEN}"]


def storm_of(ann: Ann) -> None:
    """Two were told, one is held, and so is each that comes."""
    ann.take(*(record(name, customer_id=name) for name in "abc"))


def test_what_is_released_is_told_together_and_counting_begins_anew() -> None:
    ann = Ann(storm=StormLimit(HOUR, 2))
    storm_of(ann)
    assert ann.order("release", TEN + 1) == [f"release/ann/r/{TEN + 1}"]
    assert ann.said() == [("c", "opened")]
    assert ann.order("release", TEN + 1) == []  # the same again
    assert ann.take(record("d", customer_id="d"), at=TEN + 2) == ["d/1"]


def test_what_is_dropped_is_not_told_unless_somebody_put_it_off() -> None:
    ann = Ann(storm=StormLimit(HOUR, 2))
    storm_of(ann)
    assert ann.order("drop", TEN + 1) == []
    assert ann.take(record("c", 2, "escalated", customer_id="c"), at=TEN + 2) == []
    assert ann.take(record("c", 3, "snoozed", customer_id="c", by="bob"), at=TEN + 3) == []
    assert ann.take(record("c", 4, customer_id="c"), at=TEN + 4) == ["c/4"]


def test_what_ends_while_it_is_held_is_not_told_and_a_storm_that_holds_nothing_ends_when_it_is_calm() -> None:
    ann = Ann(storm=StormLimit(HOUR, 2))
    storm_of(ann)
    assert ann.take(record("c", 2, "resolved", customer_id="c"), at=TEN + 1) == []
    assert ann.take(record("d", customer_id="d"), at=TEN + 2) == []  # still too many
    assert ann.take(record("d", 2, "resolved", customer_id="d"), at=TEN + 3) == []
    assert ann.take(record("e", customer_id="e"), at=TEN + 2 * HOUR) == ["e/1"]


def test_a_storm_is_remembered_before_it_is_told_so_that_it_is_told_again_under_the_same_key() -> None:
    ann = Ann(storm=StormLimit(HOUR, 2))
    storm_of(ann)
    ann.rows |= {row.key(): row for step in ann.steps if not step.send for row in step.remember}  # a crash after the message
    assert ann.restarted(storm=StormLimit(HOUR, 2)).due(TEN + 5) == [f"storm/ann/r/{TEN}"]


def test_what_comes_before_an_order_of_a_clock_that_is_ahead_is_not_counted() -> None:
    ann = Ann(storm=StormLimit(HOUR, 2))
    ann.order("release", TEN + 10)
    assert len(ann.take(*(record(name, customer_id=name) for name in "abc"), at=TEN + 10)) == 3
    assert ann.take(*(record(name, customer_id=name) for name in "defg"), at=TEN + 11)[-1] == f"storm/ann/r/{TEN + 11}"
    assert ann.restarted(storm=StormLimit(HOUR, 2)).due(TEN + 12) == []  # the order is not about it


def test_an_order_from_before_the_storm_is_not_about_it() -> None:
    ann = Ann(storm=StormLimit(HOUR, 2))
    storm_of(ann)
    assert ann.order("release", TEN - 1) == []
    assert ann.order("release", TEN) == [f"release/ann/r/{TEN}"]


def test_a_storm_at_night_wakes_nobody_but_for_what_may() -> None:
    quiet = Ann(person(quiet=NIGHTS), storm=StormLimit(HOUR, 2))
    assert quiet.take(*(record(name, customer_id=name) for name in "abc"), at=NIGHT) == []
    assert quiet.plan.next_due_ms() == MORNING
    assert quiet.due(MORNING) == [f"storm/ann/r/{NIGHT}", f"digest/ann/{MORNING}"]
    loud = Ann(person(quiet=NIGHTS), storm=StormLimit(HOUR, 2))
    critical = [record(name, customer_id=name, severity="critical") for name in "abc"]
    assert loud.take(*critical, at=NIGHT) == ["a/1", "b/1", f"storm/ann/r/{NIGHT}"]


def test_what_is_released_at_night_is_told_in_the_morning() -> None:
    ann = Ann(person(quiet=NIGHTS), storm=StormLimit(HOUR, 2))
    storm_of(ann)
    assert ann.order("release", NIGHT) == []
    assert ann.due(MORNING) == [f"digest/ann/{MORNING}"]
    assert ann.said() == [("c", "opened")]


def test_of_an_alert_that_was_taken_out_nothing_more_is_told() -> None:
    ann = Ann(person(quiet=NIGHTS))
    ann.take(record(), at=NIGHT)
    (step,) = ann.plan.forgotten("a")
    assert (step.forget, step.remember[0].key()) == ((b"ann/alert/a",), b"ann/alert/a")
    assert ann.due(MORNING) == []
    assert ann.plan.forgotten("a") == []


def test_whom_no_route_reaches_is_not_told() -> None:
    ann = Ann(routes=[Route(1, 1, ("ann",), severity=frozenset(["critical"]))])
    assert ann.take(record(severity="high")) == []
    assert ann.steps == []


def test_a_room_is_told_of_an_alert_that_is_given_into_its_reach() -> None:
    room = Ann(person("room", is_person=False), routes=[Route(1, 1, ("room",), owner=frozenset(["ann"]))])
    assert room.take(record(owner="bob")) == []
    assert room.take(record(sequence=2, owner="ann", by="ann")) == ["a/2"]
