"""Real labels that did not come: the incident log of March 2016, and shops in which nothing was wrong.

Resolved tickets of this desk are closed by themselves after five days. From 10 March nothing was closed, until 3,114 tickets
were at once on the 24th. Skipped without CHURN_DATA.
"""

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from real_data import MAPPINGS, real_file

from detectors.model import ChurnModel
from schemas.decisions import ExampleRecord
from schemas.events import AnyEvent, Event
from schemas.instants import DAY_MS
from schemas.model_quality import ALARMS
from schemas.rules import Churn, RuleSet
from streams.evaluate_walk import Walk
from streams.import_file import import_file
from streams.replay import read_record

WAITS_DAYS = 6


def closings() -> Iterator[tuple[int, int | None, list[float]]]:
    """Of each ticket when it was resolved and when it was closed, and what was known of it at the former."""
    resolved: dict[str, tuple[int, list[float]]] = {}
    closed: dict[str, int] = {}
    with gzip.open(real_file("incidents/incident_event_log.csv.gz"), "rt") as file:
        for row in csv.DictReader(file):
            at_ms = int(datetime.strptime(row["sys_updated_at"], "%d/%m/%Y %H:%M").replace(tzinfo=UTC).timestamp() * 1000)
            if row["incident_state"] == "Resolved":
                counts = [row["reassignment_count"], row["reopen_count"], row["sys_mod_count"], row["priority"][:1]]
                resolved.setdefault(row["number"], (at_ms, [float(count) for count in counts]))
            elif row["incident_state"] == "Closed":
                closed[row["number"]] = at_ms
    for number, (at_ms, known) in resolved.items():
        yield at_ms, closed.get(number), known


def examples() -> list[ExampleRecord]:
    """A ticket that is not closed within six days has churned, so to speak; released when that is known."""
    found = [
        ExampleRecord(
            customer_id="c",
            at_ms=at_ms,
            horizon_ms=WAITS_DAYS * DAY_MS,
            churned=closed_ms is None or closed_ms >= at_ms + WAITS_DAYS * DAY_MS,
            names=["reassigned", "reopened", "changes", "priority"],
            features=known,
            active=True,
            silence_days=0.0,
        )
        for at_ms, closed_ms, known in closings()
    ]
    return sorted(found, key=lambda example: example.at_ms)


def due(example: ExampleRecord) -> date:
    return datetime.fromtimestamp((example.at_ms + example.horizon_ms) / 1000, UTC).date()


def test_closings_that_stopped_are_noticed_within_days_and_not_learned() -> None:
    model = ChurnModel(min_examples=1_000)
    alarms: dict[str, set[date]] = {name: set() for name in ALARMS}
    held_back: set[date] = set()
    for example in examples():
        before = model.monitor.held_back
        model.learn(example)
        for name in model.monitor.alarms:
            alarms[name].add(due(example))
        if model.monitor.held_back > before:
            held_back.add(due(example))

    missing, drift = sorted(alarms["labels_missing"]), sorted(alarms["log_loss_drift"])
    assert (missing[0], missing[-1]) == (date(2016, 3, 13), date(2016, 3, 25))
    assert drift[0] == date(2016, 3, 20)  # a week later: it only sees what was learned
    assert sorted(held_back) == [date(2016, 3, day) for day in range(13, 20)]  # for a horizon
    assert model.monitor.held_back == 1_314


def test_a_shop_that_was_shut_over_christmas_raises_no_such_alarm(tmp_path: Path) -> None:
    import_file(
        real_file("online_retail/invoices.csv.gz"), MAPPINGS / "online_retail_invoices.yaml", out=tmp_path / "events.jsonl"
    )
    rules = RuleSet(version="1", tenant="t", churn=Churn(horizon="P30D"))
    walk = Walk(rules)
    walk.model = ChurnModel(min_examples=1_000)
    events = list(some_customers(tmp_path / "events.jsonl", 3))
    for _ in walk.through(events, [events[-1].at_ms]):
        assert len(walk.take_examples()) > 8_000
    assert walk.model.monitor.held_back == 0


def some_customers(path: Path, every: int) -> Iterator[AnyEvent]:
    """The events of each so many-th customer."""
    places: dict[str, int] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file):
            event, _ = read_record(line, path.name, number)
            assert isinstance(event, Event)
            if places.setdefault(event.customer_id, len(places)) % every == 0:
                yield event
