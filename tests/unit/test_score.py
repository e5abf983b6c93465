"""`score` rules, drawn on a line of days: the probability at each look."""

from collections.abc import Sequence

from engine_run import rule_set

from detectors.alert_life import AlertLife
from detectors.score import ScoreKind
from detectors.state import Customer
from detectors.told import Told
from schemas.decisions import Because, ClearsIf
from schemas.instants import DAY_MS
from schemas.rule_kinds import ScoreRule


class Line:
    """One customer under one rule: above .8, clear below .6; what is told by the life of its alerts."""

    def __init__(self, dwell: str | None = None, cooldown: str | None = None, tiers: list[str] | None = None) -> None:
        rule = ScoreRule(id="risk", version="1", above=0.8, clear_below=0.6, dwell=dwell, cooldown=cooldown, tiers=tiers)
        self.kind = ScoreKind(rule, ("orders",))
        self.life = AlertLife(rule_set(rule))
        self.customer = Customer({}, None, id="c", first_ms=0)
        self.records: list[Told] = []

    def look(self, day: float, probability: float | None, reasons: Sequence[Because] = ()) -> "Line":
        self.records += self.life.on_due(self.customer, self.kind, ms(day))
        for said in self.kind.on_look(
            self.customer, ms(day), probability, lambda below: (reasons, ClearsIf(code="probability_below", below=below))
        ):
            self.records += self.life.hear(
                self.customer, self.kind, said, enabled_from_ms=None, reached_ms=ms(day), by_timer=False
            )
        return self

    def told(self) -> list[tuple[str, float, float]]:
        """State, day, and the day at which the episode started."""
        return [(one.said.state, one.said.at_ms / DAY_MS, one.said.episode_start_ms / DAY_MS) for one in self.records]


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


def test_the_end_of_the_dwell_opens_without_a_look() -> None:
    #  the look at 9 comes too late to say that it was over at 4
    assert Line(dwell="P3D").look(1, 0.9).look(9, 0.5).told() == [("opened", 4, 1), ("resolved", 9, 1)]


def test_between_the_limits_nothing_clears_once_it_is_told() -> None:
    assert Line(dwell="P3D").look(1, 0.9).look(4, 0.7).look(5, 0.59).told() == [("opened", 4, 1), ("resolved", 5, 1)]


def test_an_opening_that_the_cooldown_suppressed_is_looked_at_again_at_its_end() -> None:
    line = Line(cooldown="P5D").look(1, 0.9).look(2, 0.5).look(3, 0.9)
    assert line.told() == [("opened", 1, 1), ("resolved", 2, 1)]

    assert line.look(7, 0.9).told()[2:] == [("opened", 7, 3)]


def test_a_probability_that_is_not_known_changes_nothing() -> None:
    assert Line().look(1, None).look(2, 0.9).look(3, None).told() == [("opened", 2, 2)]


def test_customers_whom_the_rule_is_not_for_are_left_alone_until_it_is() -> None:
    line = Line(tiers=["vip"]).look(1, 0.9)
    assert line.told() == []

    line.customer.tiers = [(ms(1.5), "vip")]
    line.life.relook(line.customer, [line.kind])
    assert line.look(2, 0.9).told() == [("opened", 1.5, 1)]


def test_an_alert_says_why_and_what_would_clear_it() -> None:
    reasons = [Because(clause="order_recency_days", value=61.0)]
    (opened,) = Line(dwell="P1D").look(1, 0.95, reasons).look(2, 0.9).records

    assert [(one.clause, one.value, one.threshold) for one in opened.said.because] == [
        ("probability", 0.95, 0.8),
        ("order_recency_days", 61.0, None),
        ("held_for_ms", DAY_MS, DAY_MS),
    ]
    assert opened.said.clears_if is not None
    assert opened.said.clears_if.below == 0.6
