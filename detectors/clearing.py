"""What would bring a customer's probability of churn below a limit: the model is asked what it would say after an event."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from detectors.features import NAMES, FeatureState, copied, features_at, remember
from detectors.scoring import Scorer
from schemas.decisions import ClearsIf
from schemas.events import AnyEvent, LoginSucceeded, OrderPlaced, UsageRecorded

MOST_EVENTS: Final = 3
"""Whom more of them would not convince is not told to wait for them."""
_TRIED: Final = ("order.placed", "login.succeeded", "usage.recorded")
_AFTER_MS: Final = 1
"""Features are of what was strictly before an instant."""
_MEAN_VALUE: Final = NAMES.index("order_value_mean")
_ID: Final = "what-if"


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A customer and an instant, for questions to a model; nothing of it changes."""

    scorer: Scorer
    state: FeatureState
    at_ms: int
    prior_gap_days: float

    def probability_after(self, events: Sequence[AnyEvent]) -> float:
        """What the model would say right after some events."""
        copy = copied(self.state)
        for event in events:
            remember(copy, event)
        return self.scorer.probability(features_at(copy, self.at_ms + _AFTER_MS, self.prior_gap_days))


def what_clears(asked: WhatIf, values: Sequence[float], activity: frozenset[str], below: float) -> ClearsIf:
    """The fewest orders, logins or uses after which the model would say less than a limit.

    Tried at the instant of the look, on a copy of what is known; an order is one of the customer's mean value. Of as many
    events, what counts as activity comes first. If nothing that is tried is enough, only the limit is named.
    """
    types = sorted(_TRIED, key=lambda of: (of not in activity, _TRIED.index(of)))
    for count in range(1, MOST_EVENTS + 1):
        for of in types:
            events = [_event(of, number, asked.at_ms, max(0.0, values[_MEAN_VALUE])) for number in range(count)]
            probability = asked.probability_after(events)
            if probability < below:
                return ClearsIf(code="event", of=[of], count=count, below=below, probability=probability)
    return ClearsIf(code="probability_below", below=below)


def _event(of: str, number: int, at_ms: int, amount: float) -> AnyEvent:
    name = f"{_ID}-{number}"
    match of:
        case "order.placed":
            return OrderPlaced(id=name, customer_id=_ID, at_ms=at_ms, order_id=name, amount=amount)
        case "usage.recorded":
            return UsageRecorded(id=name, customer_id=_ID, at_ms=at_ms, feature=_ID)
        case _:
            return LoginSucceeded(id=name, customer_id=_ID, at_ms=at_ms)
