"""The deadlines of a real desk, learned from its closed tickets, and what the engine's own `sla` rule makes of them.

`made_sla` of the incident log says whether a ticket was closed in time. The desk's promises are not in the file: opening
hours and one deadline for each priority are learned by a plain search over the tickets that were closed before a day, and
tested on those that were opened from that day on. `resolved_at`, `closed_at` and `closed_code` know the future: they are not
read; neither is `made_sla` of any row but the closing one.
"""

import csv
import gzip
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from engine_run import rule_set

from schemas.calendars import CalendarDocument
from schemas.decisions import AlertRecord
from schemas.events import Priority
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS
from schemas.rule_kinds import SlaRule, SlaTarget
from schemas.rules import RuleSet
from streams.replay import replay

FIRST_TEST_MS = int(datetime(2016, 4, 1, tzinfo=UTC).timestamp() * 1000)
STEP_MINUTES = 15
LONGEST_MINUTES = 480 * 60
PRIORITIES: dict[str, Priority] = {"1 - Critical": "urgent", "2 - High": "high", "3 - Moderate": "normal", "4 - Low": "low"}
CLOSE, RESOLVE = "close-in-time", "resolve-before-it-is-too-late"
WORKING_DAYS = ("mon", "tue", "wed", "thu", "fri")
Hours = tuple[int, int]
"""Open from one full hour to another, Monday to Friday."""


@dataclass(frozen=True)
class Incident:
    """A ticket, by what its rows said when they were written."""

    number: str
    opened_ms: int
    """Its opening as it is known in every row."""
    first_ms: int
    """Its first row."""
    closed_ms: int
    resolved: tuple[tuple[int, bool], ...]
    """Each row, and whether the ticket was Resolved or Closed from then on."""
    priority: Priority
    """At the end."""
    breached: bool


@dataclass(frozen=True)
class Deadlines:
    """What was learned."""

    hours: Hours
    minutes: dict[Priority, int]
    right: float
    """Share of the training tickets that they get right."""


@dataclass(frozen=True)
class Score:
    """Of a prediction, ticket by ticket."""

    true_alarms: int
    false_alarms: int
    missed: int
    quiet: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> "Score":
        """Of pairs (said, true)."""
        counts: dict[tuple[bool, bool], int] = defaultdict(int)
        for pair in pairs:
            counts[pair] += 1
        return cls(counts[True, True], counts[True, False], counts[False, True], counts[False, False])

    @property
    def accuracy(self) -> float:
        """Share of tickets that were judged rightly."""
        return (self.true_alarms + self.quiet) / (self.true_alarms + self.false_alarms + self.missed + self.quiet)

    @property
    def precision(self) -> float:
        """Share of alarms that were true."""
        return self.true_alarms / (self.true_alarms + self.false_alarms)

    @property
    def recall(self) -> float:
        """Share of breaches that were said."""
        return self.true_alarms / (self.true_alarms + self.missed)

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.4f}, precision {self.precision:.4f}, recall {self.recall:.4f}"


def incidents_of(log: Path) -> list[Incident]:
    """Every ticket of the log, those without a caller too."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(log, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows[row["number"]].append(row)
    return [_incident(number, sorted(of_it, key=_order)) for number, of_it in rows.items()]


def _order(row: dict[str, str]) -> tuple[int, int]:
    return _ms(row["sys_updated_at"]), int(row["sys_mod_count"])


def _incident(number: str, rows: list[dict[str, str]]) -> Incident:
    last = rows[-1]
    return Incident(
        number,
        _ms(last["opened_at"]),
        _ms(rows[0]["sys_updated_at"]),
        _ms(last["sys_updated_at"]),
        tuple((_ms(row["sys_updated_at"]), row["incident_state"] in {"Resolved", "Closed"}) for row in rows),
        PRIORITIES[last["priority"]],
        last["made_sla"] == "false",
    )


def _ms(text: str) -> int:
    return int(datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=UTC).timestamp() * 1000)


def training(incidents: list[Incident]) -> list[Incident]:
    """Those that were closed before the first test day."""
    return [one for one in incidents if one.closed_ms < FIRST_TEST_MS]


def held_out(incidents: list[Incident]) -> list[Incident]:
    """Those that were opened from the first test day on."""
    return [one for one in incidents if one.opened_ms >= FIRST_TEST_MS]


# -- learning


def learned(incidents: list[Incident], windows: Iterable[Hours]) -> Deadlines:
    """The window and the deadlines that get the most tickets right; of equals the first window, the longest deadlines.

    For each window of hours and each priority every deadline that is a multiple of a quarter of an hour is tried: a ticket
    whose working time to its closing reaches it counts as a breach.
    """
    found = [_learned_in(incidents, hours) for hours in windows]
    return max(found, key=lambda deadlines: deadlines.right)


def _learned_in(incidents: list[Incident], hours: Hours) -> Deadlines:
    minutes: dict[Priority, int] = {}
    right = 0
    for priority in PRIORITIES.values():
        of_it = sorted(
            (worked(one.first_ms, one.closed_ms, hours), one.breached) for one in incidents if one.priority == priority
        )
        durations = [duration for duration, _ in of_it]
        breaches = [0, *accumulate(int(breached) for _, breached in of_it)]
        total = breaches[-1]
        scores = []
        for deadline in range(STEP_MINUTES, LONGEST_MINUTES, STEP_MINUTES):
            in_time = bisect_left(durations, deadline)
            scores.append((in_time - breaches[in_time] + total - breaches[in_time], deadline))
        best, minutes[priority] = max(scores)
        right += best
    return Deadlines(hours, minutes, right / len(incidents))


def worked(start_ms: int, end_ms: int, hours: Hours) -> int:
    """Minutes of opening hours between two instants."""
    return _worked_until(end_ms, hours) - _worked_until(start_ms, hours)


def _worked_until(at_ms: int, hours: Hours) -> int:
    """Since the first Monday of 1970."""
    day, of_day_ms = divmod(at_ms, DAY_MS)
    week, weekday = divmod(day - 4, 7)
    first, last = hours
    today = min(max(of_day_ms // MINUTE_MS - first * 60, 0), (last - first) * 60) if weekday < 5 else 0
    return (week * 5 + min(weekday, 5)) * (last - first) * 60 + today


ALL_DAY: list[Hours] = [(0, 24)]
WINDOWS: list[Hours] = [*ALL_DAY, *((first, last) for first in range(13) for last in range(first + 4, 25))]


# -- the engine


def rules_of(deadlines: Deadlines) -> RuleSet:
    """An `sla` rule with what was learned, and an earlier one that stands still while a ticket is Resolved.

    120 hours before the deadline are three working days, for a week has two days off. The first rule warns at once, at a
    hundredth of its target: that tells the deadline.
    """
    first, last = deadlines.hours
    desk = CalendarDocument(time_zone="UTC", weekly={day: [f"{first:02}:00-{last:02}:00"] for day in WORKING_DAYS})
    early = {priority: max(STEP_MINUTES, minutes - 3 * 60 * (last - first)) for priority, minutes in deadlines.minutes.items()}
    return rule_set(
        _rule(CLOSE, deadlines.minutes, warn_at=[0.01]), _rule(RESOLVE, early, pause_on=["hold"]), calendars={"desk": desk}
    )


def _rule(rule_id: str, minutes: dict[Priority, int], **fields: Any) -> SlaRule:
    targets = [SlaTarget(priority=priority, target=f"PT{length}M", calendar="desk") for priority, length in minutes.items()]
    return SlaRule(id=rule_id, version="1", clock="resolution", until="closed", targets=targets, **fields)


Alerts = dict[tuple[str, str], list[AlertRecord]]
"""By ticket and rule, in order."""


def alerts_of(events: Path, rules: RuleSet) -> Alerts:
    """What the engine tells of each ticket."""
    found: Alerts = defaultdict(list)
    with events.open("rb") as lines:
        for alert in replay(lines, rules):
            found[alert.ticket_id or "", alert.rule.partition("@")[0]].append(alert)
    return found


def said_breached(alerts: list[AlertRecord]) -> bool:
    """An alert was opened, and not taken back."""
    states = {alert.state for alert in alerts}
    return "opened" in states and "retracted" not in states


def score_of(incidents: list[Incident], alerts: Alerts, rule_id: str) -> Score:
    """Of a rule's alerts against `made_sla`; a ticket that was not imported was never said to be late."""
    return Score.of((said_breached(alerts.get((one.number, rule_id), [])), one.breached) for one in incidents)


# -- the early warning


def lead_hours(incidents: list[Incident], alerts: Alerts) -> list[float]:
    """By how much the rule that stops at Resolved came before the deadline, for tickets that were late; ascending."""
    found = []
    for one in incidents:
        early, late = alerts.get((one.number, RESOLVE), []), alerts.get((one.number, CLOSE), [])
        opened = [alert.at_ms for alert in early if alert.state == "opened"]
        if one.breached and opened and late:
            found.append((late[-1].due_ms - opened[0]) / HOUR_MS)
    return sorted(found)


def unresolved_before(incidents: list[Incident], alerts: Alerts, before_ms: int = 120 * HOUR_MS) -> Score:
    """The same by the file: not resolved at the deadline that the engine told at first, less so much time."""
    pairs = []
    for one in incidents:
        told = alerts.get((one.number, CLOSE), [])
        at_ms = max(told[0].due_ms - before_ms, one.first_ms) if told else one.closed_ms
        resolved = [resolved for changed_ms, resolved in one.resolved if changed_ms <= at_ms]
        pairs.append((not resolved[-1], one.breached))
    return Score.of(pairs)
