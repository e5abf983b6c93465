"""The values of the features at an instant; `feature_table` says what each is."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from operator import sub
from string import Formatter
from typing import Final

import msgspec

from detectors.fading import fading, half_lives, mean_lives
from detectors.feature_orders import Orders, make_up
from detectors.feature_state import DAYS_KEPT, FeatureState, Logins, Tickets, remember, settle
from detectors.feature_table import FEATURES, NAMES, Feature
from schemas.instants import DAY_MS

__all__ = [
    "FEATURES",
    "NAMES",
    "Feature",
    "FeatureState",
    "by_name",
    "compared_with",
    "features_at",
    "glimpse",
    "in_words",
    "remember",
    "seen_at",
]

PRIOR_GAP_DAYS: Final = 45.0
"""Mean gap between orders that a customer is believed to have, before their own gaps say otherwise; for a model it is its
horizon."""
PRIOR_WEIGHT: Final = 2.0
"""How many gaps of the customer's own weigh as much as the prior."""
NO_SURVEY: Final = 0.5
MAX_VALUE: Final = 1e12


RECENT_GAP_SHARE: Final = 0.3
"""Of the latest gap, in the mean that follows the latest ones."""
SHORTEST_MAX_DAYS: Final = 7.0
_NO_ORDER_SUMS: Final = (0.0,) * 12
_NO_LOGINS: Final = (0.0,) * 7
_LATEST_DAYS: Final = tuple((1 << days) - 1 for days in range(DAYS_KEPT))
"""Bits of so many days."""
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(FeatureState)
_BY_NAME: Final = {feature.name: feature for feature in FEATURES}


def features_at(state: FeatureState, at_ms: int, prior_gap_days: float = PRIOR_GAP_DAYS) -> tuple[float, ...]:
    """The values of `FEATURES`, in their order, from what was strictly before the instant.

    Settles the state up to the instant: asked again for an earlier one, what was settled since is in the answer.
    Exact for every instant not before `state.settled_ms`. Always finite.
    """
    settle(state, at_ms)
    tenure = 0.0 if state.first_ms is None else _days(at_ms - state.first_ms)
    values = (
        *_of_orders(state.orders, at_ms, tenure, prior_gap_days),
        *_of_logins(state.logins, at_ms, tenure),
        *_of_tickets(state.tickets, at_ms),
    )
    if sum(map(abs, values)) <= MAX_VALUE:  # so each of them is, and none is NaN
        return values
    return tuple(_bounded(value) for value in values)


def glimpse(state: FeatureState, at_ms: int, prior_gap_days: float = PRIOR_GAP_DAYS) -> tuple[float, ...]:
    """The same as `features_at`, and the state stays as it is."""
    return features_at(copied(state), at_ms, prior_gap_days)


def copied(state: FeatureState) -> FeatureState:
    """A state that may be changed without the first one."""
    found: FeatureState = _DECODER.decode(_ENCODER.encode(state))
    return found


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
    return sorted({pattern for name in names if name in _BY_NAME for pattern in _BY_NAME[name].of})


def by_name(values: tuple[float, ...]) -> dict[str, float]:
    """A vector as predicates and records see it."""
    return dict(zip(NAMES, values, strict=True))


_NOT_SAID: Final[Mapping[str, tuple[str, str]]] = {}


def in_words(name: str, values: dict[str, float], said: Mapping[str, tuple[str, str]] = _NOT_SAID) -> str:
    """A reason, of the features that are known; a feature of another release is named as it is.

    Args:
        name: of the feature.
        values: of the features that are known.
        said: how another language says a feature, and how alone; one that is missing is said in English.
    """
    feature = _BY_NAME.get(name)
    if feature is None:
        return name
    full, alone = said.get(name, (feature.words, feature.alone))
    compared = "orders" not in values or (values["orders"] > 0 and values.get("order_once") != 1)
    for words in (full, alone) if compared else (alone, full):
        if words and values.keys() >= _named_in(words):
            return words.format_map(values)
    return name


def compared_with(name: str, values: Mapping[str, float]) -> dict[str, float]:
    """The other features that `in_words` needs to say a feature in full."""
    feature = _BY_NAME[name]
    needed = _named_in(feature.words) | _named_in(feature.alone) | {"orders", "order_once"}
    return {other: values[other] for other in NAMES if other in needed and other != name}


@cache
def _named_in(words: str) -> frozenset[str]:
    return frozenset(field for _, field, _, _ in Formatter().parse(words) if field is not None)


def _of_orders(orders: Orders | None, at_ms: int, tenure: float, prior: float) -> tuple[float, ...]:
    if orders is None:
        return (tenure, tenure, *_without_orders(tenure, prior))
    if not orders.weeks:
        make_up(orders)
    recency = max(0, at_ms - orders.last_ms) / DAY_MS
    kept = orders.placed - orders.gone
    return (
        recency,
        tenure,
        float(kept),
        *_of_gaps(orders, recency, prior),
        *_order_sums(orders, at_ms),
        orders.value / max(kept, 1),
        kept / (tenure + prior),
        float(len(orders.days) - bisect_left(orders.days, at_ms // DAY_MS - 180)),
        orders.weeks / (tenure / 7 + 1.0),
        1.0 if orders.day_count == 1 else 0.0,
        orders.items / orders.placed,
        float(orders.returns),
    )


def _without_orders(tenure: float, prior: float) -> tuple[float, ...]:
    ratio = tenure / prior
    return (0.0, prior, ratio, prior, prior, ratio, prior, *_NO_ORDER_SUMS)


def _of_gaps(orders: Orders, recency: float, prior: float) -> tuple[float, ...]:
    span = orders.last_ms // DAY_MS - orders.first_ms // DAY_MS
    mean_gap = (span + PRIOR_WEIGHT * prior) / (orders.day_count - 1 + PRIOR_WEIGHT)
    last = longest = mean_gap
    recent = prior
    days = orders.days
    if len(days) > 1:
        gaps = list(map(sub, days[1:], days))
        last, longest = float(gaps[-1]), float(max(gaps))
        for gap in gaps:
            recent += RECENT_GAP_SHARE * (gap - recent)
    return (mean_gap, recency / mean_gap, last, longest, recency / max(longest, SHORTEST_MAX_DAYS), recent)


def _order_sums(orders: Orders, at_ms: int) -> tuple[float, ...]:
    since_ms = max(0, at_ms - orders.weighed_ms)  # before it, the sums are as they stood then
    left_of_30d, left_of_90d = mean_lives(since_ms)
    left_of_14d, left_of_112d = half_lives(since_ms)
    # What was taken back may leave a little less than nothing.
    return (
        max(0.0, orders.half_14d * left_of_14d),
        max(0.0, orders.count_30d * left_of_30d),
        max(0.0, orders.count_90d * left_of_90d),
        max(0.0, orders.value_90d * left_of_90d),
        max(0.0, orders.value_half_112d * left_of_112d),
    )


def _of_logins(logins: Logins | None, at_ms: int, tenure: float) -> tuple[float, ...]:
    if logins is None:
        return (tenure, *_NO_LOGINS)
    since_ms = max(0, at_ms - logins.last_ms)
    left_of_30d, left_of_90d = mean_lives(since_ms)
    age, days = max(0, at_ms // DAY_MS - logins.last_ms // DAY_MS), logins.days
    return (
        since_ms / DAY_MS,
        logins.count_7d * fading(since_ms, 7 * DAY_MS),
        logins.count_30d * left_of_30d,
        logins.count_90d * left_of_90d,
        float((days & _LATEST_DAYS[max(0, 8 - age)]).bit_count()),
        float((days & _LATEST_DAYS[max(0, 29 - age)]).bit_count()),
        float((days & _LATEST_DAYS[max(0, 57 - age)]).bit_count()),
        logins.usage_30d * left_of_30d,
    )


def _of_tickets(tickets: Tickets | None, at_ms: int) -> tuple[float, ...]:
    if tickets is None:
        return (0.0, 0.0, 0.0, 0.0, NO_SURVEY)
    left_of_30d, left_of_90d = mean_lives(max(0, at_ms - tickets.opened_ms))
    return (
        float(sum([ticket.open for ticket in tickets.known.values()])),
        tickets.opened_30d * left_of_30d,
        tickets.complaints_30d * left_of_30d,
        tickets.complaints_90d * left_of_90d,
        NO_SURVEY if tickets.survey_ms is None else tickets.survey_share,
    )


def _days(length_ms: int) -> float:
    return max(0, length_ms) / DAY_MS


def _bounded(value: float) -> float:
    return min(MAX_VALUE, max(-MAX_VALUE, value)) if math.isfinite(value) else 0.0
