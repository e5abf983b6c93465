"""The messages of the AsyncAPI description: headers, payloads by reference to the JSON Schemas, examples of both."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from schemas.cloud_events import ATTRIBUTES, KAFKA_CONTENT_TYPE, KAFKA_PREFIX, source_of
from schemas.codec import decode_decision
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from schemas.json_schema import examples
from streams.dead_letters import SOURCE_HEADER
from streams.decision_rows import CUSTOMER_HEADER, ERASED_HEADER, event_row
from streams.routing import WATERMARK_HEADER
from streams.settings import Settings, Topic
from streams.traces import TRACEPARENT

_MOST_EXAMPLES: Final = 3
_TEXT: Final = {"type": "string"}
_BYTES: Final = "application/octet-stream"
_ERASED: Final = {ERASED_HEADER: {**_TEXT, "description": "Of an erased customer: up to which instant, in milliseconds."}}
_TRACEPARENT: Final = "W3C Trace Context of the request that it came of."

MESSAGES_OF: Final[Mapping[Topic, Sequence[str]]] = {
    "events": ["logRecord"],
    "control": ["document"],
    "state": ["state"],
    "alerts": ["alert"],
    "shadow": ["alert"],
    "risk": ["risk"],
    "lifecycle": ["lifecycle"],
    "examples": ["example"],
    "erasures": ["erasure"],
    "models": ["trainingState", "model", "modelPin"],
    "progress": ["heartbeat", "sourceEpoch", "arrivals"],
    "deadletters": ["deadLetter"],
    "redrive": ["deadLetter"],
    "actions": ["sourceEvent"],
    "deliveries": ["delivery"],
}
TOMBSTONES_OF: Final[Mapping[Topic, str]] = {
    "state": "tombstone",
    "alerts": "forgottenAlert",
    "risk": "tombstone",
    "lifecycle": "tombstone",
    "models": "tombstone",
    "deliveries": "tombstone",
}


def _of_schema(name: str, says: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of plain JSON
    shown = [{"payload": payload} for payload in examples(name)[:_MOST_EXAMPLES]]
    return {"summary": says, **more, "payload": {"$ref": f"./jsonschema/{name}.json"}, "examples": shown}


def _of_event(name: str, says: str, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """A decision, which is a CloudEvent."""
    shown = [{"headers": _headers_of(payload), "payload": payload} for payload in examples(name)[:_MOST_EXAMPLES]]
    return _of_schema(name, says, headers=_event_headers(wanted)) | {"examples": shown}


def _event_headers(wanted: Callable[[str], bool]) -> dict[str, Any]:
    found = {name: attribute for name, attribute in ATTRIBUTES.items() if wanted(name)}
    headers = {KAFKA_PREFIX + name: {**_TEXT, "description": attribute.says} for name, attribute in found.items()}
    headers[KAFKA_CONTENT_TYPE] = {"const": "application/json"}
    always = [KAFKA_PREFIX + name for name, attribute in found.items() if attribute.always]
    return _headers(headers, [*always, KAFKA_CONTENT_TYPE])


def _headers(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), **({"required": list(required)} if required else {})}


def _headers_of(payload: Mapping[str, Any]) -> dict[str, str]:
    record = decode_decision(orjson.dumps(payload))
    if not isinstance(record, AlertRecord | RiskRecord | LifecycleRecord):
        raise TypeError(f"{record} is no CloudEvent")
    row = event_row(record, source_of(str(Settings.model_fields["prefix"].default)))
    return {name: text.decode() for name, text in row.headers}


def _without_a_severity(name: str) -> bool:
    return not name.startswith("severity")


MESSAGES: Final[Mapping[str, Any]] = {
    "sourceEvent": _of_schema(
        "source",
        "An event. A mapping makes events of records of any other form.",
        headers=_headers(
            {
                TRACEPARENT: {**_TEXT, "description": "W3C Trace Context; goes along to the alerts that it leads to."},
                WATERMARK_HEADER: {
                    **_TEXT,
                    "pattern": "^[0-9]+$",
                    "description": "Of a record without a value: no event older than these milliseconds follows it.",
                },
            }
        ),
    ),
    "logRecord": _of_schema(
        "events",
        "An event or a control record; nobody but churnwatch writes it.",
        headers=_headers({TRACEPARENT: {**_TEXT, "description": _TRACEPARENT}}),
    ),
    "document": _of_schema("control", "A document that is in force from here on, or what people say of a feed."),
    "alert": _of_event("alerts", "A transition of an alert, or what people say of it.", lambda _name: True),
    "risk": _of_event("risk", "The churn risk of a customer.", _without_a_severity),
    "lifecycle": _of_event("lifecycle", "A customer moved to another stage.", _without_a_severity),
    "example": _of_schema("examples", "A matured training example."),
    "erasure": _of_schema("erasures", "The proof that a customer was erased."),
    "model": {
        "summary": "A model as it was published.",
        "payload": {"$ref": "./jsonschema/control.json#/$defs/ModelPublished"},
        "examples": [{"payload": one} for one in examples("control") if one["type"] == "model.published"],
    },
    "modelPin": _of_schema("model_pins", "Which model people hold in force, and who decided so."),
    "heartbeat": _of_schema("progress", "How far a source partition was read."),
    "sourceEpoch": _of_schema("source_epochs", "Which topic it is that events of a source come from."),
    "arrivals": _of_schema("arrivals", "What the clock has learned of the usual arrivals of a feed."),
    "delivery": _of_schema("deliveries", "What a recipient was told, what waits, and up to where alerts were read."),
    "deadLetter": {
        "summary": "A record that could not be used: its bytes as they came.",
        "contentType": _BYTES,
        "headers": _headers(
            {
                "stage": {**_TEXT, "description": "Who could not use it: import, ingest, detect or deliver."},
                "topic": {**_TEXT, "description": "Where it stood first; with `partition` and `offset`."},
                "partition": _TEXT,
                "offset": _TEXT,
                "reason": {**_TEXT, "description": "A stable code, like bad_json; not in the topic of redriven records."},
                "message": _TEXT,
                "timestamp": {**_TEXT, "description": f"Of the record; its own headers stand behind `{SOURCE_HEADER}`."},
            },
            ["stage", "topic", "partition", "offset"],
        ),
        "payload": {},
    },
    "state": {
        "summary": "A part of the state of a partition, in a form of detect's own: MessagePack, compressed.",
        "contentType": _BYTES,
        "payload": {},
    },
    "trainingState": {
        "summary": "All that learning goes on from, in a form of learn's own.",
        "payload": {"type": "object"},
    },
    "forgottenAlert": {
        "summary": "A record without a value: the alert is long over, or its customer was erased.",
        "headers": _headers({CUSTOMER_HEADER: {**_TEXT, "description": "Whose alert it was."}, **_ERASED}),
        "payload": {"type": "null"},
    },
    "tombstone": {
        "summary": "A record without a value: what stood under its key is gone.",
        "headers": _headers(_ERASED),
        "payload": {"type": "null"},
    },
}
