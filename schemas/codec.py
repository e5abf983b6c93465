"""Bytes to structs and back, canonical: one codec for the log, the topics and the files of the command line."""

from typing import Any, Final, TypeVar, get_args

import msgspec
import orjson

from schemas.control import AnyControl
from schemas.decisions import AnyDecision
from schemas.deliveries import AnyLedger
from schemas.errors import ContractError
from schemas.events import AnyEvent
from schemas.faults import explain
from schemas.instants import parse_instant
from schemas.progress import Arrivals, Heartbeat, SourceEpoch

Record = AnyEvent | AnyControl
_T = TypeVar("_T")

_STRUCTS: Final = {str(struct.__struct_config__.tag): struct for union in (AnyEvent, AnyControl) for struct in get_args(union)}
_record_decoder: Final = msgspec.json.Decoder(Record)
_decision_decoder: Final["msgspec.json.Decoder[AnyDecision]"] = msgspec.json.Decoder(AnyDecision)
_ledger_decoder: Final["msgspec.json.Decoder[AnyLedger]"] = msgspec.json.Decoder(AnyLedger)
_heartbeat_decoder: Final = msgspec.json.Decoder(Heartbeat)
_arrivals_decoder: Final = msgspec.json.Decoder(Arrivals)
_epoch_decoder: Final = msgspec.json.Decoder(SourceEpoch)
_encoder: Final = msgspec.json.Encoder(order="deterministic")
_FAULTS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_record(value: bytes) -> Record:
    """One record of `churn.events`.

    Raises:
        ContractError: malformed, of a wrong type, or out of range; the message names the place.
        UnknownType: well formed, but of a type that this release does not know.
    """
    try:
        record: Record = _record_decoder.decode(value)
    except _FAULTS as error:
        raise _explained(error, value) from None
    return record


def convert_record(value: object) -> Record:
    """The same, from plain objects (dicts, lists, numbers), as a mapping makes them."""
    tag = value.get("type") if isinstance(value, dict) else None
    # By its struct: msgspec would prepare the union of all anew at each call, which takes fifty times as long.
    known = _STRUCTS.get(tag) if isinstance(tag, str) else None
    try:
        record: Record = msgspec.convert(value, known or Record)
    except _FAULTS as error:
        raise explain(error, tag) from None
    return record


def decode_line(line: bytes) -> Record:
    """One line of a canonical JSON lines file, where `at` as RFC 3339 text may stand for `at_ms`."""
    if b'"at"' not in line:
        return decode_record(line)
    try:
        plain: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return decode_record(line)  # it names the fault in the same words as everywhere
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
    return _decoded(_decision_decoder, value)


def decode_ledger(value: bytes) -> AnyLedger:
    """One record of `churn.deliveries`.

    Raises:
        ContractError: not such a record.
    """
    return _decoded(_ledger_decoder, value)


def decode_heartbeat(value: bytes) -> Heartbeat:
    """One report of `churn.progress`.

    Raises:
        ContractError: not such a report.
    """
    return _decoded(_heartbeat_decoder, value)


def decode_arrivals(value: bytes) -> Arrivals:
    """What the clock keeps in `churn.progress` about a feed.

    Raises:
        ContractError: it is something else.
    """
    return _decoded(_arrivals_decoder, value)


def decode_source_epoch(value: bytes) -> SourceEpoch:
    """What ingest keeps in `churn.progress` about a source topic.

    Raises:
        ContractError: it is something else.
    """
    return _decoded(_epoch_decoder, value)


def encode(value: Record | AnyDecision | msgspec.Struct) -> bytes:
    """Canonical JSON: fields in the order of their definition, defaults left out, maps sorted by key.

    Only what a decoder accepted is sure to come back as it went; a struct made by hand is not checked here.

    Raises:
        ContractError: text with half a character (a lone surrogate), which has no bytes.
    """
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError as error:
        raise ContractError("bad_utf8", f"the record cannot be written as UTF-8: {error}") from None


def _decoded(decoder: "msgspec.json.Decoder[_T]", value: bytes) -> _T:
    try:
        return decoder.decode(value)
    except _FAULTS as error:
        raise _explained(error, value) from None


def _explained(error: Exception, value: bytes) -> ContractError:
    try:
        value.decode()
    except UnicodeDecodeError as invalid:
        return explain(invalid)  # the decoder stops at the first byte that is no JSON, whatever made it so
    try:
        plain: Any = orjson.loads(value)
    except orjson.JSONDecodeError:
        plain = None
    return explain(error, plain.get("type") if isinstance(plain, dict) else None)
