"""How much of a source may be unreadable before its fault is taken for another one."""

from streams.poison import PoisonWatch


def test_a_source_that_changed_its_format_is_stopped() -> None:
    watch = PoisonWatch(0.5)
    assert watch.saw("orders", 900, 900) is None
    says = watch.saw("orders", 100, 100)
    assert says is not None
    assert says.startswith("100% of the latest 1000 records of orders cannot be read")
    assert "CHURN_MAX_DEAD_LETTER_SHARE=1" in says


def test_bad_records_among_good_ones_are_not() -> None:
    watch = PoisonWatch(0.5)
    for _ in range(100):
        assert watch.saw("orders", 100, 50) is None


def test_what_was_good_for_long_does_not_hide_that_all_is_bad_now() -> None:
    watch = PoisonWatch(0.5)
    for _ in range(1_000):
        watch.saw("orders", 100, 0)
    dead = 0
    while watch.saw("orders", 100, 100) is None:
        dead += 100
        assert dead <= 1_500


def test_sources_are_looked_at_apart_and_few_records_say_nothing() -> None:
    watch = PoisonWatch(0.0)
    assert watch.saw("orders", 999, 999) is None
    assert watch.saw("logins", 5_000, 0) is None


def test_a_share_of_one_takes_everything() -> None:
    watch = PoisonWatch(1.0)
    for _ in range(10):
        assert watch.saw("orders", 1_000, 1_000) is None


def test_after_it_was_told_the_next_records_are_looked_at_as_if_they_were_the_first() -> None:
    watch = PoisonWatch(0.5)
    assert watch.saw("orders", 1_000, 1_000) is not None
    assert watch.saw("orders", 100, 100) is None
