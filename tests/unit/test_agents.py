"""What an agent hands to its handler: all that waits, in order, of this generation, and nothing behind a failure."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from streams.apps import add_agent
from streams.chunks import Chunk

GENERATION = 3


class Stream:
    """One chunk comes first, the others wait behind it."""

    def __init__(self, *chunks: Chunk) -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.channel = SimpleNamespace(queue=queue)
        for chunk in chunks:
            queue.put_nowait(SimpleNamespace(value=chunk))

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        while not self.channel.queue.empty():
            yield self.channel.queue.get_nowait().value


class OneAgentApp:
    """What `add_agent` asks of an app; `run` does what Faust does with the agent when it starts it, or starts it anew."""

    def __init__(self) -> None:
        self.handled: list[list[str]] = []
        self.released: list[str] = []
        self.crashes: list[Exception] = []
        self.conf = SimpleNamespace(id="test")
        self.consumer_generation_id = GENERATION
        self.consumer = SimpleNamespace(release=lambda chunk: self.released.append(named(chunk)))
        add_agent(cast("Any", self), "agent", ["topic"], self.handle)

    def topic(self, *_names: str, **_options: Any) -> None:
        return None

    def agent(self, _source: Any, *, name: str) -> Any:
        assert name == "agent"
        return lambda function: setattr(self, "run", function)

    async def crash(self, error: Exception) -> None:
        self.crashes.append(error)

    async def handle(self, chunks: Sequence[Chunk]) -> None:
        names = [named(chunk) for chunk in chunks]
        if "poison" in names:
            raise ValueError("poison")
        self.handled.append(names)

    run: Any


def chunk(name: str, generation: int = GENERATION) -> Chunk:
    return Chunk(TP("topic", 0), [cast("ConsumerRecord[Any, Any]", SimpleNamespace(value=name))], generation)


def named(found: Chunk) -> str:
    return cast("str", found.records[0].value)


async def test_all_that_waits_is_handled_at_once_and_released_afterwards() -> None:
    app = OneAgentApp()
    await app.run(Stream(chunk("a"), chunk("b"), chunk("c")))
    assert app.handled == [["a", "b", "c"]]
    assert app.released == ["a", "b", "c"]


async def test_chunks_of_an_earlier_generation_are_left_out_wherever_they_stand() -> None:
    app = OneAgentApp()
    await app.run(Stream(chunk("old", GENERATION - 1), chunk("a"), chunk("older", GENERATION - 2), chunk("b")))
    await app.run(Stream(chunk("old", GENERATION - 1)))
    assert app.handled == [["a", "b"]]


async def test_what_comes_behind_a_failure_is_not_handled_although_the_agent_is_started_anew() -> None:
    #  a  poison  b  c: whoever handled b and said that it is done would lose the poison
    app = OneAgentApp()
    await app.run(Stream(chunk("a")))
    with pytest.raises(ValueError, match="poison"):
        await app.run(Stream(chunk("poison")))
    await app.run(Stream(chunk("b"), chunk("c")))

    assert app.handled == [["a"]]
    assert [str(error) for error in app.crashes] == ["poison"]
    assert app.released == ["a"]  # or the poison would count as read
