"""Quiet hours and digests by the clock on the wall: against a look at every minute, also where clocks change."""

from datetime import datetime, time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.instants import from_epoch_ms, parse_instant
from schemas.zones import load_zone
from sinks.local_hours import DAY_MINUTES, WEEK_MINUTES, QuietHours, minute_of_week, next_digest_ms

MINUTE_MS = 60_000
ZONES = st.sampled_from(["UTC", "Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"])
# Around changes of clocks in Berlin, St. John's and on Lord Howe Island, and a week without any.
CHANGES = st.sampled_from(
    [
        "2026-03-29T00:00:00Z",
        "2026-10-25T00:00:00Z",
        "2026-03-08T05:00:00Z",
        "2026-04-04T15:00:00Z",
        "2026-10-03T15:30:00Z",
        "2026-06-10T12:00:00Z",
    ]
)
INSTANTS = st.builds(
    lambda text, minutes, ms: parse_instant(text) + minutes * MINUTE_MS + ms,
    CHANGES,
    st.integers(-2 * DAY_MINUTES, 2 * DAY_MINUTES),
    st.sampled_from([0, 1, 30_000]),
)
SPANS = st.lists(
    st.tuples(st.integers(0, WEEK_MINUTES // 30 - 1), st.integers(1, 60)).map(lambda p: (p[0] * 30, p[0] * 30 + p[1] * 30)),
    max_size=5,
)


def wall(at_ms: int, zone: str) -> datetime:
    return from_epoch_ms(at_ms).astimezone(load_zone(zone)).replace(tzinfo=None)


def is_quiet(spans: list[tuple[int, int]], at_ms: int, zone: str) -> bool:
    """The definition: the minute on the wall lies in a span, which may go over the end of the week."""
    minute = minute_of_week(wall(at_ms, zone))
    return any(start <= minute < end or start <= minute + WEEK_MINUTES < end for start, end in spans)


@settings(max_examples=300, deadline=None)
@given(SPANS, INSTANTS, ZONES)
def test_quiet_hours_end_later_than_now_and_until_then_it_is_quiet(
    spans: list[tuple[int, int]], now_ms: int, zone: str
) -> None:
    quiet = QuietHours.of(spans)
    until_ms = quiet.until_ms(now_ms, load_zone(zone))
    assert quiet.holds(now_ms, load_zone(zone)) == is_quiet(spans, now_ms, zone) == (until_ms is not None)
    if until_ms is None:
        return
    assert until_ms > now_ms
    ends = minute_of_week(wall(until_ms, zone))
    skipped = 120  # a gap moves the end forward, and a repeated hour may be quiet once more
    assert any((ends - end % WEEK_MINUTES) % WEEK_MINUTES <= skipped for _, end in spans)
    first_loud_ms = next(
        ms
        for ms in range(now_ms - now_ms % MINUTE_MS, now_ms + 8 * DAY_MINUTES * MINUTE_MS, 30 * MINUTE_MS)
        if ms > now_ms - 30 * MINUTE_MS and not is_quiet(spans, max(ms, now_ms), zone)
    )
    assert abs(until_ms - first_loud_ms) <= (skipped + 30) * MINUTE_MS


@given(SPANS, INSTANTS)
def test_where_no_clock_changes_they_end_at_the_first_minute_that_is_not_quiet(
    spans: list[tuple[int, int]], now_ms: int
) -> None:
    shanghai, half_hour_ms = "Asia/Shanghai", 30 * MINUTE_MS
    until_ms = QuietHours.of(spans).until_ms(now_ms, load_zone(shanghai))
    first_ms = (now_ms // half_hour_ms + 1) * half_hour_ms
    loud_ms = next(ms for ms in range(first_ms, first_ms * 2, half_hour_ms) if not is_quiet(spans, ms, shanghai))
    assert until_ms == (loud_ms if is_quiet(spans, now_ms, shanghai) else None)


@settings(max_examples=300, deadline=None)
@given(INSTANTS, ZONES, st.integers(0, DAY_MINUTES - 1))
def test_there_is_one_digest_a_day_at_its_time_on_the_wall(now_ms: int, zone: str, minute: int) -> None:
    at, rules = time(*divmod(minute, 60)), load_zone(zone)
    first_ms = next_digest_ms(now_ms, rules, at, QuietHours())
    second_ms = next_digest_ms(first_ms, rules, at, QuietHours())
    assert now_ms < first_ms <= now_ms + 25 * 60 * MINUTE_MS
    shown = wall(first_ms, zone)
    assert timedelta() <= shown - datetime.combine(shown.date(), at) <= timedelta(hours=1)  # later only where it is skipped
    assert wall(second_ms, zone).date() - shown.date() == timedelta(days=1)


def test_a_digest_that_falls_into_quiet_hours_comes_on_the_next_day_that_it_does_not() -> None:
    weekend = QuietHours.of([(5 * DAY_MINUTES, 7 * DAY_MINUTES)])
    friday_ten = parse_instant("2026-01-02T10:00:00+01:00")
    due_ms = next_digest_ms(friday_ten, load_zone("Europe/Berlin"), time(9), weekend)
    assert due_ms == parse_instant("2026-01-05T09:00:00+01:00")


def test_an_end_that_stands_twice_on_the_wall_is_the_one_that_lies_ahead() -> None:
    #  02:00 CEST --- 02:30 ends --- 03:00 = 02:00 CET --- 02:30 ends
    #                                        ^ 02:10
    quiet = QuietHours.of([(6 * DAY_MINUTES + 60, 6 * DAY_MINUTES + 150)])
    berlin = load_zone("Europe/Berlin")
    assert quiet.until_ms(parse_instant("2026-10-25T02:10:00+02:00"), berlin) == parse_instant("2026-10-25T02:30:00+02:00")
    assert quiet.until_ms(parse_instant("2026-10-25T02:10:00+01:00"), berlin) == parse_instant("2026-10-25T02:30:00+01:00")
    # in spring the end is skipped: the clock is beyond it at once
    spring = QuietHours.of([(6 * DAY_MINUTES, 6 * DAY_MINUTES + 150)])
    assert spring.until_ms(parse_instant("2026-03-29T01:59:00+01:00"), berlin) == parse_instant("2026-03-29T03:30:00+02:00")


def test_who_is_always_left_alone_has_no_end_to_wait_for() -> None:
    assert QuietHours.of([(0, WEEK_MINUTES)]).until_ms(0, load_zone("UTC")) is None
