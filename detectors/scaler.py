"""Standardises features by their running means and variances (Welford 1962).

In place of River's StandardScaler, which takes longer (`make bench-model`); a law of the tests says that they agree.
"""

from collections.abc import Sequence
from math import sqrt
from operator import add, mul, sub
from typing import Final, Self

from detectors.standardising import standardised

_SETTLED: Final = 1_000
"""Examples after which deviations hardly move."""
_REFRESHED_EVERY: Final = 50
"""Examples between two looks at the deviations from then on: a root for each feature is most of what scaling costs."""


class Scaler:
    """Means and deviations of all that was learned, by place of the feature.

    Args:
        size: how many features there are.
        clip: z is cut off at +- so many standard deviations.
    """

    def __init__(self, size: int, clip: float) -> None:
        self.examples = 0
        self.mean = [0.0] * size
        self.squares = [0.0] * size
        """Sums of squared deviations from the mean."""
        self.scale = [0.0] * size
        """Standard deviations of the population, as of the last refreshing; 0 for what never varied."""
        self._inverse = [0.0] * size
        self._clip = clip

    @classmethod
    def restored(
        cls, examples: int, mean: Sequence[float], squares: Sequence[float], scale: Sequence[float], clip: float
    ) -> Self:
        """Go on from what was kept."""
        found = cls(len(mean), clip)
        found.examples, found.mean, found.squares = examples, list(mean), list(squares)
        found._refresh(list(scale))
        return found

    def learn(self, values: Sequence[float]) -> None:
        """Take in an example."""
        self.examples += 1
        count = self.examples
        apart = list(map(sub, values, self.mean))
        self.mean = [mean + delta / count for mean, delta in zip(self.mean, apart, strict=True)]
        self.squares = list(map(add, self.squares, map(mul, apart, map(sub, values, self.mean))))
        if count < _SETTLED or count % _REFRESHED_EVERY == 0:
            self._refresh([sqrt(max(0.0, squares) / count) for squares in self.squares])

    def z(self, values: Sequence[float]) -> list[float]:
        """Standardised and cut off; a feature that never varied is 0."""
        return standardised(values, self.mean, self._inverse, self._clip)

    def _refresh(self, scale: list[float]) -> None:
        self.scale = scale
        self._inverse = [1.0 / deviation if deviation > 0.0 else 0.0 for deviation in scale]
