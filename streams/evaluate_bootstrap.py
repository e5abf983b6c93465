"""How sure a difference is: a bootstrap over customers, since the cut-offs of one customer are no independent proof.

Customers are drawn with replacement; a replicate is how often each was drawn, which weighs all of their entries in every
frame. Scores are sorted once a frame, not once a replicate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.evaluate_frames import Frame
from streams.evaluate_measures import Flags, Floats, auc, losses

REPLICATES: Final = 200
"""The standard error is then known to about 5 %."""
SEED: Final = 1

Weights = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean over the cut-offs, of one score less another."""

    mean: float
    error: float
    """Standard, over customers."""


def drawn(codes: NDArray[np.int64], customers: int, *, replicates: int = REPLICATES, seed: int = SEED) -> Weights:
    """How often each customer was drawn from those of `codes`: a row a replicate, a column a customer of the file."""
    random = np.random.default_rng(seed)
    found = np.zeros((replicates, customers), np.uint8)
    for row in found:
        counts = np.bincount(random.choice(codes, len(codes)), minlength=customers)
        row[:] = np.minimum(counts, np.iinfo(np.uint8).max)
    return found


def loss_difference(frames: Sequence[Frame], one: str, other: str, weights: Weights) -> Difference:
    """Of the log loss: below zero, `one` is better."""
    means, replicates = [], []
    for frame in frames:
        apart = losses(frame.scores[one], frame.churned) - losses(frame.scores[other], frame.churned)
        means.append(float(apart.mean()))
        own = weights[:, frame.codes].astype(np.float64)
        replicates.append(own @ apart / np.maximum(own.sum(axis=1), 1.0))
    return _over_cuts(means, replicates)


def auc_difference(frames: Sequence[Frame], one: str, other: str, weights: Weights) -> Difference:
    """Of the area under the ROC curve: above zero, `one` is better. Cut-offs with one class only do not count."""
    means, replicates = [], []
    for frame in frames:
        if frame.churned.all() or not frame.churned.any():
            continue
        means.append(auc(frame.scores[one], frame.churned) - auc(frame.scores[other], frame.churned))
        own = weights[:, frame.codes].astype(np.float64)
        replicates.append(
            weighted_auc(own, frame.scores[one], frame.churned) - weighted_auc(own, frame.scores[other], frame.churned)
        )
    return _over_cuts(means, replicates)


def weighted_auc(weights: Floats, scores: Floats, churned: Flags) -> Floats:
    """`auc` of each row of weights; NaN where only one class was drawn."""
    order = np.argsort(scores, kind="stable")
    is_first = np.append(True, np.diff(scores[order]) != 0)
    starts = np.flatnonzero(is_first)
    sorted_weights = weights[:, order]
    everybody = np.add.reduceat(sorted_weights, starts, axis=1)
    gone = np.add.reduceat(sorted_weights * churned[order], starts, axis=1)
    stayed = everybody - gone
    pairs = gone.sum(axis=1) * stayed.sum(axis=1)
    won = (gone * (np.cumsum(stayed, axis=1) - stayed / 2)).sum(axis=1)
    found: Floats = np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return found


def _over_cuts(means: list[float], replicates: list[Floats]) -> Difference:
    if not means:
        return Difference(float("nan"), float("nan"))
    table = np.array(replicates)
    counted = ~np.isnan(table)
    mean_of_each = np.where(counted, table, 0.0).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    return Difference(float(np.mean(means)), float(np.std(mean_of_each, ddof=1)))
