"""`score` rules, drawn on a line of days: the probability at each look."""

from detectors.kinds import Transition, View
from detectors.score import ScoreKind
from detectors.state import Customer
from schemas.decisions import RiskReason
from schemas.instants import DAY_MS
from schemas.rules import ScoreRule


class Line:
    """One customer under one rule: above .8, clear below .6."""

    def __init__(self, dwell: str | None = None, cooldown: str | None = None, tiers: list[str] | None = None) -> None:
        rule = ScoreRule(id="risk", version="1", above=0.8, clear_below=0.6, dwell=dwell, cooldown=cooldown, tiers=tiers)
        self.kind = ScoreKind(rule, ("orders",))
        self.customer = Customer({}, touched=False, id="c", first_ms=0)
        self.transitions: list[Transition] = []

    def look(self, day: float, probability: float | None) -> "Line":
        view = View(self.kind.rule, ms(day), None)
        while (wake_ms := self.kind.wake_ms(self.customer)) is not None and wake_ms <= ms(day):
            assert self.kind.on_due(self.customer, wake_ms, view) == []
            assert self.customer.touched
        self.transitions += self.kind.on_look(self.customer, ms(day), probability, view)
        return self

    def told(self) -> list[tuple[str, float, float]]:
        """State, day, and the day at which the episode started."""
        return [(one.state, one.at_ms / DAY_MS, one.episode_start_ms / DAY_MS) for one in self.transitions]


def ms(day: float) -> int:
    return round(day * DAY_MS)


def test_it_opens_above_the_limit_and_clears_below_the_other() -> None:
    line = Line().look(1, 0.8).look(2, 0.81).look(3, 0.9).look(4, 0.6).look(5, 0.59).look(6, 0.7)

    assert line.told() == [("opened", 2, 2), ("resolved", 5, 2)]


def test_the_dwell_must_be_above_the_limit_at_every_look() -> None:
    #  1    2    3    4    5    6    7
    #  .9   .9   .7   .9   .9   .9   .9     dwell 3 days: since 4, opens at 7
    line = Line(dwell="P3D").look(1, 0.9).look(2, 0.9).look(3, 0.7).look(4, 0.9).look(5, 0.9).look(6, 0.9)
    assert line.told() == []

    assert line.look(7, 0.9).told() == [("opened", 7, 4)]
    assert line.transitions[0].due_ms == ms(7)


def test_the_end_of_the_dwell_asks_for_a_look() -> None:
    line = Line(dwell="P3D").look(1, 0.9)

    assert line.kind.wake_ms(line.customer) == ms(4)
    assert line.look(9, 0.9).told() == [("opened", 9, 1)]
    assert line.kind.wake_ms(line.customer) is None


def test_an_opening_that_the_cooldown_suppressed_is_looked_at_again_at_its_end() -> None:
    line = Line(cooldown="P5D").look(1, 0.9).look(2, 0.5).look(3, 0.9)
    assert line.told() == [("opened", 1, 1), ("resolved", 2, 1)]
    assert line.kind.wake_ms(line.customer) == ms(7)

    assert line.look(7, 0.9).told()[2:] == [("opened", 7, 3)]


def test_a_probability_that_is_not_known_changes_nothing() -> None:
    assert Line().look(1, None).look(2, 0.9).look(3, None).told() == [("opened", 2, 2)]


def test_customers_whom_the_rule_is_not_for_are_left_alone_until_it_is() -> None:
    line = Line(tiers=["vip"]).look(1, 0.9)
    assert line.told() == []

    line.customer.tier = "vip"
    assert line.look(2, 0.9).told() == [("opened", 2, 1)]


def test_an_alert_says_why_and_what_would_clear_it() -> None:
    line = Line(dwell="P1D").look(1, 0.9)
    reasons = [RiskReason(feature="order_recency_days", value=61.0, contribution=1.2)]
    (opened,) = line.kind.on_look(line.customer, ms(2), 0.95, View(line.kind.rule, ms(2)), reasons)

    assert [(one.clause, one.value, one.threshold) for one in opened.because] == [
        ("probability", 0.95, 0.8),
        ("above_for_ms", DAY_MS, DAY_MS),
        ("order_recency_days", 61.0, None),
    ]
    assert opened.clears_if is not None
    assert opened.clears_if.below == 0.6
