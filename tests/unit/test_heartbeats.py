"""What ingest reports about each source partition: how far it is, and whether that is the end."""

from schemas.progress import Heartbeat
from streams.heartbeats import Lane, Progress, Reading

SHOP = Lane("shop", 0)
FEEDS = {"shop": "orders", "web": "logins"}


def report(progress: Progress, *, position: int, end: int | None, idle: bool = True, generation: int = 1) -> Heartbeat | None:
    beats = progress.reports({SHOP: Reading(position, end, idle)}, {"shop": 2}, generation)
    return beats[0] if beats else None


def test_a_lane_that_was_read_to_its_end_is_caught_up() -> None:
    progress = Progress(FEEDS)
    progress.read(SHOP, 10, 500, 1)

    assert report(progress, position=10, end=10) == Heartbeat(
        feed="orders", topic="shop", partition=0, partitions=2, generation=1, position=10, max_event_ms=500, caught_up=True
    )
    assert not progress.behind


def test_a_lane_with_records_still_to_come_is_not_caught_up() -> None:
    progress = Progress(FEEDS)
    progress.read(SHOP, 10, 500, 1)

    beat = report(progress, position=10, end=11)

    assert beat is not None
    assert not beat.caught_up
    assert progress.behind


def test_records_that_were_handed_over_but_not_written_do_not_count() -> None:
    #  offsets  0 ......... 10 ......... 20 = end
    #  in the log: up to 10; in work: 10 to 20
    progress = Progress(FEEDS)
    progress.read(SHOP, 10, 500, 1)

    beat = report(progress, position=20, end=20, idle=False)

    assert beat is not None
    assert (beat.position, beat.caught_up) == (10, False)


def test_markers_of_transactions_at_the_end_are_passed_at_the_second_report() -> None:
    #  offsets  9 = last event   10 = marker   11 = end
    progress = Progress(FEEDS)
    progress.read(SHOP, 10, 500, 1)

    first, second = (report(progress, position=11, end=11) for _ in range(2))

    assert first is not None
    assert second is not None
    assert (first.position, first.caught_up) == (10, False)
    assert (second.position, second.caught_up) == (11, True)


def test_a_lane_in_which_something_was_in_work_in_between_is_not_settled() -> None:
    progress = Progress(FEEDS)
    progress.read(SHOP, 10, 500, 1)
    report(progress, position=11, end=11)
    report(progress, position=11, end=11, idle=False)

    beat = report(progress, position=11, end=11)

    assert beat is not None
    assert not beat.caught_up


def test_an_empty_lane_is_reported_once_it_is_certain_that_nothing_was_on_its_way() -> None:
    progress = Progress(FEEDS)

    assert report(progress, position=0, end=0) is None
    assert progress.behind
    beat = report(progress, position=0, end=0)
    assert beat is not None
    assert (beat.position, beat.max_event_ms, beat.caught_up) == (0, None, True)


def test_an_end_that_is_not_known_any_more_is_not_reached() -> None:
    progress = Progress(FEEDS)
    progress.read(SHOP, 10, 500, 1)

    beat = report(progress, position=10, end=None)

    assert beat is not None
    assert not beat.caught_up


def test_a_new_generation_begins_anew_and_keeps_the_times_of_the_events() -> None:
    progress = Progress(FEEDS)
    progress.read(SHOP, 10, 500, 1)

    assert report(progress, position=4, end=10, generation=2) is None
    progress.read(SHOP, 6, None, 2)
    beat = report(progress, position=6, end=10, generation=2)
    assert beat is not None
    assert (beat.generation, beat.position, beat.max_event_ms, beat.caught_up) == (2, 6, 500, False)


def test_what_was_read_in_an_earlier_generation_moves_no_position() -> None:
    progress = Progress(FEEDS)
    report(progress, position=4, end=10, generation=2)
    progress.read(SHOP, 10, 700, 1)

    assert report(progress, position=5, end=10, generation=2) is None


def test_after_a_restart_the_times_that_were_reported_before_are_reported_again() -> None:
    progress = Progress(FEEDS)
    before = Heartbeat(
        feed="orders", topic="shop", partition=0, partitions=1, generation=1, position=9, max_event_ms=500, caught_up=True
    )
    progress.recall([before])
    progress.read(SHOP, 10, 400, 2)

    beat = report(progress, position=10, end=10, generation=2)

    assert beat is not None
    assert beat.max_event_ms == 500


def test_a_paused_lane_is_reported_where_it_was_with_the_reason_and_never_as_caught_up() -> None:
    progress = Progress(FEEDS)
    progress.read(SHOP, 10, 500, 1)

    (beat,) = progress.reports({}, {"shop": 2}, 1, {SHOP: "poison"})

    assert (beat.position, beat.max_event_ms, beat.caught_up, beat.paused) == (10, 500, False, "poison")
    assert not progress.behind


def test_a_lane_that_is_paused_at_the_start_is_where_it_was_reported_last() -> None:
    progress = Progress(FEEDS)
    before = Heartbeat(
        feed="orders", topic="shop", partition=0, partitions=1, generation=1, position=9, max_event_ms=500, caught_up=True
    )
    progress.recall([before])

    (beat,) = progress.reports({}, {}, 2, {SHOP: "missing"})

    assert (beat.position, beat.partitions, beat.paused) == (9, 1, "missing")


def test_a_lane_that_begins_anew_is_not_where_it_was() -> None:
    progress = Progress(FEEDS)
    progress.read(SHOP, 10, 500, 1)
    report(progress, position=0, end=10)
    progress.begin(SHOP)

    assert report(progress, position=0, end=10) is None
    beat = report(progress, position=0, end=10)
    assert beat is not None
    assert (beat.position, beat.max_event_ms) == (0, 500)
