"""Calendar durations: the same local day and time some months on, in the zone whose calendar people mean."""

from calendar import monthrange
from typing import assert_never
from zoneinfo import ZoneInfo

from schemas.errors import ContractError
from schemas.instants import Duration, Exact, Months, from_epoch_ms
from schemas.zones import from_wall_clock, load_zone


def as_zone(zone: str | ZoneInfo) -> ZoneInfo:
    """The zone itself, whether it is named or given.

    Raises:
        ContractError: a name that is no zone.
    """
    return load_zone(zone) if isinstance(zone, str) else zone


def add_months(at_ms: int, months: int, zone: str | ZoneInfo) -> int:
    """The instant some calendar months after (or, below zero, before) another.

    Same local day of month and time of day, to the millisecond; the day is clamped to the month's last one. Not
    an inverse of itself: 31 January and one month is 28 February, and one month back from there is 28 January.

    >>> from schemas.instants import format_instant, parse_instant
    >>> format_instant(add_months(parse_instant("2026-01-31T12:00:00+01:00"), 3, "Europe/Berlin"))
    '2026-04-30T10:00:00Z'

    Raises:
        ContractError: unknown zone, or a year outside 1 to 9999.
    """
    known = as_zone(zone)
    if months == 0:
        return at_ms
    wall = from_epoch_ms(at_ms).astimezone(known).replace(tzinfo=None)
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise ContractError("bad_duration", f"{months} months from {wall.date()} is the year {year}; years are 1 to 9999")
    day = min(wall.day, monthrange(year, month + 1)[1])
    return from_wall_clock(wall.replace(year=year, month=month + 1, day=day), known)


def add_duration(at_ms: int, duration: Duration, zone: str | ZoneInfo) -> int:
    """The instant at which a duration that starts at `at_ms` is over; the zone matters to calendar months only.

    >>> from schemas.instants import parse_duration
    >>> add_duration(0, parse_duration("P90D"), "Europe/Berlin")
    7776000000

    Raises:
        ContractError: as `add_months`.
    """
    match duration:
        case Exact(ms):
            return at_ms + ms
        case Months(months):
            return add_months(at_ms, months, zone)
        case _:
            assert_never(duration)
