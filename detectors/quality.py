"""How good a model was on examples that it had not learned yet."""

import math
from itertools import accumulate
from typing import Final, Self

from schemas.models import ModelQuality, TrainingState

_BINS: Final = 400
_MAX_LOG_ODDS: Final = 10.0
"""Scores beyond it, either way, are not told apart."""
_LEAST_PROBABILITY: Final = 1e-15
_RECENT: Final = 1_000
"""How many examples the judgement of now looks back over: the mean life of a loss in it."""


class Quality:
    """Prequential log loss, beside that of the base rate so far, and the area under the ROC curve.

    The area is that of a histogram of scores in bins of .05 log odds; two scores of one bin count as equal.
    """

    def __init__(self) -> None:
        self.log_loss_sum = 0.0
        self.base_log_loss_sum = 0.0
        self.recent_gain = 0.0
        """What the features were worth lately: base log loss less log loss, summed and fading."""
        self.churned_by_score = [0] * _BINS
        self.stayed_by_score = [0] * _BINS
        self.churned = 0
        self.stayed = 0

    @classmethod
    def restored(cls, state: TrainingState) -> Self:
        """Go on from what was kept."""
        found = cls()
        found.log_loss_sum, found.base_log_loss_sum = state.log_loss_sum, state.base_log_loss_sum
        found.recent_gain = state.recent_gain
        found.churned_by_score, found.stayed_by_score = list(state.churned_by_score), list(state.stayed_by_score)
        found.churned, found.stayed = sum(state.churned_by_score), sum(state.stayed_by_score)
        return found

    @property
    def examples(self) -> int:
        """How many were scored."""
        return self.churned + self.stayed

    @property
    def rarer(self) -> int:
        """How many of them were of the rarer class."""
        return min(self.churned, self.stayed)

    @property
    def beats_base_rate(self) -> bool:
        """Whether knowing the features was worth something, lately."""
        return self.recent_gain > 0

    def update(self, probability: float, *, churned: bool) -> None:
        """Take in a score and, only then, what really happened."""
        base_rate = (self.churned + 1) / (self.examples + 2)
        loss, base_loss = log_loss(probability, churned=churned), log_loss(base_rate, churned=churned)
        self.log_loss_sum += loss
        self.base_log_loss_sum += base_loss
        self.recent_gain += base_loss - loss - self.recent_gain / _RECENT
        place = _bin_of(probability)
        if churned:
            self.churned += 1
            self.churned_by_score[place] += 1
        else:
            self.stayed += 1
            self.stayed_by_score[place] += 1

    def report(self) -> ModelQuality:
        """As it is published."""
        count = max(1, self.examples)
        return ModelQuality(
            examples=self.examples,
            churned=self.churned,
            log_loss=self.log_loss_sum / count,
            base_log_loss=self.base_log_loss_sum / count,
            auc=self.auc(),
        )

    def auc(self) -> float:
        """The chance that a churned example had a higher score than one that stayed; .5 while there is only one class."""
        if not self.rarer:
            return 0.5
        below = [0, *accumulate(self.stayed_by_score)]
        pairs = zip(self.churned_by_score, self.stayed_by_score, below, strict=False)
        doubled = sum(churned * (2 * lower + stayed) for churned, stayed, lower in pairs)
        return doubled / (2 * self.churned * self.stayed)


def log_loss(probability: float, *, churned: bool) -> float:
    """Of one prediction; bounded, so that one that was sure and wrong does not drown the rest."""
    said = probability if churned else 1.0 - probability
    return -math.log(max(said, _LEAST_PROBABILITY))


def _bin_of(probability: float) -> int:
    bounded = min(1.0 - _LEAST_PROBABILITY, max(_LEAST_PROBABILITY, probability))
    log_odds = math.log(bounded / (1.0 - bounded))
    place = int((log_odds + _MAX_LOG_ODDS) / (2 * _MAX_LOG_ODDS) * _BINS)
    return min(_BINS - 1, max(0, place))
