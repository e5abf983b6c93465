"""What may be wrong with a published calendar, and the reading of its intervals."""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from schemas.calendars import CalendarDocument
from schemas.errors import ContractError
from schemas.zones import load_zone

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Minutes = tuple[int, int]
"""An interval of a local day, in minutes of the clock since its midnight."""

_DAY_MINUTES: Final = 24 * 60
_INTERVAL = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", re.ASCII)


def check_calendar(document: CalendarDocument) -> list[str]:
    """Every fault of a calendar, each a sentence with the place, what stands there, and what may.

    >>> check_calendar(CalendarDocument(time_zone="UTC", weekly={"mon": ["09:00-09:00"]}))
    ["weekly.mon[0]: '09:00-09:00' is empty; an interval ends after it starts, on the same day (24:00 is its end)"]
    """
    return list(_faults(document))


def read_intervals(intervals: Iterable[str]) -> tuple[Minutes, ...]:
    """The intervals of a date that `check_calendar` found nothing wrong with.

    >>> read_intervals(["09:00-12:00", "13:30-24:00"])
    ((540, 720), (810, 1440))
    """
    return tuple(_borders(found) for text in intervals if (found := _INTERVAL.fullmatch(text)))


def _faults(document: CalendarDocument) -> Iterator[str]:
    try:
        load_zone(document.time_zone)
    except ContractError as error:
        yield f"time_zone: {error.message}"
    for key, intervals in document.weekly.items():
        if key not in WEEKDAYS:
            yield f"weekly.{key}: {key!r} is not a day of the week; allowed are {', '.join(WEEKDAYS)}"
        yield from _interval_faults(f"weekly.{key}", intervals)
    for day, intervals in document.open.items():
        yield from _date_faults(f"open.{day}", day)
        yield from _interval_faults(f"open.{day}", intervals)
    dates = {"closed": document.closed, "holidays": document.holidays, "make_up": document.make_up}
    for name, days in dates.items():
        for i, day in enumerate(days):
            yield from _date_faults(f"{name}[{i}]", day)


def _date_faults(where: str, text: str) -> Iterator[str]:
    try:
        plain = date.fromisoformat(text).isoformat() == text
    except ValueError:
        plain = False
    if not plain:
        yield f"{where}: {text!r} is not a date; write YYYY-MM-DD"


def _interval_faults(where: str, intervals: Iterable[str]) -> Iterator[str]:
    latest: tuple[int, str] | None = None
    for i, text in enumerate(intervals):
        place = f"{where}[{i}]"
        found = _INTERVAL.fullmatch(text)
        if found is None:
            yield f"{place}: {text!r} is not an interval; write HH:MM-HH:MM, like 09:00-17:30"
            continue
        start, end = _borders(found)
        if end > _DAY_MINUTES:
            yield f"{place}: {text!r} runs past the day's end; the latest border is 24:00"
        if end <= start:
            yield f"{place}: {text!r} is empty; an interval ends after it starts, on the same day (24:00 is its end)"
        if latest is not None and start < latest[0]:
            yield f"{place}: {text!r} begins before {latest[1]!r} ends; intervals stand in order and do not overlap"
        latest = (end, text)


def _borders(found: re.Match[str]) -> Minutes:
    from_hour, from_minute, to_hour, to_minute = map(int, found.groups())
    return from_hour * 60 + from_minute, to_hour * 60 + to_minute
