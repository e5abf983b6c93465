"""How good a risk model is on examples that it had not seen, beside simple scores, and what judging goes on from."""

from typing import Annotated, Final

import msgspec

from schemas.events import Count, EpochMs, Number

ALARMS: Final = ("log_loss_drift", "labels_missing")
"""What a monitor raises the alarm for."""
BASE_RATE: Final = "base_rate"
RECENCY: Final = "recency_histogram"
SILENCE: Final = "days_silent"
"""Names of the baselines; the last is a ranking only, since days are no probability."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one score on some examples."""

    examples: Count
    churned: Count
    auc: Share
    """The chance that a churned example had a higher score than one that stayed; .5 while there is only one class."""
    log_loss: Number | None = None
    """In nats; None with the next two: the score is a ranking and no probability."""
    brier: Share | None = None
    """Mean squared error."""
    calibration_error: Share | None = None
    """Mean distance between what was said and what came, over 20 bins of equal width."""


class ModelQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Prequential quality: every example was scored before it was learned."""

    examples: Count
    churned: Count
    log_loss: Number
    base_log_loss: Number
    """Log loss of always saying the base rate so far."""
    auc: Share
    brier: Share | None = None
    calibration_error: Share | None = None
    active: Measures | None = None
    """Of those who showed a sign of life within the horizon before the review."""
    baselines: dict[str, Measures] = {}
    """Of the active, by name: what simple scores would have been worth."""
    alarms: list[str] = []
    """Of `ALARMS`, those that stand."""


class ScoreSpread(msgspec.Struct, frozen=True, kw_only=True):
    """How the probabilities of the active are spread, and how many of them there are."""

    per_day: Annotated[float, msgspec.Meta(ge=0)]
    """Reviews of active customers; each is reviewed once a week."""
    quantiles: list[Share]
    """Of the probabilities: 101, from the least to the greatest in steps of a hundredth."""


class SpreadState(msgspec.Struct, frozen=True, kw_only=True):
    """Fading weights by bin of the score, and reviews by day."""

    weights: list[Number]
    since_faded: Count
    day: int
    today: Count
    per_day: Number | None


class RankingState(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the churned, and of those who stayed, had a score in each bin, from low to high."""

    churned: list[Count]
    stayed: list[Count]


class ScoresState(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the examples of one score."""

    log_loss: Number
    brier: Number
    said: list[Number]
    """Sum of the probabilities in each bin."""
    came: list[Count]
    """Churned in each bin."""
    count: list[Count]
    ranking: RankingState


class JudgementState(msgspec.Struct, frozen=True, kw_only=True):
    """Weekly judgements between the model and days of silence, of the active."""

    week: int
    model: RankingState
    silence: RankingState
    won: Count
    """In a row, until now."""


class AbsenceState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether activity comes that was expected; fading sums over the last examples."""

    expected: Number
    came: Number
    missing_since_ms: EpochMs | None
    """Review of the first example of the alarm."""


class DriftState(msgspec.Struct, frozen=True, kw_only=True):
    """Means of log losses of examples, since the detector last began anew: fed again they lead to where it was."""

    sum: Number
    count: Count
    means: list[Number]
    alarm_left: Count
    """Means until the alarm is over."""


class MonitorState(msgspec.Struct, frozen=True, kw_only=True):
    """All that judging goes on from."""

    held_back: Count
    """Examples that were not learned since their labels were suspect."""
    recent_gain: Number
    """What the features were worth lately: base log loss less log loss, fading."""
    model: ScoresState
    base_log_loss: Number
    active: dict[str, ScoresState]
    silence: RankingState
    histogram_churned: list[Count]
    histogram_count: list[Count]
    judgement: JudgementState
    absence: AbsenceState
    drift: DriftState
    spread: SpreadState
