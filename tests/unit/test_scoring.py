"""Scores, bands and what is news of them."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.features import FEATURES, NAMES
from detectors.scoring import MAX_REASONS, RiskPolicy, Scorer, sigmoid
from detectors.state import Customer
from schemas.errors import ContractError
from schemas.instants import DAY_MS
from schemas.model_quality import ModelQuality
from schemas.models import ModelDocument
from schemas.rule_kinds import Severity
from schemas.rules import Bands, Churn, RuleSet

HORIZON_MS = 90 * DAY_MS
QUALITY = ModelQuality(examples=5000, churned=2000, log_loss=0.4, base_log_loss=0.6, auc=0.8)
ORDERS, LOGINS = NAMES.index("orders"), NAMES.index("logins_7d")


def document(**fields: object) -> ModelDocument:
    chosen = {
        "name": "churn",
        "features": ["orders", "logins_7d"],
        "mean": [2.0, 0.0],
        "scale": [4.0, 0.0],
        "weights": [1.0, 5.0],
        "intercept": 0.5,
        "horizon_ms": HORIZON_MS,
        "usable": True,
        "quality": QUALITY,
        "trained_until_offset": 4999,
        "library": "river",
        **fields,
    }
    return ModelDocument(**chosen)  # type: ignore[arg-type]


def values(**named: float) -> tuple[float, ...]:
    return tuple(named.get(name, 0.0) for name in NAMES)


def policy() -> RiskPolicy:
    return RiskPolicy(Bands(elevated=0.4, high=0.65, critical=0.85), HORIZON_MS)


def customer() -> Customer:
    return Customer({}, None, id="c", first_ms=0)


def saying(probability: float) -> Scorer:
    """A model that gives everybody the same probability."""
    log_odds = math.log(probability / (1 - probability))
    return Scorer.of(document(features=[], mean=[], scale=[], weights=[], intercept=log_odds), "v")


def test_a_probability_is_the_logistic_of_the_standardised_features() -> None:
    scorer = Scorer.of(document(), "v")

    assert scorer.probability(values(orders=6.0)) == pytest.approx(1 / (1 + math.exp(-(0.5 + 1.0))))


def test_a_feature_that_never_varied_counts_for_nothing() -> None:
    scorer = Scorer.of(document(), "v")

    assert scorer.probability(values(orders=6.0, logins_7d=99.0)) == scorer.probability(values(orders=6.0))


def test_features_of_any_size_come_near_each_other_by_the_signed_logarithm() -> None:
    scorer = Scorer.of(document(transform="signed_log"), "v")

    assert scorer.probability(values(orders=-6.0)) == pytest.approx(1 / (1 + math.exp(-(0.5 + (-math.log(7) - 2) / 4))))


@pytest.mark.parametrize("log_odds", [-1e308, -800.0, 800.0, 1e308])
def test_no_log_odds_are_too_large(log_odds: float) -> None:
    assert sigmoid(log_odds) == pytest.approx(0.0 if log_odds < 0 else 1.0)


def test_a_model_with_an_unknown_feature_is_refused_by_name() -> None:
    with pytest.raises(ContractError, match="'shoe_size'"):
        Scorer.of(document(features=["orders", "shoe_size"]), "v")


@pytest.mark.parametrize("fields", [{"intercept": math.nan}, {"weights": [1.0, math.inf]}, {"mean": [-math.inf, 0.0]}])
def test_a_model_with_a_number_that_is_not_finite_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ContractError, match="finite"):
        Scorer.of(document(**fields), "v")


def weighing(**weights: float) -> Scorer:
    """A model whose features, all 1 in these tests, add their weight."""
    count = len(weights)
    features, numbers = list(weights), list(weights.values())
    return Scorer.of(document(features=features, mean=[0.0] * count, scale=[1.0] * count, weights=numbers), "v")


def test_reasons_are_what_raises_the_risk_the_most_first_and_few() -> None:
    scorer = weighing(
        tickets_open=1.0, tenure_days=-1.0, returns=3.0, survey_last=0.001, complaints_30d=2.0, logins_7d=4.0, usage_30d=5.0,
        orders=6.0,
    )  # fmt: skip
    reasons = scorer.reasons(tuple([1.0] * len(NAMES)))

    assert [reason.feature for reason in reasons] == ["orders", "usage_30d", "logins_7d", "returns", "complaints_30d"]
    assert [reason.contribution for reason in reasons] == [6.0, 5.0, 4.0, 3.0, 2.0]
    assert len(reasons) == MAX_REASONS


def test_features_that_say_the_same_are_one_reason_with_what_they_add_together() -> None:
    scorer = weighing(order_recency_days=0.5, order_recency_ratio=2.0, order_recency_max_ratio=-0.75, tenure_days=1.0)
    first, second = scorer.reasons(tuple([1.0] * len(NAMES)))

    assert (first.feature, first.about, first.contribution) == ("order_recency_ratio", "order silence", 1.75)
    assert (second.feature, second.about, second.contribution) == ("tenure_days", "tenure", 1.0)


def test_features_that_take_from_each_other_what_they_add_are_no_reason() -> None:
    assert weighing(order_recency_days=2.0, order_recency_ratio=-2.0).reasons(tuple([1.0] * len(NAMES))) == []


@given(st.lists(st.floats(-3, 3), min_size=len(NAMES), max_size=len(NAMES)), st.integers(0, 2**32))
def test_a_reason_never_is_a_feature_that_did_not_contribute(values: list[float], seed: int) -> None:
    random = Random(seed)
    weights = {name: random.choice([0.0, random.uniform(-1, 1)]) for name in NAMES}
    for reason in weighing(**weights).reasons(values):
        assert weights[reason.feature] * reason.value >= 0.01
        group = [name for name, feature in zip(NAMES, FEATURES, strict=True) if feature.about == reason.about]
        assert reason.contribution == pytest.approx(sum(weights[name] * values[NAMES.index(name)] for name in group))
        assert reason.contribution >= 0.01


def test_a_feature_counts_for_no_more_than_the_clip_of_the_model_lets_it() -> None:
    clipped = Scorer.of(document(clip=3.0), "v")  # weight 1, mean 2, scale 4

    assert clipped.probability(values(orders=14.0)) == pytest.approx(1 / (1 + math.exp(-3.5)))
    assert clipped.probability(values(orders=1e9)) == clipped.probability(values(orders=14.0))
    assert clipped.probability(values(orders=-1e9)) == pytest.approx(1 / (1 + math.exp(2.5)))


@pytest.mark.parametrize("value", [1e308, math.inf, -math.inf])
def test_a_probability_is_a_number_however_large_the_features_are(value: float) -> None:
    assert 0 <= Scorer.of(document(clip=3.0), "v").probability(values(orders=value, logins_7d=value)) <= 1


def test_a_model_of_a_newer_format_is_refused() -> None:
    with pytest.raises(ContractError, match="format 3; this release reads formats up to 2"):
        Scorer.of(document(format=3), "v")


@pytest.mark.parametrize(
    ("probability", "band"),
    [(0.39, "low"), (0.41, "elevated"), (0.64, "elevated"), (0.66, "high"), (0.84, "high"), (0.86, "critical")],
)
def test_bands_begin_at_their_limits(probability: float, band: str) -> None:
    found = policy().assess(values(), 0, saying(probability), [])

    assert (found.band, found.basis) == (band, "model")


@pytest.mark.parametrize(
    ("severities", "band"), [([], "low"), (["info"], "elevated"), (["warning", "high"], "high"), (["critical"], "high")]
)
@pytest.mark.parametrize("scorer", [None, Scorer.of(document(usable=False), "v"), Scorer.of(document(horizon_ms=1), "v")])
def test_without_a_usable_model_of_the_same_horizon_open_alerts_decide(
    scorer: Scorer | None, severities: list[Severity], band: str
) -> None:
    found = policy().assess(values(), 0, scorer, severities)

    assert (found.band, found.basis, found.probability, found.reasons()) == (band, "rules", None, [])


def test_a_record_goes_out_for_another_band_or_basis_or_a_move_of_the_probability() -> None:
    ann, risk = customer(), policy()

    def look(at_ms: int, scorer: Scorer | None) -> int | None:
        record = risk.tell(ann, risk.assess(values(), at_ms, scorer, []))
        return None if record is None else record.sequence

    assert look(1, None) == 1
    assert look(2, None) is None
    assert look(3, saying(0.20)) == 2
    assert look(4, saying(0.249)) is None
    assert look(5, saying(0.251)) == 3
    assert look(6, saying(0.39)) == 4
    assert look(7, saying(0.401)) == 5
    assert look(8, None) == 6


def test_slow_drift_is_told_once_it_adds_up() -> None:
    ann, risk = customer(), policy()
    told = [risk.tell(ann, risk.assess(values(), n, saying(0.10 + n / 50), [])) for n in range(11)]

    assert [n for n, record in enumerate(told) if record is not None] == [0, 3, 6, 9]


def test_a_record_says_what_it_rests_on() -> None:
    ann = customer()
    record = policy().tell(ann, policy().assess(values(orders=40.0), 7, Scorer.of(document(), "41"), []))

    assert record is not None
    assert (record.at_ms, record.model, record.basis, record.band) == (7, "41", "model", "critical")
    assert record.features["orders"] == 40.0
    assert [reason.feature for reason in record.reasons] == ["orders"]


def test_without_a_churn_section_there_is_no_risk_to_speak_of() -> None:
    assert RiskPolicy.of(RuleSet(version="1", tenant="t"), None) is None
    assert RiskPolicy.of(RuleSet(version="1", tenant="t", churn=Churn()), None) is not None
