"""Reviews and their labels, drawn on a line of days."""

import math
from itertools import pairwise

import pytest

from detectors.features import NAMES, remember
from detectors.labels import KEPT_ONE_IN, PendingExample, Reviews, drop_pending, next_review_ms
from detectors.pending import PendingExamples
from detectors.state import Customer
from schemas.decisions import ExampleRecord
from schemas.events import AnyEvent, ContractCancelled, LoginSucceeded, OrderPlaced
from schemas.instants import DAY_MS, WEEK_MS
from schemas.rules import Churn, RuleSet

HORIZON = 30
FIRST_MS = next_review_ms("c", 20_000 * DAY_MS)
"""The first review of customer `c`; it is day 0 of every line."""


def ms(day: float) -> int:
    return FIRST_MS + round(day * DAY_MS)


class Line:
    """One customer, the clock and the store, in days."""

    def __init__(self, churn: Churn | None = None, *, max_pending: int = 1000, now: float | None = None) -> None:
        churn = churn or Churn(horizon=f"P{HORIZON}D", or_=["contract.cancelled"])
        reviews = Reviews.of(RuleSet(version="1", tenant="t", churn=churn), max_pending=max_pending)
        assert reviews is not None
        self.reviews, self.store = reviews, PendingExamples()
        self.customer = Customer({}, None, id="c", first_ms=ms(-1))
        self.released: list[ExampleRecord] = []
        self.reviews.adopt(self.customer, None if now is None else ms(now))

    def happens(self, event: AnyEvent) -> "Line":
        self.customer.first_ms = min(self.customer.first_ms, event.at_ms)
        remember(self.customer.features, event)
        if event.type in self.reviews.types:
            self.reviews.on_event(self.customer, event)
        return self

    def orders(self, *days: float) -> "Line":
        for day in days:
            self.happens(OrderPlaced(id=f"o{day}", customer_id="c", at_ms=ms(day), order_id=f"o{day}", amount=10.0))
        return self

    def cancels(self, day: float) -> "Line":
        return self.happens(ContractCancelled(id=f"x{day}", customer_id="c", at_ms=ms(day), contract_id="k"))

    def advance(self, day: float) -> "Line":
        while (wake_ms := self.reviews.wake_ms(self.customer)) <= ms(day):
            self.released += self.reviews.on_due(self.customer, wake_ms, self.store)
        return self

    def labels(self) -> dict[float, bool]:
        """Day of the review and whether the customer churned."""
        return {(example.at_ms - FIRST_MS) / DAY_MS: example.churned for example in self.released}


def test_reviews_are_weekly_and_the_same_in_every_process() -> None:
    reviews = [next_review_ms("some-customer", 1_700_000_000_000)]
    for _ in range(3):
        reviews.append(next_review_ms("some-customer", reviews[-1]))

    assert reviews[0] == 1_700_050_986_286
    assert all(later - earlier == WEEK_MS for earlier, later in pairwise(reviews))


def test_reviews_are_spread_over_the_week() -> None:
    days = {(next_review_ms(f"customer-{n}", 0) - 1) // DAY_MS for n in range(200)}

    assert days == set(range(7))


def test_activity_from_the_review_until_before_the_end_of_the_horizon_is_staying() -> None:
    #   0           review at 0 asks about [0, 30), the next about [7, 37)
    #  o| o         first order before the review: there is a customer to lose
    assert Line().orders(-1, 0).advance(31).labels() == {0: False}
    assert Line().orders(-1, 29.999).advance(31).labels() == {0: False}
    assert Line().orders(-1, 30).advance(45).labels() == {0: True, 7: False, 14: False}
    assert Line().orders(-1).advance(31).labels() == {0: True}


def test_nothing_is_released_before_the_horizon_has_passed_whatever_the_label() -> None:
    stayed, left = Line().orders(-1, 1).advance(29.999), Line().orders(-1).advance(29.999)

    assert stayed.labels() == left.labels() == {}
    assert [line.advance(30).released[0].at_ms for line in (stayed, left)] == [ms(0), ms(0)]


def test_an_event_that_means_an_end_counts_whatever_else_happened() -> None:
    assert Line().orders(-1, 1).cancels(10).advance(36).labels() == {0: True}
    assert Line().orders(-1, 1).cancels(30).advance(36).labels() == {0: False}


def test_a_late_event_corrects_a_label_until_it_is_released() -> None:
    line = Line().orders(-1).advance(29)
    assert line.orders(3).advance(30).labels() == {0: False}

    line = Line().orders(-1).advance(30)
    assert line.orders(3).advance(31).labels() == {0: True}


def test_an_order_before_the_review_says_nothing_about_its_label() -> None:
    assert Line().orders(-1).advance(3).orders(-0.5).advance(31).labels() == {0: True}


def test_features_are_those_before_the_review_whatever_came_since() -> None:
    line = Line().orders(-1, 0, 3).advance(31)
    features = dict(zip(line.released[0].names, line.released[0].features, strict=True))

    assert line.released[0].names == list(NAMES)
    assert features["orders"] == 1
    assert features["order_recency_days"] == pytest.approx(1)


def test_whoever_was_never_active_is_not_reviewed() -> None:
    line = Line().happens(LoginSucceeded(id="l", customer_id="c", at_ms=ms(-1))).advance(10)
    assert len(line.store) == 0

    assert line.orders(12).advance(14.5).customer.labels.pending[0].at_ms == ms(14)


def test_whoever_has_left_is_not_reviewed_until_the_next_activity() -> None:
    line = Line().orders(-1).cancels(-0.5).advance(10)
    assert len(line.store) == 0

    assert len(line.orders(12).advance(14.5).store) == 1


def test_without_activities_only_an_end_is_churn() -> None:
    churn = Churn(horizon="P14D", of=[], or_=["contract.cancelled"])

    assert Line(churn).orders(-1).cancels(20).advance(30).labels() == {0: False, 7: True, 14: True}


def test_recent_activity_is_told_apart() -> None:
    line = Line().orders(-1).advance(70)

    assert [(example.at_ms - FIRST_MS) // WEEK_MS for example in line.released if example.active] == [0, 1, 2, 3, 4]
    assert len(line.released) == 6


def test_the_past_of_a_customer_is_not_reviewed_afterwards() -> None:
    line = Line(now=20).orders(-1).advance(60)

    assert list(line.labels()) == [21, 28]


def test_a_clock_that_jumps_a_year_misses_no_review_and_keeps_the_order() -> None:
    jumping, walking = Line().orders(-1, 40, 200), Line().orders(-1, 40, 200)
    for day in range(366):
        walking.advance(day)

    assert jumping.advance(365).released == walking.released
    assert len(jumping.released) == (365 - HORIZON) // 7 + 1


def test_a_review_before_what_the_features_have_passed_makes_no_example() -> None:
    line = Line().orders(-1)
    line.customer.features.settled_ms = ms(1)

    assert line.advance(40).labels() == {7: True}


def test_pending_examples_outlive_a_changed_horizon_under_their_own() -> None:
    line = Line().orders(-1).advance(8)
    other = Line(Churn(horizon="P14D"))
    line.reviews = other.reviews
    line.advance(36)

    assert [(example.at_ms, example.horizon_ms // DAY_MS) for example in line.released] == [
        (ms(14), 14),
        (ms(0), 30),
        (ms(21), 14),
    ]


def test_above_the_limit_weeks_with_activity_and_a_sample_of_the_rest_are_kept() -> None:
    line = Line(max_pending=0).orders(-1, *range(70, 140))
    line.advance(7 * 1000)
    kept = [(example.at_ms - FIRST_MS) // WEEK_MS for example in line.released]
    eventful = {0, *range(11, 21)}

    assert eventful <= set(kept)
    sampled = len(set(kept) - eventful)
    assert math.isclose(sampled, 985 / KEPT_ONE_IN, rel_tol=0.3)


def test_memory_of_a_customer_is_bounded_by_the_horizon() -> None:
    line = Line()
    for day in range(400):
        line.orders(day, day + 0.5).advance(day)

    assert len(line.customer.labels.pending) <= HORIZON // 7 + 1
    assert len(line.customer.labels.stays) <= HORIZON // 7 + 2
    assert len(line.store) == len(line.customer.labels.pending)


def test_dropping_takes_out_what_is_pending() -> None:
    line = Line().orders(-1).advance(20)
    line.store.take_changes()
    drop_pending(line.customer, line.store)

    assert len(line.store) == 0
    assert [value for _, value in line.store.take_changes()] == [None, None, None]


def test_an_example_of_other_features_is_dropped_when_it_is_due() -> None:
    line = Line().orders(-1).advance(3)
    line.store.put("c", ms(0), PendingExample(feature_set=1, horizon_ms=HORIZON * DAY_MS, active=True, packed=[1.0]))

    assert list(line.advance(38).labels()) == [7]


def test_pending_examples_come_back_from_their_records() -> None:
    line = Line().orders(-1).advance(20)
    restored = PendingExamples()
    for key, value in line.store.take_changes():
        restored.load(key, value)
    line.store = restored

    assert line.advance(31).labels() == {0: True}
    (_, gone), *_ = [change for change in restored.take_changes() if change[0] == f"x/c/{ms(0)}".encode()]
    assert gone is None
