"""Text at the edges: durations and RFC 3339 times, in and out."""

from datetime import UTC, datetime

import pytest

from schemas.errors import ContractError
from schemas.instants import (
    DAY_MS,
    HOUR_MS,
    MAX_INSTANT_MS,
    MIN_INSTANT_MS,
    MINUTE_MS,
    Duration,
    Exact,
    Months,
    exact_ms,
    format_duration,
    format_instant,
    from_epoch_ms,
    parse_duration,
    parse_instant,
    to_epoch_ms,
)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P90D", Exact(90 * DAY_MS)),
        ("P3M", Months(3)),
        ("P1Y", Months(12)),
        ("P1Y6M", Months(18)),
        ("PT8H", Exact(8 * HOUR_MS)),
        ("P1DT12H", Exact(36 * HOUR_MS)),
        ("PT3M", Exact(3 * MINUTE_MS)),
        ("PT5S", Exact(5_000)),
        ("PT36H", Exact(36 * HOUR_MS)),
    ],
)
def test_a_duration_is_exact_or_of_whole_months(text: str, duration: Duration) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("P2W", "counts weeks"),
        ("P1M10D", "mixes months with exact units"),
        ("P1YT1H", "mixes months with exact units"),
        ("P0D", "is no time at all"),
        ("P0M", "is no time at all"),
        ("P", "is not a duration"),
        ("PT", "is not a duration"),
        ("P1DT", "is not a duration"),
        ("", "is not a duration"),
        ("90D", "is not a duration"),
        ("p90d", "is not a duration"),
        ("P90d", "is not a duration"),
        ("-P90D", "is not a duration"),
        ("P-90D", "is not a duration"),
        ("P1.5D", "is not a duration"),
        ("P8H", "is not a duration"),
        ("P1D2M", "is not a duration"),
        (" P90D", "is not a duration"),
        ("P90D\n", "is not a duration"),
        ("P٩D", "is not a duration"),
        ("P" + "9" * 5000 + "D", "is not a duration"),
        (90, "is not a duration"),
        (None, "is not a duration"),
    ],
)
def test_any_other_duration_is_refused_with_its_reason(text: object, why: str) -> None:
    with pytest.raises(ContractError, match=why) as refused:
        parse_duration(text)
    assert refused.value.code == "bad_duration"


def test_an_exact_duration_is_not_one_of_months() -> None:
    assert exact_ms("PT8H") == 8 * HOUR_MS
    with pytest.raises(ContractError, match="'P3M' is a calendar duration"):
        exact_ms("P3M")


@pytest.mark.parametrize("text", ["P90D", "PT8H", "P1DT12H", "PT1M", "P2DT3H4M5S", "PT59S"])
def test_a_duration_in_its_shortest_form_comes_back_as_it_went(text: str) -> None:
    assert format_duration(exact_ms(text)) == text


def test_lengths_that_no_rule_can_have_are_still_written() -> None:
    assert [format_duration(ms) for ms in (0, 1, 1_500, 59_999, DAY_MS + 1)] == [
        "PT0S",
        "PT0.001S",
        "PT1.5S",
        "PT59.999S",
        "P1DT0.001S",
    ]


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 00:00:00Z", 0),
        ("1970-01-01T05:30:00+05:30", 0),
        ("1969-12-31T16:00:00-08:00", 0),
        ("1970-01-01T00:00:00.5Z", 500),
        ("1970-01-01T00:00:00.0019999999Z", 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("2024-02-29T00:00:00-00:00", 1_709_164_800_000),
        ("9999-12-31T23:59:59.999999Z", MAX_INSTANT_MS),
        ("0001-01-01T00:00:00Z", MIN_INSTANT_MS),
    ],
)
def test_rfc_3339_text_names_an_instant(text: str, at_ms: int) -> None:
    assert parse_instant(text) == at_ms


@pytest.mark.parametrize("text", [
    "2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00Z", "2026-01-31T12:00:00+01", "2026-01-31T12:00:00,5Z",
    "2026-02-30T12:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T23:59:60Z", "2026-01-31T12:00:00+25:00", "0000-01-01T00:00:00Z",
    "20260131T120000Z", "2026-W05-6T12:00:00Z", "2026-01-31T12:00:00Z ", "2026-01-31T12:00:00.Z", "\uff12026-01-31T12:00:00Z",
    "", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", 1_700_000_000_000, None,
])  # fmt: skip
def test_text_that_names_no_instant_is_refused(text: object) -> None:
    with pytest.raises(ContractError) as refused:
        parse_instant(text)
    assert refused.value.code == "bad_time"
    assert repr(text) in refused.value.message


@pytest.mark.parametrize("at_ms", [0, 1, -1, 999, -1_001, 1_709_164_800_123, MIN_INSTANT_MS, MAX_INSTANT_MS])
def test_an_instant_comes_back_as_it_went(at_ms: int) -> None:
    assert parse_instant(format_instant(at_ms)) == at_ms
    assert to_epoch_ms(from_epoch_ms(at_ms)) == at_ms


def test_milliseconds_are_written_only_where_there_are_some() -> None:
    assert [format_instant(ms) for ms in (0, 10, 1_000)] == [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.010Z",
        "1970-01-01T00:00:01Z",
    ]


def test_a_datetime_is_rounded_down_to_its_millisecond_on_both_sides_of_the_epoch() -> None:
    assert to_epoch_ms(datetime(1970, 1, 1, 0, 0, 0, 1_999, tzinfo=UTC)) == 1
    assert to_epoch_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
