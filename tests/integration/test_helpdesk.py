"""A real help desk's log (XES): its events and the breaches of a promise, against a reading of the file's lines."""

import gzip
import json
import re
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from engine_run import rule_set
from real_data import MAPPINGS, real_file

from schemas.instants import HOUR_MS
from schemas.rule_kinds import SlaRule, SlaTarget
from streams.import_file import import_file
from streams.replay import replay

Step = tuple[int, str]
HOLDS = {"Wait", "Require upgrade", "Create SW anomaly"}
ENDS = {"Resolve ticket", "Closed"}
OF_THE_ANOMALY = {"VERIFIED", "INVALID", "DUPLICATE", "RESOLVED"}
TARGET_MS = 240 * HOUR_MS
RULES = rule_set(
    SlaRule(
        id="solved-in-ten-days",
        version="1",
        clock="resolution",
        targets=[SlaTarget(target="PT240H")],
        pause_on=["hold"],
    )
)


@pytest.fixture(scope="module")
def log() -> Path:
    return real_file("helpdesk/Helpdesk.xes.gz")


@pytest.fixture(scope="module")
def tickets(log: Path) -> dict[str, list[Step]]:
    """Time and step, by ticket: read line by line, for in this file each attribute has a line of its own."""
    found: dict[str, list[Step]] = {}
    ticket, step, is_event = "", "", False
    with gzip.open(log, "rt", encoding="utf-8") as lines:
        for line in lines:
            is_event = (is_event or "<event>" in line) and "</event>" not in line
            match = re.search(r'key="(concept:name|time:timestamp)" value="(.*?)"', line)
            if match is None:
                continue
            if match[1] == "time:timestamp" and is_event:
                found.setdefault(ticket, []).append((int(datetime.fromisoformat(match[2]).timestamp() * 1000), step))
            elif is_event:
                step = match[2]
            else:
                ticket = match[2]
    return found


@pytest.fixture(scope="module")
def events(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("helpdesk") / "tickets.jsonl"
    summary = import_file(log, MAPPINGS / "helpdesk.yaml", out=out)
    assert (summary.rows, summary.skipped, dict(summary.dead_letters)) == (21_348, 8, {})
    return out


def kinds_of(number: int, step: str) -> list[str]:
    if step in OF_THE_ANOMALY:
        return []
    found = ["ticket.opened"] if number == 0 else []
    found += ["ticket.replied"] if step == "Take in charge ticket" else []
    return [*found, {"Resolve ticket": "ticket.resolved", "Closed": "ticket.closed"}.get(step, "ticket.updated")]


def breach_of(steps: list[Step], until_ms: int) -> int | None:
    """When a ticket was first open for longer than promised, not counting the time on hold."""
    used_ms, since_ms, is_running = 0, steps[0][0], True
    for at_ms, step in [*steps, (until_ms, "end")]:
        if step in OF_THE_ANOMALY:
            continue
        if is_running and used_ms + at_ms - since_ms >= TARGET_MS:
            return since_ms + TARGET_MS - used_ms
        used_ms += at_ms - since_ms if is_running else 0
        since_ms, is_running = at_ms, step not in HOLDS | ENDS
    return None


def test_every_step_of_the_log_is_the_events_that_it_means(tickets: dict[str, list[Step]], events: Path) -> None:
    expected = Counter(
        (ticket, at_ms, kind)
        for ticket, steps in tickets.items()
        for number, (at_ms, step) in enumerate(steps)
        for kind in kinds_of(number, step)
    )
    made = [json.loads(line) for line in events.read_bytes().splitlines()]
    assert len(tickets) == 4_580
    assert Counter((event["ticket_id"], event["at_ms"], event["type"]) for event in made) == expected
    assert [event["at_ms"] for event in made] == sorted(event["at_ms"] for event in made)


def test_breaches_equal_a_calculation_over_the_file(tickets: dict[str, list[Step]], events: Path) -> None:
    until_ms = max(steps[-1][0] for steps in tickets.values())
    expected = {ticket: breach_of(steps, until_ms) for ticket, steps in tickets.items()}
    with events.open("rb") as lines:
        opened = [(alert.ticket_id or "", alert.at_ms) for alert in replay(lines, RULES) if alert.state == "opened"]
    first = dict(sorted(opened, reverse=True))
    assert first == {ticket: at_ms for ticket, at_ms in expected.items() if at_ms is not None}
    assert len(first) > 300
