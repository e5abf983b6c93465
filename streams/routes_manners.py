"""What people are spared, as a file of routes says it: quiet hours, digests, budgets."""

import re
from collections.abc import Mapping
from datetime import time
from typing import Final, get_args

from detectors.calendar_check import WEEKDAYS
from schemas.rule_kinds import Severity
from sinks.base import Language
from sinks.local_hours import DAY_MINUTES, NEVER_QUIET, QuietHours
from sinks.routes import USUAL_DIGEST, Budget, Manners
from streams.routes_common import EntryAtHand
from streams.rules_values import Field, list_of, number, one_of, read_fields, text, time_zone, whole
from streams.yaml_nodes import Node, Place, Refused

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_QUIET: Final = re.compile(r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?)? ?(?:(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d))?")
_MOST_AT_ONCE: Final = 100_000
_MOST_VALUE: Final = 1e15


def clock_time(node: Node, place: Place) -> time:
    """A time of day, `HH:MM`."""
    minutes = _minutes(text(node, place), node.line)
    if minutes == DAY_MINUTES:
        raise Refused(node.line, "24:00 stands here; the first minute of a day is 00:00")
    return time(*divmod(minutes, 60))


def quiet_hours(node: Node, place: Place) -> QuietHours:
    """Hours of a week: a list of `22:00-07:00`, `sat-sun`, or `fri 18:00-24:00`."""
    found: list[list[tuple[int, int]]] = list_of(_quiet_entry)(node, place)
    return QuietHours.of(span for spans in found for span in spans)


def _quiet_entry(node: Node, place: Place) -> list[tuple[int, int]]:
    written = text(node, place).strip()
    parts = _QUIET.fullmatch(written)
    if parts is None:
        raise Refused(node.line, f"{written!r} is not a time of a week; write 22:00-07:00, sat-sun or fri 18:00-24:00")
    first, last = parts["first"] or WEEKDAYS[0], parts["last"] or parts["first"] or WEEKDAYS[-1]
    if first not in WEEKDAYS or last not in WEEKDAYS:
        raise Refused(node.line, f"{written!r} names no day; days are {', '.join(WEEKDAYS)}, and sat-sun is both")
    start = _minutes(parts["start"], node.line) if parts["start"] else 0
    end = _minutes(parts["end"], node.line) if parts["end"] else DAY_MINUTES
    if start == end:
        raise Refused(node.line, f"{written!r} is no time at all; a whole day is 00:00-24:00")
    length = (end - start) % DAY_MINUTES or DAY_MINUTES
    days = range(WEEKDAYS.index(first), WEEKDAYS.index(first) + (WEEKDAYS.index(last) - WEEKDAYS.index(first)) % 7 + 1)
    return [(begin := day % 7 * DAY_MINUTES + start, begin + length) for day in days]


def _budget(node: Node, place: Place) -> Budget | None:
    read = read_fields(node, place, _BUDGET)
    return Budget(**read) if "at_once" in read else None


def _minutes(written: str, line: int) -> int:
    if _CLOCK.fullmatch(written) is None:
        raise Refused(line, f"{written!r} is not a time of day; write it like 09:00")
    hours, _, minutes = written.partition(":")
    return int(hours) * 60 + int(minutes)


def _quiet_at(quiet: QuietHours, day: int, at: time) -> bool:
    minute = day * DAY_MINUTES + at.hour * 60 + at.minute
    return any(start <= minute < end for start, end in quiet.spans)


_BUDGET: Final = {"at_once": Field(whole(0, _MOST_AT_ONCE), required=True), "above": Field(number(0, _MOST_VALUE))}

MANNERS: Final[Mapping[str, Field]] = {
    "language": Field(one_of(get_args(Language), "a language")),
    "time_zone": Field(time_zone),
    "quiet": Field(quiet_hours),
    "wake_for": Field(list_of(one_of(get_args(Severity), "a severity"))),
    "digest": Field(clock_time),
    "budget": Field(_budget),
}
"""The keys of everybody who reads: people, and rooms."""


def manners_of(entry: EntryAtHand) -> Manners:
    """What was read of the keys above.

    Who wants a digest, and says nothing of a budget, wants at once only what is critical.
    """
    values = entry.values
    digest = values.get("digest")
    quiet = values.get("quiet", NEVER_QUIET)
    if all(_quiet_at(quiet, day, digest or USUAL_DIGEST) for day in range(7)):
        at = digest or USUAL_DIGEST
        entry.refuse("quiet", f"it is quiet at {at:%H:%M} on every day, when the digest comes: choose another `digest`")
    return Manners(
        quiet=quiet,
        wake_for=frozenset(values.get("wake_for", ("critical",))),
        digest=digest or USUAL_DIGEST,
        budget=values.get("budget", None if digest is None else Budget(at_once=0)),
    )
