"""The batch model that the model is compared with: a logistic regression of scikit-learn, if that is installed.

It is fitted anew at each cut-off to all that has matured by then, with the same features.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.evaluate_measures import Flags, Floats


class BatchModel:
    """Standardised logs of the features, L2 of scikit-learn's default strength."""

    def __init__(self, regression: Any) -> None:  # noqa: ANN401 - scikit-learn's class, which has no types
        self._regression = regression
        self._inputs: list[NDArray[np.float32]] = []
        self._churned: list[Flags] = []
        self._mean: Floats = np.zeros(0)
        self._slope: Floats = np.zeros(0)
        self._fitted: Any = None

    def learn(self, features: Sequence[Sequence[float]], churned: Flags) -> None:
        """Keep matured examples."""
        if len(features):
            self._inputs.append(_logs(np.array(features, np.float64)).astype(np.float32))
            self._churned.append(churned)

    def fit(self) -> None:
        """Fit anew to all that was learned."""
        if not self._inputs:
            return
        inputs, churned = np.concatenate(self._inputs), np.concatenate(self._churned)
        self._inputs, self._churned = [inputs], [churned]
        if churned.all() or not churned.any():
            self._fitted = None
            return
        deviation = inputs.std(axis=0, dtype=np.float64)
        self._mean = inputs.mean(axis=0, dtype=np.float64)
        self._slope = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        self._fitted = self._regression(solver="newton-cholesky").fit(self._scaled(inputs), churned)

    def probabilities(self, features: Floats) -> Floats | None:
        """None while there is nothing to go by: no example yet, or only one class of them."""
        if self._fitted is None:
            return None
        found: Floats = self._fitted.predict_proba(self._scaled(_logs(features)))[:, 1]
        return found

    def _scaled(self, inputs: NDArray[Any]) -> Floats:
        return np.asarray((inputs - self._mean) * self._slope, np.float64)


def batch_model() -> BatchModel | None:
    """The batch model; None if scikit-learn is not installed."""
    try:
        return BatchModel(importlib.import_module("sklearn.linear_model").LogisticRegression)
    except ImportError:
        return None


def _logs(features: Floats) -> Floats:
    """As the model's own: sign(x) log(1 + |x|)."""
    found: Floats = np.sign(features) * np.log1p(np.abs(features))
    return found
