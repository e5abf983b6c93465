"""What waits goes out together, one batch at a time; after a failure everybody is told, and a new producer is made."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka.errors import KafkaError

from streams.door_lane import Lane, NotWrittenError
from streams.log_writer import LogWriter
from streams.settings import load_settings
from streams.transactions import Place, Row


class PaperWriter(LogWriter):
    """Keeps batches in place of sending them; one at a time is let through."""

    def __init__(self, topic_is_there: bool = True) -> None:  # noqa: FBT001
        super().__init__(load_settings())
        self.batches: list[tuple[int, list[bytes | None]]] = []
        self.goes_on = asyncio.Event()
        self.error: Exception | None = None
        self.topic_is_there = topic_is_there
        self.closed = False

    async def write(self, rows_by_place: Mapping[Place, Sequence[Row]]) -> int | None:
        assert not self.closed
        ((place, rows),) = rows_by_place.items()
        self.batches.append((place.partition, [row.value for row in rows]))
        await self.goes_on.wait()
        if self.error is not None:
            raise self.error
        return None

    async def partitions(self, topic: str) -> list[int]:
        assert topic == "shop"
        if not self.topic_is_there:
            raise KafkaError("no broker")
        return [0, 1, 2]

    async def close(self, within_s: float = 1) -> None:
        assert within_s < 1
        self.closed = True


@asynccontextmanager
async def lane_of(*writers: PaperWriter, wait_ms: int = 10_000) -> AsyncIterator[Lane]:
    """A lane that uses these writers, one after the other."""
    left = list(writers)
    lane = Lane(load_settings(door_wait_ms=wait_ms), "shop", lambda _settings: left.pop(0))
    running = asyncio.create_task(lane.run())
    yield lane
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def write(lane: Lane, *values: bytes, size_bytes: int = 1) -> "list[asyncio.Task[None]]":
    return [asyncio.create_task(lane.write(Row(None, value), size_bytes)) for value in values]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_comes_while_a_batch_is_under_way_is_the_next_one_and_partitions_take_turns() -> None:
    writer = PaperWriter()
    async with lane_of(writer) as lane:
        first = write(lane, b"a")
        await settle()
        others = write(lane, b"b", b"c", b"d")
        await settle()
        assert writer.batches == [(0, [b"a"])]
        assert not any(task.done() for task in first + others)
        writer.goes_on.set()
        await asyncio.gather(*first, *others)
        await asyncio.gather(*write(lane, b"e"))
        await asyncio.gather(*write(lane, b"f"))
    assert writer.batches == [(0, [b"a"]), (1, [b"b", b"c", b"d"]), (2, [b"e"]), (0, [b"f"])]


async def test_a_batch_is_no_larger_than_one_request_and_has_at_least_one_record() -> None:
    writer = PaperWriter()
    writer.goes_on.set()
    async with lane_of(writer) as lane:
        await asyncio.gather(*write(lane, b"a", b"b", b"c", size_bytes=450_000))
        await asyncio.gather(*write(lane, b"d", b"e", size_bytes=910_000))
    assert [values for _, values in writer.batches] == [[b"a", b"b"], [b"c"], [b"d"], [b"e"]]


async def test_after_a_failure_all_who_wait_are_told_and_the_producer_is_never_used_again() -> None:
    failing, good = PaperWriter(), PaperWriter()
    failing.error = KafkaError("not enough replicas")
    good.goes_on.set()
    async with lane_of(failing, good) as lane:
        under_way = write(lane, b"a")
        await settle()
        behind = write(lane, b"b")
        await settle()
        failing.goes_on.set()
        for told in await asyncio.gather(*under_way, *behind, return_exceptions=True):
            assert isinstance(told, NotWrittenError)
            assert "not enough replicas" in str(told)
        await settle()
        assert lane.failing_since_s is None
        await asyncio.gather(*write(lane, b"c"))
    assert failing.closed
    assert [values for _, values in failing.batches + good.batches] == [[b"a"], [b"c"]]


async def test_until_the_topic_is_heard_of_everybody_is_refused_at_once() -> None:
    failing, deaf = PaperWriter(), PaperWriter(topic_is_there=False)
    failing.error = KafkaError("gone")
    failing.goes_on.set()
    async with lane_of(failing, deaf) as lane:
        await asyncio.gather(*write(lane, b"a"), return_exceptions=True)
        await settle()
        assert lane.failing_since_s is not None
        with pytest.raises(NotWrittenError, match="gone"):
            await lane.write(Row(None, b"b"), 1)
    assert deaf.batches == []


async def test_a_topic_that_cannot_be_reached_at_the_start_is_tried_again_with_a_new_producer() -> None:
    deaf, good = PaperWriter(topic_is_there=False), PaperWriter()
    good.goes_on.set()
    left = [deaf, good]
    lane = Lane(load_settings(), "shop", lambda _settings: left.pop(0))
    await lane.open()
    with pytest.raises(NotWrittenError, match="no broker"):
        await lane.write(Row(None, b"a"), 1)
    running = asyncio.create_task(lane.run())
    await settle()
    await lane.write(Row(None, b"b"), 1)
    running.cancel()
    assert deaf.closed
    assert good.batches == [(0, [b"b"])]


async def test_no_answer_is_a_failure_when_the_wait_is_over() -> None:
    silent, good = PaperWriter(), PaperWriter()
    async with lane_of(silent, good, wait_ms=20) as lane:
        with pytest.raises(NotWrittenError, match=r"no answer for 0\.02 s"):
            await lane.write(Row(None, b"a"), 1)
    assert silent.closed


async def test_who_still_waits_when_a_lane_closes_is_told() -> None:
    writer = PaperWriter()
    async with lane_of(writer) as lane:
        waiting = write(lane, b"a", b"b")
        await settle()
        waiting += write(lane, b"c")
        await settle()
    await lane.close()
    found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert [str(told) for told in found] == ["the door is closing"] * 3
    with pytest.raises(NotWrittenError, match="closing"):
        await lane.write(Row(None, b"d"), 1)
