"""Keeps what this release writes, for the tests of those that come after it: `make keep-release`, before each release.

Into a folder named for the version: records of every kind with headers and keys, the JSON Schemas without what is for
people only, and the state of engines that have read the golden stories.
"""

import base64
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import orjson
from compatibility.samples import records_of

from detectors.engine import PartitionEngine
from schemas.cloud_events import source_of
from schemas.codec import decode_line, encode
from schemas.control import RulesPublished, Tick
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from schemas.events import Event, SourcePosition
from schemas.json_schema import NAMES, TYPES_BY_NAME, examples, schema
from streams.decision_rows import event_row
from streams.rules_file import load_rules

FOLDER: Final = Path(__file__).parent
STORIES: Final = FOLDER.parent / "golden/stories"
_FOR_PEOPLE: Final = frozenset({"title", "description", "examples", "$schema"})


def main() -> None:
    """Write the folder of this version anew."""
    folder = FOLDER / version("churnwatch")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "jsonschema").mkdir(parents=True)
    for name in NAMES:
        (folder / "jsonschema" / f"{name}.json").write_bytes(orjson.dumps(bare(schema(name)), option=orjson.OPT_SORT_KEYS))
    _write(folder / "records.jsonl", records())
    _write(folder / "states.jsonl", states())


def bare(plain: Any) -> Any:
    """A schema without what is for people; names of fields stay, whatever they are."""
    if isinstance(plain, list):
        return [bare(value) for value in plain]
    if not isinstance(plain, dict):
        return plain
    return {
        key: {name: bare(value) for name, value in inner.items()} if key in {"properties", "$defs"} else bare(inner)
        for key, inner in plain.items()
        if key not in _FOR_PEOPLE
    }


def records() -> Iterator[Mapping[str, Any]]:
    """Of each schema: its examples, then records that are made to have everything."""
    for name in NAMES:
        for example in examples(name):
            yield {"schema": name, "value": example}
        kinds = get_args(TYPES_BY_NAME[name]) or (TYPES_BY_NAME[name],)
        for struct in kinds:
            for record in records_of(struct):
                yield {"schema": name, **_around(record), "value": orjson.loads(encode(record))}


def _around(record: msgspec.Struct) -> Mapping[str, Any]:
    if not isinstance(record, AlertRecord | RiskRecord | LifecycleRecord):
        return {}
    row = event_row(record, source_of("churn."))
    return {"key": (row.key or b"").decode(), "headers": {name: text.decode() for name, text in row.headers}}


def states() -> Iterator[Mapping[str, Any]]:
    """Of each story: the records of the state, and the last sequence that was told of each alert."""
    for story in sorted(STORIES.iterdir()):
        engine, told = PartitionEngine(0, "log"), dict[str, int]()
        for offset, record in enumerate(_log_of(story)):
            decided = engine.apply(offset, record)
            told |= {alert.alert_id: alert.sequence for alert in (*decided.alerts, *decided.shadow)}
        kept = {key: value for key, value in [*engine.take_changes(), engine.head_change()] if value is not None}
        yield {
            "story": story.name,
            "position": engine.position,
            "state": {key.decode(): base64.b85encode(value).decode() for key, value in sorted(kept.items())},
            "told": told,
        }


def _log_of(story: Path) -> Iterator[Any]:
    """The story's records, with a tick after each: time stands where the last record left it."""
    if (story / "rules.yaml").exists():
        rules = load_rules(story / "rules.yaml")
        yield RulesPublished(at_ms=0, version=rules.version, revision=1, document=rules)
    for number, line in enumerate((story / "events.jsonl").read_bytes().splitlines(), 1):
        record = decode_line(line)
        if isinstance(record, Event) and record.src is None:
            record = msgspec.structs.replace(record, src=SourcePosition("log", 0, 0, number))
        yield record
        if isinstance(record, Event):
            yield Tick(at_ms=record.at_ms)


def _write(path: Path, lines: Iterator[Mapping[str, Any]]) -> None:
    path.write_bytes(b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines))


if __name__ == "__main__":
    main()
