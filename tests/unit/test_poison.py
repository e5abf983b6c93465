"""How much of a source may be unreadable before its fault is taken for another one."""

import pytest

from streams.poison import PoisonError, PoisonWatch


def test_a_source_that_changed_its_format_is_stopped() -> None:
    watch = PoisonWatch(0.5)
    watch.saw("orders", 900, 900)
    with pytest.raises(PoisonError, match="100% of the latest 1000 records of orders"):
        watch.saw("orders", 100, 100)


def test_bad_records_among_good_ones_are_not() -> None:
    watch = PoisonWatch(0.5)
    for _ in range(100):
        watch.saw("orders", 100, 50)


def test_what_was_good_for_long_does_not_hide_that_all_is_bad_now() -> None:
    watch = PoisonWatch(0.5)
    for _ in range(1_000):
        watch.saw("orders", 100, 0)
    dead = 0
    with pytest.raises(PoisonError):  # noqa: PT012
        while dead < 2_000:
            dead += 100
            watch.saw("orders", 100, 100)
    assert dead <= 1_500


def test_sources_are_looked_at_apart_and_few_records_say_nothing() -> None:
    watch = PoisonWatch(0.0)
    watch.saw("orders", 999, 999)
    watch.saw("logins", 5_000, 0)


def test_a_share_of_one_takes_everything() -> None:
    watch = PoisonWatch(1.0)
    for _ in range(10):
        watch.saw("orders", 1_000, 1_000)
