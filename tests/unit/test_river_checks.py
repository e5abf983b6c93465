"""River's own checks of a classifier, on the model behind its facade; those of features that come and go do not fit:
the features of a model are a table."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from river import base, datasets
from river.checks import clf, common

from detectors.model import ChurnModel
from schemas.decisions import ExampleRecord
from schemas.instants import DAY_MS

CHECKS = [
    clf.check_predict_proba_one,
    clf.check_predict_proba_one_binary,
    common.check_learn_one,
    common.check_predict_one_pure,
    common.check_predict_one_before_any_learn,
    common.check_no_state_aliasing_with_input,
    common.check_shuffle_features_no_impact,
]


class AsRiver(base.Classifier):
    """The facade as River speaks to a classifier."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.model = ChurnModel()

    def learn_one(self, x: dict[str, float], y: bool) -> None:  # type: ignore[override]  # noqa: FBT001 - River's
        """Learn an example; the first says which features there are."""
        self.names = self.names or sorted(x)
        self.model.learn(
            ExampleRecord(
                customer_id="c",
                at_ms=0,
                horizon_ms=DAY_MS,
                churned=bool(y),
                names=self.names,
                features=[x[name] for name in self.names],
                active=True,
            )
        )

    def predict_proba_one(self, x: dict[str, float]) -> dict[bool, float]:  # type: ignore[override]
        """By class."""
        probability = self.model.probability([x[name] for name in self.names]) if self.names else 0.5
        return {True: probability, False: 1.0 - probability}


@pytest.mark.parametrize("check", CHECKS)
def test_the_model_passes_the_check_of_river(check: Callable[[base.Classifier, Iterable[Any]], None]) -> None:
    check(AsRiver(), datasets.Phishing().take(500))


def test_the_checks_see_a_model_that_learned() -> None:
    model = AsRiver()
    hits = 0
    for number, (x, y) in enumerate(datasets.Phishing()):
        hits += number >= 500 and (model.predict_proba_one(x)[True] > 0.5) == y
        before = copy.deepcopy(x)
        model.learn_one(x, y)
        assert x == before
    assert hits > 0.8 * 750
