"""How good scores were, in bounded memory: sums over examples, and histograms for what needs an order."""

import math
from itertools import accumulate
from typing import Final, Self

from schemas.model_quality import Measures, RankingState, ScoresState

PLACES: Final = 400
"""Bins of a score."""
_MAX_LOG_ODDS: Final = 10.0
"""Scores beyond it, either way, are not told apart."""
_BINS: Final = 20
LEAST_PROBABILITY: Final = 1e-15


class Ranking:
    """The area under the ROC curve of scores in bins; two scores of one bin count as equal."""

    def __init__(self) -> None:
        self.churned = [0] * PLACES
        self.stayed = [0] * PLACES

    @classmethod
    def restored(cls, state: RankingState) -> Self:
        """Go on from what was kept."""
        found = cls()
        found.churned, found.stayed = list(state.churned), list(state.stayed)
        return found

    def state(self) -> RankingState:
        """To go on from."""
        return RankingState(churned=list(self.churned), stayed=list(self.stayed))

    def take(self, place: int, *, churned: bool) -> None:
        """Take in the bin of a score (`place_of_probability`, `place_of_days`), and what happened."""
        (self.churned if churned else self.stayed)[place] += 1

    @property
    def rarer(self) -> int:
        """How many examples are of the rarer class."""
        return min(sum(self.churned), sum(self.stayed))

    def auc(self) -> float:
        """The chance that a churned example had a higher score than one that stayed; .5 while there is only one class."""
        pairs = sum(self.churned) * sum(self.stayed)
        if not pairs:
            return 0.5
        below = [0, *accumulate(self.stayed)]
        places = zip(self.churned, self.stayed, below, strict=False)
        return sum(churned * (2 * lower + stayed) for churned, stayed, lower in places) / (2 * pairs)


def place_of_probability(probability: float) -> int:
    """Bins of .05 log odds."""
    bounded = min(1.0 - LEAST_PROBABILITY, max(LEAST_PROBABILITY, probability))
    log_odds = math.log(bounded / (1.0 - bounded))
    place = int((log_odds + _MAX_LOG_ODDS) / (2 * _MAX_LOG_ODDS) * PLACES)
    return min(PLACES - 1, max(0, place))


def probability_of_place(place: int) -> float:
    """In the middle of a bin."""
    return 1.0 / (1.0 + math.exp(_MAX_LOG_ODDS - (place + 0.5) * 2 * _MAX_LOG_ODDS / PLACES))


def place_of_days(days: float) -> int:
    """Bins of 2 %, from an hour to two centuries."""
    return min(PLACES - 1, int(math.log1p(24.0 * max(0.0, days)) * PLACES / 14.5))


class Scores:
    """Of a probability: log loss, Brier score, calibration and ranking."""

    def __init__(self) -> None:
        self.log_loss = 0.0
        self.brier = 0.0
        self.said = [0.0] * _BINS
        self.came = [0] * _BINS
        self.count = [0] * _BINS
        self.ranking = Ranking()

    @classmethod
    def restored(cls, state: ScoresState) -> Self:
        """Go on from what was kept."""
        found = cls()
        found.log_loss, found.brier = state.log_loss, state.brier
        found.said, found.came, found.count = list(state.said), list(state.came), list(state.count)
        found.ranking = Ranking.restored(state.ranking)
        return found

    def state(self) -> ScoresState:
        """To go on from."""
        return ScoresState(
            log_loss=self.log_loss,
            brier=self.brier,
            said=list(self.said),
            came=list(self.came),
            count=list(self.count),
            ranking=self.ranking.state(),
        )

    @property
    def examples(self) -> int:
        """How many were scored."""
        return sum(self.count)

    @property
    def churned(self) -> int:
        """How many of them churned."""
        return sum(self.came)

    def take(self, probability: float, *, churned: bool, loss: float, place: int) -> None:
        """Take in a score and, only then, what really happened; loss and place are of the same probability."""
        self.log_loss += loss
        self.brier += (probability - churned) ** 2
        place_of_bin = min(_BINS - 1, int(probability * _BINS))
        self.said[place_of_bin] += probability
        self.came[place_of_bin] += churned
        self.count[place_of_bin] += 1
        self.ranking.take(place, churned=churned)

    def measures(self) -> Measures:
        """As they are published."""
        examples = self.examples
        count = max(1, examples)
        apart = sum(abs(said - came) for said, came in zip(self.said, self.came, strict=True))
        return Measures(
            examples=examples,
            churned=self.churned,
            auc=self.ranking.auc(),
            log_loss=self.log_loss / count,
            brier=self.brier / count,
            calibration_error=apart / count,
        )


def log_loss(probability: float, *, churned: bool) -> float:
    """Of one prediction; bounded, so that one that was sure and wrong does not drown the rest."""
    said = probability if churned else 1.0 - probability
    return -math.log(max(said, LEAST_PROBABILITY))
