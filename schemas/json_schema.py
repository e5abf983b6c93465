"""JSON Schema 2020-12 of every record, made from the structs, so that there is no second truth; with examples.

`python -m schemas.json_schema` writes the files beside this module; they are committed, and ship with the package. The
examples are in `schemas/examples`, one a line, as the codec writes them.
"""

from collections.abc import Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import orjson

from schemas.control import AnyControl, CalendarPublished, FeedConfirmed, FeedGap, ModelPublished, RulesPublished
from schemas.decisions import AlertRecord, ErasureRecord, ExampleRecord, LifecycleRecord, RiskRecord
from schemas.deliveries import AnyLedger
from schemas.events import AnyEvent
from schemas.model_pin import ModelPin
from schemas.progress import Arrivals, Heartbeat, SourceEpoch

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DIRECTORY: Final = Path(__file__).parent / "jsonschema"
_EXAMPLES: Final = Path(__file__).parent / "examples"
_REFERENCE: Final = "#/$defs/{name}"
_RFC_3339: Final = {"type": "string", "format": "date-time", "description": "RFC 3339 text with an offset, in place of `at_ms`"}

_TITLE_BY_NAME: Final[Mapping[str, str]] = {
    "alerts": "A record of the alert topics (alerts, shadow)",
    "arrivals": "What the clock has learned of the usual arrivals of a feed",
    "control": "A document of the control topic",
    "deliveries": "What a recipient was told, what waits, and up to where alerts were read",
    "erasures": "The proof that a customer was erased",
    "events": "A record of the log: an event or a control record",
    "examples": "A matured training example",
    "lifecycle": "A change of a customer's stage",
    "model_pins": "Which model people hold in force",
    "progress": "A report of ingest about a source partition",
    "risk": "The churn risk of a customer",
    "source": "An event as a source topic or a file may bring it",
    "source_epochs": "Which topic it is that events of a source come from",
}
TYPES_BY_NAME: Final[Mapping[str, Any]] = {
    "alerts": AlertRecord,
    "arrivals": Arrivals,
    "control": RulesPublished | CalendarPublished | ModelPublished | FeedConfirmed | FeedGap,
    "deliveries": AnyLedger,
    "erasures": ErasureRecord,
    "events": AnyEvent | AnyControl,
    "examples": ExampleRecord,
    "lifecycle": LifecycleRecord,
    "model_pins": ModelPin,
    "progress": Heartbeat,
    "risk": RiskRecord,
    "source": AnyEvent,
    "source_epochs": SourceEpoch,
}
NAMES: Final = tuple(TYPES_BY_NAME)
"""Of all schemas."""


def schema(name: str) -> dict[str, Any]:
    """The schema of one topic, by its name without the prefix, or `source`.

    >>> schema("risk")["title"]
    'The churn risk of a customer'
    """
    (root,), components = msgspec.json.schema_components([TYPES_BY_NAME[name]], ref_template=_REFERENCE)
    if name == "source":
        _allow_text_for_the_time(components)
    head = {"$schema": DIALECT, "title": _TITLE_BY_NAME[name], "examples": examples(name)}
    return {**head, **_tidied(root), "$defs": _tidied(components)}


def examples(name: str) -> list[dict[str, Any]]:
    """Records that the schema of this name describes, each of another kind or with other fields."""
    if name == "events":
        return [event for part in ("source", "clock", "control") for event in examples(part) if "at_ms" in event]
    lines = (_EXAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [orjson.loads(line) for line in lines]


def rendered() -> dict[str, bytes]:
    """Every file of `schemas/jsonschema`: name and content, always the same for the same structs."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return {f"{name}.json": orjson.dumps(schema(name), option=options) for name in TYPES_BY_NAME}


def write(directory: Path = DIRECTORY) -> list[Path]:
    """Write the files, and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / name for name in rendered()]
    for path, content in zip(paths, rendered().values(), strict=True):
        path.write_bytes(content)
    return paths


def _allow_text_for_the_time(components: dict[str, Any]) -> None:
    """In a source `at` may stand for `at_ms`, but not beside it."""
    for struct in get_args(AnyEvent):
        event = components[struct.__name__]
        event["required"] = [name for name in event["required"] if name != "at_ms"]
        event["properties"]["at"] = _RFC_3339
        event["oneOf"] = [{"required": ["at_ms"]}, {"required": ["at"]}]


def _tidied(plain: Any) -> Any:  # noqa: ANN401 - a schema is plain JSON
    """Without OpenAPI's `discriminator` (the constant `type` of a branch says the same), and no indentation in texts."""
    if isinstance(plain, dict):
        return {key: _tidied(value) for key, value in plain.items() if key != "discriminator"}
    if isinstance(plain, list):
        return [_tidied(value) for value in plain]
    return cleandoc(plain) if isinstance(plain, str) else plain


if __name__ == "__main__":
    write()
