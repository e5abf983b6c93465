"""What a source record is made of before a mapping looks at it: plain JSON, CloudEvents, Debezium, Avro, JSON Schema."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from schemas.codec import decode_line
from schemas.errors import ContractError
from streams.cloud_events import binary_event, is_binary, structured_event
from streams.rules_values import Field, one_of, read_fields
from streams.yaml_nodes import Entries, Node, Place

FORMATS: Final = ("json", "cloudevents", "debezium", "avro", "json_schema")
ENCODINGS: Final = ("json", "avro", "json_schema")
_ENVELOPE: Final = "`op` is wanted beside `before` and `after`; records that Debezium flattened are plain JSON"

_WITH_A_ROW: Final = ("c", "r")
"""What inserts and snapshots are called; an update of MongoDB may say only what has changed."""

HEADER: Final = "header:"
"""Stands before the name of a header where a mapping names a column."""

Headers = Sequence[tuple[str, bytes]]
Decode = Callable[[bytes | None, Headers], dict[str, Any] | None]
"""Makes the row of a record's value and headers; None: there is nothing in it. What it cannot read raises ContractError."""


@dataclass(frozen=True, slots=True)
class RecordForm:
    """How the records of a topic are written."""

    format: str = "json"
    encoding: str = "json"
    """Of the bytes."""

    @property
    def framed(self) -> bool:
        """Whether a schema's id stands before each record, so that a registry has to be asked."""
        return self.encoding != "json"


def read_record_form(node: Node, place: Place) -> RecordForm:
    """The section `record` of a mapping."""
    read = read_fields(node, place, _FIELDS)
    form, encoding = read.get("format", "json"), read.get("encoding")
    if encoding is not None and form != "debezium" and isinstance(node, Entries):
        place.refuse(node.key_lines["encoding"], "`encoding` is for the format debezium: the others say what the bytes are")
    if encoding is None:
        encoding = form if form in ENCODINGS else "json"
    return RecordForm(form, encoding)


class Unframe(Protocol):
    """Reads records behind which a schema registry stands; it never waits."""

    def __call__(self, value: bytes, encoding: str) -> dict[str, Any]:
        """The object in a record with Confluent's frame.

        Raises:
            ContractError: it has no such frame, or a schema that is not known or does not fit.
        """


def decoder(form: RecordForm, unframe: Unframe | None = None) -> Decode:
    """The function that makes rows of records.

    Args:
        form: of the records.
        unframe: reads those with a frame.

    Raises:
        ValueError: they have one, and nothing that reads it was given.
    """
    if form.framed:
        if unframe is None:
            raise ValueError(f"{form.encoding} needs a schema registry")
        encoding, found = form.encoding, unframe
        return _through(form, lambda value: found(value, encoding))
    if form.format == "cloudevents":
        return _cloud_event
    return _through(form, json_object)


def with_headers(decode: Decode, columns: Iterable[str]) -> Decode:
    """The same, and what a mapping calls `header:NAME` is the record's header of that name, as text.

    Args:
        decode: makes the row of value and headers.
        columns: that the mapping reads.
    """
    wanted = {column.removeprefix(HEADER): column for column in columns if column.startswith(HEADER)}
    if not wanted:
        return decode

    def decoded(value: bytes | None, headers: Headers) -> dict[str, Any] | None:
        row = decode(value, headers)
        if row is None:
            return None
        found = {wanted[name]: text.decode(errors="replace") for name, text in headers if name in wanted}
        return {**row, **found}

    return decoded


def row_of(form: RecordForm, found: dict[str, Any]) -> dict[str, Any] | None:
    """The row in an object, as a decoder or a file of JSON lines has it; None if there is nothing in it.

    Raises:
        ContractError: it is not what the format says.
    """
    match form.format:
        case "debezium":
            return change_event(found)
        case "cloudevents":
            return structured_event(found)
        case _:
            return found


def json_object(value: bytes) -> dict[str, Any]:
    """The JSON object of a record.

    Raises:
        ContractError: it has none.
    """
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        found = decode_line(value)  # it names the fault in the same words as everywhere
    if not isinstance(found, dict):
        raise ContractError("not_an_object", "a mapping reads JSON objects, and the record is something else")
    return found


def change_event(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """The envelope of a change of a row, with or without the schema around it; None for a tombstone.

    MongoDB's documents stand in it as text, and are read.

    Raises:
        ContractError: there is no envelope, or no row in it where there must be one.
    """
    envelope = found["payload"] if "op" not in found and "payload" in found else found
    if envelope is None:
        return None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("op"), str):
        raise ContractError("bad_envelope", f"the record is no change event of Debezium: {_ENVELOPE}")
    if envelope["op"] in _WITH_A_ROW and envelope.get("after") is None:  # else it would pass for one without a customer
        raise ContractError("bad_envelope", f"the change event has `op` {envelope['op']!r}, and no row under `after`")
    if isinstance(envelope.get("before"), str) or isinstance(envelope.get("after"), str):
        return {**envelope, **{side: _document(envelope.get(side)) for side in ("before", "after")}}
    return envelope


def _document(side: object) -> object:
    return json_object(side.encode()) if isinstance(side, str) else side


def _through(form: RecordForm, object_of: Callable[[bytes], dict[str, Any]]) -> Decode:
    if form.format != "debezium":
        return lambda value, _headers: object_of(_present(value))

    def change(value: bytes | None, _headers: Headers) -> dict[str, Any] | None:
        # A deleted row is followed by a record without a value, for compaction.
        return None if value is None or value == b"null" else change_event(object_of(value))

    return change


def _cloud_event(value: bytes | None, headers: Headers) -> dict[str, Any]:
    if is_binary(headers):
        return binary_event(value, headers)
    return structured_event(json_object(_present(value)))


_FIELDS: Final = {
    "format": Field(one_of(FORMATS, "a format"), required=True),
    "encoding": Field(one_of(ENCODINGS, "an encoding")),
}


def _present(value: bytes | None) -> bytes:
    if value is None:
        raise ContractError("no_value", "the record has no value")
    return value


JSON_ROWS: Final = decoder(RecordForm())
"""Rows are the records' JSON objects."""
