"""The model that learns, one example at a time: scored first, then learned.

Deterministic: the same examples in the same order give the same bytes, whether or not learning was interrupted
and went on from a snapshot.
"""

import math
from typing import Final, Self

import msgspec

from detectors.contest import Contest
from detectors.measures import log_loss
from detectors.monitor import MIN_EXAMPLES, MIN_RARER, Monitor
from detectors.recipe import BUFFERED, CLIP, RECIPES
from detectors.regression import LIBRARY, Regression
from detectors.scaler import Scaler
from detectors.standardising import signed_logs
from schemas.decisions import ExampleRecord
from schemas.errors import ContractError
from schemas.models import FORMAT, BufferedExample, ModelDocument, TrainingState

_ABSURD: Final = 1e12
"""No count, amount or number of days is as large; a mean that took one in would be wrong for ever."""


class ChurnModel:
    """Learns from matured examples and writes what the engine needs to score.

    Args:
        name: of the model.
        min_examples: matured ones before it may decide.
        min_rarer: of the rarer class.
    """

    monitor: Monitor
    _names: list[str]
    _horizon_ms: int
    _seen_ms: int
    _scaler: Scaler
    _buffered: list[BufferedExample]
    _regressions: list[Regression]
    """The champion first."""
    _contest: Contest

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
            ContractError: its lists do not belong together, or it has a recipe that this release does not have.
        """
        by_feature = [one.weights for one in state.learned] + [one.average for one in state.learned]
        by_feature += [one.features for one in state.buffered]
        if any(len(numbers) != len(state.features) for numbers in (state.mean, state.squares, state.scale, *by_feature)):
            raise ContractError("bad_model", "the lists of the training state belong together and differ in length")
        recipes = {recipe.name: recipe for recipe in RECIPES}
        if sorted(recipes) != sorted(one.recipe for one in state.learned):
            raise ContractError("bad_model", f"the recipes of the training state are not those there are: {', '.join(recipes)}")
        model = cls(state.name, min_examples=min_examples, min_rarer=min_rarer)
        model._begin(state.features, state.horizon_ms)
        model.refused, model._seen_ms = state.refused, state.seen_ms
        model._scaler = Scaler.restored(state.examples, state.mean, state.squares, state.scale, CLIP)
        model._buffered = list(state.buffered)
        model._regressions = [Regression.restored(model._names, recipes[one.recipe], one) for one in state.learned]
        model._contest = Contest.restored(state.contest)
        model.monitor = Monitor.restored(state.monitor, min_examples=min_examples, min_rarer=min_rarer)
        return model

    @property
    def usable(self) -> bool:
        """Whether it may decide (`Monitor.may_decide`)."""
        return self.monitor.may_decide

    @property
    def recipe(self) -> str:
        """The champion's name."""
        return self._regressions[0].recipe.name

    def learn(self, example: ExampleRecord) -> bool:
        """Score an example, then learn from it, unless its label is suspect; whether it was learned.

        An example of another horizon, or with other features, is the first of a new model if its review is later than
        all that was learned from so far, and left over from before the change if not: the two never mix.
        """
        if not _is_sound(example) or not self._fits(example):
            self.refused += 1
            return False
        self._seen_ms = max(self._seen_ms, example.at_ms)
        inputs = signed_logs(example.features)
        z = self._z(inputs)
        probabilities = [regression.probability(z) for regression in self._regressions]
        if not self.monitor.judge(example, probabilities[0]):
            return False
        self._scaler.learn(inputs)
        if self._scaler.examples <= BUFFERED:
            self._buffer(example)
        else:
            self._compare(probabilities, churned=example.churned)
            for regression in self._regressions:
                regression.learn(z, churned=example.churned)
        return True

    def probability(self, values: list[float]) -> float:
        """Of churn within the horizon, for features in the order that was learned."""
        return self._regressions[0].probability(self._z(signed_logs(values)))

    def document(self, trained_until_offset: int) -> ModelDocument:
        """The scoring part, to be published."""
        champion = self._regressions[0]
        return ModelDocument(
            name=self.name,
            features=list(self._names),
            transform="signed_log",
            mean=list(self._scaler.mean),
            scale=list(self._scaler.scale),
            weights=champion.weights,
            intercept=champion.intercept,
            horizon_ms=self._horizon_ms,
            usable=self.usable,
            quality=self.monitor.report(),
            trained_until_offset=trained_until_offset,
            library=LIBRARY,
            format=FORMAT,
            clip=CLIP,
            recipe=self.recipe,
            score_spread=self.monitor.spread(),
        )

    def snapshot(self, next_offset: int) -> TrainingState:
        """All that learning goes on from."""
        return TrainingState(
            format=FORMAT,
            name=self.name,
            next_offset=next_offset,
            features=list(self._names),
            horizon_ms=self._horizon_ms,
            seen_ms=self._seen_ms,
            refused=self.refused,
            examples=self._scaler.examples,
            mean=list(self._scaler.mean),
            squares=list(self._scaler.squares),
            scale=list(self._scaler.scale),
            buffered=list(self._buffered),
            learned=[regression.learned() for regression in self._regressions],
            contest=self._contest.state(),
            monitor=self.monitor.state(),
            library=LIBRARY,
        )

    def _begin(self, names: list[str], horizon_ms: int) -> None:
        self._names = list(names)
        self._horizon_ms = horizon_ms
        self._seen_ms = 0
        self.monitor = Monitor(min_examples=self._min_examples, min_rarer=self._min_rarer)
        self._scaler = Scaler(len(self._names), CLIP)
        self._buffered = []
        self._regressions = [Regression(self._names, recipe) for recipe in RECIPES]
        self._contest = Contest()

    def _fits(self, example: ExampleRecord) -> bool:
        if (example.names, example.horizon_ms) == (self._names, self._horizon_ms):
            return True
        if self._names and example.at_ms <= self._seen_ms:
            return False
        self._begin(example.names, example.horizon_ms)
        return True

    def _buffer(self, example: ExampleRecord) -> None:
        self._buffered.append(BufferedExample(list(example.features), example.churned))
        churned = sum(one.churned for one in self._buffered)
        for regression in self._regressions:
            regression.begin_at((churned + 1) / (len(self._buffered) + 2))
        if len(self._buffered) < BUFFERED:
            return
        buffered, self._buffered = self._buffered, []
        for one in buffered:
            z = self._z(signed_logs(one.features))
            for regression in self._regressions:
                regression.learn(z, churned=one.churned)

    def _compare(self, probabilities: list[float], *, churned: bool) -> None:
        champion, challenger = (log_loss(probability, churned=churned) for probability in probabilities)
        if self._contest.take(champion, challenger):
            self._regressions.reverse()

    def _z(self, inputs: list[float]) -> dict[str, float]:
        return dict(zip(self._names, self._scaler.z(inputs), strict=True))


def _is_sound(example: ExampleRecord) -> bool:
    """One value that is not finite would make every weight so, for ever."""
    values = example.features
    size = sum(map(abs, values))  # NaN if one of them is, and then nothing holds
    is_sane = size <= _ABSURD or (size < math.inf and max(map(abs, values)) <= _ABSURD)
    return len(example.names) == len(values) > 0 and is_sane


class _Begin(msgspec.Struct):
    """What every format has."""

    name: str
    next_offset: int
    format: int = 1


def decode_state(value: bytes) -> TrainingState:
    """A record of the model topic; of the first format, whose examples had other features, only the place is gone on from.

    Raises:
        ContractError: it is none, or a newer release wrote it.
    """
    try:
        found = msgspec.json.decode(value, type=_Begin)
        if found.format == FORMAT:
            return msgspec.json.decode(value, type=TrainingState)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError("bad_model", f"the training state cannot be read: {error}") from None
    if found.format > FORMAT:
        raise ContractError("bad_model", f"the training state has format {found.format}; this release reads up to {FORMAT}")
    return ChurnModel(found.name).snapshot(found.next_offset)
