"""How a dead letter is written and read: the original bytes as the value; where, why and the original's headers in its own."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast, get_args

from schemas.decisions import DeadLetter, LetterStage
from schemas.errors import ContractError
from streams.topics import MAX_VALUE_BYTES
from streams.transactions import Row

MAX_HEADER_BYTES: Final = 64_000
"""Headers of the original that take more room are left out, for the same reason: then how much they take stands there."""

SOURCE_HEADER: Final = "source."
"""Stands before the name of each header that the original had."""

_STAGES: Final = get_args(LetterStage)
_MAX_DIGITS: Final = 16
_HEADER_FRAME_BYTES: Final = 8


class StoredRecord(Protocol):
    """What is looked at of a record of `churn.deadletters` or `churn.redrive`, as aiokafka hands it out."""

    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter as it stands in `churn.deadletters`."""

    letter: DeadLetter
    offset: int
    at_ms: int
    """When it was put there, by the broker's time."""
    length: int | None
    """Of the original's value, if it was cut."""
    sha256: str | None
    """Of the whole value, if it was cut."""
    headers_left_out: int | None
    """How many bytes the original's headers take, if they were left out."""

    @property
    def whole(self) -> bool:
        """Whether the letter holds all of the original."""
        return self.length is None and self.headers_left_out is None


def dead_letter_row(letter: DeadLetter) -> Row:
    """The record of `churn.deadletters` for a letter; the key is the position of the source record."""
    value, headers = letter.value, {"reason": letter.reason, "message": letter.message}
    if letter.redriven is not None:
        headers["redriven"] = str(letter.redriven)
    if value is not None and len(value) > MAX_VALUE_BYTES:
        headers["length"] = str(len(value))
        headers["sha256"] = hashlib.sha256(value).hexdigest()
        value = value[:MAX_VALUE_BYTES]
    original = original_headers(letter)
    if (left_out := header_bytes(original)) > MAX_HEADER_BYTES:
        original, headers["headers-left-out"] = [], str(left_out)
    own = [(name, text.encode()) for name, text in headers.items()]
    return Row(position_of(letter).encode(), value, [*own, *place_headers(letter), *original])


def stored_letter(record: StoredRecord) -> StoredLetter:
    """The letter in a record of `churn.deadletters`.

    Raises:
        ContractError: there is none; the message names the header that is missing or wrong.
    """
    headers = dict(record.headers)
    length, left_out = _number(headers, "length", default=-1), _number(headers, "headers-left-out", default=-1)
    return StoredLetter(
        letter=letter_in(record),
        offset=record.offset,
        at_ms=record.timestamp,
        length=None if length < 0 else length,
        sha256=_text(headers, "sha256") or None,
        headers_left_out=None if left_out < 0 else left_out,
    )


def letter_in(record: StoredRecord) -> DeadLetter:
    """What a record of `churn.deadletters` holds, or one of `churn.redrive`, which has no reason.

    Raises:
        ContractError: it is no such record; the message names the header that is missing or wrong.
    """
    headers = dict(record.headers)
    stage, topic, redriven = _text(headers, "stage"), _text(headers, "topic"), _number(headers, "redriven", default=-1)
    if stage not in _STAGES:
        raise ContractError("bad_place", f"the header stage is {stage[:40]!r}: one of {', '.join(_STAGES)} is wanted")
    if not topic:
        raise ContractError("bad_place", "the header topic, which says where the record stood first, is missing")
    return DeadLetter(
        value=record.value,
        reason=_text(headers, "reason"),
        message=_text(headers, "message"),
        stage=cast("LetterStage", stage),
        topic=topic,
        partition=_number(headers, "partition"),
        offset=_number(headers, "offset"),
        epoch=_number(headers, "epoch", default=0),
        timestamp_ms=_number(headers, "timestamp", default=-1),
        headers=tuple(
            (name.removeprefix(SOURCE_HEADER), text) for name, text in record.headers if name.startswith(SOURCE_HEADER)
        ),
        redriven=None if redriven < 0 else redriven,
    )


def position_of(letter: DeadLetter) -> str:
    """Where the record stood first, as people write it.

    >>> position_of(DeadLetter(value=b"", reason="", message="", stage="ingest", topic="orders", partition=3, offset=17))
    'orders/3/17'
    """
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def place_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """Who refused the record, and where and when it stood first."""
    headers = {
        "stage": letter.stage,
        "topic": letter.topic,
        "partition": str(letter.partition),
        "offset": str(letter.offset),
    }
    if letter.epoch:
        headers["epoch"] = str(letter.epoch)
    if letter.timestamp_ms >= 0:
        headers["timestamp"] = str(letter.timestamp_ms)
    return [(name, text.encode()) for name, text in headers.items()]


def original_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """The headers of the original, under names that are no letter's own."""
    return [(SOURCE_HEADER + name, text or b"") for name, text in letter.headers]


def header_bytes(headers: Sequence[tuple[str, bytes]]) -> int:
    """How much room headers take in a record, at most."""
    return sum(len(name.encode()) + len(text) + _HEADER_FRAME_BYTES for name, text in headers)


def _text(headers: Mapping[str, bytes], name: str) -> str:
    return (headers.get(name) or b"").decode(errors="replace")


def _number(headers: Mapping[str, bytes], name: str, *, default: int | None = None) -> int:
    text = _text(headers, name)
    if not text and default is not None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        raise ContractError("bad_place", f"the header {name} is {text[:40]!r}: a number is wanted")
    return int(text)
