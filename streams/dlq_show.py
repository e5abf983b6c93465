"""`churnwatch dlq show`: all that is known of the dead letters of one record, and the record itself."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from schemas.instants import format_instant
from streams.dead_letters import StoredLetter, position_of
from streams.dlq_search import DlqError, FirstPlace, Passed, Redriven, Wanted, letters, redriven_so_far, was_redriven
from streams.settings import Settings
from streams.topic_tail import reader

_BYTES_A_LINE: Final = 16


@dataclass(frozen=True)
class Shown:
    """The dead letters of one position, the oldest first: one for each time that the record was refused."""

    settings: Settings
    letters: list[StoredLetter]
    redriven: Redriven

    @property
    def raw(self) -> bytes:
        """The record's value, as far as it was kept."""
        return self.letters[-1].letter.value or b""

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {"position": position_of(self.letters[-1].letter), "letters": [self._plain(stored) for stored in self.letters]}

    def __str__(self) -> str:
        return "\n\n".join("\n".join(self._lines(stored)) for stored in self.letters)

    def _plain(self, stored: StoredLetter) -> dict[str, Any]:
        letter = stored.letter
        return {
            "reason": letter.reason,
            "message": letter.message,
            "stage": letter.stage,
            "at_ms": stored.at_ms,
            "epoch": letter.epoch,
            "record_ms": letter.timestamp_ms if letter.timestamp_ms >= 0 else None,
            "came_by": letter.redriven,
            "redriven": self.redriven[FirstPlace.of(letter)] if was_redriven(letter, self.redriven) else None,
            "headers": [[name, *_plain_bytes(value)] for name, value in letter.headers],
            "value": None if letter.value is None else _plain_bytes(letter.value)[0],
            "value_is": "absent" if letter.value is None else _plain_bytes(letter.value)[1],
            "cut_from_bytes": stored.length,
            "sha256": stored.sha256,
            "headers_left_out_bytes": stored.headers_left_out,
        }

    def _lines(self, stored: StoredLetter) -> Iterator[str]:
        letter, topic = stored.letter, self.settings.topic("redrive")
        yield position_of(letter)
        yield f"reason    {letter.reason}: {letter.message}"
        yield f"refused   by {letter.stage}, {format_instant(stored.at_ms)}, {self._stored_at(stored)}"
        if letter.timestamp_ms >= 0:
            yield f"record    of {format_instant(letter.timestamp_ms)}" + (f", epoch {letter.epoch}" if letter.epoch else "")
        if letter.redriven is not None:
            yield f"came by   {topic}/0/{letter.redriven}: it was redriven, and refused again"
        if was_redriven(letter, self.redriven):
            yield f"redriven  since, as {topic}/0/{self.redriven[FirstPlace.of(letter)]}"
        for name, value in letter.headers:
            yield f"header    {name}: {_plain_bytes(value)[0]}"
        if stored.headers_left_out is not None:
            yield f"headers   {stored.headers_left_out} bytes of them were left out: too many for the topic"
        yield f"value     {_length_in_words(stored)}"
        if letter.value:
            yield from shown_value(letter.value)

    def _stored_at(self, stored: StoredLetter) -> str:
        return f"{self.settings.topic('deadletters')}/0/{stored.offset}"


def show(settings: Settings, position: str) -> Shown:
    """The dead letters of the record that stood at a position.

    Raises:
        DlqError: there is none, or a topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    return asyncio.run(_show(settings, position))


async def _show(settings: Settings, position: str) -> Shown:
    passed = Passed()
    async with reader(settings) as consumer:
        redriven = await redriven_so_far(consumer, settings)
        found = [stored async for stored in letters(consumer, settings, Wanted(position=position), passed)]
    if not found:
        raise DlqError(f"there is no dead letter of {position}, among {passed.letters} in {settings.topic('deadletters')}")
    return Shown(settings, found, redriven)


def shown_value(value: bytes) -> Iterator[str]:
    """The lines of a value: JSON with line breaks, other text as it is, anything else in hexadecimal.

    >>> list(shown_value(b'{"a":1}')), list(shown_value(b"plain")), list(shown_value(bytes([0, 255, 65])))
    (['{', '  "a": 1', '}'], ['plain'], ['000000  00 ff 41                                         ..A'])
    """
    try:
        yield from json.dumps(orjson.loads(value), indent=2, ensure_ascii=False).splitlines()
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        text, form = _plain_bytes(value)
        yield from text.splitlines() if form == "text" else _dumped(value)


def _dumped(value: bytes) -> Iterator[str]:
    for begin in range(0, len(value), _BYTES_A_LINE):
        some = value[begin : begin + _BYTES_A_LINE]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in some)
        yield f"{begin:06x}  {some.hex(' '):<{3 * _BYTES_A_LINE}} {letters}"


def _plain_bytes(value: bytes) -> tuple[str, str]:
    """As text, if it is some without control characters, else in hexadecimal; and which of the two."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex(), "hex"
    readable = all(character.isprintable() or character in "\r\n\t" for character in text)
    return (text, "text") if readable else (value.hex(), "hex")


def _length_in_words(stored: StoredLetter) -> str:
    value = stored.letter.value
    if value is None:
        return "none"
    if stored.length is None:
        return f"{len(value)} bytes"
    return f"cut: the first {len(value)} of {stored.length} bytes, whose sha256 is {stored.sha256}"
