"""How a model learns: the numbers that were chosen by measuring, and which of two such recipes is in force."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

CLIP: Final = 3.0
"""A standardised feature counts for no more than so many standard deviations."""
BUFFERED: Final = 200
"""First examples that are kept until they have set the means, the spreads and the base rate; then they are learned."""
AVERAGED_EVERY: Final = 100
"""Examples between two steps of the average of the weights."""
_SETTLING: Final = 5.0


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent on the log loss whose averaged weights predict.

    The average is that of polynomial decay (Shamir and Zhang 2013, "Stochastic gradient descent for non-smooth
    optimization"): early weights are forgotten as quickly as they were wrong.
    """

    name: str
    rate: float
    """Step of the weights at the first example; that of the intercept is twice as long."""
    slows_after: float
    """Examples after which the step is shorter by a factor of sqrt(2); infinite: never."""
    least_share: float
    """Of the newest weights in the average: never less, so that it goes on following."""

    def step(self, learned: int) -> float:
        """Length of the step after so many examples."""
        return self.rate / sqrt(1.0 + learned / self.slows_after)

    def share(self, learned: int) -> float:
        """How far the average goes towards the weights after so many examples."""
        return min(1.0, max((_SETTLING + 1.0) / (learned / AVERAGED_EVERY + _SETTLING), self.least_share))


STEADY: Final = Recipe("steady", rate=0.01, slows_after=20_000, least_share=0.003)
"""Averages over the last 33,000 examples."""
QUICK: Final = Recipe("quick", rate=0.01, slows_after=float("inf"), least_share=0.03)
"""Averages over the last 3,300 examples and never slows down: better once what holds is no longer what held."""
RECIPES: Final = (STEADY, QUICK)
"""The first begins as the champion."""
