"""What would bring a probability down: tried on a copy, the fewest events, activity first."""

import msgspec
from engine_run import complaint, order

from detectors.clearing import MOST_EVENTS, WhatIf, what_clears
from detectors.features import FeatureState, features_at, remember
from detectors.scoring import Scorer
from schemas.decisions import ClearsIf
from schemas.events import AnyEvent
from schemas.instants import DAY_MS
from schemas.model_quality import ModelQuality
from schemas.models import ModelDocument

ORDERS = frozenset({"order.placed"})


def scorer(**weights: float) -> Scorer:
    count = len(weights)
    document = ModelDocument(
        name="churn",
        features=list(weights),
        mean=[0.0] * count,
        scale=[1.0] * count,
        weights=list(weights.values()),
        intercept=0.0,
        horizon_ms=30 * DAY_MS,
        usable=True,
        quality=ModelQuality(examples=1, churned=1, log_loss=0.1, base_log_loss=0.2, auc=0.9),
        trained_until_offset=0,
        library="by hand",
    )
    return Scorer.of(document, "v")


def found(model: Scorer, *events: AnyEvent, below: float = 0.6, activity: frozenset[str] = ORDERS) -> ClearsIf:
    at_ms = 100 * DAY_MS
    state = FeatureState()
    for event in events:
        remember(state, event)
    values, before = features_at(state, at_ms), msgspec.msgpack.encode(state)
    clears_if = what_clears(WhatIf(model, state, at_ms, 45.0), values, activity, below)
    assert msgspec.msgpack.encode(state) == before, "it was tried on a copy"
    return clears_if


def test_an_order_clears_what_silence_raised() -> None:
    clears_if = found(scorer(order_recency_days=0.1), order(50))
    assert (clears_if.code, clears_if.of, clears_if.count, clears_if.below) == ("event", ["order.placed"], 1, 0.6)
    assert clears_if.probability is not None
    assert 0.5 <= clears_if.probability < 0.51


def test_it_takes_as_many_orders_as_it_takes() -> None:
    model = scorer(order_recency_days=0.01, orders=-0.2)
    assert found(model, order(50), below=0.4).count == 2
    assert found(model, order(50), below=0.35).count == 3
    assert found(model, order(50), below=0.3).code == "probability_below", "four would, and nobody is told to wait for them"
    assert MOST_EVENTS == 3


def test_a_login_is_named_where_no_order_would_do() -> None:
    model = scorer(login_recency_days=0.05)
    assert found(model, order(50)).of == ["login.succeeded"]


def test_of_as_many_events_what_counts_as_activity_comes_first() -> None:
    model = scorer(order_recency_days=0.1, login_recency_days=0.1)
    both = scorer(login_recency_days=0.1)
    assert found(model, order(50), below=0.994).of == ["order.placed"]
    assert found(both, order(50), activity=frozenset({"usage.recorded"})).of == ["usage.recorded"]
    assert found(both, order(50), activity=frozenset()).of == ["login.succeeded"]


def test_an_order_is_one_of_the_customers_mean_value() -> None:
    #  with an order of nothing the mean would fall, and so would the probability
    model = scorer(order_value_mean=0.1)
    assert found(model, order(50, amount=10.0), below=0.72).code == "probability_below"


def test_where_no_event_would_do_only_the_limit_is_named() -> None:
    clears_if = found(scorer(complaints_30d=2.0), complaint(99))
    assert clears_if == ClearsIf(code="probability_below", below=0.6)
