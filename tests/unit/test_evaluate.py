"""`evaluate`: cut-offs, labels and measures of a file whose answer is known."""

from collections.abc import Callable
from itertools import pairwise
from math import isnan, log
from pathlib import Path

import numpy as np
import pytest
from engine_run import order, tick
from hypothesis import given
from hypothesis import strategies as st

from detectors import model, regression
from schemas.codec import Record, encode
from schemas.events import ContractCancelled, Event
from schemas.instants import DAY_MS
from schemas.model_quality import BASE_RATE, SILENCE
from schemas.rules import Churn
from streams.evaluate import Evaluation, Options, evaluate
from streams.evaluate_activity import NEVER, activity_of
from streams.evaluate_bootstrap import auc_difference, drawn, loss_difference, weighted_auc
from streams.evaluate_frames import MODEL, Frame
from streams.evaluate_measures import auc, brier, calibration, calibration_error, losses, roc
from streams.evaluate_summary import as_plain, in_words
from streams.replay import ReplayError

#  day       0 ------------------ 42 --- 49 ---- 56 ---- 63 ---- 70
#  ann       every day ------------------------------------------->
#  bob       every day ----------------- 49.5
#  cat       0.5                                   60.5
#  judged                                ^       ^       ^            horizon and active: 7 days
SHOP = sorted(
    [order(day + 0.5, customer="ann") for day in range(71)]
    + [order(day + 0.5, customer="bob") for day in range(50)]
    + [order(0.5, customer="cat"), order(60.5, customer="cat")],
    key=lambda event: event.at_ms,
)
WEEK = Options(horizon="P7D")


@pytest.fixture
def written(tmp_path: Path) -> Callable[[list[Record]], Path]:
    def write(records: list[Record]) -> Path:
        path = tmp_path / "shop.jsonl"
        path.write_bytes(b"".join(encode(record) + b"\n" for record in records))
        return path

    return write


@pytest.fixture
def shop(written: Callable[[list[Record]], Path]) -> Path:
    return written([*SHOP])


def by_name(found: Evaluation, values: str) -> list[dict[str, object]]:
    names = list(found.activity.codes)
    return [dict(zip([names[code] for code in f.codes], getattr(f, values).tolist(), strict=True)) for f in found.frames]


def test_cut_offs_are_weekly_from_day_42_and_a_horizon_while_a_horizon_remains(shop: Path) -> None:
    assert [frame.cut_ms / DAY_MS for frame in evaluate(shop, WEEK).frames] == [49, 56, 63]


def test_the_label_is_no_order_within_the_horizon_and_active_is_an_order_within_it_before(shop: Path) -> None:
    found = evaluate(shop, WEEK)
    assert by_name(found, "churned") == [
        {"ann": False, "bob": False, "cat": True},
        {"ann": False, "bob": True, "cat": False},
        {"ann": False, "bob": True, "cat": True},
    ]
    assert by_name(found, "active") == [
        {"ann": True, "bob": True, "cat": False},
        {"ann": True, "bob": True, "cat": False},
        {"ann": True, "bob": False, "cat": True},
    ]


def test_days_silent_rank_as_computed_by_hand(shop: Path) -> None:
    found = evaluate(shop, WEEK)
    assert [frame.scores[SILENCE].tolist() for frame in found.frames] == [[0.5, 0.5, 48.5], [0.5, 6.5, 55.5], [0.5, 13.5, 2.5]]
    scores = as_plain(found)["groups"]["all"]["scores"]
    assert scores["days_silent"] == {"auc": round((1 + 0.5 + 1) / 3, 6)}


def test_before_a_model_is_published_it_says_the_base_rate_of_what_has_matured(shop: Path) -> None:
    scores = as_plain(evaluate(shop, WEEK))["groups"]["all"]["scores"]
    assert scores["model"] == scores["base_rate"]
    assert scores["model"]["auc"] == 0.5


def test_a_published_model_scores_at_the_next_cut_off(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "BUFFERED", 4)  # the shop never has 200 examples
    monkeypatch.setattr(regression, "AVERAGED_EVERY", 1)
    found = evaluate(shop, Options(horizon="P7D", snapshot_examples=1))
    # ann and bob did the same until the first cut-off
    assert [len(set(frame.scores[MODEL].tolist())) for frame in found.frames] == [2, 3, 3]
    assert [len(set(frame.scores[BASE_RATE].tolist())) for frame in found.frames] == [1, 1, 1]


def test_from_and_until_choose_the_cut_offs_and_change_no_score(shop: Path) -> None:
    every = evaluate(shop, Options(horizon="P7D", snapshot_examples=1)).frames
    (one,) = evaluate(shop, Options(horizon="P7D", snapshot_examples=1, from_ms=50 * DAY_MS, until_ms=63 * DAY_MS)).frames
    assert one.cut_ms == 56 * DAY_MS
    assert one.scores[MODEL].tolist() == every[1].scores[MODEL].tolist()


def test_active_is_a_time_of_its_own(shop: Path) -> None:
    found = evaluate(shop, Options(horizon="P7D", active="P14D"))
    assert by_name(found, "active")[2] == {"ann": True, "bob": True, "cat": True}


def test_what_comes_at_a_cut_off_or_after_it_changes_no_score_there(written: Callable[[list[Record]], Path]) -> None:
    options = Options(horizon="P7D", snapshot_examples=1, until_ms=50 * DAY_MS)
    later = [order(day, customer="cat") for day in (49, 49.01, 60, 71)]
    (one,) = evaluate(written([*SHOP]), options).frames
    (other,) = evaluate(written(sorted([*SHOP, *later], key=lambda event: event.at_ms)), options).frames
    assert one.scores[MODEL].tolist() == other.scores[MODEL].tolist()
    assert one.churned.tolist() != other.churned.tolist()


def test_ticks_of_the_file_are_left_out(written: Callable[[list[Record]], Path]) -> None:
    plain = in_words(evaluate(written([*SHOP]), WEEK))
    found = evaluate(written([*SHOP[:50], tick(20), *SHOP[50:], tick(500)]), WEEK)
    assert found.left_out == 2
    assert in_words(found).replace(" (2 records that are none left out)", "") == plain


@pytest.mark.parametrize(
    ("records", "options", "says"),
    [
        ([], WEEK, "there is no event"),
        ([tick(1)], WEEK, "there is no event"),
        (SHOP, Options(horizon="P90D"), "spans 71 days; with this horizon 222 are needed"),
        (SHOP, Options(horizon="P7D", from_ms=400 * DAY_MS), "no cut-off lies between --from and --until"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_the_reason(
    written: Callable[[list[Record]], Path], records: list[Record], options: Options, says: str
) -> None:
    with pytest.raises(ReplayError, match=says):
        evaluate(written(records), options)


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(encode(SHOP[0]) + b"\n{")
    with pytest.raises(ReplayError, match="line 2"):
        evaluate(path, WEEK)


# -- who did what, against a naive reading of the events

DAYS = st.integers(0, 30)
EVENTS = st.lists(
    st.builds(
        lambda day, name, ends: (
            ContractCancelled(id=f"{day}", customer_id=name, at_ms=day * DAY_MS, contract_id="1")
            if ends
            else order(day, customer=name)
        ),
        DAYS,
        st.sampled_from("ab"),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def naive(events: list[Event], name: str, kind: type[Event], at_ms: int) -> int:
    return max((e.at_ms for e in events if e.customer_id == name and isinstance(e, kind) and e.at_ms < at_ms), default=NEVER)


@given(events=EVENTS, day=DAYS, horizon=st.integers(1, 9), silence=st.booleans())
def test_activity_says_what_a_naive_reading_says(*, events: list[Event], day: int, horizon: int, silence: bool) -> None:
    churn = Churn(of=["order.placed"] if silence else [], or_=["contract.cancelled"])
    activity = activity_of(events, churn)
    at_ms, horizon_ms = day * DAY_MS, horizon * DAY_MS
    codes = np.arange(len(activity.codes))
    rows = zip(activity.codes, activity.can_churn(codes, at_ms), activity.churned(codes, at_ms, horizon_ms), strict=True)
    for name, can_churn, churned in rows:
        sign, left = (naive(events, name, kind, at_ms) for kind in (type(order(0)), ContractCancelled))
        later_sign, later_left = (naive(events, name, kind, at_ms + horizon_ms) for kind in (type(order(0)), ContractCancelled))
        known = any(event.customer_id == name and event.at_ms < at_ms for event in events)
        assert can_churn == (known and (sign > left if silence else left == NEVER))
        assert churned == (later_left >= at_ms or (silence and later_sign < at_ms))


def test_a_customer_is_lost_at_an_end_or_one_horizon_after_the_last_sign() -> None:
    end = ContractCancelled(id="1", customer_id="bob", at_ms=12 * DAY_MS, contract_id="1")
    events = [order(0, customer="ann"), order(20, customer="ann"), order(5, customer="bob"), end]
    losses_ = activity_of(events, Churn(or_=["contract.cancelled"])).losses(0, 15 * DAY_MS, 10 * DAY_MS)
    found = sorted(zip(losses_.codes.tolist(), losses_.alive_ms // DAY_MS, losses_.lost_ms // DAY_MS, strict=True))
    assert found == [(0, 0, 10), (1, 5, 12)]


# -- measures, against naive ones

SCORED = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=20)


def arrays(scored: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in scored]), np.array([churned for _, churned in scored])


def naive_auc(scored: list[tuple[float, bool]], weights: list[int] | None = None) -> float:
    weighted = list(zip(scored, weights or [1] * len(scored), strict=True))
    pairs = [(g, s, w * v) for (g, gone), w in weighted if gone for (s, left), v in weighted if not left]
    total = sum(weight for _, _, weight in pairs)
    return sum(weight * ((g > s) + (g == s) / 2) for g, s, weight in pairs) / total if total else float("nan")


@given(SCORED)
def test_auc_is_the_share_of_pairs_in_the_right_order(scored: list[tuple[float, bool]]) -> None:
    assert auc(*arrays(scored)) == pytest.approx(naive_auc(scored), nan_ok=True)


@given(SCORED)
def test_the_area_under_the_drawn_curve_is_the_auc(scored: list[tuple[float, bool]]) -> None:
    points = roc(*arrays(scored))
    area = sum((x - w) * (y + z) / 2 for (w, z), (x, y) in pairwise(points))
    expected = naive_auc(scored)
    assert area == pytest.approx(0.5 if isnan(expected) else expected)


@given(SCORED, st.data())
def test_a_weighted_auc_is_that_of_everybody_so_often(scored: list[tuple[float, bool]], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(scored), max_size=len(scored)))
    found = weighted_auc(np.array([weights], float), *arrays(scored))
    assert found[0] == pytest.approx(naive_auc(scored, weights), nan_ok=True)


def test_losses_and_brier_as_computed_by_hand() -> None:
    said, churned = np.array([0.8, 0.25]), np.array([True, False])
    assert losses(said, churned) == pytest.approx([-log(0.8), -log(0.75)])
    assert brier(said, churned) == pytest.approx((0.2**2 + 0.25**2) / 2)
    assert losses(np.array([0.0]), np.array([True])) == pytest.approx([-log(1e-15)])


def test_calibration_is_by_bin_and_weighted() -> None:
    said, churned = np.array([0.12, 0.18, 0.95, 1.0]), np.array([False, True, True, True])
    assert calibration(said, churned) == [pytest.approx((0.15, 0.5, 2)), pytest.approx((0.975, 1.0, 2))]
    assert calibration_error(said, churned) == pytest.approx((0.35 * 2 + 0.025 * 2) / 4)


def frame(scores: dict[str, list[float]], churned: list[bool], codes: list[int]) -> Frame:
    as_arrays = {name: np.array(values) for name, values in scores.items()}
    gone = np.array(churned)
    return Frame(0, np.array(codes), gone, np.ones(len(codes), bool), as_arrays, usable=True)


def test_a_difference_is_the_mean_over_cut_offs_and_its_error_that_of_drawing_customers() -> None:
    frames = [
        frame({"a": [0.2, 0.7, 0.6], "b": [0.5, 0.5, 0.5]}, [False, True, False], [0, 1, 2]),
        frame({"a": [0.1, 0.9], "b": [0.5, 0.5]}, [False, True], [1, 2]),
    ]
    weights = drawn(np.array([0, 1, 2]), 3, replicates=50)
    found = loss_difference(frames, "a", "b", weights)
    replicates = []
    for row in weights.tolist():
        means = []
        for one in frames:
            own = [row[code] for code in one.codes]
            apart = losses(one.scores["a"], one.churned) - losses(one.scores["b"], one.churned)
            if sum(own):
                means.append(sum(w * loss for w, loss in zip(own, apart, strict=True)) / sum(own))
            else:
                means.append(0.0)
        replicates.append(sum(means) / len(means))
    assert found.error == pytest.approx(np.std(replicates, ddof=1))
    expected = [np.mean(losses(f.scores["a"], f.churned) - losses(f.scores["b"], f.churned)) for f in frames]
    assert found.mean == pytest.approx(np.mean(expected))
    assert auc_difference(frames, "a", "b", weights).mean == pytest.approx(0.5)


def test_equal_scores_differ_by_nothing_for_sure() -> None:
    frames = [frame({"a": [0.2, 0.7], "b": [0.2, 0.7]}, [False, True], [0, 1])]
    found = auc_difference(frames, "a", "b", drawn(np.array([0, 1]), 2))
    assert (found.mean, found.error) == (0.0, 0.0)
