"""The dashboards are those that the code builds, and nothing in them is left to chance."""

from itertools import combinations
from typing import Any

import promql_parser
import pytest
from boards.all import BOARDS, as_json
from dashboards import FOLDER, NAMES, dashboard, panels, queries, values_asked_for, variables, variables_in
from promql_metrics import known_series, metric_names

from streams.metric_table import METRICS

SERIES = known_series()
OF_PROMETHEUS = {"up", "ALERTS", "process_resident_memory_bytes", "process_cpu_seconds_total"}
OF_A_SCRAPE = {"instance", "job", "service", "le"}


def test_the_files_are_what_the_code_builds() -> None:
    assert sorted(BOARDS) == NAMES
    for name in NAMES:
        text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
        assert text == as_json(name), f"{name}.json is not what the code builds: make dashboards"


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_can_be_found_and_says_what_it_is_for(name: str) -> None:
    board = dashboard(name)

    assert board["uid"] == f"churnwatch-{name}"
    assert board["title"].startswith("churnwatch: ")
    assert board["description"]
    assert board["tags"] == ["churnwatch"]
    assert board["time"]["to"] == "now"


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_has_a_number_a_title_a_sentence_and_a_unit(name: str) -> None:
    found = dashboard(name)["panels"]
    ids, titles = [panel["id"] for panel in found], [panel["title"] for panel in found if panel["type"] != "table"]

    assert len(ids) == len(set(ids))
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert panel["targets"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)), panel["title"]
    assert titles


@pytest.mark.parametrize("name", NAMES)
def test_no_panel_lies_over_another_or_outside(name: str) -> None:
    found = dashboard(name)["panels"]

    for panel in found:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
    for one, other in combinations(found, 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not beside and not above


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_is_there_and_used(name: str) -> None:
    used = {found for panel in panels(name) for target in panel["targets"] for found in variables_in(target["expr"])}
    defined = {variable["name"] for variable in variables(name)}

    assert {found for found in used if not found.startswith("__")} | {"datasource"} == defined


@pytest.mark.parametrize("name", NAMES)
def test_every_query_parses_and_names_metrics_and_labels_that_there_are(name: str) -> None:
    for title, query in queries(name):
        named = metric_names(query)
        assert named <= set(SERIES) | OF_PROMETHEUS, title
        labels = {label for metric in named & set(SERIES) for label in SERIES[metric].labels}
        if not named & OF_PROMETHEUS:
            assert labels_in(promql_parser.parse(query)) <= labels | OF_A_SCRAPE, (title, query)
    for metric, label in values_asked_for(name):
        assert label in METRICS[metric].labels  # type: ignore[index]  # of any text


@pytest.mark.parametrize("name", NAMES)
def test_a_line_is_called_by_labels_that_its_query_keeps(name: str) -> None:
    for panel in panels(name):
        for target in panel["targets"]:
            wanted = {part.partition("}}")[0] for part in target.get("legendFormat", "").split("{{")[1:]}
            expr = target["expr"]
            assert all(label in expr or label == "instance" for label in wanted), (panel["title"], wanted)


def labels_in(node: Any) -> set[str]:
    """The labels that a query compares or groups by."""
    found: set[str] = set()
    match node:
        case promql_parser.VectorSelector():
            found |= {matcher.name for matcher in node.matchers.matchers if matcher.name != "__name__"}
        case promql_parser.MatrixSelector():
            found |= labels_in(node.vector_selector)
        case promql_parser.AggregateExpr():
            found |= set(node.modifier.labels if node.modifier is not None else ()) | labels_in(node.expr)
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            found |= labels_in(node.expr)
        case promql_parser.BinaryExpr():
            found |= labels_in(node.lhs) | labels_in(node.rhs)
        case promql_parser.Call():
            for argument in node.args:
                found |= labels_in(argument)
        case _:
            pass
    return found
