"""The features: one table, and their values at an instant.

The order of `FEATURES` is the order of every vector. A name that is taken out of the table is never used again
with another meaning, since models, examples and rules name features by it.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import sub
from typing import Final

import msgspec

from detectors.feature_state import FeatureState, Logins, Orders, Tickets, fading, remember, settle
from schemas.instants import DAY_MS

__all__ = [
    "FEATURES",
    "NAMES",
    "Feature",
    "FeatureState",
    "by_name",
    "features_at",
    "glimpse",
    "in_words",
    "remember",
    "seen_at",
]

PRIOR_GAP_DAYS: Final = 45.0
"""Mean gap between orders that a customer is believed to have, before their own gaps say otherwise."""
PRIOR_WEIGHT: Final = 2.0
"""How many gaps of the customer's own weigh as much as the prior."""
NO_SURVEY: Final = 0.5
MAX_VALUE: Final = 1e12


@dataclass(frozen=True, slots=True)
class Feature:
    """One row of the table."""

    name: str
    unit: str
    definition: str
    words: str
    """How a reason says it: a template over all features."""
    of: tuple[str, ...]
    """The event types that it is made of: who asks for it waits for their feeds."""


_ORDERS: Final = ("order.*",)
_LOGINS: Final = ("login.*", "usage.*")
_TICKETS: Final = ("ticket.*",)
_SURVEYS: Final = ("survey.*",)

FEATURES: Final = (
    Feature(
        "order_recency_days",
        "days",
        "since the last order; without one: since the first event",
        "last order {order_recency_days:.0f} days ago",
        _ORDERS,
    ),
    Feature(
        "tenure_days",
        "days",
        "since the first event",
        "known for {tenure_days:.0f} days",
        (),
    ),
    Feature(
        "orders",
        "orders",
        "placed and not given back",
        "{orders:.0f} orders in all",
        _ORDERS,
    ),
    Feature(
        "order_gap_mean_days",
        "days",
        "mean gap between days with an order, drawn towards 45 days while there are few",
        "orders every {order_gap_mean_days:.0f} days on average",
        _ORDERS,
    ),
    Feature(
        "order_recency_ratio",
        "ratio",
        "order_recency_days / order_gap_mean_days",
        "{order_recency_ratio:.1f} times the usual gap has passed since the last order",
        _ORDERS,
    ),
    Feature(
        "order_gap_last_days",
        "days",
        "the latest gap, else the mean",
        "{order_gap_last_days:.0f} days between the last two orders",
        _ORDERS,
    ),
    Feature(
        "order_gap_max_days",
        "days",
        "the longest of the last 15 gaps, else the mean",
        "longest gap {order_gap_max_days:.0f} days",
        _ORDERS,
    ),
    Feature(
        "orders_30d",
        "orders",
        "orders, fading with a mean life of 30 days",
        "about {orders_30d:.1f} orders in the last 30 days",
        _ORDERS,
    ),
    Feature(
        "orders_90d",
        "orders",
        "orders, fading with a mean life of 90 days",
        "about {orders_90d:.1f} orders in the last 90 days",
        _ORDERS,
    ),
    Feature(
        "order_value_90d",
        "currency",
        "value of orders, fading with a mean life of 90 days",
        "ordered for about {order_value_90d:.0f} in the last 90 days",
        _ORDERS,
    ),
    Feature(
        "order_value_mean",
        "currency",
        "mean value of an order",
        "an average order of {order_value_mean:.0f}",
        _ORDERS,
    ),
    Feature(
        "returns",
        "returns",
        "returns and cancellations",
        "{returns:.0f} returns or cancellations",
        _ORDERS,
    ),
    Feature(
        "login_recency_days",
        "days",
        "since the last login or use; without one: since the first event",
        "last seen {login_recency_days:.0f} days ago",
        _LOGINS,
    ),
    Feature(
        "logins_7d",
        "logins",
        "logins, fading with a mean life of 7 days",
        "about {logins_7d:.1f} logins in the last 7 days",
        _LOGINS,
    ),
    Feature(
        "logins_30d",
        "logins",
        "logins, fading with a mean life of 30 days",
        "about {logins_30d:.1f} logins in the last 30 days",
        _LOGINS,
    ),
    Feature(
        "usage_30d",
        "uses",
        "uses of any feature, fading with a mean life of 30 days",
        "about {usage_30d:.0f} uses in the last 30 days",
        _LOGINS,
    ),
    Feature(
        "tickets_open",
        "tickets",
        "tickets open now",
        "{tickets_open:.0f} tickets open",
        _TICKETS,
    ),
    Feature(
        "tickets_30d",
        "tickets",
        "tickets opened, fading with a mean life of 30 days",
        "about {tickets_30d:.1f} tickets in the last 30 days",
        _TICKETS,
    ),
    Feature(
        "complaints_90d",
        "tickets",
        "complaints, fading with a mean life of 90 days",
        "about {complaints_90d:.1f} complaints in the last 90 days",
        _TICKETS,
    ),
    Feature(
        "survey_last",
        "share",
        "last survey score over its scale; .5 without one",
        "last survey score {survey_last:.0%} of the scale",
        _SURVEYS,
    ),
)
NAMES: Final = tuple(feature.name for feature in FEATURES)
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(FeatureState)
_OF: Final = {feature.name: feature.of for feature in FEATURES}
_WORDS: Final = {feature.name: feature.words for feature in FEATURES}


def features_at(state: FeatureState, at_ms: int) -> tuple[float, ...]:
    """The values of `FEATURES`, in their order, from what was strictly before the instant.

    Settles the state up to the instant: asked again for an earlier one, what was settled since is in the answer.
    Exact for every instant not before `state.settled_ms`. Always finite.
    """
    settle(state, at_ms)
    tenure = 0.0 if state.first_ms is None else _days(at_ms - state.first_ms)
    values = (
        *_of_orders(state.orders, at_ms, tenure),
        *_of_logins(state.logins, at_ms, tenure),
        *_of_tickets(state.tickets, at_ms),
    )
    if sum(map(abs, values)) <= MAX_VALUE:  # so each of them is, and none is NaN
        return values
    return tuple(_bounded(value) for value in values)


def glimpse(state: FeatureState, at_ms: int) -> tuple[float, ...]:
    """The same as `features_at`, and the state stays as it is."""
    return features_at(_DECODER.decode(_ENCODER.encode(state)), at_ms)


def seen_at(state: FeatureState, at_ms: int) -> Callable[[], Mapping[str, float]]:
    """The features as a predicate sees them that looks at an event of this instant, computed when they are asked for.

    They are made of what has arrived and was strictly before the instant: neither the event itself nor another one of the
    same millisecond is in them. What of earlier events arrives only afterwards is not seen. For a late event, before
    `state.settled_ms`, what was settled since is in them.

    The state stays as it is: to settle it up to an event that lies ahead of the clock would show later looks at an
    earlier instant what came after that. Ask before the state changes; asked again, the answer is the same.
    """
    return _Seen(state, at_ms)


class _Seen:
    """A look that is taken once, when it is asked for."""

    __slots__ = ("_at_ms", "_known", "_state")

    def __init__(self, state: FeatureState, at_ms: int) -> None:
        self._state = state
        self._at_ms = at_ms
        self._known: Mapping[str, float] | None = None

    def __call__(self) -> Mapping[str, float]:
        if self._known is None:
            self._known = by_name(glimpse(self._state, self._at_ms))
        return self._known


def types_behind(names: Iterable[str]) -> list[str]:
    """The event types that some features are made of, as patterns like `order.*`."""
    return sorted({pattern for name in names for pattern in _OF.get(name, ())})


def by_name(values: tuple[float, ...]) -> dict[str, float]:
    """A vector as predicates and records see it."""
    return dict(zip(NAMES, values, strict=True))


def in_words(name: str, values: dict[str, float]) -> str:
    """A reason in English; a feature of another release is named as it is."""
    words = _WORDS.get(name)
    try:
        return words.format_map(values) if words is not None else name
    except KeyError:
        return name


def _of_orders(orders: Orders | None, at_ms: int, tenure: float) -> tuple[float, ...]:
    if orders is None:
        recency_ratio = tenure / PRIOR_GAP_DAYS
        return (tenure, tenure, 0.0, PRIOR_GAP_DAYS, recency_ratio, PRIOR_GAP_DAYS, PRIOR_GAP_DAYS, 0.0, 0.0, 0.0, 0.0, 0.0)
    recency = max(0, at_ms - orders.last_ms) / DAY_MS
    span = orders.last_ms // DAY_MS - orders.first_ms // DAY_MS
    mean_gap = (span + PRIOR_WEIGHT * PRIOR_GAP_DAYS) / (orders.day_count - 1 + PRIOR_WEIGHT)
    last_gap = longest_gap = mean_gap
    days = orders.days
    if len(days) > 1:
        last_gap, longest_gap = float(days[-1] - days[-2]), float(max(map(sub, days[1:], days)))
    kept = orders.placed - orders.gone
    since_ms = max(0, at_ms - orders.weighed_ms)  # before it, the sums are as they stood then
    left_of_90d = fading(since_ms, 90 * DAY_MS)
    return (
        recency,
        tenure,
        float(kept),
        mean_gap,
        recency / mean_gap,
        last_gap,
        longest_gap,
        max(0.0, orders.count_30d * fading(since_ms, 30 * DAY_MS)),
        max(0.0, orders.count_90d * left_of_90d),
        max(0.0, orders.value_90d * left_of_90d),
        orders.value / max(kept, 1),
        float(orders.returns),
    )


def _of_logins(logins: Logins | None, at_ms: int, tenure: float) -> tuple[float, ...]:
    if logins is None:
        return (tenure, 0.0, 0.0, 0.0)
    since_ms = max(0, at_ms - logins.last_ms)
    left_of_30d = fading(since_ms, 30 * DAY_MS)
    return (
        since_ms / DAY_MS,
        logins.count_7d * fading(since_ms, 7 * DAY_MS),
        logins.count_30d * left_of_30d,
        logins.usage_30d * left_of_30d,
    )


def _of_tickets(tickets: Tickets | None, at_ms: int) -> tuple[float, ...]:
    if tickets is None:
        return (0.0, 0.0, 0.0, NO_SURVEY)
    since_ms = max(0, at_ms - tickets.opened_ms)
    return (
        float(sum([ticket.open for ticket in tickets.known.values()])),
        tickets.opened_30d * fading(since_ms, 30 * DAY_MS),
        tickets.complaints_90d * fading(since_ms, 90 * DAY_MS),
        NO_SURVEY if tickets.survey_ms is None else tickets.survey_share,
    )


def _days(length_ms: int) -> float:
    return max(0, length_ms) / DAY_MS


def _bounded(value: float) -> float:
    return min(MAX_VALUE, max(-MAX_VALUE, value)) if math.isfinite(value) else 0.0
