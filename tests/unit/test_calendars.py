"""Business time as stories: each a drawn timeline, written in local time."""

from datetime import datetime

import pytest

from detectors.calendars import AlwaysOpen, BusinessCalendar, Calendar, check_calendar
from schemas.calendars import CalendarDocument
from schemas.errors import ContractError
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, from_epoch_ms, to_epoch_ms
from schemas.zones import load_zone

OFFICE_WEEK = {day: ["09:00-12:00", "13:30-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
AROUND_THE_CLOCK = {day: ["00:00-24:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
WORKDAY_MS = 7 * HOUR_MS + 30 * MINUTE_MS


class Desk:
    """A calendar that is asked and answers in its own local time, `YYYY-MM-DD HH:MM`."""

    def __init__(self, document: CalendarDocument) -> None:
        self.calendar = BusinessCalendar.from_document(document)
        self.zone = load_zone(document.time_zone)

    def at(self, text: str, *, fold: int = 0) -> int:
        return to_epoch_ms(datetime.fromisoformat(text).replace(tzinfo=self.zone, fold=fold))

    def read(self, at_ms: int) -> str:
        return from_epoch_ms(at_ms).astimezone(self.zone).strftime("%Y-%m-%d %H:%M")

    def consumed(self, start: str, end: str) -> int:
        return self.calendar.consumed_ms(self.at(start), self.at(end))

    def after(self, start: str, consumed_ms: int) -> str:
        return self.read(self.calendar.add_ms(self.at(start), consumed_ms))

    def workday_end(self, start: str, workdays: int) -> str:
        return self.read(self.calendar.workday_end_ms(self.at(start), workdays))

    def is_open(self, text: str) -> bool:
        return self.calendar.is_open(self.at(text))


def shanghai(**dates: object) -> Desk:
    return desk("Asia/Shanghai", OFFICE_WEEK, **dates)


def desk(zone: str, weekly: dict[str, list[str]], **dates: object) -> Desk:
    return Desk(CalendarDocument(time_zone=zone, weekly=weekly, **dates))  # type: ignore[arg-type]


def test_a_ticket_opened_at_night_starts_to_consume_in_the_morning() -> None:
    #  Mon 22:00          Tue 09:00    10:00
    #  opened ............|============> 1 h
    office = shanghai()
    assert office.after("2026-03-02 22:00", HOUR_MS) == "2026-03-03 10:00"
    assert office.consumed("2026-03-02 22:00", "2026-03-03 09:00") == 0


def test_the_lunch_gap_consumes_nothing() -> None:
    #  11:00    12:00    13:30    14:30
    #  |========|........|========> 2 h
    office = shanghai()
    assert office.after("2026-03-02 11:00", 2 * HOUR_MS) == "2026-03-02 14:30"
    assert office.consumed("2026-03-02 11:00", "2026-03-02 14:30") == 2 * HOUR_MS


def test_a_target_used_up_at_the_gap_is_due_when_the_morning_closes_not_when_the_afternoon_opens() -> None:
    #  11:00    12:00    13:30
    #  |========>........|
    #           ^ the earliest instant with 1 h consumed
    assert shanghai().after("2026-03-02 11:00", HOUR_MS) == "2026-03-02 12:00"


def test_no_business_time_ends_where_it_starts_even_out_of_hours() -> None:
    assert shanghai().after("2026-03-01 03:00", 0) == "2026-03-01 03:00"


def test_business_time_does_not_run_backward() -> None:
    office = shanghai()
    assert office.consumed("2026-03-03 12:00", "2026-03-02 12:00") == 0
    with pytest.raises(ValueError, match="runs forward"):
        office.calendar.add_ms(0, -1)


def test_the_weekend_lies_between_friday_evening_and_monday() -> None:
    #  Fri 17:00  18:00 ... Sat Sun ... Mon 09:00  10:00
    #  |==========|....................|===========> 2 h
    assert shanghai().after("2026-03-06 17:00", 2 * HOUR_MS) == "2026-03-09 10:00"


def test_an_interval_is_open_at_its_start_and_closed_at_its_end() -> None:
    office = shanghai()
    opening, closing = office.at("2026-03-02 09:00"), office.at("2026-03-02 12:00")
    assert [office.calendar.is_open(at) for at in (opening - 1, opening, closing - 1, closing)] == [False, True, True, False]


def test_five_business_days_are_five_times_the_hours_of_one() -> None:
    assert shanghai().after("2026-03-02 09:00", 5 * WORKDAY_MS) == "2026-03-06 18:00"


def test_the_spring_change_takes_an_hour_out_of_the_night() -> None:
    #  Berlin, 2026-03-29:  01:00   02:00->03:00   04:00
    #                       |=======|==============|   2 h, not 3
    night = desk("Europe/Berlin", AROUND_THE_CLOCK)
    assert night.consumed("2026-03-29 01:00", "2026-03-29 04:00") == 2 * HOUR_MS
    assert night.consumed("2026-03-29 00:00", "2026-03-30 00:00") == 23 * HOUR_MS
    assert night.after("2026-03-29 01:00", 2 * HOUR_MS) == "2026-03-29 04:00"


def test_the_autumn_change_puts_an_hour_into_the_night() -> None:
    #  Berlin, 2026-10-25:  01:00   02:00   03:00->02:00   03:00
    #                       |=======|=======|==============|   3 h, not 2
    night = desk("Europe/Berlin", AROUND_THE_CLOCK)
    assert night.consumed("2026-10-25 01:00", "2026-10-25 03:00") == 3 * HOUR_MS
    assert night.consumed("2026-10-25 00:00", "2026-10-26 00:00") == 25 * HOUR_MS
    assert night.after("2026-10-25 01:00", 3 * HOUR_MS) == "2026-10-25 03:00"


@pytest.mark.parametrize(
    ("friday", "monday", "apart_ms"),
    [
        ("2026-03-27 17:00", "2026-03-30 10:00", 64 * HOUR_MS),
        ("2026-10-23 17:00", "2026-10-26 10:00", 66 * HOUR_MS),
    ],
)
def test_office_hours_stay_at_nine_across_both_changes(friday: str, monday: str, apart_ms: int) -> None:
    #  Fri 17:00  18:00 ... Sunday: the clocks change ... Mon 09:00  10:00
    office = desk("Europe/Berlin", OFFICE_WEEK)
    assert office.after(friday, 2 * HOUR_MS) == monday
    assert office.at(monday) - office.at(friday) == apart_ms


@pytest.mark.parametrize(
    ("hours", "opens", "closes", "open_ms"),
    [
        ("01:00-02:30", "01:00", "03:30", 90 * MINUTE_MS),
        ("02:30-05:00", "03:30", "05:00", 90 * MINUTE_MS),
        ("02:00-02:30", "03:00", "03:30", 30 * MINUTE_MS),
    ],
)
def test_a_border_that_the_clocks_skip_moves_forward_by_the_gap(hours: str, opens: str, closes: str, open_ms: int) -> None:
    #  02:30 of 2026-03-29 does not exist in Berlin: it is 03:30
    night = desk("Europe/Berlin", {"sun": [hours]})
    day = "2026-03-29"
    assert night.consumed(f"{day} 00:00", "2026-03-30 00:00") == open_ms
    assert night.consumed(f"{day} {opens}", f"{day} {closes}") == open_ms
    assert night.workday_end("2026-03-28 12:00", 1) == f"{day} {closes}"


def test_intervals_that_a_gap_pushes_together_count_once() -> None:
    #  01:00-02:45 becomes 01:00-03:45 and lies over 03:00-04:00: open 01:00 to 04:00, 2 h by the stopwatch
    night = desk("Europe/Berlin", {"sun": ["01:00-02:45", "03:00-04:00"]})
    assert night.consumed("2026-03-29 00:00", "2026-03-30 00:00") == 2 * HOUR_MS


def test_an_interval_that_a_gap_pushes_over_another_swallows_it() -> None:
    #  02:05-02:55 becomes 03:05-03:55, around 03:10-03:20
    night = desk("Europe/Berlin", {"sun": ["02:05-02:55", "03:10-03:20"]})
    assert night.consumed("2026-03-29 00:00", "2026-03-30 00:00") == 50 * MINUTE_MS
    assert night.workday_end("2026-03-28 12:00", 1) == "2026-03-29 03:55"


def test_intervals_that_a_gap_reorders_all_count() -> None:
    #  02:15-02:50 becomes 03:15-03:50 and stands behind 03:00-03:10
    night = desk("Europe/Berlin", {"sun": ["02:15-02:50", "03:00-03:10"]})
    assert night.consumed("2026-03-29 00:00", "2026-03-30 00:00") == 45 * MINUTE_MS
    assert night.workday_end("2026-03-28 12:00", 1) == "2026-03-29 03:50"


def test_an_interval_that_a_gap_turns_around_is_closed_that_day() -> None:
    #  02:30-03:10 would run from 03:30 to 03:10
    night = desk("Europe/Berlin", {"sun": ["02:30-03:10"]})
    assert night.consumed("2026-03-29 00:00", "2026-03-30 00:00") == 0
    assert night.workday_end("2026-03-28 12:00", 1) == "2026-04-05 03:10"


@pytest.mark.parametrize(
    ("hours", "open_ms"),
    [
        ("01:00-02:30", 90 * MINUTE_MS),
        ("02:30-04:00", 150 * MINUTE_MS),
        ("02:15-02:45", 30 * MINUTE_MS),
    ],
)
def test_a_border_that_the_clocks_repeat_is_the_first(hours: str, open_ms: int) -> None:
    night = desk("Europe/Berlin", {"sun": [hours]})
    assert night.consumed("2026-10-25 00:00", "2026-10-26 00:00") == open_ms


def test_a_repeated_closing_time_has_closed_for_good() -> None:
    night = desk("Europe/Berlin", {"sun": ["01:00-02:30"]})
    first, second = (night.at("2026-10-25 02:15", fold=fold) for fold in (0, 1))
    assert (night.calendar.is_open(first), night.calendar.is_open(second)) == (True, False)


def test_a_midnight_that_the_clocks_skip_opens_at_one() -> None:
    #  Sao Paulo, 2018-11-04: 00:00 -> 01:00
    night = desk("America/Sao_Paulo", AROUND_THE_CLOCK)
    assert night.consumed("2018-11-03 23:00", "2018-11-04 02:00") == 2 * HOUR_MS
    assert night.consumed("2018-11-03 00:00", "2018-11-05 00:00") == 47 * HOUR_MS


def test_a_moved_border_stays_within_its_date() -> None:
    #  Nuuk, 2024-03-30: 23:00 -> midnight; 23:30 would be 00:30 of Sunday
    night = desk("America/Nuuk", {"sat": ["22:00-23:30"], "sun": ["00:00-01:00"]})
    assert night.consumed("2024-03-30 00:00", "2024-04-01 00:00") == 2 * HOUR_MS


def test_a_date_that_a_zone_skipped_is_no_working_day() -> None:
    #  Apia went from Thursday 2011-12-29 straight to Saturday 2011-12-31
    island = desk("Pacific/Apia", OFFICE_WEEK)
    assert island.consumed("2011-12-29 18:00", "2012-01-02 09:00") == 0
    assert island.workday_end("2011-12-29 10:00", 1) == "2012-01-02 18:00"


def test_a_holiday_is_closed_and_the_saturday_worked_for_it_has_mondays_hours() -> None:
    #  National Day in Shanghai: Thu 2026-10-01 to Wed 10-07 off; Sat 10-10 worked
    #  Wed 30 Sep 17:00  18:00 .. Thu 8 Oct 09:00 .... 18:00 .. Fri .. Sat 10 Oct 09:00
    off = [f"2026-10-0{day}" for day in range(1, 8)]
    office = shanghai(holidays=off, make_up=["2026-10-10"])
    assert office.after("2026-09-30 17:00", 2 * HOUR_MS) == "2026-10-08 10:00"
    assert office.consumed("2026-10-10 00:00", "2026-10-11 00:00") == WORKDAY_MS
    assert office.workday_end("2026-09-30 12:00", 3) == "2026-10-10 18:00"


def test_a_make_up_day_has_mondays_hours_whatever_its_own_day_has() -> None:
    shop = desk("Asia/Shanghai", {"mon": ["08:00-09:00"], "sat": ["10:00-20:00"]}, make_up=["2026-10-10"])
    assert shop.consumed("2026-10-10 00:00", "2026-10-11 00:00") == HOUR_MS


def test_a_closed_date_is_skipped() -> None:
    #  Wed 17:00  18:00 .. Thu 2026-12-31: closed .. Fri 09:00
    office = shanghai(closed=["2026-12-31"])
    assert office.after("2026-12-30 17:00", 2 * HOUR_MS) == "2027-01-01 10:00"


@pytest.mark.parametrize(
    ("dates", "open_ms"),
    [
        ({"open": ["10:00-12:00"], "make_up": True, "closed": True, "holidays": True}, 2 * HOUR_MS),
        ({"make_up": True, "closed": True, "holidays": True}, WORKDAY_MS),
        ({"closed": True}, 0),
        ({"holidays": True}, 0),
        ({}, 3 * HOUR_MS),
        ({"open": []}, 0),
    ],
)
def test_open_precedes_make_up_precedes_closed_and_holidays_precede_the_week(dates: dict[str, object], open_ms: int) -> None:
    day = "2026-10-10"  # a Saturday
    given = {name: {day: value} if name == "open" else [day] for name, value in dates.items()}
    shop = desk("Asia/Shanghai", {**OFFICE_WEEK, "sat": ["09:00-12:00"]}, **given)
    assert shop.consumed(f"{day} 00:00", "2026-10-11 00:00") == open_ms


def test_the_first_working_day_is_the_one_after_the_starts_date() -> None:
    #  Fri 08:00, even before opening: day 1 is Monday
    office = shanghai()
    assert office.workday_end("2026-03-06 08:00", 1) == "2026-03-09 18:00"
    assert office.workday_end("2026-03-06 23:59", 1) == "2026-03-09 18:00"
    assert office.workday_end("2026-03-07 12:00", 1) == "2026-03-09 18:00"
    assert office.workday_end("2026-03-06 08:00", 5) == "2026-03-13 18:00"


def test_a_working_day_ends_with_its_own_last_open_minute() -> None:
    office = shanghai(open={"2026-03-09": ["09:00-12:00"]})
    assert office.workday_end("2026-03-06 08:00", 1) == "2026-03-09 12:00"


def test_working_days_run_on_over_the_end_of_months() -> None:
    assert shanghai().workday_end("2026-01-30 12:00", 40) == "2026-03-27 18:00"


def test_working_days_count_from_one() -> None:
    for calendar in (shanghai().calendar, AlwaysOpen()):
        with pytest.raises(ValueError, match="count from 1"):
            calendar.workday_end_ms(0, 0)


def test_the_date_of_an_instant_is_the_local_one() -> None:
    #  Sunday 23:00 UTC is Monday 07:00 in Shanghai: day 1 is Tuesday
    office = shanghai()
    sunday_night_utc = to_epoch_ms(datetime.fromisoformat("2026-03-01T23:00:00+00:00"))
    assert office.read(office.calendar.workday_end_ms(sunday_night_utc, 1)) == "2026-03-03 18:00"


def test_a_ticket_open_for_seven_years_has_consumed_every_working_day_of_them() -> None:
    #  2019-01-01 to 2026-01-01: 2557 days, 1827 of them Monday to Friday
    assert shanghai().consumed("2019-01-01 00:00", "2026-01-01 00:00") == 1827 * WORKDAY_MS
    assert shanghai().after("2019-01-01 00:00", 1827 * WORKDAY_MS) == "2025-12-31 18:00"


def test_more_months_than_are_cached_change_no_answer() -> None:
    office = shanghai()
    before = office.consumed("1990-01-01 00:00", "2030-01-01 00:00")
    assert office.consumed("1990-01-01 00:00", "2030-01-01 00:00") == before
    assert before == office.consumed("1990-01-01 00:00", "2001-05-05 05:05") + office.consumed(
        "2001-05-05 05:05", "2030-01-01 00:00"
    )


def test_a_calendar_that_never_opens_is_refused_by_name() -> None:
    shut = desk("UTC", {}, open={"2026-01-05": ["09:00-10:00"]})
    assert shut.after("2026-01-01 00:00", HOUR_MS) == "2026-01-05 10:00"
    with pytest.raises(ContractError, match="no open time in the ten years after 2026-01-05T10:00:00Z") as refused:
        shut.after("2026-01-05 10:00", 1)
    assert refused.value.code == "never_open"
    with pytest.raises(ContractError, match="no open time in the ten years after"):
        shut.workday_end("2026-01-05 08:00", 1)


def test_open_time_less_than_ten_years_ahead_is_found() -> None:
    rare = desk("UTC", {}, open={"2026-01-05": ["09:00-10:00"], "2035-12-31": ["09:00-10:00"]})
    assert rare.after("2026-01-05 10:00", 1) == "2035-12-31 09:00"
    assert rare.workday_end("2026-01-05 10:00", 1) == "2035-12-31 10:00"


def test_a_calendar_covers_the_years_its_holidays_were_expanded_for_in_local_time() -> None:
    office = shanghai(expanded_until=2026)
    turn = office.at("2027-01-01 00:00")
    assert (office.calendar.covers(turn - 1), office.calendar.covers(turn)) == (True, False)
    assert shanghai().calendar.covers(turn)


def test_past_the_expanded_years_the_weekly_hours_hold() -> None:
    assert shanghai(expanded_until=2026).consumed("2027-10-01 00:00", "2027-10-02 00:00") == WORKDAY_MS


def test_around_the_clock_business_time_is_time() -> None:
    always: Calendar = AlwaysOpen("Asia/Shanghai")
    office = shanghai()
    noon = office.at("2026-03-07 12:00")
    assert (always.add_ms(noon, 5), always.consumed_ms(noon, noon + 5), always.consumed_ms(noon, noon - 5)) == (noon + 5, 5, 0)
    assert always.is_open(noon)
    assert always.covers(noon)
    assert office.read(always.workday_end_ms(noon, 1)) == "2026-03-09 00:00"
    with pytest.raises(ValueError, match="runs forward"):
        always.add_ms(noon, -1)


def test_around_the_clock_agrees_with_a_calendar_that_never_closes() -> None:
    always, night = AlwaysOpen("Europe/Berlin"), desk("Europe/Berlin", AROUND_THE_CLOCK)
    start = night.at("2026-03-27 15:00")
    assert always.add_ms(start, 30 * DAY_MS) == night.calendar.add_ms(start, 30 * DAY_MS)
    assert [always.workday_end_ms(start, n) for n in range(1, 400)] == [
        night.calendar.workday_end_ms(start, n) for n in range(1, 400)
    ]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"time_zone": "Europe/Berln"}, "time_zone: 'Europe/Berln' is not a time zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone: '../../etc/passwd' is not a time zone"),
        ({"weekly": {"mon-fri": []}}, "weekly.mon-fri: 'mon-fri' is not a day of the week; allowed are mon, tue"),
        ({"weekly": {"mon": ["09:00-09:00"]}}, "weekly.mon[0]: '09:00-09:00' is empty"),
        ({"weekly": {"mon": ["22:00-06:00"]}}, "weekly.mon[0]: '22:00-06:00' is empty"),
        ({"weekly": {"mon": ["09:00-12:00", "11:59-13:00"]}}, "weekly.mon[1]: '11:59-13:00' begins before '09:00-12:00' ends"),
        ({"weekly": {"mon": ["13:00-14:00", "09:00-12:00"]}}, "weekly.mon[1]: '09:00-12:00' begins before '13:00-14:00' ends"),
        ({"weekly": {"mon": ["20:00-24:01"]}}, "weekly.mon[0]: '20:00-24:01' runs past the day's end"),
        ({"weekly": {"mon": ["nine to five"]}}, "weekly.mon[0]: 'nine to five' is not an interval"),
        ({"open": {"2026-10-10": ["12:00-09:00"]}}, "open.2026-10-10[0]: '12:00-09:00' is empty"),
        ({"open": {"2026-02-30": []}}, "open.2026-02-30: '2026-02-30' is not a date"),
        ({"closed": ["2026-01-01", "20260102"]}, "closed[1]: '20260102' is not a date; write YYYY-MM-DD"),
        ({"holidays": ["tomorrow"]}, "holidays[0]: 'tomorrow' is not a date"),
        ({"make_up": ["2026-13-01"]}, "make_up[0]: '2026-13-01' is not a date"),
    ],
)
def test_a_fault_names_its_place_and_what_is_allowed(fields: dict[str, object], fault: str) -> None:
    document = CalendarDocument(**{"time_zone": "UTC", "weekly": {}, **fields})  # type: ignore[arg-type]
    faults = check_calendar(document)
    assert len(faults) == 1
    assert faults[0].startswith(fault)
    with pytest.raises(ContractError) as refused:
        BusinessCalendar.from_document(document)
    assert (refused.value.code, refused.value.message) == ("bad_calendar", faults[0])


def test_a_check_returns_every_fault() -> None:
    document = CalendarDocument(time_zone="Mars", weekly={"someday": ["12:00-11:00"]}, closed=["never"])
    assert [fault.partition(":")[0] for fault in check_calendar(document)] == [
        "time_zone",
        "weekly.someday",
        "weekly.someday[0]",
        "closed[0]",
    ]


def test_adjacent_intervals_and_the_whole_day_are_allowed() -> None:
    document = CalendarDocument(time_zone="UTC", weekly={"mon": ["00:00-12:00", "12:00-24:00"]})
    assert check_calendar(document) == []
    assert BusinessCalendar.from_document(document).consumed_ms(4 * DAY_MS, 5 * DAY_MS) == DAY_MS
