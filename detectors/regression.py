"""What River does in the model: descend the log loss of a logistic regression.

River's `optim.Averager` does not reach the weights that a logistic regression predicts with, so they are averaged here.
"""

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final, Self

from river import linear_model, optim
from river.utils import VectorDict

from detectors.recipe import AVERAGED_EVERY, Recipe
from schemas.models import LearnedWeights

LIBRARY: Final = f"river {version('river')}"


class Regression:
    """What one recipe learns: a River regression takes the steps, another holds the average of its weights and predicts."""

    def __init__(self, names: Sequence[str], recipe: Recipe) -> None:
        self._names = names
        self.recipe = recipe
        steps, intercept_steps = _Steps(recipe, 1.0), _Steps(recipe, 2.0)
        self._stepping = linear_model.LogisticRegression(optim.SGD(steps), intercept_lr=intercept_steps)
        self._average = linear_model.LogisticRegression()

    @classmethod
    def restored(cls, names: Sequence[str], recipe: Recipe, learned: LearnedWeights) -> Self:
        """Go on from what was kept."""
        found = cls(names, recipe)
        found._stepping.optimizer.n_iterations = learned.steps
        found._stepping.intercept, found._average.intercept = learned.intercept, learned.average_intercept
        if learned.steps:
            found._stepping._weights = VectorDict(dict(zip(names, learned.weights, strict=True)))
            found._average._weights = VectorDict(dict(zip(names, learned.average, strict=True)))
        return found

    @property
    def weights(self) -> list[float]:
        """That predict, by place of the feature."""
        return self._in_order(self._average.weights)

    @property
    def intercept(self) -> float:
        """That predicts."""
        return float(self._average.intercept)

    def begin_at(self, base_rate: float) -> None:
        """Predict the base rate until something is learned."""
        log_odds = math.log(base_rate / (1.0 - base_rate))
        self._stepping.intercept = self._average.intercept = log_odds

    def probability(self, z: dict[str, float]) -> float:
        """Of churn."""
        return float(self._average.predict_proba_one(z)[True])

    def learn(self, z: dict[str, float], *, churned: bool) -> None:
        """Take a step, and from time to time the average one towards where it led."""
        self._stepping.learn_one(z, churned)
        learned = self._stepping.optimizer.n_iterations
        if learned % AVERAGED_EVERY == 0:
            self._follow(self.recipe.share(learned))

    def learned(self) -> LearnedWeights:
        """As it is kept."""
        return LearnedWeights(
            recipe=self.recipe.name,
            steps=self._stepping.optimizer.n_iterations,
            weights=self._in_order(self._stepping.weights),
            intercept=float(self._stepping.intercept),
            average=self.weights,
            average_intercept=self.intercept,
        )

    def _follow(self, share: float) -> None:
        newest = self._in_order(self._stepping.weights)
        followed = [old + share * (new - old) for old, new in zip(self.weights, newest, strict=True)]
        self._average._weights = VectorDict(dict(zip(self._names, followed, strict=True)))
        self._average.intercept += share * (float(self._stepping.intercept) - self._average.intercept)

    def _in_order(self, weights: Mapping[str, float]) -> list[float]:
        return [float(weights.get(name, 0.0)) for name in self._names]


class _Steps(optim.base.Scheduler):
    """The steps of a recipe, as River asks for them."""

    def __init__(self, recipe: Recipe, factor: float) -> None:
        self.recipe = recipe
        self.factor = factor

    def get(self, t: int) -> float:
        return self.factor * self.recipe.step(t)
