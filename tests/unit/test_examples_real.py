"""Examples from real events: what the engine froze at a review is what a calculation over the whole file finds.

And what becomes of a model that hears of those who stay before it hears of those who leave. Skipped without CHURN_DATA.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import fmean

import pytest
from benchmarks.bench_evaluate import OULAD_RULES, oulad_lines
from feature_oracle import naive_features
from real_data import MAPPINGS, real_file, some_customers

from detectors.measures import Ranking, log_loss, place_of_probability
from detectors.model import ChurnModel
from schemas.decisions import ExampleRecord
from schemas.events import AnyEvent, Event, OrderPlaced
from schemas.instants import DAY_MS
from schemas.rules import Churn, RuleSet
from streams.evaluate_walk import Walk
from streams.import_file import import_file
from streams.replay import read_record
from streams.rules_file import load_rules

OF_24_BITS = 2**-23


def events_of(lines: Iterable[bytes]) -> Iterator[AnyEvent]:
    """Of canonical lines."""
    for number, line in enumerate(lines):
        event, _ = read_record(line, "events", number)
        assert isinstance(event, Event)
        yield event


def imported(table: Path, mapping: str, folder: Path) -> list[AnyEvent]:
    """The events of a table."""
    out = folder / "events.jsonl"
    import_file(table, MAPPINGS / mapping, out=out)
    with out.open("rb") as lines:
        return list(events_of(lines))


def examples_of(events: list[AnyEvent], rules: RuleSet) -> list[ExampleRecord]:
    walk = Walk(rules)
    found: list[ExampleRecord] = []
    for _ in walk.through(events, [events[-1].at_ms]):
        found += walk.take_examples()
    return found


def horizon(length: str) -> RuleSet:
    return RuleSet(version="1", tenant="t", churn=Churn(horizon=length))


def cdnow(folder: Path) -> tuple[list[AnyEvent], RuleSet]:
    table = some_customers("cdnow/cdnow_transactions.csv.gz", folder, column=0, every=90)
    return imported(table, "cdnow.yaml", folder), horizon("P90D")


def online_retail(folder: Path) -> tuple[list[AnyEvent], RuleSet]:
    table = some_customers("online_retail/invoices.csv.gz", folder, column=1, every=12)
    return imported(table, "online_retail_invoices.yaml", folder), horizon("P30D")


def oulad(folder: Path) -> tuple[list[AnyEvent], RuleSet]:
    data = real_file("oulad/vle_daily_2013.parquet").parent
    return list(events_of(oulad_lines(data, folder, "id_student % 300 = 0"))), load_rules(OULAD_RULES)


@pytest.mark.parametrize("source", [cdnow, online_retail, oulad])
def test_features_at_a_review_are_those_of_a_naive_calculation_over_the_file(source: object, tmp_path: Path) -> None:
    assert callable(source)
    events, rules = source(tmp_path)
    by_customer: dict[str, list[AnyEvent]] = defaultdict(list)
    for event in events:
        by_customer[event.customer_id].append(event)
    sample = examples_of(events, rules)[::7]
    assert len(sample) > 150
    for example in sample:
        expected = naive_features(by_customer[example.customer_id], example.at_ms, example.horizon_ms / DAY_MS)
        found = dict(zip(example.names, example.features, strict=True))
        assert found == pytest.approx(expected, rel=OF_24_BITS, abs=1e-5), (example.customer_id, example.at_ms)


def test_what_comes_at_a_review_or_after_it_changes_no_example_of_it(tmp_path: Path) -> None:
    events, rules = cdnow(tmp_path)
    every = {(one.customer_id, one.at_ms): one.features for one in examples_of(events, rules)}
    middle_ms = events[len(events) // 2].at_ms
    other = [event for event in events if event.at_ms < middle_ms] + [
        OrderPlaced(id=f"later-{number}", customer_id=event.customer_id, at_ms=at_ms, order_id=f"later-{number}", amount=1e6)
        for at_ms in range(middle_ms, events[-1].at_ms, (events[-1].at_ms - middle_ms) // 20)
        for number, event in enumerate(events[:200])
    ]
    found = {(one.customer_id, one.at_ms): one.features for one in examples_of(other, rules) if one.at_ms <= middle_ms}
    assert len(found) > 1_000
    assert found == {key: every[key] for key in found}


def test_labels_that_are_released_at_unequal_delay_ruin_the_model(tmp_path: Path) -> None:
    #  "stayed" is learned at the next purchase and "churned" after the horizon; or both after the horizon
    events, rules = cdnow(tmp_path)
    bought: dict[str, list[int]] = defaultdict(list)
    for event in events:
        bought[event.customer_id].append(event.at_ms)
    unequal, equal = ChurnModel(), ChurnModel()
    steps: list[tuple[int, int, ExampleRecord]] = []
    for example in examples_of(events, rules):
        due_ms = example.at_ms + example.horizon_ms
        purchases = bought[example.customer_id]
        next_ms = due_ms if example.churned else purchases[bisect_left(purchases, example.at_ms)]
        steps += [(example.at_ms, 2, example), (next_ms, 0, example), (due_ms, 1, example)]
    steps.sort(key=lambda step: step[:2])
    losses: dict[str, list[float]] = {"unequal": [], "equal": []}
    rankings = {"unequal": Ranking(), "equal": Ranking()}
    for _, what, example in steps:
        if what == 2 and min(unequal.monitor.examples, equal.monitor.examples) > 500:
            for name, model in (("unequal", unequal), ("equal", equal)):
                probability = model.probability(example.features)
                losses[name].append(log_loss(probability, churned=example.churned))
                rankings[name].take(place_of_probability(probability), churned=example.churned)
        elif what < 2:
            (unequal, equal)[what].learn(example)
    assert len(losses["equal"]) > 5_000
    assert fmean(losses["unequal"]) > 1.2 * fmean(losses["equal"])
    assert rankings["unequal"].auc() < rankings["equal"].auc() - 0.03
