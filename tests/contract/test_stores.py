"""What every store promises: its position is never ahead of what it keeps, and it has one writer at a time."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_contents import empty, offsets
from redis import Redis
from redis_contents import KEYS
from valkey_server import running_valkey

from schemas.decisions import RiskRecord
from sinks.archive import Archive
from sinks.redis_client import RedisTerms
from sinks.redis_store import RedisStore
from sinks.stores import Store, StoreMoved, Told

RISK, STAGES = "t.risk/0", "t.lifecycle/0"


def told(begin: int, end: int) -> list[Told]:
    """One record of each customer."""
    return [
        Told(RISK, offset, RiskRecord(customer_id=f"c{offset}", sequence=1, at_ms=1, band="low", basis="rules"))
        for offset in range(begin, end)
    ]


class InArchive:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self) -> Store:
        return Archive(self._folder, every_s=0)

    def kept(self) -> int:
        return len(offsets(self._folder, "risk"))

    def empty(self) -> None:
        empty(self._folder)


class InRedis:
    def __init__(self, url: str) -> None:
        self._url, self._client = url, Redis.from_url(url)
        self._client.flushall()

    def store(self) -> Store:
        return RedisStore(RedisTerms(self._url))

    def kept(self) -> int:
        found: Any = self._client.zcard(KEYS.lists.ranking)
        return int(found)

    def empty(self) -> None:
        self._client.flushall()


Place = InArchive | InRedis


@pytest.fixture(scope="module")
def valkey_url() -> Iterator[str]:
    with running_valkey() as url:
        yield url


@pytest.fixture(params=["archive", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return InArchive(tmp_path) if request.param == "archive" else InRedis(request.getfixturevalue("valkey_url"))


@pytest.fixture
async def new_store(place: Place) -> AsyncIterator[Callable[[], Store]]:
    made: list[Store] = []

    def make() -> Store:
        made.append(place.store())
        return made[-1]

    yield make
    for store in made:
        await store.close()


async def test_a_new_one_is_told_everything_and_the_next_goes_on(place: Place, new_store: Callable[[], Store]) -> None:
    first = new_store()
    assert await first.positions([RISK, STAGES]) == {RISK: 0, STAGES: 0}
    await first.take(told(0, 5))
    assert await first.advance({RISK: 5}) == {RISK: 5, STAGES: 0}
    assert await first.tend() == {RISK: 5, STAGES: 0}

    second = new_store()
    assert await second.positions([RISK]) == {RISK: 5}
    await second.take(told(5, 7))
    assert await second.advance({RISK: 7}) == {RISK: 7}
    assert place.kept() == 7


async def test_what_was_taken_and_not_reached_is_told_again_and_there_once(
    place: Place, new_store: Callable[[], Store]
) -> None:
    first, second = new_store(), new_store()
    await first.positions([RISK])
    await first.take(told(0, 5))
    assert await second.positions([RISK]) == {RISK: 0}
    await second.take(told(0, 3))
    await second.take(told(0, 6))
    await second.advance({RISK: 6})
    assert place.kept() == 6


async def test_one_that_was_emptied_says_so_and_is_told_again(place: Place, new_store: Callable[[], Store]) -> None:
    store = new_store()
    await store.positions([RISK])
    await store.take(told(0, 5))
    await store.advance({RISK: 5})
    place.empty()
    with pytest.raises(StoreMoved):
        await store.tend()
    assert await store.positions([RISK]) == {RISK: 0}
    await store.take(told(0, 5))
    assert await store.advance({RISK: 5}) == {RISK: 5}
    assert place.kept() == 5


async def test_who_slept_while_another_went_on_does_not_move_the_position_back(
    place: Place, new_store: Callable[[], Store]
) -> None:
    slept, awake = new_store(), new_store()
    await slept.positions([RISK])
    await slept.take(told(0, 2))
    await awake.positions([RISK])
    await awake.take(told(0, 9))
    await awake.advance({RISK: 9})
    with pytest.raises(StoreMoved):
        await slept.advance({RISK: 2})
    assert await slept.positions([RISK]) == {RISK: 9}
    assert place.kept() == 9


async def test_a_position_moves_over_records_that_are_not_for_a_store(new_store: Callable[[], Store]) -> None:
    store = new_store()
    await store.positions([RISK])
    assert await store.advance({RISK: 40}) == {RISK: 40}
    assert await new_store().positions([RISK]) == {RISK: 40}
