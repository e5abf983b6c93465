"""Laws of business time, against an oracle that walks every minute and knows no offset arithmetic."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.calendars import BusinessCalendar, check_calendar
from schemas.calendars import CalendarDocument
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, to_epoch_ms
from schemas.zones import load_zone

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CHANGES = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),  # changes by half an hour
    "Asia/Shanghai": ("2026-10-10",),
}
DAYS = 4


@dataclass(frozen=True)
class Case:
    """A calendar, and four local days around the first of them."""

    document: CalendarDocument
    first: date

    @property
    def zone(self) -> ZoneInfo:
        return load_zone(self.document.time_zone)

    @property
    def midnight_ms(self) -> int:
        """Of the first day; no zone here changes at midnight."""
        return to_epoch_ms(datetime(self.first.year, self.first.month, self.first.day, tzinfo=self.zone))


def hours_of(minutes: set[int]) -> list[str]:
    borders = [f"{m // 60:02}:{m % 60:02}" for m in sorted(minutes)]
    return [f"{start}-{end}" for start, end in zip(borders[::2], borders[1::2], strict=False)]


BORDERS = st.one_of(st.integers(0, 1440), st.integers(90, 240), st.sampled_from([0, 120, 150, 180, 1440]))
HOURS = st.sets(BORDERS, max_size=6).map(hours_of)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    near = date.fromisoformat(draw(st.sampled_from(CHANGES[zone])))
    first = draw(st.one_of(st.integers(-3, 0).map(lambda n: near + timedelta(n)), st.dates(date(2019, 1, 1), date(2030, 1, 1))))
    day = st.integers(0, DAYS - 1).map(lambda n: str(first + timedelta(n)))
    some = st.lists(day, max_size=2)
    weekly = draw(st.dictionaries(st.sampled_from(WEEK), HOURS, min_size=4))
    return Case(
        CalendarDocument(
            time_zone=zone,
            weekly=weekly,
            open=draw(st.dictionaries(day, HOURS, max_size=1)),
            closed=draw(some),
            holidays=draw(some),
            make_up=draw(some),
        ),
        first,
    )


@cache
def first_shown(zone: ZoneInfo, day: date) -> dict[datetime, int]:
    """The first instant at which the clocks of a zone show each minute, from the day before to the day after.

    Found by looking at every minute; one that is skipped is looked for again as much later as the clocks jump.
    """
    shown: dict[datetime, int] = {}
    start = to_epoch_ms(datetime(day.year, day.month, day.day, tzinfo=UTC)) - DAY_MS
    before = None
    jump = timedelta()
    for at_ms in range(start, start + 4 * DAY_MS, MINUTE_MS):
        wall = datetime.fromtimestamp(at_ms // 1000, zone).replace(tzinfo=None, fold=0)
        shown.setdefault(wall, at_ms)
        if before is not None and wall - before > timedelta(minutes=1):
            jump = wall - before - timedelta(minutes=1)
        before = wall
    walls = [datetime.fromisoformat(str(day)) + timedelta(minutes=m) for m in range(1441)]
    return {wall: shown[wall] if wall in shown else shown[wall + jump] for wall in walls}


def hours_on(document: CalendarDocument, day: date) -> list[str]:
    name = str(day)
    if name in document.open:
        return document.open[name]
    if name in document.make_up:
        return document.weekly.get("mon", [])
    if name in document.closed or name in document.holidays:
        return []
    return document.weekly.get(WEEK[day.weekday()], [])


def open_minutes(case: Case) -> list[bool]:
    """Whether each minute of the case's window is open, starting at the first day's midnight."""
    opened: list[tuple[int, int]] = []
    for n in range(-1, DAYS + 1):
        day = case.first + timedelta(n)
        shown = first_shown(case.zone, day)
        midnight = datetime.fromisoformat(str(day))
        for text in hours_on(case.document, day):
            start, end = (int(t[:2]) * 60 + int(t[3:]) for t in text.split("-"))
            opened.append((shown[midnight + timedelta(minutes=start)], shown[midnight + timedelta(minutes=end)]))
    window = range(case.midnight_ms, case.midnight_ms + DAYS * DAY_MS, MINUTE_MS)
    return [any(start <= at_ms < end for start, end in opened) for at_ms in window]


NIGHT = Case(
    CalendarDocument(time_zone="Europe/Berlin", weekly={"sun": ["01:00-02:10", "02:15-02:50", "03:00-03:10", "03:20-04:00"]}),
    date(2026, 3, 28),
)
MINUTE = st.integers(0, DAYS * 1440)


@given(cases(), MINUTE, MINUTE)
@example(NIGHT, 0, DAYS * 1440)
@settings(deadline=None)
def test_consumed_time_is_the_number_of_open_minutes(case: Case, a: int, b: int) -> None:
    calendar = BusinessCalendar.from_document(case.document)
    a, b = sorted((a, b))
    minutes = open_minutes(case)
    at = case.midnight_ms
    assert calendar.consumed_ms(at + a * MINUTE_MS, at + b * MINUTE_MS) == sum(minutes[a:b]) * MINUTE_MS
    assert [calendar.is_open(at + n * MINUTE_MS) for n in range(a, b)] == minutes[a:b]


@given(cases(), st.integers(0, DAYS * 1440 - 1), st.integers(1, DAYS * 1440))
@example(NIGHT, 0, 60)
@settings(deadline=None)
def test_business_minutes_end_with_the_minute_that_completes_them(case: Case, start: int, wanted: int) -> None:
    calendar = BusinessCalendar.from_document(case.document)
    minutes = open_minutes(case)
    ends = [n + 1 for n in range(start, len(minutes)) if minutes[n]]
    if wanted <= len(ends):
        end = calendar.add_ms(case.midnight_ms + start * MINUTE_MS, wanted * MINUTE_MS)
        assert (end - case.midnight_ms) / MINUTE_MS == ends[wanted - 1]


@given(cases(), MINUTE, st.integers(1, 6))
@settings(deadline=None)
def test_working_days_are_the_dates_that_open(case: Case, start: int, workdays: int) -> None:
    calendar = BusinessCalendar.from_document(case.document)
    start_ms = case.midnight_ms + start * MINUTE_MS
    if not any(case.document.weekly.values()):
        return
    end = calendar.workday_end_ms(start_ms, workdays)
    assert not calendar.is_open(end) or datetime.fromtimestamp(end // 1000, case.zone).strftime("%H:%M") == "00:00"
    assert calendar.is_open(end - 1)
    opened: set[date] = set()
    for at_ms in range(start_ms // MINUTE_MS * MINUTE_MS, end, MINUTE_MS):
        if calendar.is_open(at_ms):
            opened.add(datetime.fromtimestamp(at_ms // 1000, case.zone).date())
    today = datetime.fromtimestamp(start_ms // 1000, case.zone).date()
    assert len(opened - {today}) == workdays


SPAN_MS = st.one_of(st.integers(0, 3 * DAY_MS), st.integers(0, 7 * 366 * DAY_MS))
BUSINESS_MS = st.one_of(st.integers(1, 60 * HOUR_MS), st.integers(1, 400 * HOUR_MS))


@given(cases(), st.integers(-DAY_MS, DAYS * DAY_MS), BUSINESS_MS)
@settings(deadline=None)
def test_adding_finds_the_earliest_instant_that_has_consumed_so_much(case: Case, offset: int, wanted_ms: int) -> None:
    calendar = BusinessCalendar.from_document(case.document)
    if not any(case.document.weekly.values()):
        return
    start = case.midnight_ms + offset
    end = calendar.add_ms(start, wanted_ms)
    assert calendar.consumed_ms(start, end) == wanted_ms
    assert calendar.consumed_ms(start, end - 1) == wanted_ms - 1


@given(cases(), st.integers(-DAY_MS, DAY_MS), BUSINESS_MS, BUSINESS_MS)
@settings(deadline=None)
def test_adding_twice_is_adding_the_sum(case: Case, offset: int, one_ms: int, other_ms: int) -> None:
    calendar = BusinessCalendar.from_document(case.document)
    if not any(case.document.weekly.values()):
        return
    start = case.midnight_ms + offset
    assert calendar.add_ms(calendar.add_ms(start, one_ms), other_ms) == calendar.add_ms(start, one_ms + other_ms)


@given(cases(), st.integers(-DAY_MS, DAY_MS), SPAN_MS, SPAN_MS)
@settings(deadline=None)
def test_consumed_time_adds_up_and_never_exceeds_time(case: Case, offset: int, one_ms: int, other_ms: int) -> None:
    calendar = BusinessCalendar.from_document(case.document)
    start = case.midnight_ms + offset
    middle, end = start + one_ms, start + one_ms + other_ms
    whole = calendar.consumed_ms(start, end)
    assert calendar.consumed_ms(start, middle) + calendar.consumed_ms(middle, end) == whole
    assert 0 <= calendar.consumed_ms(start, middle) <= whole <= end - start


@given(cases(), st.integers(-DAY_MS, DAY_MS), st.integers(0, 3 * DAY_MS), BUSINESS_MS)
@settings(deadline=None)
def test_a_later_start_is_never_due_earlier(case: Case, offset: int, delay_ms: int, wanted_ms: int) -> None:
    calendar = BusinessCalendar.from_document(case.document)
    if not any(case.document.weekly.values()):
        return
    start = case.midnight_ms + offset
    assert calendar.add_ms(start, wanted_ms) <= calendar.add_ms(start + delay_ms, wanted_ms)
    assert calendar.workday_end_ms(start, 3) <= calendar.workday_end_ms(start + delay_ms, 3)


@given(cases(), st.integers(-DAY_MS, DAY_MS), SPAN_MS)
@settings(deadline=None, max_examples=20)
def test_what_was_asked_before_changes_no_answer(case: Case, offset: int, span_ms: int) -> None:
    used, fresh = (BusinessCalendar.from_document(case.document) for _ in range(2))
    start = case.midnight_ms + offset
    used.consumed_ms(start - 800 * DAY_MS, start + 8000 * DAY_MS)
    assert used.consumed_ms(start, start + span_ms) == fresh.consumed_ms(start, start + span_ms)


@given(cases())
def test_the_calendars_drawn_here_have_no_faults(case: Case) -> None:
    assert check_calendar(case.document) == []
