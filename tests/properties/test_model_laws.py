"""Laws of the model: deterministic, the same after an interruption, scored alike by the engine, never poisoned."""

import math
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import linear_model, preprocessing
from river.utils import VectorDict

from detectors.features import NAMES
from detectors.model import ChurnModel, decode_state
from detectors.recipe import BUFFERED
from detectors.scaler import Scaler
from detectors.scoring import Scorer
from schemas.codec import encode
from schemas.decisions import ExampleRecord
from schemas.errors import ContractError
from schemas.instants import DAY_MS
from schemas.models import ModelDocument

HORIZON_MS = 30 * DAY_MS
seeds = st.integers(0, 2**32)


def example(features: list[float], *, churned: bool, at_ms: int = 0, horizon_ms: int = HORIZON_MS) -> ExampleRecord:
    return ExampleRecord(
        customer_id="c",
        at_ms=at_ms,
        horizon_ms=horizon_ms,
        churned=churned,
        names=list(NAMES[: len(features)]),
        features=features,
        active=True,
    )


def examples(seed: int, count: int, size: int = len(NAMES)) -> list[ExampleRecord]:
    """Customers with a long recency churn more often than others."""
    random, found = Random(seed), []
    for n in range(count):
        features = [random.expovariate(1 / 30) * random.choice((0, 1, 100)) for _ in range(size)]
        churned = random.random() < 1 / (1 + math.exp(2 - features[0] / 30))
        found.append(example(features, churned=churned, at_ms=n))
    return found


def learned(records: list[ExampleRecord], model: ChurnModel | None = None) -> ChurnModel:
    model = model or ChurnModel()
    for record in records:
        model.learn(record)
    return model


def state_bytes(model: ChurnModel) -> bytes:
    return encode(model.snapshot(7))


@settings(max_examples=25, deadline=None)
@given(seeds, st.one_of(st.integers(0, 2 * BUFFERED), st.integers(1_000, 1_200)), st.integers(0, BUFFERED))
def test_an_interruption_changes_no_byte(seed: int, before: int, after: int) -> None:
    records = examples(seed, before + after, size=5)
    first = learned(records[:before])
    if before:
        first = ChurnModel.from_snapshot(decode_state(state_bytes(first)))
    interrupted = learned(records[before:], first)
    straight = learned(records)

    assert state_bytes(interrupted) == state_bytes(straight)
    if records:
        assert encode(interrupted.document(1)) == encode(straight.document(1))


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 2 * BUFFERED))
def test_the_engine_scores_as_river_does(seed: int, count: int) -> None:
    records = examples(seed, count)
    model = learned(records)
    scorer = Scorer.of(model.document(0), "v")

    for record in records:
        assert scorer.probability(record.features) == pytest.approx(model.probability(record.features), abs=1e-9)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=50))
def test_features_are_standardised_as_river_does_it(rows: list[list[float]]) -> None:
    ours, river = Scaler(3, clip=1e300), preprocessing.StandardScaler()
    for row in rows:
        ours.learn(row)
        river.learn_one(dict(zip("abc", row, strict=True)))
    assert ours.mean == pytest.approx([river.means[name] for name in "abc"], rel=1e-9, abs=1e-6)
    assert ours.scale == pytest.approx([math.sqrt(river.vars[name]) for name in "abc"], rel=1e-6, abs=1e-6)


absurd = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.lists(absurd, min_size=3, max_size=3), st.booleans()), min_size=1, max_size=30))
def test_nothing_that_is_not_finite_or_absurd_reaches_the_model(rows: list[tuple[list[float], bool]]) -> None:
    model = learned(examples(1, BUFFERED, size=3))
    sound = sum(all(math.isfinite(value) and abs(value) <= 1e12 for value in features) for features, _ in rows)
    for features, churned in rows:
        model.learn(example(features, churned=churned))
    state = model.snapshot(0)

    learned_numbers = [number for one in state.learned for number in (*one.weights, *one.average, one.intercept)]
    assert all(math.isfinite(number) for number in (*state.mean, *state.squares, *learned_numbers))
    assert math.isfinite(state.monitor.model.log_loss)
    assert (state.examples, state.refused) == (BUFFERED + sound, len(rows) - sound)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_learning_changes_no_example(seed: int) -> None:
    records = examples(seed, 20)
    learned(records)

    assert records == examples(seed, 20)


def test_a_model_that_learned_tells_customers_apart() -> None:
    model = learned(examples(3, 4000, size=3))
    report = model.monitor.report()

    assert report.auc > 0.8
    assert report.log_loss < report.base_log_loss


def test_the_exact_area_under_the_curve_is_met_within_a_bin() -> None:
    records = examples(5, 600, size=3)
    model, scores = ChurnModel(), []
    model.learn(records[0])
    for record in records:
        scores.append((model.probability(record.features), record.churned))
        model.learn(record)
    churned = [score for score, label in scores if label]
    stayed = [score for score, label in scores if not label]
    wins = sum((a > b) + (a == b) / 2 for a in churned for b in stayed)

    assert model.monitor.report().auc == pytest.approx(wins / (len(churned) * len(stayed)), abs=0.01)


@pytest.mark.parametrize("churned", [True, False])
def test_one_class_alone_is_no_reason_to_decide(churned: bool) -> None:  # noqa: FBT001
    model = learned([example([float(n % 7)], churned=churned) for n in range(300)], ChurnModel(min_examples=10, min_rarer=1))

    assert model.monitor.report().auc == 0.5
    assert not model.usable


def test_another_horizon_begins_another_model_and_what_is_left_of_the_old_is_not_learned() -> None:
    model = learned([example([1.0], churned=True, at_ms=n) for n in range(5)])
    model.learn(example([1.0], churned=False, at_ms=10, horizon_ms=2 * HORIZON_MS))
    model.learn(example([1.0], churned=True, at_ms=9))
    state = model.snapshot(0)

    assert (state.horizon_ms, state.examples, state.refused) == (2 * HORIZON_MS, 1, 1)
    assert [one.churned for one in state.buffered] == [False]


def test_a_state_that_cannot_be_read_is_refused() -> None:
    state = learned(examples(1, 3)).snapshot(3)

    with pytest.raises(ContractError, match="cannot be read"):
        decode_state(b"{}")
    with pytest.raises(ContractError, match="format 3; this release reads up to 2"):
        decode_state(encode(msgspec.structs.replace(state, format=3)))
    with pytest.raises(ContractError, match="length"):
        ChurnModel.from_snapshot(msgspec.structs.replace(state, mean=[]))
    with pytest.raises(ContractError, match="those there are: steady, quick"):
        ChurnModel.from_snapshot(msgspec.structs.replace(state, learned=state.learned[:1]))


def test_of_a_state_of_the_first_format_only_the_place_is_gone_on_from() -> None:
    old = {"name": "churn", "next_offset": 500, "features": ["orders"], "mean": [1.0], "weights": [0.5], "examples": 500}
    begun = ChurnModel.from_snapshot(decode_state(msgspec.json.encode(old)))

    assert decode_state(msgspec.json.encode(old)).next_offset == 500
    assert begun.monitor.examples == 0
    assert begun.learn(examples(1, 1)[0])


def test_the_first_examples_are_scored_by_the_base_rate_alone() -> None:
    records = examples(2, BUFFERED, size=3)
    model = learned(records[:-1])
    churned = sum(record.churned for record in records[:-1])

    assert model.probability([1e6, 1e6, 1e6]) == pytest.approx((churned + 1) / (BUFFERED + 1))
    model.learn(records[-1])
    assert model.probability([1e6, 1e6, 1e6]) != pytest.approx(model.probability([0.0, 0.0, 0.0]))


def test_the_weights_that_predict_are_the_average_of_those_that_were_learned() -> None:
    records = examples(4, 2_000, size=3)
    model, average, intercept = ChurnModel(), [0.0] * 3, 0.0
    for number, record in enumerate(records, start=1):
        model.learn(record)
        steady = model.snapshot(0).learned[0] if number % 100 == 0 else None
        if number == BUFFERED:  # two steps of the average at once, after the first hundred and the second
            assert steady is not None
            average, intercept = steady.average, steady.average_intercept
        elif number > BUFFERED and steady is not None:
            share = max(6 / (number / 100 + 5), 0.003)
            average = [old + share * (new - old) for old, new in zip(average, steady.weights, strict=True)]
            intercept += share * (steady.intercept - intercept)

    assert model.document(0).weights == pytest.approx(average)
    assert model.document(0).intercept == pytest.approx(intercept)


def test_a_plain_river_model_with_the_published_numbers_says_the_same() -> None:
    records = examples(6, 3 * BUFFERED)
    document = learned(records).document(0)
    river = linear_model.LogisticRegression(intercept_init=document.intercept)
    river._weights = VectorDict(dict(zip(document.features, document.weights, strict=True)))
    scorer = Scorer.of(document, "v")
    for values in (*(record.features for record in records), [1e12] * len(NAMES), [-1e12] * len(NAMES)):
        expected = river.predict_proba_one(standardised(document, values))[True]
        assert scorer.probability(values) == pytest.approx(expected, abs=1e-9)


def standardised(document: ModelDocument, values: list[float]) -> dict[str, float]:
    """By the words of the document."""
    found = {}
    for name, value, mean, scale in zip(document.features, values, document.mean, document.scale, strict=True):
        z = (math.copysign(math.log(1 + abs(value)), value) - mean) / scale
        found[name] = min(3.0, max(-3.0, z))
    return found


SCRIPT = """
from engine_run import EngineRun, order, tick
from learn_examples import learned_bytes
from schemas.codec import encode
from schemas.rules import Churn, RuleSet
run = EngineRun(RuleSet(version="1", tenant="t", churn=Churn(horizon="P30D")))
for day in range(100, 400):
    run.feed(*(order(day, f"customer-{who}") for who in range(20) if day % (who + 3) == 0), tick(day + 0.9))
examples = [example for decided in run.decisions for example in decided.examples]
assert len(examples) > 300
print([encode(example) for example in examples], learned_bytes(examples), sorted(run.engine.take_changes()))
"""


def test_two_processes_with_other_hash_seeds_make_and_learn_the_same_bytes() -> None:
    path = os.pathsep.join(map(str, (Path(__file__).parents[1], Path(__file__).parents[2])))
    found = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }

    assert len(found) == 1
