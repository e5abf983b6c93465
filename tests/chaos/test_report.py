"""What is told of a run: stalls belong to the fault that made them."""

import pytest
from chaos.report import longest_s


@pytest.mark.parametrize(
    ("commits_ms", "seconds"),
    [
        ([9_900, 10_100, 16_000, 19_900, 20_000], 5.9),  # until the partition went on
        ([9_900, 10_100, 10_200], 9.8),  # it did not, until the next fault
        ([9_900, 15_000, 19_999, 27_000], 5.1),  # what the next fault did is not counted here
        ([], 10.3),
    ],
)
def test_the_longest_time_without_a_commit_lies_between_a_fault_and_the_next(commits_ms: list[int], seconds: float) -> None:
    assert longest_s(commits_ms, 10_000, 20_000) == pytest.approx(seconds)
