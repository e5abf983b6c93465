"""The model that learns: River's logistic regression, one example at a time. Nobody else imports River.

Deterministic: the same examples in the same order give the same bytes, whether or not learning was interrupted
and went on from a snapshot.
"""

import math
from importlib.metadata import version
from typing import Final, Self

import msgspec
from river import linear_model, optim, preprocessing
from river.utils import VectorDict

from detectors.quality import Quality
from detectors.scoring import signed_logs
from schemas.decisions import ExampleRecord
from schemas.errors import ContractError
from schemas.models import ModelDocument, TrainingState

LEARNING_RATE: Final = 0.005
INTERCEPT_RATE: Final = 0.01
MIN_EXAMPLES: Final = 3_000
"""Before so many have matured, days of silence alone rank customers better."""
MIN_RARER: Final = 100
LIBRARY: Final = f"river {version('river')}"


class ChurnModel:
    """Learns from matured examples and writes what the engine needs to score.

    Args:
        name: of the model.
        min_examples: matured ones before it may decide.
        min_rarer: of the rarer class.
    """

    quality: Quality
    _names: list[str]
    _horizon_ms: int
    _seen_ms: int
    _scaler: preprocessing.StandardScaler
    _regression: linear_model.LogisticRegression

    def __init__(self, name: str = "churn", *, min_examples: int = MIN_EXAMPLES, min_rarer: int = MIN_RARER) -> None:
        self.name = name
        self._min_examples = min_examples
        self._min_rarer = min_rarer
        self.refused = 0
        self._begin([], 1)

    @classmethod
    def from_snapshot(cls, state: TrainingState, *, min_examples: int = MIN_EXAMPLES, min_rarer: int = MIN_RARER) -> Self:
        """Go on from a snapshot.

        Raises:
            ContractError: its lists do not belong together.
        """
        if len({len(state.features), len(state.mean), len(state.variance), len(state.weights)}) != 1:
            raise ContractError("bad_model", "the lists of the training state belong together and differ in length")
        model = cls(state.name, min_examples=min_examples, min_rarer=min_rarer)
        model._begin(state.features, state.horizon_ms)
        model.refused, model._seen_ms = state.refused, state.seen_ms
        names = state.features
        counts = dict.fromkeys(names, state.examples)
        means, variances = (dict(zip(names, numbers, strict=True)) for numbers in (state.mean, state.variance))
        model._scaler = preprocessing.StandardScaler._from_state(counts, means, variances)
        if state.steps:
            model._regression._weights = VectorDict(dict(zip(names, state.weights, strict=True)))
        model._regression.intercept = state.intercept
        model._regression.optimizer.n_iterations = state.steps
        model.quality = Quality.restored(state)
        return model

    @property
    def usable(self) -> bool:
        """Whether it may decide: enough has matured, of both classes, and it was better than the base rate lately."""
        quality = self.quality
        return quality.examples >= self._min_examples and quality.rarer >= self._min_rarer and quality.beats_base_rate

    def learn(self, example: ExampleRecord) -> bool:
        """Score an example, then learn from it; whether it was of use.

        An example of another horizon, or with other features, is the first of a new model if its review is later than
        all that was learned from so far, and left over from before the change if not: the two never mix.
        """
        if not _is_sound(example) or not self._fits(example):
            self.refused += 1
            return False
        self._seen_ms = max(self._seen_ms, example.at_ms)
        inputs = self._inputs(example.features)
        self.quality.update(self._probability(inputs), churned=example.churned)
        self._scaler.learn_one(inputs)
        self._regression.learn_one(self._scaler.transform_one(inputs), example.churned)
        return True

    def probability(self, values: list[float]) -> float:
        """Of churn within the horizon, for features in the order that was learned."""
        return self._probability(self._inputs(values))

    def document(self, trained_until_offset: int) -> ModelDocument:
        """The scoring part, to be published."""
        weights = self._regression.weights
        return ModelDocument(
            name=self.name,
            features=list(self._names),
            transform="signed_log",
            mean=[self._scaler.means[name] for name in self._names],
            scale=[math.sqrt(self._scaler.vars[name]) for name in self._names],
            weights=[float(weights.get(name, 0.0)) for name in self._names],
            intercept=float(self._regression.intercept),
            horizon_ms=self._horizon_ms,
            usable=self.usable,
            quality=self.quality.report(),
            trained_until_offset=trained_until_offset,
            library=LIBRARY,
        )

    def snapshot(self, next_offset: int) -> TrainingState:
        """All that learning goes on from."""
        weights = self._regression.weights
        return TrainingState(
            name=self.name,
            next_offset=next_offset,
            features=list(self._names),
            horizon_ms=self._horizon_ms,
            seen_ms=self._seen_ms,
            refused=self.refused,
            examples=self.quality.examples,
            churned=self.quality.churned,
            mean=[self._scaler.means[name] for name in self._names],
            variance=[self._scaler.vars[name] for name in self._names],
            weights=[float(weights.get(name, 0.0)) for name in self._names],
            intercept=float(self._regression.intercept),
            steps=self._regression.optimizer.n_iterations,
            log_loss_sum=self.quality.log_loss_sum,
            base_log_loss_sum=self.quality.base_log_loss_sum,
            recent_gain=self.quality.recent_gain,
            churned_by_score=list(self.quality.churned_by_score),
            stayed_by_score=list(self.quality.stayed_by_score),
            library=LIBRARY,
        )

    def _begin(self, names: list[str], horizon_ms: int) -> None:
        self._names = list(names)
        self._horizon_ms = horizon_ms
        self._seen_ms = 0
        self.quality = Quality()
        self._scaler = preprocessing.StandardScaler()
        self._regression = linear_model.LogisticRegression(optim.SGD(LEARNING_RATE), intercept_lr=INTERCEPT_RATE)

    def _fits(self, example: ExampleRecord) -> bool:
        if (example.names, example.horizon_ms) == (self._names, self._horizon_ms):
            return True
        if self._names and example.at_ms <= self._seen_ms:
            return False
        self._begin(example.names, example.horizon_ms)
        return True

    def _inputs(self, values: list[float]) -> dict[str, float]:
        return dict(zip(self._names, signed_logs(values), strict=True))

    def _probability(self, inputs: dict[str, float]) -> float:
        return float(self._regression.predict_proba_one(self._scaler.transform_one(inputs))[True])


def _is_sound(example: ExampleRecord) -> bool:
    """One value that is not finite would make every weight so, for ever."""
    return len(example.names) == len(example.features) > 0 and all(math.isfinite(value) for value in example.features)


def decode_state(value: bytes) -> TrainingState:
    """A record of the model topic.

    Raises:
        ContractError: it is none.
    """
    try:
        return msgspec.json.decode(value, type=TrainingState)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError("bad_model", f"the training state cannot be read: {error}") from None
