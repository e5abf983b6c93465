"""Steps of a plan are done in chains: of one subject in their order, of several subjects at once."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka.errors import KafkaConnectionError

from sinks.steps import Step
from streams.dispatch_work import in_chains

STEPS = [Step(name, why=f"{name}{number}") for number in range(3) for name in "abcdef"]


class Doing:
    """Notes what was done, and how many chains were under way."""

    def __init__(self, stops_at: str = "", error: Exception | None = None) -> None:
        self.done: list[str] = []
        self.most = self.given_up = 0
        self._now = 0
        self._stops_at, self._error = stops_at, error

    async def __call__(self, chain: Sequence[Step]) -> bool:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            for step in chain:
                await asyncio.sleep(0)
                if step.why == self._stops_at:
                    if self._error is not None:
                        raise self._error
                    return False
                self.done.append(step.why)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        finally:
            self._now -= 1
        return True


async def test_one_at_a_time_keeps_the_order_of_all() -> None:
    doing = Doing()
    assert await in_chains(STEPS, 1, doing)
    assert (doing.done, doing.most) == ([step.why for step in STEPS], 1)


async def test_of_several_subjects_so_many_are_under_way_and_each_keeps_its_order() -> None:
    doing = Doing()
    assert await in_chains(STEPS, 4, doing)
    assert doing.most == 4
    for name in "abcdef":
        assert [why for why in doing.done if why.startswith(name)] == [f"{name}0", f"{name}1", f"{name}2"]


@pytest.mark.parametrize("at_once", [1, 8])
async def test_a_chain_that_was_left_says_that_not_all_was_done(at_once: int) -> None:
    assert not await in_chains(STEPS, at_once, Doing("c1"))
    assert await in_chains([], at_once, Doing())


@pytest.mark.parametrize("at_once", [1, 8])
async def test_what_a_chain_raises_is_raised_as_it_is_and_the_others_are_given_up(at_once: int) -> None:
    doing = Doing("c1", KafkaConnectionError("no broker"))
    with pytest.raises(KafkaConnectionError, match="no broker"):
        await in_chains(STEPS, at_once, doing)
    assert len(doing.done) < len(STEPS)
    assert (doing.given_up > 0) == (at_once > 1)
