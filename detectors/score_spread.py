"""How the probabilities of the active customers are spread, and how many of them are reviewed in a day."""

from itertools import accumulate
from typing import Final, Self

from detectors.measures import PLACES, probability_of_place
from schemas.instants import DAY_MS
from schemas.model_quality import ScoreSpread, SpreadState

_FADED_EVERY: Final = 1_000
_LEFT: Final = 0.9
"""Of what was known, after each 1,000 examples: the last 10,000 count."""
_DAY_SHARE: Final = 1 / 14
"""Of the latest day, in the mean number of reviews a day."""
_STEPS: Final = 100
_ENOUGH: Final = 500.0


class Spread:
    """Takes in the probabilities of active customers, in the order of their reviews."""

    def __init__(self) -> None:
        self._weights = [0.0] * PLACES
        self._since_faded = 0
        self._day = 0
        self._today = 0
        self._per_day: float | None = None

    @classmethod
    def restored(cls, state: SpreadState) -> Self:
        """Go on from what was kept."""
        found = cls()
        found._weights, found._since_faded = list(state.weights), state.since_faded
        found._day, found._today, found._per_day = state.day, state.today, state.per_day
        return found

    def state(self) -> SpreadState:
        """To go on from."""
        return SpreadState(
            weights=list(self._weights),
            since_faded=self._since_faded,
            day=self._day,
            today=self._today,
            per_day=self._per_day,
        )

    def take(self, place: int, at_ms: int) -> None:
        """Take in a review: the bin of what the model said, and when."""
        day = at_ms // DAY_MS
        if day > self._day:
            self._end_of_day(day)
        self._today += 1
        self._weights[place] += 1.0
        self._since_faded += 1
        if self._since_faded == _FADED_EVERY:
            self._weights = [weight * _LEFT for weight in self._weights]
            self._since_faded = 0

    def spread(self) -> ScoreSpread | None:
        """As it is published; None while too little is known."""
        total = sum(self._weights)
        if total < _ENOUGH or self._per_day is None:
            return None
        quantiles, wanted = [], 0
        for place, below in enumerate(accumulate(self._weights)):
            while wanted <= _STEPS and below >= wanted / _STEPS * total - 1e-9 * total:
                quantiles.append(probability_of_place(place))
                wanted += 1
        return ScoreSpread(per_day=self._per_day, quantiles=quantiles)

    def _end_of_day(self, day: int) -> None:
        if self._day:
            empty_days = min(100, day - self._day - 1)
            for count in (self._today, *([0] * empty_days)):
                self._per_day = count if self._per_day is None else self._per_day + _DAY_SHARE * (count - self._per_day)
        self._day, self._today = day, 0
