"""Bytes to structs and back, canonical: one codec for the log, the topics and the files of the command line."""

import math
import re
from typing import Any, Final

import msgspec
import orjson

from schemas.control import AnyControl
from schemas.decisions import AnyDecision
from schemas.errors import ContractError, UnknownType
from schemas.events import AnyEvent, Event
from schemas.instants import parse_instant

Record = AnyEvent | AnyControl

_record_decoder: Final = msgspec.json.Decoder(Record)
_decision_decoder: Final = msgspec.json.Decoder(AnyDecision)
_encoder: Final = msgspec.json.Encoder(order="deterministic")
_UNKNOWN_TYPE: Final = re.compile(r"Invalid value '(?P<tag>.*)' - at `\$\.type`")
_CODE_BY_PATTERN: Final = (
    (re.compile(r"missing required field `type`"), "no_type"),
    (re.compile(r"(missing required field `customer_id`)|(\$\.customer_id`)"), "no_customer"),
    (re.compile(r"(missing required field `at_ms`)|(\$\.at_ms`)"), "bad_time"),
    (re.compile(r"missing required field"), "missing_field"),
    (re.compile(r"Expected `object`"), "not_an_object"),
)


def decode_record(value: bytes) -> Record:
    """One record of `churn.events`.

    Raises:
        ContractError: malformed, of a wrong type, or out of range; the message names the place.
        UnknownType: well formed, but of a type that this release does not know.
    """
    try:
        record: Record = _record_decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _explained(error) from None
    _refuse_infinite(record)
    return record


def convert_record(value: object) -> Record:
    """The same, from plain objects (dicts, lists, numbers), as a mapping makes them."""
    try:
        record: Record = msgspec.convert(value, Record)
    except msgspec.ValidationError as error:
        raise _explained(error) from None
    _refuse_infinite(record)
    return record


def decode_line(line: bytes) -> Record:
    """One line of a canonical JSON lines file, where `at` as RFC 3339 text may stand for `at_ms`."""
    try:
        plain: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ContractError(_json_fault(line), f"the line is not JSON: {error}") from None
    if isinstance(plain, dict) and "at" in plain:
        if "at_ms" in plain:
            raise ContractError("bad_time", "`at` and `at_ms` both stand in the line: keep one")
        plain["at_ms"] = parse_instant(plain.pop("at"))
    return convert_record(plain)


def decode_decision(value: bytes) -> AnyDecision:
    """One record of the alert, risk, lifecycle or example topics.

    Raises:
        ContractError: not such a record.
    """
    try:
        decision: AnyDecision = _decision_decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _explained(error) from None
    return decision


def encode(value: Record | AnyDecision | msgspec.Struct) -> bytes:
    """Canonical JSON: fields in the order of their definition, defaults left out, maps sorted by key."""
    return _encoder.encode(value)


def _refuse_infinite(record: Record) -> None:
    """JSON text like 1e999 reads as infinity, which would poison every sum it enters."""
    if not isinstance(record, Event):
        return
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ContractError("bad_number", f"`{name}` is {value}: a finite number is wanted")


def _explained(error: Exception) -> ContractError:
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return ContractError("bad_utf8", f"the record is not UTF-8: {text}")
    if not isinstance(error, msgspec.ValidationError):
        code = "bad_utf8" if "utf-8" in text.lower() else "bad_json"
        return ContractError(code, f"the record is not JSON: {text}")
    unknown = _UNKNOWN_TYPE.search(text)
    if unknown is not None:
        return UnknownType(f"the type {unknown['tag']!r} is not known to this release")
    for pattern, code in _CODE_BY_PATTERN:
        if pattern.search(text):
            return ContractError(code, text)
    return ContractError("bad_field", text)


def _json_fault(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError:
        return "bad_utf8"
    return "bad_json"
