"""Instants and durations: integers inside, text at the edges; conversions live here and nowhere else."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from schemas.errors import ContractError

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
WEEK_MS: Final = 7 * DAY_MS

MIN_INSTANT_MS: Final = -62_135_596_800_000
"""0001-01-01T00:00:00Z."""
MAX_EVENT_MS: Final = 7_258_118_399_999
"""2199-12-31T23:59:59.999Z."""
MAX_INSTANT_MS: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last instant that RFC 3339 text can name."""


@dataclass(frozen=True, slots=True)
class Exact:
    """So many milliseconds, whatever the calendar says."""

    ms: int


@dataclass(frozen=True, slots=True)
class Months:
    """So many calendar months: same day of month and local time, clamped to the month's last day."""

    months: int


Duration = Exact | Months

_DURATION = re.compile(
    r"P(?:(?P<years>\d{1,9})Y)?(?:(?P<months>\d{1,9})M)?(?:(?P<weeks>\d{1,9})W)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.ASCII,
)
_EXACT_UNITS_MS: Final = {"days": DAY_MS, "hours": HOUR_MS, "minutes": MINUTE_MS, "seconds": SECOND_MS}


def parse_duration(text: object) -> Duration:
    """Read an ISO 8601 duration.

    >>> parse_duration("P90D")
    Exact(ms=7776000000)
    >>> parse_duration("P3M")
    Months(months=3)

    Raises:
        ContractError: not a duration, zero, or ambiguous (weeks, or months mixed with exact units).
    """
    allowed = "write days and time exactly (P90D, PT8H, P1DT12H) or whole months (P3M, P1Y)"
    if not isinstance(text, str) or (found := _DURATION.fullmatch(text)) is None or text.endswith(("P", "T")):
        raise ContractError("bad_duration", f"{text!r} is not a duration: {allowed}")
    part = {name: int(value) for name, value in found.groupdict().items() if value is not None}
    months = part.get("years", 0) * 12 + part.get("months", 0)
    exact_ms = sum(part.get(unit, 0) * unit_ms for unit, unit_ms in _EXACT_UNITS_MS.items())
    if "weeks" in part:
        raise ContractError("bad_duration", f"{text!r} counts weeks, which the rules do not have: {allowed}")
    if months and exact_ms:
        raise ContractError("bad_duration", f"{text!r} mixes months with exact units, which is ambiguous: {allowed}")
    if not months and not exact_ms:
        raise ContractError("bad_duration", f"{text!r} is no time at all: {allowed}")
    return Months(months) if months else Exact(exact_ms)


def exact_ms(text: object) -> int:
    """Read a duration that must be exact, in milliseconds.

    Raises:
        ContractError: not a duration, or one of calendar months.
    """
    duration = parse_duration(text)
    if isinstance(duration, Months):
        raise ContractError("bad_duration", f"{text!r} is a calendar duration; an exact one is wanted here (P90D, PT8H)")
    return duration.ms


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_instant(text: object) -> int:
    """Read RFC 3339 text with a zone offset as milliseconds since the epoch; digits past the third are cut off.

    >>> parse_instant("1970-01-01T01:00:00+01:00")
    0

    Raises:
        ContractError: not such text, or no offset (a local time names no instant).
    """
    if not isinstance(text, str) or _RFC3339.fullmatch(text) is None:
        raise ContractError("bad_time", f"{text!r} is not an RFC 3339 time with an offset, like 2026-01-31T12:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise ContractError("bad_time", f"{text!r} is not a time: {error}") from None
    at_ms = to_epoch_ms(moment)
    if not MIN_INSTANT_MS <= at_ms <= MAX_INSTANT_MS:
        raise ContractError("bad_time", f"{text!r} is outside the years 1 to 9999 in UTC, and cannot be written back")
    return at_ms


def to_epoch_ms(moment: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime, rounded down, without floating point."""
    delta = moment - _EPOCH
    return delta.days * DAY_MS + delta.seconds * SECOND_MS + delta.microseconds // 1000


def from_epoch_ms(at_ms: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)


def format_instant(at_ms: int) -> str:
    """RFC 3339 text in UTC; milliseconds only where there are some.

    >>> format_instant(0)
    '1970-01-01T00:00:00Z'
    """
    text = from_epoch_ms(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text.replace(".000Z", "Z")


def format_duration(ms: int) -> str:
    """Exact ISO 8601 text of a length of time, days and below.

    >>> format_duration(129_600_000)
    'P1DT12H'
    """
    if ms == 0:
        return "PT0S"
    days, rest = divmod(ms, DAY_MS)
    hours, rest = divmod(rest, HOUR_MS)
    minutes, rest = divmod(rest, MINUTE_MS)
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
    if rest:
        time += f"{rest / 1000:g}S"
    return "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")
