"""Champion and challenger: the second recipe takes over once it was better by more than noise."""

from math import sqrt
from statistics import fmean, stdev
from typing import Final, Self

from detectors.block_mean import BlockMean
from schemas.models import ContestState

BLOCK: Final = 100
"""Examples whose mean difference is one observation."""
ROUND: Final = 50
"""Observations of a round: a decision after every 5,000 examples."""
_STANDARD_ERRORS: Final = 2.0


class Contest:
    """Which of two recipes had the smaller log loss on the same examples, round by round."""

    def __init__(self) -> None:
        self._block = BlockMean(BLOCK)
        self._means: list[float] = []

    def take(self, champion_loss: float, challenger_loss: float) -> bool:
        """Take in the losses of one example; whether the challenger takes over now."""
        mean = self._block.take(champion_loss - challenger_loss)
        if mean is None:
            return False
        self._means.append(mean)
        if len(self._means) < ROUND:
            return False
        means, self._means = self._means, []
        return fmean(means) > _STANDARD_ERRORS * stdev(means) / sqrt(ROUND)

    def state(self) -> ContestState:
        """As far as the round has come."""
        return ContestState(sum=self._block.sum, count=self._block.count, means=list(self._means))

    @classmethod
    def restored(cls, state: ContestState) -> Self:
        """Go on from what was kept."""
        found = cls()
        found._block, found._means = BlockMean.restored(BLOCK, state.sum, state.count), list(state.means)
        return found
