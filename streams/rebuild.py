"""`churnwatch rebuild redis`: the read model made anew from the topics, with progress."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.types import TP

from schemas.errors import ContractError
from sinks.base import Delivery, SinkError
from sinks.redis_rebuild import ALIVE_FOR_S, RedisRebuild
from streams.delivered import DELIVERED, delivery_of, partition_of
from streams.import_progress import Advance, showing
from streams.redis_terms import redis_terms
from streams.settings import Settings, SettingsError, variable
from streams.topic_tail import read_through, reader
from streams.topics import partition_count

_AT_ONCE: Final = 1_000
_LINE_EVERY_S: Final = 10.0
_ALIVE_EVERY_S: Final = ALIVE_FOR_S / 6

log = structlog.get_logger("churn.rebuild")


class RebuildRefused(RuntimeError):  # noqa: N818 - what became of it
    """Nothing was changed, or not all of it was made anew; the message says why. It may be run again."""


@dataclass
class Rebuilt:
    """What a rebuild has done."""

    records: int = 0
    """Of the topics, that were written."""
    profiles: int = 0
    """That were looked at in the end."""
    removed: int = 0
    """Alerts, risks and stages that the topics do not have, or have otherwise."""
    unreadable: int = 0
    """Records that are no decisions; deliver has put them aside."""
    refused: int = 0
    """Records of customers whose key holds something else."""
    took_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "records": self.records,
            "profiles": self.profiles,
            "removed": self.removed,
            "unreadable": self.unreadable,
            "refused": self.refused,
            "took_s": round(self.took_s, 1),
        }

    def __str__(self) -> str:
        rate = self.records / max(0.1, self.took_s)
        said = [
            f"{self.records} records in {self.took_s:.0f} s ({rate:.0f} a second), {self.profiles} profiles",
            f"{self.removed} entries that the topics do not have were taken out",
        ]
        if self.unreadable:
            said.append(f"{self.unreadable} records cannot be read: `churnwatch dlq list` says why")
        if self.refused:
            said.append(f"{self.refused} records were refused: keys of their customers hold something else than a profile")
        return "\n".join(said)


def rebuild_redis(settings: Settings, *, bar: bool) -> Rebuilt:
    """Make everything anew. Workers may run: they wait for the end, and go on from where it was read to.

    Args:
        settings: of the installation.
        bar: show a bar on standard error, else log a line every ten seconds.

    Raises:
        SettingsError: there is no Redis to write to.
        RebuildRefused: there are no topics, somebody else is at it, or Redis does not take it.
        KafkaError: the broker does not answer.
    """
    if not settings.redis_url:
        raise SettingsError(f"{variable('redis_url')} is not set: there is no read model to make anew")
    terms = redis_terms(settings)
    missing = [settings.topic(name) for name in DELIVERED if partition_count(settings, settings.topic(name)) is None]
    if missing:
        raise RebuildRefused(f"the topic {missing[0]} does not exist: `churnwatch topics` creates it")
    with showing(bar) as advance:
        try:
            return asyncio.run(_Run(settings, RedisRebuild(terms), advance if bar else _line_by_line()).run())
        except SinkError as error:
            raise RebuildRefused(f"{error}; what was not finished may be run again") from None


class _Run:
    def __init__(self, settings: Settings, rebuild: RedisRebuild, advance: Advance) -> None:
        self._settings, self._rebuild, self._advance = settings, rebuild, advance
        self._done = Rebuilt()

    async def run(self) -> Rebuilt:
        began_s = time.monotonic()
        try:
            await self._rebuild.begin()
            async with self._said_to_be_alive():
                positions = await self._write("reading the topics", lambda _: True)
                async for profiles, removals in self._rebuild.sweep():
                    self._done.profiles += profiles
                    self._done.removed += len(removals)
                    self._advance("comparing profiles", profiles, None)
                if self._rebuild.has_lost:
                    await self._write("reading what was otherwise", self._rebuild.is_to_be_written_again)
                await self._rebuild.finish(positions)
        finally:
            await self._rebuild.close()
        self._done.took_s = time.monotonic() - began_s
        return self._done

    @contextlib.asynccontextmanager
    async def _said_to_be_alive(self) -> AsyncIterator[None]:
        """A sign of life every few seconds for as long as the block lasts; if none gets through, the end will not either."""

        async def say_so() -> None:
            while True:
                await asyncio.sleep(_ALIVE_EVERY_S)
                with contextlib.suppress(SinkError):
                    await self._rebuild.still_alive()

        saying = asyncio.create_task(say_so())
        try:
            yield
        finally:
            saying.cancel()

    async def _write(self, what: str, wanted: Callable[[Delivery], bool]) -> dict[str, int]:
        """Write what is wanted of all that the topics have now; where each partition was read to."""
        positions = {}
        async with reader(self._settings) as consumer:
            partitions = [
                TopicPartition(self._settings.topic(name), number)
                for name in DELIVERED
                for number in range(self._settings.partitions)
            ]
            begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
            total = sum(ends.values()) - sum(begins.values())
            for tp in partitions:
                reached = begins[tp]
                async for some in _in_parts(read_through(consumer, tp)):
                    await self._write_some([one for one in self._decoded(some) if wanted(one)])
                    self._advance(what, some[-1].offset + 1 - reached, total)
                    reached = some[-1].offset + 1
                self._advance(what, max(0, ends[tp] - reached), total)  # markers of transactions
                positions[partition_of(TP(*tp))] = max(reached, ends[tp])
        return positions

    async def _write_some(self, told: list[Delivery]) -> None:
        if told:
            self._done.refused += await self._rebuild.write(told)
            self._done.records += len(told)

    def _decoded(self, records: list[ConsumerRecord]) -> Iterator[Delivery]:
        for record in records:
            try:
                found = delivery_of(self._settings, record)
            except ContractError:
                self._done.unreadable += 1
                continue
            if found is not None:
                yield found


async def _in_parts(records: AsyncIterator[ConsumerRecord]) -> AsyncIterator[list[ConsumerRecord]]:
    some: list[ConsumerRecord] = []
    async for record in records:
        some.append(record)
        if len(some) >= _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _line_by_line() -> Advance:
    """Progress for where there is no terminal."""
    done: dict[str, int] = {}
    told_s = time.monotonic()

    def advance(what: str, more: int, total: int | None) -> None:
        nonlocal told_s
        done[what] = done.get(what, 0) + more
        if time.monotonic() - told_s >= _LINE_EVERY_S:
            told_s = time.monotonic()
            log.info("rebuild.progress", what=what, done=done[what], total=total)

    return advance
