"""A feed that is silent is told from a quiet night. Hours count from Monday, 00:00 UTC."""

import csv
import gzip
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from real_data import real_file

from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, WEEK_MS, format_instant, parse_instant
from streams.arrivals import FeedArrivals

MONDAY_MS = parse_instant("2026-01-05T00:00:00Z")
REPORT_MS = 5 * MINUTE_MS

Pattern = Callable[[int], int]
"""Records in an hour of the week."""


def shop(hour: int) -> int:
    """60 records an hour from 8 to 20, none at night and on Sundays."""
    return 60 if 8 <= hour % 24 < 20 and hour < 6 * 24 else 0


class Feed:
    """A feed of one source partition that is reported every five minutes, and looked at each time."""

    def __init__(self, arrivals: FeedArrivals | None = None, at_ms: int = MONDAY_MS) -> None:
        self.arrivals = arrivals or FeedArrivals()
        self.at_ms = at_ms
        self.position = 0
        self.silences: list[tuple[float, float]] = []
        """Since when, and when it was noticed, in hours from the first Monday."""

    def goes_on(self, hours: float, pattern: Pattern, *, caught_up: bool = True) -> "Feed":
        """Time passes, and records come evenly within each hour."""
        until_ms = self.at_ms + int(hours * HOUR_MS)
        while self.at_ms < until_ms:
            self.at_ms += REPORT_MS
            hour = (self.at_ms - 1 - MONDAY_MS) // HOUR_MS
            steps = self.at_ms % HOUR_MS // REPORT_MS or 12
            expected = pattern(hour % 168)
            self.position += expected * steps // 12 - expected * (steps - 1) // 12
            self.report(caught_up=caught_up)
        return self

    def report(self, *, caught_up: bool = True) -> None:
        was_silent = self.arrivals.silent_since_ms is not None
        self.arrivals.report("orders/0", self.position, self.at_ms, caught_up=caught_up)
        if self.arrivals.look(self.at_ms) and not was_silent:
            self.silences.append((self.hours(self.arrivals.silent_since_ms or 0), self.hours(self.at_ms)))

    def hours(self, at_ms: int) -> float:
        return round((at_ms - MONDAY_MS) / HOUR_MS, 2)


def nothing(_hour: int) -> int:
    return 0


def test_nights_and_sundays_are_quiet_and_not_silent() -> None:
    assert Feed().goes_on(6 * 168, shop).silences == []


def test_a_feed_that_stops_in_the_middle_of_a_day_is_silent_soon() -> None:
    #  week 3, Tuesday 12:00: 60 an hour should come; 20 are missing after 20 minutes
    feed = Feed().goes_on(2 * 168 + 36, shop).goes_on(8, nothing)
    assert feed.silences == [(2 * 168 + 36, 2 * 168 + 36.33)]


def test_a_feed_that_stops_in_the_evening_is_silent_in_the_morning() -> None:
    #  week 3, Tuesday 20:00 to Wednesday 8:20
    feed = Feed().goes_on(2 * 168 + 44, shop).goes_on(24, nothing)
    assert feed.silences == [(2 * 168 + 44, 2 * 168 + 56.33)]


def test_nothing_is_expected_before_two_weeks_were_seen() -> None:
    assert Feed().goes_on(168 + 36, shop).goes_on(3 * 24, nothing).silences == []


def test_a_busy_feed_is_given_a_quarter_of_an_hour() -> None:
    feed = Feed().goes_on(2 * 168 + 36, lambda hour: 60 * shop(hour)).goes_on(8, nothing)
    assert feed.silences == [(2 * 168 + 36, 2 * 168 + 36.25)]


def test_a_feed_with_few_records_takes_days() -> None:
    #  12 records a day, one an hour: 8 are missing on the first day, 20 at the end of the second
    feed = Feed().goes_on(2 * 168 + 36, lambda hour: shop(hour) // 60).goes_on(72, nothing)
    assert [noticed - since for since, noticed in feed.silences] == [32.0]


def test_one_campaign_does_not_raise_what_is_expected() -> None:
    feed = Feed().goes_on(168, lambda hour: 100 * shop(hour)).goes_on(168 + 36, shop).goes_on(8, nothing)
    assert feed.silences == [(2 * 168 + 36, 2 * 168 + 36.33)]


def test_a_feed_that_often_pauses_for_long_is_given_twice_its_longest_pause() -> None:
    def with_siesta(hour: int) -> int:
        return 0 if hour // 24 == 1 and 13 <= hour % 24 < 16 else shop(hour)  # on Tuesdays nobody is there

    feed = Feed().goes_on(168, shop).goes_on(168, shop).goes_on(168, with_siesta)
    assert feed.silences == [(2 * 168 + 37, 2 * 168 + 37.33)]  # the first time it looks like an outage
    calm = Feed().goes_on(8, shop)
    calm.arrivals._longest = {calm.at_ms // HOUR_MS // 168: 180.0}
    calm.goes_on(2 * 168 + 28, shop).goes_on(24, nothing)
    assert [noticed - since for since, noticed in calm.silences] == [6.0]


def test_an_outage_does_not_make_the_next_one_look_usual() -> None:
    feed = Feed().goes_on(2 * 168 + 36, shop).goes_on(48, nothing).goes_on(168, shop).goes_on(2, nothing)
    assert [round(noticed - since, 2) for since, noticed in feed.silences] == [0.33, 0.33]


def test_hours_that_nobody_saw_count_for_nothing() -> None:
    #  ingest was down for a week, and then read all of it at once
    feed = Feed().goes_on(2 * 168, shop)
    feed.at_ms += WEEK_MS
    feed.position += 60 * 12 * 6
    feed.report()
    feed.goes_on(36, shop).goes_on(1, nothing)
    assert feed.silences == [(3 * 168 + 36, 3 * 168 + 36.33)]


def test_a_backlog_is_no_silence_and_says_nothing_of_usual_hours() -> None:
    feed = Feed().goes_on(2 * 168 + 36, shop).goes_on(30, nothing, caught_up=False)
    assert feed.silences == []


def test_hours_are_those_of_the_zone_so_that_daylight_saving_moves_nothing() -> None:
    def berlin(offset_h: int) -> Pattern:
        return lambda hour: shop((hour + offset_h) % 168)

    begin_ms = parse_instant("2026-03-09T00:00:00Z")
    feed = Feed(FeedArrivals(zone=ZoneInfo("Europe/Berlin")), begin_ms)
    feed.goes_on(3 * 168 - 24, berlin(1)).goes_on(168, berlin(2))
    assert feed.silences == []
    rates = feed.arrivals
    eight = parse_instant("2026-04-07T08:00:00+02:00")
    rates.last_ms = eight - HOUR_MS
    assert rates.missing(eight) == 0.0
    assert rates.missing(eight + HOUR_MS) == 60.0


def test_a_clock_that_takes_over_knows_what_the_one_before_had_learned() -> None:
    feed = Feed().goes_on(2 * 168 + 36, shop)
    kept = feed.arrivals.snapshot("orders")
    again = FeedArrivals()
    again.resume(kept)
    next_feed = Feed(again, feed.at_ms)
    next_feed.position = feed.position
    assert next_feed.goes_on(8, nothing).silences == [(2 * 168 + 36, 2 * 168 + 36.33)]


def test_a_silence_is_still_one_after_the_clock_was_restarted() -> None:
    feed = Feed().goes_on(2 * 168 + 36, shop).goes_on(2, nothing)
    again = FeedArrivals()
    again.resume(feed.arrivals.snapshot("orders"))
    assert again.look(feed.at_ms)
    again.report("orders/0", feed.position, feed.at_ms + REPORT_MS, caught_up=True)
    assert again.look(feed.at_ms + REPORT_MS)
    again.report("orders/0", feed.position + 1, feed.at_ms + 2 * REPORT_MS, caught_up=True)
    assert not again.look(feed.at_ms + 2 * REPORT_MS)


def test_what_is_known_is_worth_keeping_once_an_hour_and_when_a_silence_begins_or_ends() -> None:
    feed = Feed().goes_on(2 * 168 + 36, shop)
    feed.arrivals.snapshot("orders")
    assert not feed.goes_on(0.25, nothing).arrivals.changed
    assert feed.goes_on(0.25, nothing).arrivals.changed
    feed.arrivals.snapshot("orders")
    assert feed.goes_on(1, nothing).arrivals.changed


def test_a_silence_that_somebody_confirms_is_none_and_the_next_counts_from_its_end() -> None:
    feed = Feed().goes_on(2 * 168 + 36, shop).goes_on(2, nothing)
    since_ms = feed.arrivals.silent_since_ms or 0
    feed.arrivals.excuse(since_ms, feed.at_ms)
    assert not feed.arrivals.look(feed.at_ms)
    feed.goes_on(1, nothing)
    assert feed.silences[1:] == [(2 * 168 + 38, 2 * 168 + 38.33)]


def test_a_closing_that_was_announced_is_no_silence_but_one_before_it_is() -> None:
    #  Tuesday 12:00 it stops; from 12:30 on the shop is closed as announced
    feed = Feed().goes_on(2 * 168 + 36, shop).goes_on(0.5, nothing)
    feed.arrivals.excuse(feed.at_ms, feed.at_ms + 8 * HOUR_MS)
    assert feed.arrivals.look(feed.at_ms)
    planned = Feed().goes_on(2 * 168 + 36, shop)
    from_ms = planned.at_ms
    for _ in range(36):
        planned.goes_on(1 / 12, nothing).arrivals.excuse(from_ms, planned.at_ms)
    assert planned.silences == []


def test_no_more_than_eight_weeks_are_kept() -> None:
    kept = Feed().goes_on(10 * 168, shop).arrivals.snapshot("orders")
    assert len(kept.counts) == 8 * 168


# --- a real shop: seven months of invoices


def invoices() -> list[int]:
    with gzip.open(real_file("online_retail/invoices.csv.gz"), "rt", newline="") as rows:
        days = (datetime.fromisoformat(row["ts"]).replace(tzinfo=UTC) for row in csv.DictReader(rows))
        return sorted(int(day.timestamp() * 1000) for day in days)


def silences_of(instants_ms: Sequence[int], lost: Iterable[tuple[int, int]] = ()) -> list[tuple[str, str]]:
    """The hour of the last record before each silence, and that in which it was noticed."""
    arrivals, found, place, position = FeedArrivals(), list[tuple[str, str]](), 0, 0
    spans = list(lost)
    for at_ms in range(instants_ms[0] // HOUR_MS * HOUR_MS, instants_ms[-1], REPORT_MS):
        while place < len(instants_ms) and instants_ms[place] <= at_ms:
            position += not any(first <= instants_ms[place] < end for first, end in spans)
            place += 1
        arrivals.report("invoices/0", position, at_ms, caught_up=True)
        was_silent = arrivals.silent_since_ms is not None
        if arrivals.look(at_ms) and not was_silent:
            found.append((format_instant(arrivals.silent_since_ms or 0)[:13], format_instant(at_ms)[:13]))
    return found


def test_of_a_real_shop_only_public_holidays_and_one_afternoon_are_silent() -> None:
    #  Saturdays, nights and lunch hours of seven months are quiet, and not silent
    assert [noticed[:10] for _, noticed in silences_of(invoices())] == [
        "2010-12-24",  # until 3 January
        "2011-04-07",  # from 13:45 to 18:03 nothing came, then ten invoices in two hours that are quiet otherwise
        "2011-04-22",  # Good Friday
        "2011-04-29",  # the royal wedding
        "2011-05-02",
        "2011-05-30",
    ]


def test_a_real_shop_that_is_cut_off_on_a_tuesday_is_noticed_the_same_day() -> None:
    cut_ms = parse_instant("2011-03-08T10:00:00Z")
    noticed = [pair for pair in silences_of(invoices(), [(cut_ms, cut_ms + 3 * DAY_MS)]) if pair[0].startswith("2011-03")]
    assert [since for since, _ in noticed] == ["2011-03-08T09"]
    assert noticed[0][1] <= "2011-03-08T18"
