"""Business calendars as they are published: local wall-clock intervals, and single dates that differ."""

from typing import Annotated

import msgspec

LocalDate = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Interval = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
"""Local time `HH:MM-HH:MM`, half-open; `24:00` is the end of the day. None runs over midnight."""


class CalendarDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One calendar, fully expanded: nothing in it depends on a library's opinion of a holiday.

    Precedence on a date: `open`, then `make_up`, then `closed`, then `holidays`, then `weekly`.
    """

    time_zone: str
    weekly: dict[str, list[Interval]]
    """Key `mon` ... `sun`, one day each (ranges are expanded when the file is read); a missing day is closed."""
    open: dict[LocalDate, list[Interval]] = {}
    closed: list[LocalDate] = []
    holidays: list[LocalDate] = []
    make_up: list[LocalDate] = []
    """Working days that stand in for a holiday: Monday's hours hold."""
    expanded_until: int | None = None
    """Last year that `holidays` was expanded for; after it the weekly hours hold, and alerts carry a warning."""
