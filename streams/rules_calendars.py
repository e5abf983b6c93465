"""Reading the calendars of a rules file: ranges of days become days, holidays become dates."""

import re
from typing import Any, Final

from detectors.calendar_check import WEEKDAYS, check_calendar
from schemas.calendars import CalendarDocument
from schemas.errors import ContractError
from streams.holidays_expand import expand_holidays, known_years, published_until
from streams.rules_values import Field, list_of, read_fields, text, time_zone
from streams.yaml_nodes import Entries, Items, Node, Place, Refused, Scalar, shown

YEARS: Final = range(2000, 2051)
"""Holidays are expanded for these years, as far as they are known, whenever the file is read."""
_RANGE: Final = re.compile(r"(\w+)-(\w+)")


def read_calendar(node: Node, place: Place) -> dict[str, Any] | None:
    """One calendar, as plain values in the form of its struct; the faults are noted."""
    before = len(place.faults)
    document = read_fields(node, place, _FIELDS)
    for name, days in document.pop("holidays", {}).items():
        document[name] = sorted({*document.get(name, []), *days}) if name == "make_up" else days
    weekly, lines = document.get("weekly", ({}, {}))
    document["weekly"] = weekly
    if len(place.faults) > before or not isinstance(node, Entries):
        return None
    if not any([*weekly.values(), *document.get("open", {}).values()]):
        raise Refused(node.key_lines["weekly"], 'never open; give a day some hours, like mon-fri: ["09:00-17:00"]')
    _note_faults(document, lines | _lines_of(node), place)
    return document


def _note_faults(document: dict[str, Any], lines: dict[str, int], place: Place) -> None:
    """What the calendar's own check finds, at the lines where it stands; a range of days is told once."""
    told: set[tuple[int, str]] = set()
    for fault in check_calendar(CalendarDocument(**document)):
        where, _, message = fault.partition(": ")
        line = lines[where]
        if (line, message) not in told:
            told.add((line, message))
            place.at(where).refuse(line, message)


def _weekly(node: Node, place: Place) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Hours by day, and the line of each interval by its place in the expanded document."""
    if not isinstance(node, Entries):
        raise Refused(node.line, f'{shown(node)} stands here; days with hours are wanted, like mon-fri: ["09:00-17:00"]')
    hours: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    for key, value in node.entries.items():
        line = node.key_lines[key]
        found = place.at(key).take(_INTERVALS, value)
        for day in _days(key, line, place.at(key)):
            if day in hours:
                place.at(key).refuse(line, f"the hours of `{day}` stand here twice")
            hours[day] = found or []
            lines |= _item_lines(f"weekly.{day}", value)
    return hours, lines


def _days(key: str, line: int, place: Place) -> list[str]:
    parts = _RANGE.fullmatch(key)
    first, last = parts.groups() if parts is not None else (key, key)
    if first not in WEEKDAYS or last not in WEEKDAYS:
        place.refuse(line, f"{key!r} is not a day or a range of days; write {', '.join(WEEKDAYS)}, or mon-fri")
        return []
    days = list(WEEKDAYS[WEEKDAYS.index(first) : WEEKDAYS.index(last) + 1])
    if not days:
        place.refuse(line, f"{key!r} runs backwards; a week begins with mon, so write two entries")
    return days


def _open(node: Node, place: Place) -> dict[str, list[str]]:
    if not isinstance(node, Entries):
        raise Refused(node.line, f'{shown(node)} stands here; dates with hours are wanted, like "2026-10-10": ["09:00-12:00"]')
    return {day: place.at(day).take(_INTERVALS, value) or [] for day, value in node.entries.items()}


def _holidays(node: Node, place: Place) -> dict[str, Any]:
    """A country (`CN`), or one of its parts (`DE-BY`), as dates; or the dates themselves."""
    if isinstance(node, Items):
        return {"holidays": _DATES(node, place)}
    country = text(node, place)
    if isinstance(node, Scalar) and node.tag != "str":
        raise Refused(node.line, f"{shown(node)} stands here; write a country (CN), a part of it (DE-BY), or a list of dates")
    try:
        known = known_years(country)
        years = range(max(YEARS.start, known.start), min(YEARS.stop, known.stop))
        off, worked = expand_holidays(country, years)
        published = published_until(country)
    except ContractError as error:
        raise Refused(node.line, error.message) from None
    return {"holidays": off, "make_up": worked, "expanded_until": min(years[-1] if published is None else published, years[-1])}


def _lines_of(node: Entries) -> dict[str, int]:
    """The line of every date by its place in the document."""
    lines = dict(node.key_lines)
    for key in ("closed", "holidays", "make_up"):
        lines |= _item_lines(key, node.entries.get(key))
    opened = node.entries.get("open")
    for day, value in opened.entries.items() if isinstance(opened, Entries) else ():
        lines[f"open.{day}"] = value.line
        lines |= _item_lines(f"open.{day}", value)
    return lines


def _item_lines(where: str, node: Node | None) -> dict[str, int]:
    items = node.items if isinstance(node, Items) else ()
    return {f"{where}[{i}]": item.line for i, item in enumerate(items)}


_INTERVALS: Final = list_of(text)
_DATES: Final = list_of(text)
_FIELDS: Final = {
    "time_zone": Field(time_zone, required=True),
    "weekly": Field(_weekly, required=True),
    "holidays": Field(_holidays),
    "closed": Field(_DATES),
    "make_up": Field(_DATES),
    "open": Field(_open),
}
