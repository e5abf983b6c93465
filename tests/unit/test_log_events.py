"""What is logged has a name that stands in one table, and is one line of JSON."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog

from streams.log_events import LOG_EVENTS
from streams.logs import configure_logging

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
RUNBOOK = (ROOT / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")


class Logged(NamedTuple):
    name: str
    level: str
    fields: frozenset[str]


def events() -> Iterator[Logged]:
    """Each event that the code logs."""
    for path in (*ROOT.glob("streams/*.py"), *ROOT.glob("sinks/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[first, *_]) if level in LEVELS:
                    assert isinstance(first, ast.Constant), f"{path}:{node.lineno}: the name of an event is a constant"
                    yield Logged(str(first.value), level, frozenset(word.arg or "" for word in node.keywords))


def test_every_event_stands_in_the_table_and_nothing_else_does() -> None:
    assert {event.name for event in events()} == set(LOG_EVENTS)
    assert list(LOG_EVENTS) == sorted(LOG_EVENTS)
    assert all(says.endswith(".") for says in LOG_EVENTS.values())


def test_the_runbook_lists_what_an_operator_may_have_to_act_on() -> None:
    loud = sorted({event.name for event in events() if event.level not in {"debug", "info"}})

    assert [name for name in loud if f"| `{name}` | {LOG_EVENTS[name]} |" not in RUNBOOK] == []


def test_no_event_names_a_customer() -> None:
    assert [event for event in events() if event.fields & {"customer", "customer_id"}] == []


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_a_line_has_time_level_logger_event_and_its_fields(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", form)  # type: ignore[arg-type]  # one of both
    structlog.get_logger("churn.test").warning("sink.retry_scheduled", sink="room", reason="it's\nslow", ports={1: Path("x")})
    logging.getLogger("somebody.else").warning("of a library: %s", 7)
    ours, theirs = capsys.readouterr().err.splitlines()

    if form == "json":
        found = json.loads(ours)
        assert list(found)[:4] == ["timestamp", "level", "logger", "event"]
        assert (found["level"], found["event"], found["reason"]) == ("warning", "sink.retry_scheduled", "it's\nslow")
        assert found["ports"] == {"1": "x"}
        assert json.loads(theirs)["event"] == "of a library: 7"
    else:
        assert "event=sink.retry_scheduled" in ours
        assert "logger=somebody.else" in theirs
