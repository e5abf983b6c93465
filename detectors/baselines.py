"""What a model must be better than: the base rate, and the share that churned after as long a silence."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

SILENCE_DAYS: Final = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 75, 90, 120, 150, 180, 270, 365)
"""Upper edges of the bins of the histogram."""
PRIOR_EXAMPLES: Final = 10.0
"""How many examples at the rate of the bin before it each bin begins with: silences longer than any that has matured so far
are those that matter most early on."""


class RecencyHistogram:
    """The share that churned, overall and by days of silence, of all that has matured so far."""

    def __init__(self, churned: Sequence[int] | None = None, count: Sequence[int] | None = None) -> None:
        bins = len(SILENCE_DAYS) + 1
        self.churned = list(churned or [0] * bins)
        self.count = list(count or [0] * bins)
        self._all_churned, self._all = sum(self.churned), sum(self.count)

    @property
    def base_rate(self) -> float:
        """Of everybody; one of two before anything has matured."""
        return (self._all_churned + 1) / (self._all + 2)

    def probability(self, silence_days: float) -> float:
        """The share of its bin."""
        last = bisect_right(SILENCE_DAYS, silence_days)
        rate = self.base_rate
        for churned, count in zip(self.churned[: last + 1], self.count, strict=False):
            rate = (churned + PRIOR_EXAMPLES * rate) / (count + PRIOR_EXAMPLES)
        return rate

    def take(self, silence_days: float, *, churned: bool) -> None:
        """Take in a matured example."""
        place = bisect_right(SILENCE_DAYS, silence_days)
        self.churned[place] += churned
        self.count[place] += 1
        self._all_churned += churned
        self._all += 1
