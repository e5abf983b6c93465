"""What single cells say: text, numbers, flags and instants. Compiled once into plain functions."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal, Protocol

from schemas.errors import ContractError
from schemas.instants import DAY_MS, parse_instant, to_epoch_ms
from schemas.zones import load_zone
from streams.mapping_paths import Get, Row, getter, is_column

Value = Callable[[Row, Row, str], Any]
"""What a row (or an item of a list), its record and their position have for a field; None if they have nothing."""
Read = Callable[[Any], Any]
"""Makes what a field takes of a cell that has something, or raises ContractError."""
Kind = Literal["text", "number", "integer", "flag", "time"]

EPOCH_FORMATS: Final = {"epoch_s": (1000, 1), "epoch_ms": (1, 1), "epoch_us": (1, 1_000), "epoch_ns": (1, 1_000_000)}
"""How many milliseconds so many units are."""
NAMED_FORMATS: Final = ("rfc3339", *EPOCH_FORMATS, "days")
_LOCAL_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?", re.ASCII)
_NUMBER: Final = {
    ".": re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII),
    ",": re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+|(?=,\d))(?:,\d+)?", re.ASCII),
}
_GROUPING: Final = {".": ",", ",": "."}
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_MOST_SHOWN: Final = 80
_MOST_DIGITS: Final = 100
_MOST_BYTES: Final = 32
_REMEMBERED: Final = 4096


class TextOf(Protocol):
    """Gives text. Without a further call it is a `Value` too: most fields are text."""

    def __call__(self, row: Row, record: Row, _position: str = "", /) -> str | None:
        """None if there is nothing."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Finds single cells; what stands in `missing` is nothing."""

    missing: frozenset[str]
    decimal: str = "."

    def getter(self, column: str) -> Get:
        """The function that gives the value of a cell; None if there is none."""
        get, missing = getter(column), self.missing
        if is_column(column):  # the same without a call: most fields of most records
            return lambda row, _record: None if type(found := row.get(column)) is str and found.strip() in missing else found

        def cell(row: Row, record: Row) -> Any:  # noqa: ANN401 - what the file has
            found = get(row, record)
            return None if type(found) is str and found.strip() in missing else found

        return cell

    def texter(self, column: str) -> TextOf:
        """The same for the text of a cell, without blanks around it; a whole number has no point."""
        get, missing = getter(column), self.missing

        def plain(row: Row, _record: Row, _position: str = "") -> str | None:
            found = row.get(column)
            if type(found) is str:
                found = found.strip()
                return None if found in missing else found
            return None if found is None else as_text(found, column)

        def text(row: Row, record: Row, _position: str = "") -> str | None:
            found = get(row, record)
            if type(found) is str:
                found = found.strip()
                return None if found in missing else found
            return None if found is None else as_text(found, column)

        return plain if is_column(column) else text


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """How a column tells an instant: one of `NAMED_FORMATS` (`days` since a date), or a pattern of strptime."""

    name: str = "rfc3339"
    zone: str | None = None
    """Of local times; a time that daylight saving skips moves forward, one that it repeats is the first."""
    since: date | None = None


def as_text(cell: Any, column: str) -> str:  # noqa: ANN401 - what the file has
    """The text of a value.

    Raises:
        ContractError: a list, an object or bytes.
    """
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, (list, dict)):
        raise ContractError("bad_field", f"column {column!r} has a list or an object; one value is wanted")
    if isinstance(cell, bytes):
        raise ContractError("bad_field", f"column {column!r} has bytes; text is wanted, or a number with its `unscaled`")
    return str(cell)


def number(cell: Any, column: str, decimal: str) -> Decimal:  # noqa: ANN401 - what the file has
    """A number, exactly as it is written.

    Raises:
        ContractError: not a finite number with this decimal sign.
    """
    text = as_text(cell, column)
    sign = decimal if isinstance(cell, str) else "."  # a number of Excel or Parquet is one already
    if _NUMBER[sign].fullmatch(text):
        return Decimal(text.replace(_GROUPING[sign], "").replace(",", "."))
    raise ContractError(
        "bad_number", f"column {column!r} is {shown(text)}; a finite number with the decimal sign {sign!r} is wanted"
    )


def integer(cell: Any, column: str, decimal: str) -> int:  # noqa: ANN401 - what the file has
    """A whole number.

    Raises:
        ContractError: not one.
    """
    found = number(cell, column, decimal)
    if found != found.to_integral_value():
        raise ContractError("bad_field", f"column {column!r} is {shown(str(cell))}; a whole number is wanted")
    return int(found)


def flag(cell: Any, column: str) -> bool:  # noqa: ANN401 - what the file has
    """Yes or no.

    Raises:
        ContractError: neither.
    """
    text = as_text(cell, column).lower()
    if text not in _FLAGS:
        raise ContractError("bad_field", f"column {column!r} is {shown(text)}; allowed are {', '.join(_FLAGS)}")
    return _FLAGS[text]


def unscaled(cell: Any, column: str, scale: int) -> Decimal:  # noqa: ANN401 - what the record has
    """A decimal as Kafka Connect and Debezium write it: two's complement, big-endian, in base64 where JSON has no bytes.

    >>> unscaled("+0c=", "price", 2), unscaled({"scale": 1, "value": "Jw=="}, "price", 2)
    (Decimal('-12.09'), Decimal('3.9'))

    Args:
        cell: text, bytes, or an object that has its own `scale` and its `value`.
        column: it stands in.
        scale: digits after the point.

    Raises:
        ContractError: none of them, or a number of more than 32 bytes.
    """
    if isinstance(cell, Decimal):
        return cell  # a decoder that knows the schema has read it already
    if isinstance(cell, dict) and type(cell.get("scale")) is int and abs(cell["scale"]) <= _MOST_DIGITS:
        cell, scale = cell.get("value"), cell["scale"]
    try:
        raw = base64.b64decode(cell, validate=True) if isinstance(cell, str) else cell
    except (binascii.Error, ValueError):
        raw = None
    if not isinstance(raw, bytes) or not 0 < len(raw) <= _MOST_BYTES:
        raise ContractError("bad_number", f"column {column!r} is {shown(str(cell))}; an unscaled decimal in base64 is wanted")
    return Decimal(int.from_bytes(raw, "big", signed=True)).scaleb(-scale)


def time_reader(form: TimeFormat, column: str) -> Read:
    """A function that reads an instant, in milliseconds, of a cell."""
    zone = None if form.zone is None else load_zone(form.zone)
    of_text = _text_reader(form, column, zone)
    times, parts = EPOCH_FORMATS.get(form.name, (0, 1))

    def read(cell: Any) -> int:  # noqa: ANN401 - what the file has
        kind = type(cell)
        if kind is str:
            return of_text(cell.strip())
        if kind is int and times:
            return int(cell * times // parts)
        if isinstance(cell, datetime):
            return _placed(cell, column, zone)
        if isinstance(cell, date):
            return _placed(datetime(cell.year, cell.month, cell.day), column, zone)  # noqa: DTZ001 - the zone comes next
        return of_text(as_text(cell, column))

    return read


def looked_up(text: str, column: str, table: Mapping[str, str], other: str | None) -> str:
    """What a table has for a text, or `other`.

    Raises:
        ContractError: neither.
    """
    found = table.get(text, other)
    if found is None:
        raise ContractError("bad_field", f"column {column!r} is {shown(text)}; allowed are {', '.join(table)}")
    return found


def shown(text: str) -> str:
    """A value in a message."""
    return repr(text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "...")


def _text_reader(form: TimeFormat, column: str, zone: tzinfo | None) -> Callable[[str], int]:
    if form.name == "rfc3339":
        return _rfc3339_reader(column, zone)
    if form.name in EPOCH_FORMATS:
        times, parts = EPOCH_FORMATS[form.name]
        return lambda text: math.floor(_time_number(text, column) * times / parts)
    if form.name == "days":
        since = form.since or date(1970, 1, 1)
        start = _placed(datetime(since.year, since.month, since.day), column, zone)  # noqa: DTZ001 - the zone comes next
        return lambda text: start + math.floor(_time_number(text, column) * DAY_MS)
    return lru_cache(_REMEMBERED)(lambda text: _by_pattern(text, column, form.name, zone))


def _rfc3339_reader(column: str, zone: tzinfo | None) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            return parse_instant(text)
        except ContractError as error:
            if _LOCAL_TIME.fullmatch(text) is None:
                raise ContractError(error.code, f"column {column!r}: {error.message}") from None
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError as error:
            raise ContractError("bad_time", f"column {column!r} is {shown(text)}, which is not a time: {error}") from None
        return _placed(moment, column, zone)

    return read


def _by_pattern(text: str, column: str, pattern: str, zone: tzinfo | None) -> int:
    try:
        moment = datetime.strptime(text, pattern)  # noqa: DTZ007 - the zone comes next
    except ValueError:
        raise ContractError("bad_time", f"column {column!r} is {shown(text)}; a time like {pattern} is wanted") from None
    return _placed(moment, column, zone)


def _time_number(text: str, column: str) -> Decimal:
    try:
        return number(text, column, ".")
    except ContractError as error:
        raise ContractError("bad_time", error.message) from None


def _placed(moment: datetime, column: str, zone: tzinfo | None) -> int:
    if moment.tzinfo is None:
        if zone is None:
            raise ContractError("bad_time", f"column {column!r} is a local time; the mapping must name its `time_zone`")
        moment = moment.replace(tzinfo=zone)
    try:
        return to_epoch_ms(moment.astimezone(UTC))
    except OverflowError:
        raise ContractError("bad_time", f"column {column!r} is a time outside the years 1 to 9999") from None
