"""Holidays become dates: China's with the weekends worked for them, others without."""

import pytest

from detectors.calendars import BusinessCalendar
from schemas.calendars import CalendarDocument
from schemas.errors import ContractError
from schemas.instants import HOUR_MS, format_instant, parse_instant
from streams.holidays_expand import expand_holidays, published_until

SPRING_FESTIVAL_2026 = ["2026-02-16", "2026-02-17", "2026-02-18", "2026-02-19", "2026-02-20", "2026-02-23"]


def test_chinas_holidays_come_with_the_weekends_worked_for_them() -> None:
    off, worked = expand_holidays("CN", [2026])
    assert [day for day in off if day.startswith("2026-02")] == SPRING_FESTIVAL_2026
    assert worked == ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"]


def test_a_weekend_worked_for_a_holiday_of_the_next_january_belongs_to_its_own_year() -> None:
    #  Sat 2006-12-30 and Sun 12-31 were worked for 2 and 3 January 2007
    assert expand_holidays("CN", [2006])[1][-2:] == ["2006-12-30", "2006-12-31"]
    assert "2006-12-30" not in expand_holidays("CN", [2007])[1]


def test_years_expand_together_as_they_do_apart() -> None:
    apart = [expand_holidays("CN", [year]) for year in range(2019, 2027)]
    assert expand_holidays("CN", range(2019, 2027)) == (
        [day for off, _ in apart for day in off],
        [day for _, worked in apart for day in worked],
    )


def test_no_day_is_both_off_and_worked() -> None:
    off, worked = expand_holidays("CN", range(2001, 2027))
    assert not set(off) & set(worked)
    assert off == sorted(set(off))
    assert worked == sorted(set(worked))


def test_the_last_year_with_exchanged_weekends_is_the_last_published() -> None:
    last = published_until("CN")
    assert last is not None
    assert last >= 2026
    assert expand_holidays("CN", [last])[1]
    assert not expand_holidays("CN", [last + 1])[1]


def test_past_the_published_years_the_days_fixed_by_law_are_still_there() -> None:
    off, worked = expand_holidays("CN", [2090])
    assert {"2090-01-01", "2090-05-01", "2090-10-01"} <= set(off)
    assert worked == []


def test_a_country_without_exchanges_has_no_last_year() -> None:
    assert published_until("DE") is None
    assert published_until("DE-BY") is None
    off, worked = expand_holidays("DE", [2026])
    days = "01-01 04-03 04-06 05-01 05-14 05-25 10-03 12-25 12-26"
    assert off == [f"2026-{day}" for day in days.split()]
    assert worked == []


def test_a_part_of_a_country_has_its_own_holidays() -> None:
    assert "2026-01-06" in expand_holidays("DE-BY", [2026])[0]
    assert "2026-01-06" not in expand_holidays("DE", [2026])[0]


@pytest.mark.parametrize(
    ("country", "allowed"),
    [
        ("XX", "AD, AE, AF"),
        ("cn", "AD, AE, AF"),
        ("", "AD, AE, AF"),
        ("DE-XX", "BB, BE, BW"),
        ("DE-", "BB, BE, BW"),
    ],
)
def test_an_unknown_country_is_refused_with_those_that_are_known(country: str, allowed: str) -> None:
    for ask in (lambda: expand_holidays(country, [2026]), lambda: published_until(country)):
        with pytest.raises(ContractError, match=allowed) as refused:
            ask()
        assert refused.value.code == "bad_holidays"
        assert refused.value.message.startswith(repr(country))


def test_a_year_that_the_library_cannot_compute_is_refused() -> None:
    with pytest.raises(ContractError, match="CN in 1900: holidays are known from 1950 to 2100"):
        expand_holidays("CN", [1900, 2026])


def test_an_expanded_document_works_the_make_up_saturday_and_rests_on_the_festival() -> None:
    #  Fri 13 Feb 17:00  18:00 .. Sat 14 (worked) 09:00  10:00 .......... 18:00 .. Tue 24 Feb 09:00
    off, worked = expand_holidays("CN", [2026])
    week = {day: ["09:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
    office = BusinessCalendar.from_document(
        CalendarDocument(
            time_zone="Asia/Shanghai", weekly=week, holidays=off, make_up=worked, expanded_until=published_until("CN")
        )
    )
    friday = parse_instant("2026-02-13T17:00:00+08:00")
    assert format_instant(office.add_ms(friday, 2 * HOUR_MS)) == "2026-02-14T02:00:00Z"
    assert format_instant(office.add_ms(friday, 11 * HOUR_MS)) == "2026-02-24T02:00:00Z"
    assert office.covers(friday)
