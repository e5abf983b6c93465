"""Champion and challenger: who takes over, and when."""

from random import Random

import msgspec
import pytest

from detectors.contest import BLOCK, ROUND, Contest

EXAMPLES = BLOCK * ROUND


def took_over(gain: float, noise: float = 0.5, seed: int = 1, examples: int = EXAMPLES) -> list[int]:
    """After which examples the challenger took over whose log loss was smaller by `gain` on average."""
    random, contest = Random(seed), Contest()
    losses = ((0.5 + random.gauss(gain, noise), 0.5) for _ in range(examples))
    return [number for number, (champion, challenger) in enumerate(losses, start=1) if contest.take(champion, challenger)]


def test_a_challenger_that_is_better_by_more_than_noise_takes_over_at_the_end_of_a_round() -> None:
    assert took_over(0.05) == [EXAMPLES]


def test_one_that_is_better_by_less_than_noise_does_not() -> None:
    assert sum(bool(took_over(0.001, seed=seed)) for seed in range(40)) <= 4


def test_one_that_is_worse_never_does() -> None:
    assert took_over(-0.05, examples=4 * EXAMPLES) == []


def test_a_difference_that_never_varies_counts() -> None:
    assert took_over(0.01, noise=0.0) == [EXAMPLES]
    assert took_over(0.0, noise=0.0) == []


def test_a_good_hour_is_not_enough() -> None:
    contest = Contest()
    gains = [5.0] * BLOCK + [0.0] * (EXAMPLES - BLOCK)
    assert not any(contest.take(gain, 0.0) for gain in gains)


@pytest.mark.parametrize("cut", [1, BLOCK, BLOCK + 1, EXAMPLES - 1])
def test_an_interruption_changes_nothing(cut: int) -> None:
    random, contest = Random(2), Contest()
    found = []
    for number in range(EXAMPLES):
        if number == cut:
            contest = Contest.restored(msgspec.json.decode(msgspec.json.encode(contest.state()), type=type(contest.state())))
        found.append(contest.take(0.55 + random.gauss(0, 0.5), 0.5))
    random, straight = Random(2), Contest()
    assert found == [straight.take(0.55 + random.gauss(0, 0.5), 0.5) for _ in range(EXAMPLES)]
    assert found[-1]
