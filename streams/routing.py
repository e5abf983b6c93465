"""What becomes of a source record: events for the log, or a dead letter. A pure function of the record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec
from aiokafka.partitioner import murmur2

from schemas.codec import Record, convert_record, decode_line, encode
from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from schemas.events import Event, SourcePosition
from schemas.instants import MAX_INSTANT_MS, format_instant
from streams.record_formats import JSON_ROWS, Decode
from streams.sources import Source
from streams.topics import MAX_VALUE_BYTES

WATERMARK_HEADER: Final = "churn-watermark"
"""A record without a value and with this header promises: no event older than this follows in its partition."""

_NO_VALUE: Final = f"the record has no value, and no header {WATERMARK_HEADER} that would explain it"
_MESSAGE_CHARACTERS: Final = 500
_MAX_INSTANT_DIGITS: Final = len(str(MAX_INSTANT_MS))
_REMEMBERED_KEYS: Final = 65_536

Translate = Callable[[dict[str, Any], str], list[dict[str, Any]]]
"""Makes events, as plain objects, of a row and its position; it raises ContractError for a row that it cannot read."""


class SourceRecord(Protocol):
    """What is looked at of a record, as aiokafka hands it out."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    """The broker's time if the topic keeps it, else the producer's, within what the broker lets pass; below 0: none."""
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Terms:
    """How records of a source are read."""

    source: Source
    partitions: int
    """Of the log."""
    translate: Translate | None = None
    """None: a record is one event."""
    max_ahead_ms: int | None = None
    """How far an event may be ahead of its record's timestamp; None: time is what the events say."""
    decode: Decode = JSON_ROWS
    """Makes the row that is translated."""
    epoch: int = 0
    """Of the topic."""


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """A record of `churn.events` to be written."""

    partition: int
    key: bytes
    value: bytes


class Forward(msgspec.Struct, frozen=True):
    """What goes into the log; nothing, for a watermark and for a row of which the mapping makes no event."""

    records: tuple[LogRecord, ...] = ()
    max_event_ms: int | None = None
    clamped: int = 0
    """Events that were a little ahead and got the time of their record."""


def route(record: SourceRecord, terms: Terms, came_by: SourcePosition | None = None) -> Forward | DeadLetter:
    """All events of a record, or, if one of them is bad, a dead letter in place of all: mended, it can be sent again whole.

    Args:
        record: of a source, as it stood at its first position.
        terms: of its topic.
        came_by: its position in `churn.redrive`, if it was redriven.
    """
    try:
        return _forward(record, terms, came_by)
    except ContractError as error:
        return refused(record, error, epoch=terms.epoch, came_by=came_by)


def refused(record: SourceRecord, error: ContractError, *, epoch: int = 0, came_by: SourcePosition | None = None) -> DeadLetter:
    """The dead letter of a record."""
    return DeadLetter(
        value=record.value,
        reason=error.code,
        message=error.message[:_MESSAGE_CHARACTERS],
        stage="ingest",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        epoch=epoch,
        timestamp_ms=record.timestamp,
        headers=tuple(record.headers),
        redriven=None if came_by is None else came_by.offset,
    )


@lru_cache(_REMEMBERED_KEYS)
def log_partition(key: bytes, partitions: int) -> int:
    """The partition of a customer: where any Kafka client puts a record with this key."""
    return _partition(key, partitions)


@lru_cache(_REMEMBERED_KEYS)
def _place_of(customer_id: str, partitions: int) -> tuple[int, bytes]:
    key = customer_id.encode()
    return _partition(key, partitions), key


def _partition(key: bytes, partitions: int) -> int:
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def _forward(record: SourceRecord, terms: Terms, came_by: SourcePosition | None) -> Forward:
    value = record.value
    if value is None and (mark_ms := _watermark_ms(record.headers)) is not None:
        return Forward(max_event_ms=mark_ms)
    if value is not None and len(value) > MAX_VALUE_BYTES:
        raise ContractError("too_large", f"the record has {len(value)} bytes: at most {MAX_VALUE_BYTES} are taken")
    written: list[LogRecord] = []
    max_event_ms: int | None = None
    clamped = 0
    for index, event in enumerate(_events(record, terms)):
        at_ms = _not_ahead(event.at_ms, record.timestamp, terms.max_ahead_ms)
        if at_ms < event.at_ms:
            clamped += 1
        if max_event_ms is None or at_ms > max_event_ms:
            max_event_ms = at_ms
        src, origin = SourcePosition(record.topic, terms.epoch, record.partition, record.offset, index), None
        if came_by is not None:
            src, origin = msgspec.structs.replace(came_by, index=index), src
        placed = msgspec.structs.replace(event, at_ms=at_ms, src=src, origin=origin)
        written.append(log_record(placed, terms.partitions))
    return Forward(tuple(written), max_event_ms, clamped)


def _events(record: SourceRecord, terms: Terms) -> list[Event]:
    if terms.translate is None:
        if record.value is None:
            raise ContractError("no_value", _NO_VALUE)
        return [checked(decode_line(record.value))]
    row = terms.decode(record.value, record.headers)
    if row is None:
        return []
    position = f"{record.topic}/{record.partition}/{record.offset}"
    return [checked(convert_record(event)) for event in terms.translate(row, position)]


def checked(record: Record) -> Event:
    """The record, if a source may bring it.

    Raises:
        ContractError: it is one of the clock's.
    """
    if not isinstance(record, Event):
        raise ContractError("control_type", f"{record.type} is a control record: only the clock writes those")
    return record


def _not_ahead(at_ms: int, timestamp_ms: int, max_ahead_ms: int | None) -> int:
    if max_ahead_ms is None or timestamp_ms < 0 or at_ms <= timestamp_ms:
        return at_ms
    if at_ms - timestamp_ms > max_ahead_ms:
        raise ContractError(
            "too_far_ahead",
            f"`at_ms` is {format_instant(at_ms)}, over {max_ahead_ms} ms after its record ({format_instant(timestamp_ms)})",
        )
    return timestamp_ms


def log_record(event: Event, partitions: int) -> LogRecord:
    """The record of the log for an event.

    Raises:
        ContractError: it is too large.
    """
    value = encode(event)
    if len(value) > MAX_VALUE_BYTES:
        raise ContractError("too_large", f"the event has {len(value)} bytes: at most {MAX_VALUE_BYTES} are taken")
    partition, key = _place_of(event.customer_id, partitions)
    return LogRecord(partition, key, value)


def _watermark_ms(headers: Sequence[tuple[str, bytes]]) -> int | None:
    text = dict(headers).get(WATERMARK_HEADER)
    if text is None:
        return None
    if not text.isdigit() or len(text) > _MAX_INSTANT_DIGITS or int(text) > MAX_INSTANT_MS:
        raise ContractError("bad_watermark", f"the header {WATERMARK_HEADER} is {text[:40]!r}: milliseconds are wanted")
    return int(text)
