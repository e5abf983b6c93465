"""One field of an event from a row: where its value is, and how it is read. Compiled once into plain functions."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal

from detectors.calendar_time import load_zone
from schemas.errors import ContractError
from schemas.instants import DAY_MS, parse_instant, to_epoch_ms

Row = Mapping[str, Any]
Value = Callable[[Row, str], Any]
"""What a row, at a position, has for a field; None if it has nothing."""
Kind = Literal["text", "number", "integer", "flag", "time"]

EPOCH_FORMATS: Final = {"epoch_ms": 1, "epoch_s": 1000}
NAMED_FORMATS: Final = ("rfc3339", *EPOCH_FORMATS, "days")
_NUMBER: Final = {
    ".": re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII),
    ",": re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+|(?=,\d))(?:,\d+)?", re.ASCII),
}
_GROUPING: Final = {".": ",", ",": "."}
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_MOST_SHOWN: Final = 80
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Cells:
    """Reads single cells; what stands in `missing` is nothing."""

    missing: frozenset[str]
    decimal: str = "."

    def get(self, row: Row, column: str) -> Any:  # noqa: ANN401 - what the file has
        """The value of a cell; None if there is none."""
        cell = row.get(column)
        return None if isinstance(cell, str) and cell.strip() in self.missing else cell

    def text(self, row: Row, column: str) -> str | None:
        """The text of a cell, without blanks around it; a whole number has no point."""
        cell = self.get(row, column)
        return None if cell is None else as_text(cell, column)


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """How a column tells an instant: `rfc3339`, `epoch_s`, `epoch_ms`, `days` (since a date), or a pattern of strptime."""

    name: str = "rfc3339"
    zone: str | None = None
    """Of local times; a time that daylight saving skips moves forward, one that it repeats is the first."""
    since: date | None = None


def as_text(cell: Any, column: str) -> str:  # noqa: ANN401 - what the file has
    """The text of a value.

    Raises:
        ContractError: a list or an object.
    """
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, (list, dict)):
        raise ContractError("bad_field", f"column {column!r} has a list or an object; one value is wanted")
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


def time_reader(form: TimeFormat) -> Callable[[Any, str], int]:
    """A function that reads an instant, in milliseconds, of a cell."""
    zone = None if form.zone is None else load_zone(form.zone)

    @lru_cache(_REMEMBERED)
    def of_text(text: str, column: str) -> int:
        return _instant(text, column, form, zone)

    def read(cell: Any, column: str) -> int:  # noqa: ANN401 - what the file has
        if isinstance(cell, datetime):
            return _placed(cell, column, zone)
        if isinstance(cell, date):
            return _placed(datetime(cell.year, cell.month, cell.day), column, zone)  # noqa: DTZ001 - the zone comes next
        return of_text(as_text(cell, column), column)

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


def _instant(text: str, column: str, form: TimeFormat, zone: tzinfo | None) -> int:
    if form.name == "rfc3339":
        try:
            return parse_instant(text)
        except ContractError as error:
            raise ContractError(error.code, f"column {column!r}: {error.message}") from None
    if form.name in EPOCH_FORMATS:
        return int(_time_number(text, column) * EPOCH_FORMATS[form.name])
    if form.name == "days":
        since = form.since or date(1970, 1, 1)
        start = _placed(datetime(since.year, since.month, since.day), column, zone)  # noqa: DTZ001 - the zone comes next
        return start + int(_time_number(text, column) * DAY_MS)
    try:
        moment = datetime.strptime(text, form.name)  # noqa: DTZ007 - the zone comes next
    except ValueError:
        raise ContractError("bad_time", f"column {column!r} is {shown(text)}; a time like {form.name} is wanted") from None
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
