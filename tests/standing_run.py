"""An engine under test, as far as stages, reviews and risk go: rule sets with a churn section, a model made by hand."""

from engine_run import EngineRun, day_of, rule_set

from detectors.labels import next_review_ms
from schemas.control import ModelPublished
from schemas.decisions import ExampleRecord, RiskRecord
from schemas.instants import DAY_MS
from schemas.model_quality import ModelQuality
from schemas.models import ModelDocument
from schemas.rules import Churn, RuleSet

CHURN = Churn(horizon="P30D", or_=["contract.cancelled"])
FIRST_REVIEW_MS = next_review_ms("ann", 100 * DAY_MS)
"""The first review of customer `ann`, if first seen on day 100."""


def churn_rules(*rules: object, **fields: object) -> RuleSet:
    """A rule set whose customers are reviewed; a horizon of 30 days."""
    return rule_set(*rules, churn=CHURN, **fields)  # type: ignore[arg-type]


def model(
    *, revision: int = 1, horizon_days: int = 30, feature: str = "order_recency_days", usable: bool = True
) -> ModelPublished:
    """Churn is as likely as not 20 days after an order, and more so later."""
    document = ModelDocument(
        name="churn",
        features=[feature],
        mean=[20.0],
        scale=[5.0],
        weights=[1.0],
        intercept=0.0,
        horizon_ms=horizon_days * DAY_MS,
        usable=usable,
        quality=ModelQuality(examples=1, churned=1, log_loss=0.1, base_log_loss=0.2, auc=0.9),
        trained_until_offset=0,
        library="by hand",
    )
    return ModelPublished(at_ms=0, version=f"m{revision}", revision=revision, document=document)


def examples(run: EngineRun) -> list[ExampleRecord]:
    """All examples released so far."""
    return [example for decided in run.decisions for example in decided.examples]


def risks(run: EngineRun) -> list[RiskRecord]:
    """All risk records so far."""
    return [risk for decided in run.decisions for risk in decided.risk]


def stages(run: EngineRun) -> list[str]:
    """All stages so far, as `stage@day`."""
    return [f"{record.stage}@{day_of(record.at_ms)}" for decided in run.decisions for record in decided.lifecycle]
