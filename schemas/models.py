"""The scoring part of a risk model, as it is published to every partition."""

import msgspec


class ModelQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Prequential quality: every example was scored before it was learned."""

    examples: int
    churned: int
    log_loss: float
    base_log_loss: float
    """Log loss of always saying the base rate so far."""
    auc: float


class ModelDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standardised logistic regression: p = 1 / (1 + exp(-(intercept + sum(w * (x - mean) / scale))))."""

    name: str
    features: list[str]
    """Names, in the order of the three lists below."""
    mean: list[float]
    scale: list[float]
    """Standard deviations; a feature that never varied has 0 and counts for nothing."""
    weights: list[float]
    intercept: float
    horizon_ms: int
    usable: bool
    """False until enough has matured, or while the model is worse than the base rate: then rules alone decide."""
    quality: ModelQuality
    trained_until_offset: int
    """Offset of the last example of `churn.examples` that was learned."""
    library: str
    """Name and version of the library that trained it."""
