"""What is wrong in a rules file is told with its line, the place, and what is allowed: one file for each fault."""

from pathlib import Path

import pytest

from detectors.features import NAMES
from streams.rules_file import RulesFileError, load_rules, parse_rules
from streams.yaml_nodes import Fault

RULES = Path(__file__).parents[1] / "rules"
TABLE = (RULES / "faults.txt").read_text(encoding="utf-8")
CASES = [line.split(maxsplit=2) for line in TABLE.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(("name", "line", "message"), CASES, ids=[name for name, _, _ in CASES])
def test_each_fault_is_told_with_its_line_and_what_is_allowed(name: str, line: str, message: str) -> None:
    path = RULES / "bad" / f"{name}.yaml"
    with pytest.raises(RulesFileError) as refused:
        load_rules(path)
    (fault,) = refused.value.faults
    assert fault.line == int(line)
    assert message in f"{fault.place}: {fault.message}"
    assert str(refused.value) == f"{path} has a fault:\n  {fault}"


def test_every_bad_file_is_tested() -> None:
    assert sorted(name for name, _, _ in CASES) == sorted(path.stem for path in (RULES / "bad").glob("*.yaml"))


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
version: 1.0.0
tenant: shop
time_zone: Mars
rules:
  - id: silent
    kind: absence
    of: [order.plced]
    for: 90
    colour: red
  - id: risky
    kind: rythm
  - id: reply
    kind: sla
    clock: first_response
    calendar: office
"""
    assert [(fault.line, fault.place) for fault in faults_of(text)] == [
        (3, "time_zone"),
        (7, "rules[silent].of[0]"),
        (8, "rules[silent].for"),
        (9, "rules[silent]"),
        (11, "rules[risky].kind"),
        (12, "rules[reply]"),
        (15, "rules[reply].calendar"),
    ]
    with pytest.raises(RulesFileError) as refused:
        parse_rules(text.encode(), "shop.yaml")
    assert str(refused.value).splitlines()[0] == "shop.yaml has 7 faults:"
    assert str(refused.value).splitlines()[5] == (
        "  line 11: rules[risky].kind: 'rythm' is not a kind of rule; did you mean `rhythm`? "
        "allowed are absence, rhythm, sla, count, share, level, decline, renewal, score, all, any"
    )


def faults_of(text: str) -> list[Fault]:
    with pytest.raises(RulesFileError) as refused:
        parse_rules(text.encode(), "shop.yaml")
    return refused.value.faults


def where(expression: str, of: str = "order.placed") -> str:
    """A rules file with one expression, in line 9."""
    head = "version: 1.0.0\ntenant: shop\nrules:\n  - id: burst\n    kind: count\n"
    return f"{head}    of: [{of}]\n    at_least: 2\n    within: P9D\n    where: >-\n      {expression}\n"


@pytest.mark.parametrize(
    ("expression", "of"),
    [
        ("event.amount > 5.0", "order.placed"),
        ("event.amount > 5.0", "order.placed, login.succeeded"),  # unknown for a login, which may be meant
        ("!event.public", "ticket.replied"),
        ("event.items / 2.0 > 1.0", "order.placed"),
        ('event.channel.startsWith("m")', "order.placed"),
        ('event.category == "complaint" && event.priority != "low"', "ticket.opened"),
        ('event.type == "order.placed" && event.amount > 5.0', "order.*"),
        ('event.feature == "complain"', "usage.recorded"),  # any text is a feature
        ('features.logins_30d < 3.0 && event.channel in ["web", "app"]', "order.placed"),
    ],
)
def test_an_expression_that_may_be_answered_stands(expression: str, of: str) -> None:
    assert parse_rules(where(expression, of).encode()).rules


def test_a_word_that_a_field_never_has_is_a_fault() -> None:
    (fault,) = faults_of(where('event.priority == "hihg"', "ticket.opened"))
    assert (fault.line, fault.place) == (9, "rules[burst].where")
    assert fault.message.endswith("its values are high, low, normal, urgent")


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_may_be_asked_for(name: str) -> None:
    assert parse_rules(where(f"features.{name} > 1.0").encode()).rules


@pytest.mark.parametrize(
    "length", ["P2W", "P1M10D", "P1Y1D", "PT", "P", "P1.5D", "90", "-P1D", "P0D", "p90d", "P90", "PT8", "P1H"]
)
def test_a_duration_that_can_be_read_in_two_ways_or_none_is_refused(length: str) -> None:
    text = f"version: 1.0.0\ntenant: shop\nrules:\n  - {{id: a, kind: absence, of: [order.placed], for: {length}}}\n"
    (fault,) = faults_of(text)
    assert (fault.line, fault.place) == (4, "rules[a].for")
    assert "write days and time exactly (P90D, PT8H, P1DT12H) or whole months (P3M, P1Y)" in fault.message


def test_a_circle_of_composites_is_told_once_and_those_that_only_lead_to_it_are_not() -> None:
    rules = {"a": "[x, b]", "b": "[c, x]", "c": "[x, b]", "d": "[a, c]"}
    lines = [f"  - {{id: {name}, kind: any, rules: {parts}}}" for name, parts in rules.items()]
    plain = "  - {id: x, kind: absence, of: [order.placed], for: P9D}"
    (fault,) = faults_of("\n".join(["version: 1.0.0", "tenant: shop", "rules:", plain, *lines]))
    assert (fault.line, fault.place) == (6, "rules[b].rules")
    assert fault.message.startswith("b needs c needs b: ")


def test_a_fault_of_a_range_of_days_is_told_once() -> None:
    calendar = 'calendars: {a: {time_zone: UTC, weekly: {mon-sun: ["09:00-08:00"]}}}'
    found = faults_of(f"version: 1.0.0\ntenant: shop\n{calendar}\nrules: []")
    assert [(fault.line, fault.place) for fault in found] == [(3, "calendars.a.weekly.mon[0]")]


def test_a_target_with_a_fault_is_not_taken_for_one_that_matches_everything() -> None:
    targets = "[{priority: hgih, target: PT1H}, {target: PT8H}]"
    found = faults_of(f"version: 1\ntenant: shop\nrules: [{{id: a, kind: sla, clock: resolution, targets: {targets}}}]")
    assert [fault.place for fault in found] == ["rules[a].targets[0].priority"]


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_rules(tmp_path / "missing.yaml")


def test_a_fault_says_where_it_is() -> None:
    assert str(Fault(3, "rules[a].for", "is missing")) == "line 3: rules[a].for: is missing"
    assert str(Fault(1, "", "the file is empty")) == "line 1: the file is empty"
