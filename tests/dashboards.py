"""The committed dashboards as tests read them: panels, their queries, variables."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards"
NAMES: Final = sorted(path.stem for path in FOLDER.glob("*.json"))
_VARIABLE: Final = re.compile(r"\$(\w+)|\$\{(\w+)\}")
_OF_VALUES: Final = re.compile(r"label_values\((\w+), (\w+)\)")


def dashboard(name: str) -> dict[str, Any]:
    """As Grafana imports it."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def panels(name: str) -> list[dict[str, Any]]:
    """Without the rows."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def variables(name: str) -> list[dict[str, Any]]:
    """What people choose at the top."""
    found: list[dict[str, Any]] = dashboard(name)["templating"]["list"]
    return found


def variables_in(text: str) -> set[str]:
    """Names of the variables in a text; those of Grafana itself begin with two underscores."""
    return {one or other for one, other in _VARIABLE.findall(text)}


def queries(name: str) -> Iterator[tuple[str, str]]:
    """Each with the title of its panel; every variable is everything."""
    for panel in panels(name):
        for target in panel["targets"]:
            yield panel["title"], filled_in(target["expr"])


def filled_in(expr: str) -> str:
    """A query as Grafana sends it when everything is chosen."""
    return _VARIABLE.sub(".*", expr.replace("$__rate_interval", "1m"))


def values_asked_for(name: str) -> Iterator[tuple[str, str]]:
    """Metric and label of the variables whose values come from Prometheus."""
    for variable in variables(name):
        if variable["type"] == "query":
            match = _OF_VALUES.fullmatch(variable["query"])
            assert match is not None, variable
            yield match.group(1), match.group(2)
