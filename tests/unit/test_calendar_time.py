"""Calendar months in a zone: the day, the clamp, the gap and the repeat."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from detectors.calendar_time import add_duration, add_months
from schemas.errors import ContractError
from schemas.instants import DAY_MS, Exact, Months, format_instant, from_epoch_ms, parse_instant
from schemas.zones import from_wall_clock, load_zone

BERLIN = load_zone("Europe/Berlin")


def moved(start: str, months: int, zone: str = "Europe/Berlin") -> str:
    """The local reading, with its offset, some months on."""
    return from_epoch_ms(add_months(parse_instant(start), months, zone)).astimezone(load_zone(zone)).isoformat()


def test_three_months_keep_the_day_and_the_local_time() -> None:
    #  10 Jan 09:00 (winter) -- 3 months --> 10 Apr 09:00 (summer): an hour less by the stopwatch
    assert moved("2026-01-10T09:00:00+01:00", 3) == "2026-04-10T09:00:00+02:00"


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-01-31T12:00:00+01:00", 1, "2026-02-28T12:00:00+01:00"),
        ("2028-01-31T12:00:00+01:00", 1, "2028-02-29T12:00:00+01:00"),
        ("2028-02-29T12:00:00+01:00", 12, "2029-02-28T12:00:00+01:00"),
        ("2028-02-29T12:00:00+01:00", 48, "2032-02-29T12:00:00+01:00"),
        ("2026-08-31T12:00:00+02:00", 3, "2026-11-30T12:00:00+01:00"),
    ],
)
def test_a_day_that_a_month_lacks_is_its_last(start: str, months: int, end: str) -> None:
    assert moved(start, months) == end


def test_months_run_over_the_end_of_the_year() -> None:
    assert moved("2026-11-15T08:00:00+01:00", 14) == "2028-01-15T08:00:00+01:00"


def test_months_below_zero_go_back() -> None:
    assert moved("2026-01-31T12:00:00+01:00", -2) == "2025-11-30T12:00:00+01:00"


def test_the_day_is_the_zones_not_that_of_utc() -> None:
    #  31 Jan 23:30 UTC is 1 Feb in Berlin: a month on is 1 March there
    assert moved("2026-01-31T23:30:00Z", 1) == "2026-03-01T00:30:00+01:00"
    assert moved("2026-01-31T23:30:00Z", 1, "UTC") == "2026-02-28T23:30:00+00:00"


def test_a_time_in_the_gap_moves_forward_by_it() -> None:
    #  28 Feb 02:30 -- 1 month --> 28 Mar 02:30; 29 Jan -- 2 months --> 29 Mar 02:30, which does not exist
    assert moved("2026-02-28T02:30:00+01:00", 1) == "2026-03-28T02:30:00+01:00"
    assert moved("2026-01-29T02:30:00+01:00", 2) == "2026-03-29T03:30:00+02:00"


def test_of_a_time_that_occurs_twice_the_first_is_meant() -> None:
    assert moved("2026-09-25T02:30:00+02:00", 1) == "2026-10-25T02:30:00+02:00"


def test_starting_in_the_second_of_two_hours_changes_nothing_about_that() -> None:
    assert moved("2026-10-25T02:30:00+01:00", 1) == "2026-11-25T02:30:00+01:00"
    assert moved("2025-10-26T02:30:00+01:00", -12) == "2024-10-26T02:30:00+02:00"


def test_no_months_are_no_change_even_in_the_second_of_two_hours() -> None:
    second = parse_instant("2026-10-25T02:30:00+01:00")
    assert add_months(second, 0, BERLIN) == second


def test_milliseconds_are_kept_also_before_the_epoch() -> None:
    assert format_instant(add_months(parse_instant("1969-12-31T23:59:59.999Z"), 1, "UTC")) == "1970-01-31T23:59:59.999Z"
    assert format_instant(add_months(parse_instant("1960-05-05T05:05:05.001Z"), 1, "UTC")) == "1960-06-05T05:05:05.001Z"


def test_a_year_that_no_calendar_has_is_refused() -> None:
    for months in (12 * 8000, -12 * 2026):
        with pytest.raises(ContractError, match="years are 1 to 9999"):
            moved("2026-01-31T12:00:00Z", months)


def test_a_day_is_24_hours_and_a_month_is_a_month_across_the_change() -> None:
    #  28 Mar 12:00, + P1D: 29 Mar 13:00 by the local clock; + P1M: 28 Apr 12:00
    start = parse_instant("2026-03-28T12:00:00+01:00")
    assert add_duration(start, Exact(DAY_MS), BERLIN) == parse_instant("2026-03-29T13:00:00+02:00")
    assert add_duration(start, Months(1), "Europe/Berlin") == parse_instant("2026-04-28T12:00:00+02:00")


def test_a_zone_may_be_given_instead_of_named() -> None:
    start = parse_instant("2026-01-10T09:00:00+01:00")
    assert add_months(start, 3, ZoneInfo("Europe/Berlin")) == add_months(start, 3, "Europe/Berlin")


def test_an_unknown_zone_is_named() -> None:
    for name in ("Europe/Berln", "", "..", "/etc/localtime", "europe/berlin"):
        with pytest.raises(ContractError, match="is not a time zone") as refused:
            add_months(0, 1, name)
        assert refused.value.code == "bad_zone"
        assert repr(name) in refused.value.message


def test_a_wall_clock_names_one_instant_whatever_its_fold() -> None:
    repeated = datetime.fromisoformat("2026-10-25T02:30:00")
    assert from_wall_clock(repeated.replace(fold=1), BERLIN) == from_wall_clock(repeated, BERLIN)
