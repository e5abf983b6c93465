"""How well an `sla` rule with learned deadlines knows which tickets of a real desk break their SLA.

`make bench-incidents CHURN_DATA=DIR`: learned from the tickets that were closed before 2016-04-01,
tested on those that were opened from then on, against `made_sla`. First with a clock that runs all day from Monday to
Friday, then with opening hours learned too. Then the early warning: not resolved three working days before the deadline.
"""

import os
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from incident_sla import (
    ALL_DAY,
    CLOSE,
    RESOLVE,
    WINDOWS,
    Deadlines,
    Hours,
    Incident,
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
from real_data import MAPPINGS

from streams.import_file import import_file

LOG = "incidents/incident_event_log.csv.gz"


def report(log: Path) -> None:
    """Print what was learned and how well it does."""
    incidents = incidents_of(log)
    train, test = training(incidents), held_out(incidents)
    say(f"\n{len(train)} tickets to learn from, {len(test)} to test, {sum(one.breached for one in test)} of them breached")
    with TemporaryDirectory() as folder:
        events = Path(folder) / "tickets.jsonl"
        import_file(log, MAPPINGS / "incidents.yaml", out=events)
        for name, windows in (("Monday to Friday, all day", ALL_DAY), ("with opening hours", WINDOWS)):
            report_one(name, train, test, windows, events)


def report_one(name: str, train: list[Incident], test: list[Incident], windows: list[Hours], events: Path) -> None:
    deadlines = learned(train, windows)
    alerts = alerts_of(events, rules_of(deadlines))
    say(f"{name}: {described(deadlines)}; right in {deadlines.right:.4f} of the training tickets")
    say(f"  breach on the test tickets: {score_of(test, alerts, CLOSE)}")
    for whom, tickets in (("all", test), ("normal and low", [one for one in test if one.priority in {"normal", "low"}])):
        hours = lead_hours(tickets, alerts)
        say(f"  early warning, {whom}: {score_of(tickets, alerts, RESOLVE)}; {spread(hours)} before the deadline")
        say(f"    by the file, 120 h before: {unresolved_before(tickets, alerts)}")


def spread(hours: list[float]) -> str:
    tenth = len(hours) // 10
    return f"{median(hours):.0f} h ({hours[tenth]:.0f} to {hours[-1 - tenth]:.0f} in 8 of 10)"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def described(deadlines: Deadlines) -> str:
    first, last = deadlines.hours
    each = ", ".join(f"{priority} {minutes / 60:g} h" for priority, minutes in deadlines.minutes.items())
    return f"{first:02}:00-{last:02}:00, {each}"


if __name__ == "__main__":
    report(Path(os.environ["CHURN_DATA"]) / LOG)
