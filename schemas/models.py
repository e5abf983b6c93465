"""A risk model: the scoring part, as it is published to every partition, and all that learning goes on from."""

import sys
from typing import Annotated, Final, Literal

import msgspec

from schemas.events import Count, EpochMs, Id, Number
from schemas.model_quality import ModelQuality, MonitorState, ScoreSpread

FORMAT: Final = 2
"""Of the models and training states that this release writes; it reads models of earlier ones too."""

HorizonMs = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class ModelDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standardised logistic regression: p = 1 / (1 + exp(-(intercept + sum(w * z)))), z = (x - mean) / scale.

    Each x is a feature after `transform`; z is cut off at +-`clip`.
    """

    name: Id
    features: list[Id]
    """Names, in the order of the three lists below."""
    transform: Literal["identity", "signed_log"] = "identity"
    """`signed_log`: sign(x) log(1 + |x|)."""
    mean: list[Number]
    scale: list[Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]]
    """Standard deviations; a feature that never varied has 0 and counts for nothing."""
    weights: list[Number]
    intercept: Number
    horizon_ms: HorizonMs
    usable: bool
    """False until enough has matured, or while the model is worse than the base rate: then rules alone decide."""
    quality: ModelQuality
    trained_until_offset: Annotated[int, msgspec.Meta(ge=-1, le=2**53 - 1)]
    """Offset of the last example of `churn.examples` that was learned; -1: none."""
    library: Id
    """Name and version of the library that trained it."""
    format: Annotated[int, msgspec.Meta(ge=1)] = 1
    clip: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """None: nothing is cut off."""
    recipe: Id | None = None
    """How it was learned, by name."""
    score_spread: ScoreSpread | None = None
    """None: too little is known; bands by volume never begin."""

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in ("features", "mean", "scale", "weights")}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the lists belong together and differ in length: {lengths}")


class LearnedWeights(msgspec.Struct, frozen=True, kw_only=True):
    """What one recipe has learned."""

    recipe: Id
    steps: Count
    """Examples that were learned."""
    weights: list[Number]
    intercept: Number
    average: list[Number]
    """Of the weights; they predict."""
    average_intercept: Number


class BufferedExample(msgspec.Struct, frozen=True, array_like=True):
    """One of the first examples, which are learned once there are enough to know the scale of things."""

    features: list[Number]
    churned: bool


class ContestState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a round between two recipes has come; differences of log losses, champion less challenger."""

    sum: Number
    count: Count
    means: list[Number]


class TrainingState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that learning goes on from, with the place of the next example: one record of the model topic."""

    format: Annotated[int, msgspec.Meta(ge=1)]
    name: Id
    next_offset: Count
    """Of the topic of examples: everything before it is in here."""
    features: list[Id]
    horizon_ms: HorizonMs
    seen_ms: EpochMs
    """The latest review that was learned from."""
    refused: Count
    """Examples that were no use: not finite, or of another horizon that is over."""
    examples: Count
    """That set the means and deviations."""
    mean: list[Number]
    squares: list[Number]
    """Sums of squared deviations from the mean."""
    scale: list[Number]
    """Standard deviations, which are looked at from time to time."""
    buffered: list[BufferedExample]
    learned: list[LearnedWeights]
    """By recipe, the champion first."""
    contest: ContestState
    monitor: MonitorState
    library: Id
