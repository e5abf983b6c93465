"""One frame a cut-off: everybody who could churn, what each score said, and what happened."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from detectors.baselines import RecencyHistogram
from detectors.engine import PartitionEngine
from schemas.decisions import ExampleRecord
from schemas.instants import DAY_MS
from schemas.model_quality import BASE_RATE, RECENCY, SILENCE
from streams.evaluate_activity import NEVER, Activity, Flags, Ints
from streams.evaluate_batch import BatchModel, batch_model
from streams.evaluate_measures import Floats
from streams.evaluate_walk import Walk

MODEL: Final = "model"
BATCH: Final = "batch"
SCORES: Final = (MODEL, BATCH, BASE_RATE, RECENCY, SILENCE)


@dataclass(frozen=True, slots=True)
class Frame:
    """A cut-off; the arrays belong together, one entry a customer."""

    cut_ms: int
    codes: Ints
    churned: Flags
    active: Flags
    scores: dict[str, Floats]
    usable: bool
    """Whether the model would have decided."""

    def where(self, chosen: Flags) -> "Frame":
        """The same of some customers only."""
        scores = {name: values[chosen] for name, values in self.scores.items()}
        return Frame(self.cut_ms, self.codes[chosen], self.churned[chosen], self.active[chosen], scores, self.usable)


@dataclass(slots=True)
class Framer:
    """Learns what the comparisons learn, and makes frames."""

    activity: Activity
    horizon_ms: int
    active_ms: int
    histogram: RecencyHistogram = field(default_factory=RecencyHistogram)
    batch: BatchModel | None = field(default_factory=batch_model)
    _names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._names = list(self.activity.codes)

    def learn(self, examples: list[ExampleRecord]) -> None:
        """Take in what has matured."""
        if not examples:
            return
        codes = np.array([self.activity.codes[example.customer_id] for example in examples], np.int64)
        at_ms = np.array([example.at_ms for example in examples], np.int64)
        churned = np.array([example.churned for example in examples], np.bool_)
        for days, gone in zip(self._silence_days(codes, at_ms).tolist(), churned.tolist(), strict=True):
            self.histogram.take(days, churned=gone)
        if self.batch is not None:
            self.batch.learn([example.features for example in examples], churned)

    def frame(self, walk: Walk, cut_ms: int) -> Frame:
        """Score everybody who can churn, by what has been seen before the cut-off."""
        codes = np.arange(len(self._names))
        codes = codes[self.activity.can_churn(codes, cut_ms)]
        known, features = self._features(walk.engine, codes, cut_ms)
        codes = codes[known]
        silence_days = self._silence_days(codes, cut_ms)
        scores = {
            MODEL: self._of_model(walk, features),
            BASE_RATE: np.full(len(codes), self.histogram.base_rate),
            RECENCY: np.array([self.histogram.probability(days) for days in silence_days.tolist()], np.float64),
            SILENCE: silence_days,
        }
        if self.batch is not None:
            self.batch.fit()
            said = self.batch.probabilities(features)
            scores[BATCH] = scores[BASE_RATE] if said is None else said
        usable = walk.scorer is not None and walk.scorer.may_decide(self.horizon_ms)
        churned = self.activity.churned(codes, cut_ms, self.horizon_ms)
        active = self.activity.last_sign_ms(codes, cut_ms) >= cut_ms - self.active_ms
        return Frame(cut_ms, codes, churned, active, scores, usable)

    def _features(self, engine: PartitionEngine, codes: Ints, cut_ms: int) -> tuple[Flags, Floats]:
        """Who the engine knows, and the features of those: whoever was erased is in the file, and not there."""
        found = list(engine.features_of((self._names[code] for code in codes), cut_ms))
        known = np.array([values is not None for values in found], np.bool_)
        rows = [values for values in found if values is not None]
        return known, np.array(rows, np.float64) if rows else np.zeros((0, 0))

    def _of_model(self, walk: Walk, features: Floats) -> Floats:
        if walk.scorer is None:  # nothing published yet
            return np.full(len(features), self.histogram.base_rate)
        scorer = walk.scorer
        return np.array([scorer.probability(values) for values in features.tolist()], np.float64)

    def _silence_days(self, codes: Ints, at_ms: Ints | int) -> Floats:
        """Since the last sign of life; without one since the first event."""
        last_ms = self.activity.last_sign_ms(codes, at_ms)
        found: Floats = (at_ms - np.where(last_ms == NEVER, self.activity.first_ms[codes], last_ms)) / DAY_MS
        return found


def frames_through(walk: Walk, framer: Framer, cuts: Iterator[int]) -> Iterator[Frame]:
    """A frame for each cut-off that the walk stops at."""
    for cut_ms in cuts:
        framer.learn(walk.take_examples())
        yield framer.frame(walk, cut_ms)
