"""Sources whose records name schemas that the registry did not tell yet: they wait for it, and after a while alone."""

import asyncio
import itertools
from collections.abc import Callable, Collection
from typing import Final

from streams.chunks import Chunk
from streams.redrive import first_topic
from streams.source_gate import SourceGate
from streams.source_terms import SourceTerms
from streams.sources import REDRIVE_FEED

_PATIENCE_S: Final = 10.0
"""All sources of a process wait so long for the registry, which may only be starting anew; then those that need it."""

_TRY_AGAIN_S: Final = 1.0


class RegistryPauses:
    """Of one process.

    Args:
        sources: their terms.
        gate: of the same sources.
        writing: held while a partition is opened or shut.
    """

    def __init__(self, sources: SourceTerms, gate: SourceGate, writing: asyncio.Lock) -> None:
        self._sources = sources
        self._gate = gate
        self._writing = writing
        self._paused: dict[str, list[bytes]] = {}
        """Records of paused topics whose schemas are asked for."""

    @property
    def is_needed(self) -> bool:
        """Whether any source has records that name schemas."""
        return self._sources.schemas is not None

    async def prepare(self, chunks: Collection[Chunk], is_leaving: Callable[[], bool]) -> None:
        """Have every schema at hand that records name; a topic whose schemas do not come is paused.

        Args:
            chunks: whose records are to be read; those of topics that are paused are open no more afterwards.
            is_leaving: the process stops, and nobody waits for anything.
        """
        schemas, values = self._sources.schemas, self._framed(chunks)
        if schemas is None or not values:
            return
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _PATIENCE_S
        every = itertools.chain.from_iterable(values.values())
        if await schemas.learn(every, lambda: not is_leaving() and loop.time() < until_s) or is_leaving():
            return
        for topic, named in values.items():
            if lacking := [value for value in named if not schemas.answered(value)]:
                await self._pause(topic, lacking, chunks)

    async def retry(self) -> None:
        """Ask again for what paused topics wait for, and let them go on; for ever."""
        while True:
            await asyncio.sleep(_TRY_AGAIN_S)
            for topic, values in list(self._paused.items()):
                if self._sources.schemas is not None and await self._sources.schemas.learn(values, lambda: False):
                    async with self._writing:
                        self._gate.go_on(topic, "registry")
                    del self._paused[topic]

    async def close(self) -> None:
        """Let go of the registry."""
        if self._sources.schemas is not None:
            await self._sources.schemas.close()

    async def _pause(self, topic: str, lacking: list[bytes], chunks: Collection[Chunk]) -> None:
        says = (
            f"the schema registry does not answer, and records of {topic} name schemas that are not known yet: "
            "nothing of it is read until it does"
        )
        self._paused[topic] = lacking
        async with self._writing:
            dropped = [chunk for chunk in chunks if chunk.tp.topic == topic and self._gate.is_open(chunk)]
            await self._gate.pause(topic, "registry", says, dropped)

    def _framed(self, chunks: Collection[Chunk]) -> dict[str, list[bytes]]:
        """The values that name a schema, by the topic that they came by."""
        found: dict[str, list[bytes]] = {}
        for chunk in chunks if self._sources.framed else ():
            topic = chunk.tp.topic
            again = self._sources.by_topic[topic].source.feed == REDRIVE_FEED
            if not again and topic not in self._sources.framed:
                continue
            for record in chunk.records:
                if record.value is not None and (not again or first_topic(record) in self._sources.framed):
                    found.setdefault(topic, []).append(record.value)
        return found
