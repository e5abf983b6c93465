"""The README lists every command with its options, every setting and every target; what it shows can be used as it stands."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from schemas.codec import decode_line
from schemas.events import Event
from schemas.rules import BandAt, Bands
from streams.cli import app
from streams.mapping import parse_mapping
from streams.routes_common import FileAt
from streams.routes_file import parse_routes
from streams.rules_file import parse_rules
from streams.rules_kinds import KINDS
from streams.settings import ROLES, Topic, variables
from streams.sources import read_sources
from streams.topic_table import TABLE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = [line for line in README.splitlines() if line.startswith("| `")]
TARGETS = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


RULES, BANDS, ROUTES, LINKS, SOURCES, MAPPING, NESTED = blocks("yaml")


def commands(found: Any, name: str = "churnwatch") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its whole name."""
    for word, command in getattr(found, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


COMMANDS = dict(commands(get_command(app)))


def rows_of(name: str) -> list[str]:
    return [row for row in ROWS if re.match(rf"\| `{name}[ `]", row)]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_one_row_with_all_its_options_and_no_others(name: str) -> None:
    (row,) = rows_of(name)
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")}
    assert set(re.findall(r"--[a-z-]+", row)) == options


def test_no_row_is_about_a_command_that_is_gone() -> None:
    assert len([row for row in ROWS if row.startswith("| `churnwatch ")]) == len(COMMANDS)


def test_the_row_of_the_worker_names_every_role() -> None:
    (row,) = rows_of("churnwatch worker")
    assert [role for role in ROLES if f"`{role}`" not in row] == []


def test_every_setting_has_a_row_with_its_default_and_its_purpose() -> None:
    rows = [f"| `{name}` | {f'`{default}`' if default else '-'} | {why} |" for name, (default, why) in variables().items()]
    assert [row for row in ROWS if row.startswith("| `CHURN_")] == rows


def test_every_topic_has_the_row_that_the_table_says() -> None:
    rows = [
        f"| `churn.{topic}` | {form.key} | {'P' if form.partitioned else 1} | {form.written_by} | {form.says} |"
        for topic, form in TABLE.items()
    ]
    assert sorted(row for row in ROWS if row.startswith("| `churn.")) == sorted(rows)
    assert sorted(TABLE) == sorted(get_args(Topic))


def test_every_target_has_a_row() -> None:
    assert TARGETS
    assert sorted(row.split("`")[1] for row in ROWS if row.startswith("| `make ")) == sorted(f"make {name}" for name in TARGETS)


def test_the_bands_go_with_the_rules_file() -> None:
    bands = parse_rules(f"{RULES}{BANDS}".encode(), "rules.yaml").bands
    assert bands == Bands(elevated=BandAt(contact=5, saves=0.3, value=60), high=0.65, critical=BandAt(top=50))
    assert f"{5 / (0.3 * 60):.2f}"[1:] in BANDS


def test_the_rules_file_loads() -> None:
    assert [rule.kind for rule in parse_rules(RULES.encode()).rules] == ["absence", "sla", "count", "score"]


def test_every_kind_of_rule_has_a_row() -> None:
    _, after = README.split("| kind | opens when | closes when |\n", 1)
    rows = after.split("\n\n", 1)[0].splitlines()[1:]
    assert sorted(word for row in rows for word in re.findall(r"`(\w+)`", row.split("|")[1])) == sorted(KINDS)


def test_the_file_of_routes_loads() -> None:
    routes = parse_routes((LINKS + ROUTES).encode(), file=FileAt(ROOT, reads_secrets=False))
    assert routes.links is not None
    assert sorted(routes.recipients) == ["ann", "pager", "room"]


def test_the_mapping_loads_and_makes_events() -> None:
    row = {"number": "1", "customer": "ann", "bought": "05.01.2026 10:00", "quantity": "2", "price": "3,5", "status": "paid"}
    (order,) = parse_mapping(MAPPING.encode()).events(row)
    (cancelled,) = parse_mapping(MAPPING.encode()).events(row | {"status": "cancelled"})
    assert (order["type"], order["amount"], cancelled["type"]) == ("order.placed", 7, "order.cancelled")


def test_the_mapping_of_nested_records_makes_the_events_that_it_says() -> None:
    refund = {"id": 1, "at": 1767225600000, "amount": 5, "amount_cents": 500}
    order = {
        "id": 7,
        "financial_status": "paid",
        "customer": {"id": "ann"},
        "created_at": "2026-01-01T08:00:00Z",
        "total": 100,
        "currency": "USD",
        "refunds": [refund, {**refund, "id": 2, "amount": 0}],
    }
    mapping = parse_mapping(NESTED.encode())
    found = [(event["type"], event["id"], event["amount"]) for event in mapping.events(order)]
    assert found == [("order.placed", "7", 92), ("order.returned", "7-1", 5)]
    assert mapping.events(order | {"test": True}) == []


def test_the_file_of_sources_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "shop_orders.yaml").write_text(MAPPING, encoding="utf-8")
    path = tmp_path / "sources.yaml"
    path.write_text(SOURCES, encoding="utf-8")
    assert [source.feed for source in read_sources(path)] == ["orders", "logins", "tickets"]


@pytest.mark.parametrize("line", blocks("json")[0].splitlines())
def test_the_records_of_source_topics_are_events(line: str) -> None:
    assert isinstance(decode_line(line.encode()), Event)


def test_the_alert_is_the_first_of_the_golden_story_that_is_named() -> None:
    (story,) = set(re.findall(r"tests/golden/stories/[a-z0-9-]+", README))
    first, *_ = (ROOT / story / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(blocks("json")[1]) == json.loads(first)
