"""The rules for Prometheus: promtool takes them, each alert fires when it must, and the runbook says what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from promql_metrics import known_series, metric_names
from ruamel.yaml import YAML
from typer.main import get_command

from streams.cli import app
from streams.metric_table import METRICS

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER = DEPLOY / "prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in YAML(typ="safe").load((FOLDER / "rules.yaml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
TESTS: list[dict[str, Any]] = YAML(typ="safe").load((FOLDER / "rules_test.yaml").read_text())["tests"]
RUNBOOK = (DEPLOY / "RUNBOOK.md").read_text()
KNOWN = set(known_series())


def promtool(*arguments: str) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is missing: it comes with Prometheus; on Debian and Ubuntu: apt-get install prometheus")
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_promtool_takes_the_rules_and_every_alert_fires_when_it_must() -> None:
    assert promtool("check", "rules", "rules.yaml") == ""
    assert promtool("test", "rules", "rules_test.yaml") == ""


def test_each_alert_has_a_time_at_which_it_fires_and_one_at_which_it_does_not() -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for case in (case for test in TESTS for case in test.get("alert_rule_test", [])):
        (fires if case["exp_alerts"] else silent).add(case["alertname"])
    # An alert that names the series it is about is also silent about all others in its test.
    about_one = {name for test in TESTS for name in _alerts_of(test) if len(test["input_series"]) > 1}

    assert fires == set(ALERTS)
    assert silent | about_one == set(ALERTS)


def _alerts_of(test: dict[str, Any]) -> set[str]:
    return {case["alertname"] for case in test.get("alert_rule_test", [])}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_name_metrics_that_there_are(rule: dict[str, Any]) -> None:
    assert metric_names(rule["expr"]) <= KNOWN | RECORDED | {"up"}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_is_how_urgent_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]

    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"] == f"RUNBOOK.md#{name.lower()}"


def test_the_runbook_has_a_section_for_each_alert_and_none_for_others() -> None:
    sections = re.findall(r"^### (Churnwatch\w+)$", RUNBOOK, re.MULTILINE)

    assert sections == list(dict.fromkeys(sections))
    assert set(sections) == set(ALERTS)
    for name in sections:
        section = RUNBOOK.partition(f"### {name}\n")[2].partition("\n#")[0]
        assert re.findall(r"^- (\w[\w ]*):", section, re.MULTILINE) == ["Means", "See why", "Do"], name


def test_the_runbook_names_commands_and_metrics_that_there_are() -> None:
    commands = _commands(get_command(app))
    metrics = set(re.findall(r"churn_\w+", RUNBOOK))
    named = re.findall(r"`churnwatch ([a-z]+(?: [a-z]+)?)", RUNBOOK)

    assert metrics <= KNOWN | set(METRICS)
    assert named
    for name in named:
        assert name in commands or name.partition(" ")[0] in commands - _groups(commands), name


def _commands(command: Any, before: str = "") -> set[str]:
    found = set()
    for name, one in getattr(command, "commands", {}).items():
        found |= {before + name} | _commands(one, f"{before}{name} ")
    return found


def _groups(commands: set[str]) -> set[str]:
    return {name.partition(" ")[0] for name in commands if " " in name}
