"""The end of a run: everything that was sent goes through, then everything stops, then the topics are read."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from chaos.comparison import Kept
from chaos.faults import Scene
from chaos.oracle import Found
from chaos.plan import SPLIT
from chaos.watch import Watch

from streams.delivered import DELIVERED
from streams.settings import Settings, Topic
from streams.topic_tail import read_to_end, reader
from streams.topics import default_sources

_READ: Final[tuple[Topic, ...]] = (
    "events", "state", "alerts", "shadow", "risk", "lifecycle", "examples", "erasures", "deadletters", "models",
)  # fmt: skip
_PARTITIONED: Final = frozenset({"events", "state", "alerts", "shadow", "risk", "lifecycle"})
_PATIENCE_S: Final = 90.0
_LOOK_EVERY_S: Final = 0.5


class NotDrainedError(AssertionError):
    """Something was never worked off; the message says what."""


async def drain(scene: Scene, watch: Watch) -> Found:
    """Wait until all is worked off, end all workers, and read what there is.

    Raises:
        NotDrainedError: something was not, in good time.
    """
    settings = scene.settings
    numbers = range(settings.partitions)
    sources = [TopicPartition(topic, number) for topic in default_sources(settings) for number in numbers]
    sources += _partitions(settings, "actions")
    await _until(lambda: _is_read(settings, "ingest", sources), "ingest has not read its sources")
    await _let_only_readers_run(scene)
    await _until(lambda: _is_decided(settings, watch), "detect has not come to the end of the log")
    delivered = [tp for topic in DELIVERED for tp in _partitions(settings, topic)]
    await _until(lambda: _is_read(settings, "deliver-redis", delivered), "deliver has not come to the end")
    for worker in list(scene.workers.places.values()):
        if worker.wanted:
            await scene.workers.retire(worker.name)
    return await _read_all(settings)


async def _let_only_readers_run(scene: Scene) -> None:
    """End ingest and the clock, so that the log ends somewhere; who reads on goes on."""
    workers = scene.workers
    for worker in [*workers.with_role("ingest"), *workers.with_role("clock")]:
        await workers.retire(worker.name)
    for name in SPLIT:
        if name != "clock-1" and not (name in workers.places and workers.places[name].wanted):
            scene.start(name)


async def _until(condition: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + _PATIENCE_S
    while not await condition():
        if loop.time() > deadline_s:
            raise NotDrainedError(f"{otherwise} within {_PATIENCE_S:g} s")
        await asyncio.sleep(_LOOK_EVERY_S)


async def _is_decided(settings: Settings, watch: Watch) -> bool:
    async with reader(settings) as consumer:
        ends = await consumer.end_offsets(_partitions(settings, "events"))
    return all(watch.position(tp.partition) + 1 >= end for tp, end in ends.items())


async def _is_read(settings: Settings, part: str, tps: Sequence[TopicPartition]) -> bool:
    """Whether nothing can be read behind what a part has committed; what ends a transaction is no record."""
    group: Any = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap, group_id=settings.group_id(part), enable_auto_commit=False
    )
    await group.start()
    try:
        group.assign(list(tps))
        committed = {tp: await group.committed(tp) or 0 for tp in tps}
    finally:
        await group.stop()
    async with reader(settings) as consumer:
        return not any([await read_to_end(consumer, tp, offset) for tp, offset in committed.items()])


async def _read_all(settings: Settings) -> Found:
    found = Found({})
    async with reader(settings) as consumer:
        for topic in _READ:
            for tp in _partitions(settings, topic):
                records = await read_to_end(consumer, tp)
                found.rows[tp.topic, tp.partition] = [Kept(record.key, record.value) for record in records]
                found.offsets[tp.topic, tp.partition] = [record.offset for record in records]
    return found


def _partitions(settings: Settings, topic: Topic) -> list[TopicPartition]:
    count = settings.partitions if topic in _PARTITIONED else 1
    return [TopicPartition(settings.topic(topic), number) for number in range(count)]
