"""What `churnwatch evaluate` prints and writes, and what it says of alerts."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from math import isnan
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_run import absence, order, rule_set

from detectors.baselines import RecencyHistogram
from schemas.codec import encode
from schemas.instants import DAY_MS
from schemas.rules import Churn
from streams import cli
from streams.evaluate import Evaluation, Options, evaluate
from streams.evaluate_alerts import sweep
from streams.evaluate_batch import batch_model
from streams.evaluate_frames import MODEL, Frame
from streams.evaluate_html import page
from streams.evaluate_summary import as_plain, in_words
from streams.evaluate_svg import Axis, Line, around, chart

SHOP = sorted(
    [order(day + 0.5, customer="ann") for day in range(71)]
    + [order(day + 0.5, customer="bob") for day in range(50)]
    + [order(0.5, customer="cat"), order(60.5, customer="cat")],
    key=lambda event: event.at_ms,
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "a <b>shop & son.jsonl"
    path.write_bytes(b"".join(encode(record) + b"\n" for record in SHOP))
    return path


@pytest.fixture
def found(shop: Path) -> Evaluation:
    rules = msgspec.structs.replace(rule_set(absence(3)), churn=Churn(horizon="P7D"))
    return evaluate(shop, Options(rules=rules, snapshot_examples=5))


def test_a_rule_is_judged_by_what_came_within_a_horizon_of_its_alerts(found: Evaluation) -> None:
    #  bob  49.5 --- alert 52.5 ----- lost 56.5         judged: from day 49, to day 64, when a horizon of data remains
    #  cat  60.5 --- alert 63.5 ----- lost 67.5         (the alert of cat at 3.5 is earlier)
    (rule,) = found.rules
    assert (rule.alerts, rule.precision, rule.recall, rule.lead_days) == (2, 1.0, 1.0, 4.0)
    assert rule.a_day == pytest.approx(2 / 15)


def test_a_rule_that_says_nothing_has_no_precision(shop: Path) -> None:
    rules = msgspec.structs.replace(rule_set(absence(300)), churn=Churn(horizon="P7D"))
    (rule,) = evaluate(shop, Options(rules=rules)).rules
    assert (rule.alerts, rule.recall) == (0, 0.0)
    assert isnan(rule.precision)
    assert isnan(rule.lead_days)


def frame(cut_days: int, probabilities: list[float], churned: list[bool]) -> Frame:
    codes = np.arange(len(churned))
    return Frame(cut_days * DAY_MS, codes, np.array(churned), codes >= 0, {MODEL: np.array(probabilities)}, usable=True)


def test_a_limit_counts_who_crosses_it_from_one_cut_off_to_the_next() -> None:
    #           first          second            third
    #  ann      above          above             above          no alert: above all the time
    #  bob      below          above, churned    above          one, right
    #  cat      below          below             above          one, wrong
    frames = [
        frame(0, [0.9, 0.1, 0.1], [True, False, False]),
        frame(7, [0.9, 0.8, 0.1], [False, True, False]),
        frame(14, [0.9, 0.8, 0.7], [False, False, False]),
    ]
    half = next(limit for limit in sweep(frames, 0.28) if limit.limit == 0.5)
    assert (half.a_day, half.precision, half.recall) == (2 / 14, 0.5, 1.0)
    assert half.cost_a_day == pytest.approx((2 * 0.28 - 1) / 14)


def test_a_bin_without_examples_says_what_the_one_before_it_says() -> None:
    histogram = RecencyHistogram()
    assert histogram.probability(3.0) == 0.5
    for n in range(1_000):
        histogram.take(0.5, churned=n < 100)
        histogram.take(100.0, churned=n < 900)
    low, high, beyond = map(histogram.probability, (0.5, 100.0, 400.0))
    assert low == pytest.approx(0.1, abs=0.01)
    assert high == pytest.approx(0.9, abs=0.01)
    assert beyond == high


def test_the_batch_model_waits_for_both_classes_and_ignores_what_never_varies() -> None:
    batch = batch_model()
    assert batch is not None
    batch.fit()
    features = [[float(n), 7.0] for n in range(40)]
    assert batch.probabilities(np.array(features)) is None
    batch.learn(features, np.zeros(40, np.bool_))
    batch.fit()
    assert batch.probabilities(np.array(features)) is None
    batch.learn([[100.0 + n, 7.0] for n in range(40)], np.ones(40, np.bool_))
    batch.fit()
    said = batch.probabilities(np.array([[1.0, 7.0], [120.0, 7.0], [120.0, 9.0]]))
    assert said is not None
    assert said[0] < 0.2
    assert said[1] == said[2] > 0.8


def test_without_the_extra_all_but_the_comparison_is_there(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    found = evaluate(shop, Options(horizon="P7D"))
    assert "pip install 'churnwatch[evaluate]'" in in_words(found)
    plain = as_plain(found)
    assert plain["model_less_batch"] is None
    assert "batch" not in plain["groups"]["all"]["scores"]
    assert page(found).count("<svg") == 4


# -- the page


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_four_charts_and_needs_nothing_from_elsewhere(found: Evaluation) -> None:
    seen = Seen()
    seen.feed(page(found))
    assert seen.open == []
    tags = [tag for tag, _ in seen.tags]
    assert tags.count("svg") == 4
    assert not {"script", "link", "img", "b"} & set(tags)
    assert not [value for _, attributes in seen.tags for name, value in attributes.items() if name in {"src", "href"}]
    assert "a <b>shop & son.jsonl" in seen.text
    assert "prefers-color-scheme: dark" in page(found)


def test_a_line_has_a_gap_where_a_number_is_missing() -> None:
    points = [(0.0, 0.1), (0.2, 0.3), (0.4, float("nan")), (0.6, 0.5)]
    drawn = chart("t", Axis("x", 0, 1), Axis("y", 0, 1), [Line("l", "a", points)])
    assert drawn.count("<polyline") == 2
    assert "nan" not in drawn


def test_an_axis_has_round_marks_within_it_and_room_for_a_single_value() -> None:
    assert Axis("x", 0, 1).marks() == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    only = around("x", [3.0, float("nan")])
    assert only.least < 3 < only.most
    assert around("x", []).marks()


# -- the command


def run(*words: str, seed: str = "0", stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONHASHSEED": seed}
    command = [sys.executable, "-m", "streams.cli", "evaluate", *words]
    return subprocess.run(command, capture_output=True, check=False, env=environment, input=stdin)


def without_cost(path: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(path.read_bytes())
    assert plain.pop("cost")["event_median_us"] > 0
    return plain


def test_two_processes_say_the_same_bytes_of_a_file_and_of_standard_input(shop: Path, tmp_path: Path) -> None:
    one = run(str(shop), "--horizon", "P7D", "--json", str(tmp_path / "1"), "--html", str(tmp_path / "page.html"))
    other = run("-", "--horizon", "P7D", "--json", str(tmp_path / "2"), seed="1", stdin=shop.read_bytes())
    assert (one.returncode, other.returncode) == (0, 0), one.stderr + other.stderr
    assert one.stdout.replace(shop.name.encode(), b"-") == other.stdout
    assert without_cost(tmp_path / "1") | {"file": "-"} == without_cost(tmp_path / "2")
    assert one.stderr.startswith(b"time: ")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--horizon", "P3M"], "calendar duration"),
        (["--from", "yesterday"], "RFC 3339"),
        (["--active", "often"], "not a duration"),
        (["--horizon", "P90D"], "222 are needed"),
    ],
)
def test_what_cannot_be_used_ends_with_status_2_and_the_reason(
    shop: Path, words: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["churnwatch", "evaluate", str(shop), *words])
    try:
        status = cli.main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status == 2
    assert says in " ".join(capsys.readouterr().err.replace("│", " ").split())
