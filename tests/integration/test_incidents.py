"""The incident log of a real desk: breaches of a resolution SLA, measured to closing, against a calculation of its own.

What the classes that are easily got wrong do, in the engine and in the oracle alike: a ticket whose first row is not New
starts with that row; a change of priority keeps the working time that was used; Resolved is a state like the others, for
the desk's own SLA counts it; a ticket that was closed and came back starts another alert, over its target at once if it was.
"""

import csv
import gzip
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import pytest
from engine_run import rule_set
from incident_sla import (
    CLOSE,
    RESOLVE,
    WINDOWS,
    alerts_of,
    held_out,
    incidents_of,
    lead_hours,
    learned,
    rules_of,
    score_of,
    training,
    unresolved_before,
)
from real_data import MAPPINGS, real_file

from schemas.calendars import CalendarDocument
from schemas.decisions import AlertRecord
from schemas.instants import MINUTE_MS
from schemas.rule_kinds import SlaRule, SlaTarget
from streams.import_file import import_file
from streams.replay import replay

WORKING_DAYS = CalendarDocument(time_zone="UTC", weekly={day: ["00:00-24:00"] for day in ("mon", "tue", "wed", "thu", "fri")})
HOURS = {"1 - Critical": 24, "2 - High": 48, "3 - Moderate": 120, "4 - Low": 240}
RULES = rule_set(
    SlaRule(
        id="close-by-priority",
        version="1",
        clock="resolution",
        until="closed",
        targets=[
            SlaTarget(priority="urgent", target="PT24H", calendar="desk"),
            SlaTarget(priority="high", target="PT48H", calendar="desk"),
            SlaTarget(priority="normal", target="PT120H", calendar="desk"),
            SlaTarget(priority="low", target="PT240H", calendar="desk"),
        ],
    ),
    calendars={"desk": WORKING_DAYS},
)
Breach = tuple[str, str, datetime]
Row = tuple[datetime, str, str]


@pytest.fixture(scope="module")
def log() -> Path:
    return real_file("incidents/incident_event_log.csv.gz")


def tickets_of(log: Path) -> dict[tuple[str, str], list[Row]]:
    """Time, state and priority of each row, by caller and ticket; rows without a caller are nobody's."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    with gzip.open(log, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["caller_id"] != "?":
                changed = datetime.strptime(row["sys_updated_at"], "%d/%m/%Y %H:%M")  # noqa: DTZ007 - the file's own clock
                found[row["caller_id"], row["number"]].append((changed, row["incident_state"], row["priority"]))
    return {key: sorted(rows, key=lambda row: row[0]) for key, rows in found.items()}


def working_minutes(start: datetime, end: datetime) -> int:
    """Monday to Friday, day by day."""
    total, day = 0, datetime(start.year, start.month, start.day)  # noqa: DTZ001
    while day < end:
        if day.weekday() < 5:
            total += max(0, int((min(end, day + timedelta(days=1)) - max(start, day)).total_seconds()) // 60)
        day += timedelta(days=1)
    return total


def reached(start: datetime, minutes: int) -> datetime:
    """When so many working minutes have passed, found by walking from midnight to midnight."""
    while True:
        midnight = datetime(start.year, start.month, start.day) + timedelta(days=1)  # noqa: DTZ001
        there = working_minutes(start, midnight)
        if minutes <= there:
            return start + timedelta(minutes=minutes) if start.weekday() < 5 or minutes == 0 else midnight
        minutes, start = minutes - there, midnight


def breaches_of(rows: list[Row], until: datetime) -> list[datetime]:
    """All breaches of one ticket, in order: at most one before each closing."""
    found: list[datetime] = []
    used, since, runs, open_alert, closed = 0, rows[0][0], False, False, False
    target = 0
    for changed, state, priority in [*rows, (until, "end", rows[-1][2])]:
        if runs:
            more = working_minutes(since, changed)
            if not open_alert and used + more >= target:
                found.append(reached(since, target - used))
                open_alert = True
            used += more
        since = changed
        if state == "end":
            break
        target = HOURS[priority] * 60
        if runs and not open_alert and used >= target:  # a higher priority than before
            found.append(changed)
            open_alert = True
        if state == "Closed":
            runs, closed = False, True
        else:
            open_alert = open_alert and not closed
            runs, closed = True, False
            if not open_alert and used >= target:
                found.append(changed)
                open_alert = True
    return found


@pytest.fixture(scope="module")
def events(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("incidents") / "tickets.jsonl"
    summary = import_file(log, MAPPINGS / "incidents.yaml", out=out)
    assert summary.dead_letters == {"no_customer": 29}
    return out


def test_breaches_equal_a_calculation_over_the_file(log: Path, events: Path) -> None:
    with events.open("rb") as lines:
        alerts = list(replay(lines, RULES))

    tickets = tickets_of(log)
    until = max(row[0] for rows in tickets.values() for row in rows)
    expected = {(caller, number, moment) for (caller, number), rows in tickets.items() for moment in breaches_of(rows, until)}
    assert len({number for _, number in tickets}) == 13_299  # 3 of 13,302 have no caller in any row
    assert {breach_of(alert) for alert in alerts if alert.state == "opened"} == expected
    assert len(expected) > 1_000
    told = [(alert.alert_id, alert.sequence) for alert in alerts]
    assert len(told) == len(set(told))


def test_learned_deadlines_know_which_tickets_will_break_their_sla(log: Path, events: Path) -> None:
    """A plain script with whole days and four deadlines reaches accuracy .986, precision .989, recall .950."""
    incidents = incidents_of(log)
    deadlines = learned(training(incidents), WINDOWS)
    alerts = alerts_of(events, rules_of(deadlines))
    score = score_of(held_out(incidents), alerts, CLOSE)
    assert len(held_out(incidents)) == 4_100
    assert score.accuracy > 0.995
    assert score.precision > 0.99
    assert score.recall > 0.99
    early = score_of(held_out(incidents), alerts, RESOLVE)
    assert early.precision > 0.98
    assert early.recall > 0.85
    assert median(lead_hours(held_out(incidents), alerts)) >= 72
    by_the_file = unresolved_before(held_out(incidents), alerts)
    assert by_the_file.precision > 0.98
    assert by_the_file.recall > 0.95


def breach_of(alert: AlertRecord) -> Breach:
    moment = datetime(1970, 1, 1) + timedelta(minutes=alert.at_ms // MINUTE_MS)  # noqa: DTZ001
    return alert.customer_id or "", alert.ticket_id or "", moment
