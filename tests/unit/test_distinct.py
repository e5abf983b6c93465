"""Customers are counted in bounded memory: exactly while they are few, nearly when they are many."""

from streams.distinct import DistinctCount


def keys(number: int) -> list[bytes]:
    return [f"customer-{index}".encode() for index in range(number)]


def counted(*batches: list[bytes], kept: int = 4_096) -> DistinctCount:
    count = DistinctCount(kept)
    for batch in batches:
        for key in batch:
            count.add(key)
    return count


def test_few_are_counted_exactly_however_often_each_comes() -> None:
    assert counted().estimate() == 0
    assert counted(keys(1), keys(1)).estimate() == 1
    assert counted(keys(4_095), keys(4_095), keys(300)).estimate() == 4_095


def test_many_are_counted_to_a_few_hundredths_and_the_order_means_nothing() -> None:
    for number in (4_096, 20_000, 100_000):
        estimate = counted(keys(number)).estimate()
        assert abs(estimate - number) < 0.05 * number
        assert counted(keys(number)[::-1], keys(number)).estimate() == estimate


def test_no_more_is_kept_than_was_asked_for() -> None:
    count = counted(keys(5_000), kept=64)
    assert (len(count._held), len(count._greatest_first)) == (64, 64)
    assert abs(count.estimate() - 5_000) < 0.4 * 5_000
