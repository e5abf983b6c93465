"""How good probabilities were: plain measures over arrays, and curves to draw."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.measures import LEAST_PROBABILITY

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BINS: Final = 10
"""Of the calibration: of equal width."""


def auc(scores: Floats, churned: Flags) -> float:
    """The chance that one who churned had a higher score than one who stayed; equal scores count half. NaN of one class."""
    _, place = np.unique(scores, return_inverse=True)
    gone = np.bincount(place, churned)
    stayed = np.bincount(place) - gone
    pairs = gone.sum() * stayed.sum()
    return float((gone * (np.cumsum(stayed) - stayed / 2)).sum() / pairs) if pairs else float("nan")


def losses(probabilities: Floats, churned: Flags) -> Floats:
    """Log loss of each."""
    said = np.where(churned, probabilities, 1.0 - probabilities)
    found: Floats = -np.log(np.clip(said, LEAST_PROBABILITY, 1.0))
    return found


def brier(probabilities: Floats, churned: Flags) -> float:
    """The mean squared error."""
    return float(np.mean((probabilities - churned) ** 2))


def calibration(probabilities: Floats, churned: Flags) -> list[tuple[float, float, int]]:
    """Of each bin that anybody is in: mean probability, share that churned, and how many."""
    place = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    said, came = np.bincount(place, probabilities, BINS), np.bincount(place, churned, BINS)
    return [(float(said[i] / n), float(came[i] / n), int(n)) for i, n in enumerate(counts) if n]


def calibration_error(probabilities: Floats, churned: Flags) -> float:
    """The mean distance between what was said and what came, by bin and weighted by how many are in it."""
    bins = calibration(probabilities, churned)
    return sum(abs(said - came) * count for said, came, count in bins) / max(1, sum(count for _, _, count in bins))


def roc(scores: Floats, churned: Flags, points: int = 100) -> list[tuple[float, float]]:
    """False and true positive rate as the limit falls, at so many points at most, from (0, 0) to (1, 1)."""
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    gone, stayed = np.cumsum(churned[order]), np.cumsum(~churned[order])
    if not len(order) or not gone[-1] or not stayed[-1]:
        return [(0.0, 0.0), (1.0, 1.0)]
    x, y = stayed[last_of_ties] / stayed[-1], gone[last_of_ties] / gone[-1]
    kept = np.unique(np.linspace(0, len(x) - 1, min(points, len(x))).astype(np.int64))
    return [(0.0, 0.0), *zip(x[kept].tolist(), y[kept].tolist(), strict=True)]
