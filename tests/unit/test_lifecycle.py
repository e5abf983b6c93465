"""Stages of a customer, drawn on a line of days; orders are activity, `contract.cancelled` is an end."""

import pytest

from detectors.lifecycle import LifecyclePolicy
from detectors.occurrence import Occurrence
from detectors.state import Customer
from schemas.decisions import LifecycleRecord
from schemas.instants import DAY_MS
from schemas.rules import Churn, Lifecycle, RuleSet

LIMITS = Lifecycle(
    silent_after="P45D", churned_after="P180D", high_risk_above=0.8, high_risk_clear=0.6, high_risk_rules=["complaint-burst"]
)
ORDER, CANCELLED = "order.placed", "contract.cancelled"


class Line:
    """One customer and the clock, in days."""

    def __init__(self) -> None:
        rules = RuleSet(version="1", tenant="t", churn=Churn(or_=[CANCELLED]), lifecycle=LIMITS)
        self.policy = LifecyclePolicy.of(rules)
        self.customer = Customer({}, None, id="c", first_ms=0)
        self.now: float | None = None
        self.told: list[LifecycleRecord] = []

    def seen(self, day: float) -> "Line":
        self.customer.first_ms = ms(day)
        self.told += self.policy.begin(self.customer, ms(day))
        return self

    def does(self, day: float, event_type: str = ORDER) -> "Line":
        now_ms = None if self.now is None else ms(self.now)
        self.told += self.policy.on_activity(self.customer, event_type, ms(day), now_ms)
        return self.advance(self.now) if self.now is not None else self

    def advance(self, day: float) -> "Line":
        self.now = day
        while (wake_ms := self.policy.wake_ms(self.customer)) is not None and wake_ms <= ms(day):
            self.told += self.policy.on_due(self.customer, wake_ms)
        return self

    def scores(self, day: float, probability: float | None, *rules: str) -> "Line":
        self.advance(day)
        self.told += self.policy.on_risk(self.customer, ms(day), probability, rules)
        return self

    def last(self) -> tuple[float, str, str]:
        return self.stages[-1]

    @property
    def stages(self) -> list[tuple[float, str, str]]:
        return [(record.at_ms / DAY_MS, record.stage, record.cause) for record in self.told]


def ms(day: float) -> int:
    return round(day * DAY_MS)


def ordered(*days: float) -> Line:
    line = Line().seen(days[0])
    for day in days:
        line.does(day)
    return line


def test_a_customer_is_new_until_the_second_activity_then_falls_silent_and_churns() -> None:
    #  0     10              55                190
    #  new   active          silent            churned
    line = ordered(0, 10).advance(1000)

    assert line.stages == [
        (0, "new", "first_seen"),
        (10, "active", ORDER),
        (55, "silent", "no_activity"),
        (190, "churned", "no_activity"),
    ]
    assert [record.before_for_ms for record in line.told] == [None, ms(10), ms(45), ms(135)]
    assert [record.sequence for record in line.told] == [1, 2, 3, 4]
    assert line.policy.wake_ms(line.customer) is None


def test_a_customer_who_never_was_active_falls_silent_from_the_first_sight() -> None:
    assert Line().seen(5).advance(60).stages == [(5, "new", "first_seen"), (50, "silent", "no_activity")]


@pytest.mark.parametrize(("day", "falls_silent"), [(44.999, False), (45, True)])
def test_activity_at_the_deadline_comes_too_late(day: float, falls_silent: bool) -> None:  # noqa: FBT001
    stages = ordered(0, day).advance(46).stages

    assert ((45, "silent", "no_activity") in stages) is falls_silent
    assert stages[-1] == (day, "active", ORDER)


def test_activity_that_is_ahead_of_the_clock_waits_for_it() -> None:
    line = ordered(0, 5)
    line.advance(20)
    line.does(60)
    assert line.last() == (5, "active", ORDER)

    line.does(40)
    line.advance(70)

    assert line.last() == (5, "active", ORDER)
    assert line.advance(105).last() == (105, "silent", "no_activity")


def test_activity_brings_back_whoever_was_silent_or_churned() -> None:
    assert ordered(0, 5, 60).advance(61).stages[-2:] == [(50, "silent", "no_activity"), (60, "active", ORDER)]
    assert ordered(0, 5, 300).advance(301).stages[-2:] == [(185, "churned", "no_activity"), (300, "active", ORDER)]


def test_late_activity_undoes_a_silence_that_it_belongs_into() -> None:
    line = ordered(0, 5).advance(60)
    assert line.last() == (50, "silent", "no_activity")

    line.does(30)
    assert line.last() == (30, "active", ORDER)
    assert line.told[-1].before_for_ms == 0
    assert line.advance(80).last() == (75, "silent", "no_activity")


def test_late_activity_older_than_what_is_known_changes_nothing() -> None:
    line = ordered(0, 30).advance(50)
    before = line.stages

    assert line.does(10).stages == before


def test_an_event_that_means_an_end_churns_until_the_customer_comes_back() -> None:
    line = ordered(0, 5).advance(10).does(8, CANCELLED)
    assert line.last() == (8, "churned", CANCELLED)

    assert line.does(7).last() == (8, "churned", CANCELLED)
    assert line.does(9).last() == (9, "active", ORDER)


def test_an_end_that_the_customer_came_back_from_before_it_was_heard_of_is_none() -> None:
    assert ordered(0, 5, 9).advance(10).does(8, CANCELLED).last() == (5, "active", ORDER)


def test_high_risk_by_probability_has_hysteresis() -> None:
    line = ordered(0, 5).scores(10, 0.8)
    assert line.last() == (5, "active", ORDER)

    line.scores(11, 0.81).scores(12, 0.6).scores(13, None)
    assert line.last() == (11, "high_risk", "probability")

    assert line.scores(14, 0.59).last() == (14, "active", "risk_cleared")


def test_high_risk_by_an_open_alert_lasts_until_it_is_closed_and_the_probability_is_low() -> None:
    line = ordered(0, 5).scores(10, None, "other").scores(11, None, "complaint-burst", "other")
    assert line.last() == (11, "high_risk", "rule:complaint-burst")

    assert line.scores(12, 0.7).last() == (11, "high_risk", "rule:complaint-burst")
    assert line.scores(60, None).last() == (60, "silent", "risk_cleared")


def test_activity_does_not_clear_a_high_risk() -> None:
    line = ordered(0, 5).scores(10, 0.9).does(9).does(11).advance(12)

    assert line.last() == (10, "high_risk", "probability")
    assert line.advance(300).last() == (191, "churned", "no_activity")


def test_many_activities_ahead_of_the_clock_are_kept_as_few() -> None:
    line = Line().seen(0)
    for tenth in range(2000):
        line.does(tenth / 10)

    assert len(line.customer.lifecycle.ahead) < 20
    assert line.advance(300).stages == [
        (0, "new", "first_seen"),
        (0.1, "active", ORDER),
        (pytest.approx(199.9 + 45), "silent", "no_activity"),
    ]


def test_a_customer_who_is_here_when_stages_begin_goes_on_from_the_last_activity() -> None:
    line = Line()
    line.customer.first_ms = ms(1)
    line.customer.counts = {ORDER: 3, "login.succeeded": 9}
    line.customer.lasts = {ORDER: Occurrence(ms(20), ORDER, "o"), "login.succeeded": Occurrence(ms(90), "login.succeeded", "l")}
    line.now = 100
    line.told += line.policy.adopt(line.customer, ms(100))

    assert line.advance(100).stages == [(1, "new", "first_seen"), (20, "active", ORDER), (65, "silent", "no_activity")]
    assert line.policy.adopt(line.customer, ms(100)) == []


def test_without_a_churn_section_orders_are_activity() -> None:
    policy = LifecyclePolicy.of(RuleSet(version="1", tenant="t"))

    assert policy.types == {ORDER}
    assert policy.feeds == ("orders",)
