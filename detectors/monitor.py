"""Watches the model for ever: how good it is beside simple scores, whether it may decide, whether labels can be believed."""

from typing import Final, Self

from detectors.baselines import RecencyHistogram
from detectors.drift import Drift
from detectors.label_absence import LabelAbsence
from detectors.measures import Ranking, Scores, log_loss, place_of_days, place_of_probability
from detectors.score_spread import Spread
from schemas.decisions import ExampleRecord
from schemas.instants import DAY_MS, WEEK_MS
from schemas.model_quality import (
    ALARMS,
    BASE_RATE,
    RECENCY,
    SILENCE,
    JudgementState,
    Measures,
    ModelQuality,
    MonitorState,
    ScoreSpread,
)

MIN_EXAMPLES: Final = 3_000
"""Before so many have matured, days of silence alone rank customers better."""
MIN_RARER: Final = 100
WINS: Final = 4
"""Weekly judgements in a row in which the model ranked the active no worse than days of silence."""
_MODEL: Final = "model"
_RECENT: Final = 1_000
"""How many examples the judgement of now looks back over: the mean life of a loss in it."""
_JUDGED_ONE_IN: Final = 15
"""A judgement needs this share of `min_examples`, and of `min_rarer`; with fewer in a week, more weeks make one."""


class Monitor:
    """Takes in what was said of every example, and what happened.

    Args:
        min_examples: matured ones before the model may decide.
        min_rarer: of the rarer class.
    """

    def __init__(self, *, min_examples: int = MIN_EXAMPLES, min_rarer: int = MIN_RARER) -> None:
        self.held_back = 0
        self._min_examples = min_examples
        self._min_rarer = min_rarer
        self._recent_gain = 0.0
        self._base_log_loss = 0.0
        self._model = Scores()
        self._active = {name: Scores() for name in (_MODEL, BASE_RATE, RECENCY)}
        self._silence = Ranking()
        self._histogram = RecencyHistogram()
        self._judgement = _Judgement()
        self._absence = LabelAbsence()
        self._drift = Drift()
        self._spread = Spread()

    @classmethod
    def restored(cls, state: MonitorState, *, min_examples: int = MIN_EXAMPLES, min_rarer: int = MIN_RARER) -> Self:
        """Go on from what was kept."""
        found = cls(min_examples=min_examples, min_rarer=min_rarer)
        found.held_back, found._recent_gain = state.held_back, state.recent_gain
        found._base_log_loss = state.base_log_loss
        found._model = Scores.restored(state.model)
        found._active = {name: Scores.restored(scores) for name, scores in state.active.items()}
        found._silence = Ranking.restored(state.silence)
        found._histogram = RecencyHistogram(state.histogram_churned, state.histogram_count)
        found._judgement = _Judgement.restored(state.judgement)
        found._absence = LabelAbsence.restored(state.absence)
        found._drift = Drift.restored(state.drift)
        found._spread = Spread.restored(state.spread)
        return found

    def state(self) -> MonitorState:
        """To go on from."""
        return MonitorState(
            held_back=self.held_back,
            recent_gain=self._recent_gain,
            model=self._model.state(),
            base_log_loss=self._base_log_loss,
            active={name: scores.state() for name, scores in self._active.items()},
            silence=self._silence.state(),
            histogram_churned=list(self._histogram.churned),
            histogram_count=list(self._histogram.count),
            judgement=self._judgement.state(),
            absence=self._absence.state(),
            drift=self._drift.state(),
            spread=self._spread.state(),
        )

    @property
    def examples(self) -> int:
        """How many were judged; those held back are not among them."""
        return self._model.examples

    @property
    def may_decide(self) -> bool:
        """Whether enough has matured, of both classes, and the model is worth more than the base rate and silence alone."""
        churned = self._model.churned
        enough = self.examples >= self._min_examples and min(churned, self.examples - churned) >= self._min_rarer
        return enough and self._recent_gain > 0 and self._judgement.won >= WINS

    @property
    def alarms(self) -> tuple[str, ...]:
        """Of `ALARMS`, those that stand."""
        stands = (self._drift.has_risen, self._absence.is_missing)
        return tuple(name for name, there in zip(ALARMS, stands, strict=True) if there)

    def judge(self, example: ExampleRecord, probability: float) -> bool:
        """Take in what the model said of an example before it was learned, and what happened.

        Returns:
            Whether it may be learned; False: its label is suspect.
        """
        churned = example.churned
        if self.examples >= self._min_examples:  # before, nobody knows what is to be expected
            self._absence.take(probability, example.at_ms, churned=churned)
            if self._absence.is_suspect(example.at_ms, example.horizon_ms):
                self.held_back += 1
                return False
        loss, place = log_loss(probability, churned=churned), place_of_probability(probability)
        base_rate = self._histogram.base_rate
        base_loss = log_loss(base_rate, churned=churned)
        self._model.take(probability, churned=churned, loss=loss, place=place)
        self._base_log_loss += base_loss
        self._recent_gain += base_loss - loss - self._recent_gain / _RECENT
        self._drift.take(loss)
        silence_days = silence_days_of(example)
        if silence_days * DAY_MS <= example.horizon_ms:
            self._active[_MODEL].take(probability, churned=churned, loss=loss, place=place)
            self._active[BASE_RATE].take(base_rate, churned=churned, loss=base_loss, place=place_of_probability(base_rate))
            self._spread.take(place, example.at_ms)
            self._judge_silence(example, place, silence_days)
        self._histogram.take(silence_days, churned=churned)
        return True

    def spread(self) -> ScoreSpread | None:
        """Of the probabilities of the active, for bands by volume."""
        return self._spread.spread()

    def report(self) -> ModelQuality:
        """As it is published."""
        every, active = self._model.measures(), {name: scores.measures() for name, scores in self._active.items()}
        silence = Measures(examples=active[_MODEL].examples, churned=active[_MODEL].churned, auc=self._silence.auc())
        return ModelQuality(
            examples=every.examples,
            churned=every.churned,
            log_loss=every.log_loss or 0.0,
            base_log_loss=self._base_log_loss / max(1, every.examples),
            auc=every.auc,
            brier=every.brier,
            calibration_error=every.calibration_error,
            active=active[_MODEL],
            baselines={BASE_RATE: active[BASE_RATE], RECENCY: active[RECENCY], SILENCE: silence},
            alarms=list(self.alarms),
        )

    def _judge_silence(self, example: ExampleRecord, place: int, silence_days: float) -> None:
        churned, place_of_silence = example.churned, place_of_days(silence_days)
        said = self._histogram.probability(silence_days)
        loss = log_loss(said, churned=churned)
        self._active[RECENCY].take(said, churned=churned, loss=loss, place=place_of_probability(said))
        self._silence.take(place_of_silence, churned=churned)
        rarer, examples = self._min_rarer // _JUDGED_ONE_IN, self._min_examples // _JUDGED_ONE_IN
        self._judgement.begin(example.at_ms // WEEK_MS, max(1, rarer), max(2, examples))
        self._judgement.take(place, place_of_silence, churned=churned)


class _Judgement:
    """Once a week, by the examples' own time: does the model rank the active no worse than days of silence do?"""

    def __init__(self) -> None:
        self.won = 0
        self._week = 0
        self._model = Ranking()
        self._silence = Ranking()

    @classmethod
    def restored(cls, state: JudgementState) -> Self:
        found = cls()
        found.won, found._week = state.won, state.week
        found._model, found._silence = Ranking.restored(state.model), Ranking.restored(state.silence)
        return found

    def state(self) -> JudgementState:
        return JudgementState(week=self._week, model=self._model.state(), silence=self._silence.state(), won=self.won)

    def begin(self, week: int, rarer: int, examples: int) -> None:
        """A week begins, if it does: judge the one before, if there was enough of it."""
        if week <= self._week:
            return
        self._week = week
        if self._model.rarer < rarer or sum(self._model.churned) + sum(self._model.stayed) < examples:
            return
        if self.won < WINS:  # then it is proven, and only being worse than the base rate speaks against it
            self.won = self.won + 1 if self._model.auc() >= self._silence.auc() else 0
        self._model, self._silence = Ranking(), Ranking()

    def take(self, model: int, silence: int, *, churned: bool) -> None:
        self._model.take(model, churned=churned)
        self._silence.take(silence, churned=churned)


def silence_days_of(example: ExampleRecord) -> float:
    """Since the activity that counts; where only an end is churn, since the last order or login."""
    if example.silence_days is not None:
        return example.silence_days
    known = [days for name, days in zip(example.names, example.features, strict=True) if name.endswith("_recency_days")]
    return min(known, default=0.0)
