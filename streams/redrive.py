"""Records of `churn.redrive`: what was a dead letter once, read again as it would have been at its first position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import msgspec

from schemas.codec import decode_record
from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from schemas.events import SourcePosition
from streams.dead_letters import letter_in, original_headers, place_headers, position_of
from streams.routing import Forward, SourceRecord, Terms, checked, log_record, refused, route
from streams.transactions import Row


def redrive_row(letter: DeadLetter) -> Row:
    """The record of `churn.redrive` for a letter that holds all of its original; the key is the first position."""
    return Row(position_of(letter).encode(), letter.value, [*place_headers(letter), *original_headers(letter)])


def first_topic(record: SourceRecord) -> str:
    """Where a record of `churn.redrive` stood first; empty if it does not say."""
    return (dict(record.headers).get("topic") or b"").decode(errors="replace")


@dataclass(slots=True)
class _Original:
    """The record as it stood at its first position."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        return cls(letter.topic, letter.partition, letter.offset, letter.timestamp_ms, letter.value, letter.headers)


def route_redriven(record: SourceRecord, terms: Mapping[str, Terms]) -> Forward | DeadLetter:
    """What becomes of a record of `churn.redrive`, on the terms of the topic that it stood in first.

    A mapping sees the first position, so that the ids it makes of positions are what they would have been. What fails
    again is a dead letter of the first position again.

    Args:
        record: of `churn.redrive`.
        terms: of every source topic, and of `churn.redrive` itself.
    """
    own = terms[record.topic]
    came_by = SourcePosition(record.topic, own.epoch, record.partition, record.offset)
    try:
        letter = letter_in(record)
    except ContractError as error:
        return refused(record, error)
    original = _Original.of(letter)
    try:
        if letter.stage == "detect":
            return _event_again(original, came_by, own.partitions)
        found = _terms_of(letter, terms, own)
    except ContractError as error:
        dead = refused(original, error, epoch=letter.epoch, came_by=came_by)
        return msgspec.structs.replace(dead, stage=letter.stage)
    return route(original, found, came_by)


def _terms_of(letter: DeadLetter, terms: Mapping[str, Terms], own: Terms) -> Terms:
    """Those of its topic, while that had the letter's epoch: it may have been deleted and made again since."""
    if letter.stage != "ingest":
        raise ContractError("not_redrivable", f"what {letter.stage} refused is nothing that ingest can read")
    found = terms.get(letter.topic)
    if found is None or found is own:
        raise ContractError("unknown_source", f"{letter.topic} is no source: the file of sources does not name it")
    return replace(found, epoch=letter.epoch)


def _event_again(original: _Original, came_by: SourcePosition, partitions: int) -> Forward:
    """An event that the engine refused: it was mapped and placed before, so it is taken as it stands.

    Its index stays: by it and the id the engine knows an event that it did take.
    """
    event = checked(decode_record(original.value or b""))
    first = event.src or SourcePosition(original.topic, 0, original.partition, original.offset)
    src = msgspec.structs.replace(came_by, index=first.index)
    placed = msgspec.structs.replace(event, src=src, origin=event.origin or first)
    return Forward((log_record(placed, partitions),), placed.at_ms)
