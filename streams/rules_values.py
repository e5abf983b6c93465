"""Readers of the single values of a rules file. Each says what stands there and what is allowed."""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import ContractError
from schemas.instants import DAY_MS, Duration, Exact, Months, parse_duration
from schemas.instants import exact_ms as parse_exact_ms
from schemas.zones import load_zone
from streams.yaml_nodes import Entries, Items, Node, Place, Reader, Refused, Scalar, shown

_NAME: Final = re.compile(r"[^\s@/,]{1,100}")
_RULE_ID: Final = re.compile(r"[^\s@/,#]{1,100}")
_MOST_TEXT: Final = 500
_MOST_YEARS: Final = 100
_MOST_WORDS: Final = 40


@dataclass(frozen=True, slots=True)
class Field:
    """An entry of a mapping: how it is read, and whether it must be there."""

    read: Reader
    required: bool = False


def read_fields(node: Node, place: Place, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The entries of a mapping that could be read; unknown ones and missing ones are faults."""
    if not isinstance(node, Entries):
        place.refuse(node.line, f"{shown(node)} stands here; a mapping is wanted, with {', '.join(fields)}")
        return {}
    for key, line in node.key_lines.items():
        if key not in fields:
            place.refuse(line, f"`{key}` is not known here; {meant(key, fields)}")
    for key, field in fields.items():
        if field.required and key not in node.key_lines:
            place.refuse(node.line, f"`{key}` is missing")
    read = {key: place.at(key).take(fields[key].read, value) for key, value in node.entries.items() if key in fields}
    return {key: value for key, value in read.items() if value is not None}


def meant(word: str, known: Iterable[str]) -> str:
    """What was probably meant, and what is allowed."""
    words = list(known)
    close = difflib.get_close_matches(word, words, 1)
    listed = ", ".join(words[:_MOST_WORDS]) or "none"
    return (f"did you mean `{close[0]}`? " if close else "") + f"allowed are {listed}"


def text(node: Node, place: Place) -> str:  # noqa: ARG001 - a reader
    """Text of at most 500 characters; a number or date counts as the text that stands in the file."""
    if not isinstance(node, Scalar) or not node.text.strip() or node.tag == "null":
        raise Refused(node.line, f"{shown(node)} stands here; text is wanted")
    if len(node.text) > _MOST_TEXT:
        raise Refused(node.line, f"the text has {len(node.text)} characters; {_MOST_TEXT} are allowed")
    return node.text


def name(node: Node, place: Place) -> str:
    """A word that may be part of an id."""
    found = text(node, place)
    if _NAME.fullmatch(found) is None:
        raise Refused(node.line, f"{found!r} is not a name: at most 100 characters, no space, comma, `@` or `/`")
    return found


def is_rule_id(found: str) -> bool:
    """Whether a word can name a rule, in alerts and in the keys of state."""
    return _RULE_ID.fullmatch(found) is not None


def new_rule_id(node: Node, place: Place) -> str:
    """A word that can name a rule."""
    found = text(node, place)
    if not is_rule_id(found):
        raise Refused(node.line, f"{found!r} cannot name a rule: at most 100 characters, no space, comma, `@`, `/` or `#`")
    return found


def flag(node: Node, place: Place) -> bool:  # noqa: ARG001 - a reader
    """`true` or `false`."""
    if not isinstance(node, Scalar) or node.tag != "bool":
        raise Refused(node.line, f"{shown(node)} stands here; `true` or `false` is wanted")
    return node.text.lower() == "true"


def number(least: float, most: float, *, or_least: bool = True) -> Reader:
    """A finite number from `least` (or above it) to `most`."""

    def read(node: Node, place: Place) -> float:  # noqa: ARG001 - a reader
        bounds = f"a number {'from' if or_least else 'above'} {least:g} {'to' if or_least else 'and up to'} {most:g}"
        found = _number(node)
        if found is None:
            raise Refused(node.line, f"{shown(node)} stands here; {bounds} is wanted, without quotes")
        if not (least <= found <= most) or (found == least and not or_least):
            raise Refused(node.line, f"{shown(node)} is out of range; {bounds} is wanted")
        return found

    return read


def any_number(node: Node, place: Place) -> float:  # noqa: ARG001 - a reader
    """A finite number."""
    found = _number(node)
    if found is None:
        raise Refused(node.line, f"{shown(node)} stands here; a number is wanted, without quotes")
    return found


def whole(least: int, most: int) -> Reader:
    """A whole number from `least` to `most`."""

    def read(node: Node, place: Place) -> int:  # noqa: ARG001 - a reader
        found = _number(node)
        if found is None or found != int(found) or not least <= found <= most:
            raise Refused(node.line, f"{shown(node)} stands here; a whole number from {least} to {most} is wanted")
        return int(found)

    return read


def one_of(words: Iterable[str], what: str = "a value of the list") -> Reader:
    """One of some words."""
    known = tuple(words)

    def read(node: Node, place: Place) -> str:
        found = text(node, place)
        if found not in known:
            raise Refused(node.line, f"{found!r} is not {what}; {meant(found, known)}")
        return found

    return read


def list_of(read_item: Reader, least: int = 0) -> Reader:
    """A list of at least so many values of a sort."""

    def read(node: Node, place: Place) -> list[Any]:
        if not isinstance(node, Items):
            raise Refused(node.line, f"{shown(node)} stands here; a list is wanted, in brackets: [..., ...]")
        if len(node.items) < least:
            entries, wanted = "entry" if len(node.items) == 1 else "entries", "is" if least == 1 else "are"
            raise Refused(node.line, f"the list has {len(node.items)} {entries}; at least {least} {wanted} wanted")
        found = [place.item(i).take(read_item, item) for i, item in enumerate(node.items)]
        return [value for value in found if value is not None]

    return read


def mapping_of(read_value: Reader, read_key: Reader = name) -> Reader:
    """A mapping from names to values of a sort."""

    def read(node: Node, place: Place) -> dict[str, Any]:
        if not isinstance(node, Entries):
            raise Refused(node.line, f"{shown(node)} stands here; a mapping is wanted: `name: value`")
        found: dict[str, Any] = {}
        for key, value_node in node.entries.items():
            known = place.take(read_key, Scalar(node.key_lines[key], key, "str"))
            value = place.at(key).take(read_value, value_node)
            if known is not None and value is not None:
                found[known] = value
        return found

    return read


def duration(node: Node, place: Place) -> str:
    """An ISO 8601 duration, exact or of calendar months."""
    return _checked(node, place, lambda found: _not_too_long(found, parse_duration(found)))


def exact_duration(node: Node, place: Place) -> str:
    """An ISO 8601 duration of days and time."""
    return _checked(node, place, lambda found: _not_too_long(found, Exact(parse_exact_ms(found))))


def whole_days(node: Node, place: Place) -> str:
    """An exact duration of whole days."""
    found = exact_duration(node, place)
    if parse_exact_ms(found) % DAY_MS:
        raise Refused(node.line, f"{found!r} is not a number of whole days, which are what is counted here; write P90D")
    return found


def time_zone(node: Node, place: Place) -> str:
    """The IANA name of a time zone."""
    return _checked(node, place, load_zone)


def _checked(node: Node, place: Place, check: Callable[[str], object]) -> str:
    found = text(node, place)
    try:
        check(found)
    except ContractError as error:
        raise Refused(node.line, error.message) from None
    return found


def _not_too_long(found: str, length: Duration) -> None:
    most = _MOST_YEARS * 12 if isinstance(length, Months) else _MOST_YEARS * 366 * DAY_MS
    if (length.months if isinstance(length, Months) else length.ms) > most:
        raise ContractError("bad_duration", f"{found!r} is longer than {_MOST_YEARS} years, which no rule waits for")


def _number(node: Node) -> float | None:
    """A finite number; the text of a whole one may be `1_000` or `0x10`."""
    if not isinstance(node, Scalar) or node.tag not in {"int", "float"}:
        return None
    try:
        found = float(node.text) if node.tag == "float" else float(int(node.text, 0))
    except (ValueError, OverflowError):  # .inf, .nan, 012
        return None
    return found if math.isfinite(found) else None
