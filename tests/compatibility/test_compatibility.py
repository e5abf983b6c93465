"""What released versions wrote is read by this one, and what this one writes is read by those who know only those versions."""

import base64
import copy
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from compatibility.comparison import broken
from compatibility.keep import FOLDER, bare
from schema_readers import READERS

from detectors.engine import PartitionEngine
from schemas.cloud_events import source_of
from schemas.codec import Record, encode
from schemas.control import Tick
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from schemas.events import CustomerUpdated
from schemas.instants import DAY_MS
from schemas.json_schema import NAMES, schema
from streams.decision_rows import event_row

RELEASES = sorted(path for path in FOLDER.iterdir() if (path / "records.jsonl").is_file())
SCHEMAS = [pytest.param(path, id=f"{path.parents[1].name}-{path.stem}") for each in RELEASES for path in each.glob("*/*.json")]
NOT_RELEASED_YET = "if that version is not released yet, keep it anew: make keep-release"

of_each_release = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)


def kept(release: Path, name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (release / name).read_bytes().splitlines()]


def lost(old: Any, new: Any, path: str = "$") -> list[str]:
    """What stood in a record and does not any more; what was added does not matter."""
    if isinstance(old, dict) and isinstance(new, dict):
        gone = [f"{path}.{name}" for name in old if name not in new]
        return gone + [fault for name in old if name in new for fault in lost(old[name], new[name], f"{path}.{name}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [fault for number, (a, b) in enumerate(zip(old, new, strict=True)) for fault in lost(a, b, f"{path}[{number}]")]
    return [] if old == new else [f"{path}: {old} became {new}"]


def test_this_version_keeps_what_it_writes() -> None:
    assert version("churnwatch") in [release.name for release in RELEASES], "make keep-release"


@of_each_release
def test_every_record_is_read_and_nothing_of_it_is_lost(release: Path) -> None:
    lines = kept(release, "records.jsonl")
    assert {line["schema"] for line in lines} <= set(NAMES)
    for line in lines:
        name, value = line["schema"], line["value"]
        record = READERS[name](orjson.dumps(value))
        if "at" not in value:
            assert lost(value, orjson.loads(encode(record))) == [], (name, value, NOT_RELEASED_YET)


@of_each_release
def test_headers_are_read_and_are_what_is_written_today(release: Path) -> None:
    lines = [line for line in kept(release, "records.jsonl") if "headers" in line]
    assert {line["schema"] for line in lines} == {"alerts", "risk", "lifecycle"}
    for line in lines:
        headers = {name: text.encode() for name, text in line["headers"].items()}
        event = from_binary_event(KafkaMessage(headers, line["key"], orjson.dumps(line["value"])))
        record = READERS["alerts"](orjson.dumps(event.get_data()))
        assert isinstance(record, AlertRecord | RiskRecord | LifecycleRecord)
        row = event_row(record, source_of("churn."))
        assert (row.key, lost(headers, dict(row.headers))) == (line["key"].encode(), []), NOT_RELEASED_YET


@pytest.mark.parametrize("path", SCHEMAS)
def test_schemas_only_grow(path: Path) -> None:
    assert broken(orjson.loads(path.read_bytes()), bare(schema(path.stem))) == [], NOT_RELEASED_YET


@of_each_release
def test_the_state_is_taken_over_and_alerts_go_on_counting(release: Path) -> None:
    later_ms = 4_000_000_000_000
    went_on = 0
    for line in kept(release, "states.jsonl"):
        engine, told = PartitionEngine(0, "log"), line["told"]
        for key, value in line["state"].items():
            engine.load(key.encode(), base64.b85decode(value))
        engine.restored()
        assert engine.position == line["position"], line["story"]
        customers = [key.removeprefix("c/") for key in line["state"] if key.startswith("c/")]
        events = [CustomerUpdated(id=f"u/{one}", customer_id=one, at_ms=later_ms, tier="late") for one in customers]
        log: list[Record] = [*events, Tick(at_ms=later_ms + DAY_MS)]
        for offset, record in enumerate(log, engine.position + 1):
            decided = engine.apply(offset, record)
            assert decided.dead_letters == [], line["story"]
            for alert in (*decided.alerts, *decided.shadow):
                assert alert.sequence > told.get(alert.alert_id, 0), line["story"]
                went_on += alert.alert_id in told
                told[alert.alert_id] = alert.sequence
    assert went_on > 0


ALERTS = bare(schema("alerts"))
Change = Callable[[dict[str, Any], dict[str, Any]], Any]
"""Of a record: its fields, and the whole."""
BREAKS: dict[str, Change] = {
    "a field is gone": lambda fields, _: fields.pop("tier"),
    "a field must be there now": lambda _, record: record["required"].append("tier"),
    "a field need not be there any more": lambda _, record: record["required"].remove("alert_id"),
    "a word is gone": lambda fields, _: fields["state"]["enum"].remove("snoozed"),
    "any word will do": lambda fields, _: fields["state"].pop("enum"),
    "a bound is closer": lambda fields, _: fields["sequence"].update(maximum=7),
    "a type is another": lambda fields, _: fields["sequence"].update(type="number"),
    "a text has a pattern": lambda fields, _: fields["rule"].update(pattern="^r"),
    "null is gone": lambda fields, _: fields["tier"]["anyOf"].pop(),
    "a number may be there too": lambda fields, _: fields["tier"]["anyOf"].append({"type": "integer"}),
    "a number may be there in place of text": lambda fields, _: fields.update(
        rule={"anyOf": [fields["rule"], {"type": "null"}]}
    ),
    "what is left out means something else": lambda fields, _: fields["notes"].update(default=["x"]),
    "values of a map are others": lambda fields, _: fields["feeds"].update(additionalProperties={"type": "integer"}),
    "items of a list are others": lambda fields, _: fields["notes"].update(items={"type": "integer"}),
    "unknown fields are refused": lambda _, record: record.update(additionalProperties=False),
}
ADDITIONS: dict[str, Change] = {
    "a field that need not be there": lambda fields, _: fields.update(mood={"type": "string", "default": ""}),
    "a word": lambda fields, _: fields["state"]["enum"].append("paused"),
    "words in another order": lambda fields, _: fields["state"]["enum"].reverse(),
}


def said_of(change: Change) -> list[str]:
    """What the comparison says of a changed record of alerts."""
    new = copy.deepcopy(ALERTS)
    record = new["$defs"]["AlertRecord"]
    change(record["properties"], record)
    return broken(ALERTS, new)


@pytest.mark.parametrize("name", BREAKS)
def test_what_would_break_a_reader_is_found(name: str) -> None:
    assert len(said_of(BREAKS[name])) == 1


@pytest.mark.parametrize("name", ADDITIONS)
def test_what_is_only_added_is_no_fault(name: str) -> None:
    assert said_of(ADDITIONS[name]) == []


def test_a_new_kind_of_record_may_come_and_none_may_go() -> None:
    old = bare(schema("deliveries"))
    new = copy.deepcopy(old)
    new["$defs"]["Fresh"] = {"type": "object", "properties": {"type": {"enum": ["fresh"]}}, "required": ["type"]}
    new["anyOf"].append({"$ref": "#/$defs/Fresh"})
    assert broken(old, new) == []
    assert broken(new, old) == ["$: a kind of value is gone"]
