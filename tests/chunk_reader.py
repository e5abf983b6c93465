"""An agent under test that notes what it reads, and a way to write what it shall read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from faust import App

from streams.apps import add_agent, make_app
from streams.chunks import Chunk, SeekHook
from streams.settings import Settings
from streams.transport import consumer_of
from streams.worker import Roles


async def send(settings: Settings, topic: str, values: list[str], partition: int = 0) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await asyncio.gather(*[await producer.send(topic, value.encode(), partition=partition) for value in values])


@dataclass
class Reader:
    """An agent that notes what it reads, and says that it is done with it."""

    settings: Settings
    topic: str
    read_committed: bool = False
    bare_records: bool = False
    seek: SeekHook | None = None
    fails_at: str | None = None
    keeps_chunks: bool = False
    values: list[str] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)

    async def handle(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            values = [(record.value or b"").decode() for record in chunk.records]
            if self.fails_at in values:
                raise ValueError(self.fails_at)
            self.values += values
            self.chunks.append(chunk)
            consumer_of(self.app).done(chunk.tp, chunk.records[-1].offset + 1, chunk.generation)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Roles]:
        self.app: App = make_app(
            self.settings, "ingest", read_committed=self.read_committed, bare_records=self.bare_records, seek=self.seek
        )
        add_agent(self.app, "reader", [self.topic], self.handle, keeps_chunks=self.keeps_chunks)
        running = Roles({"ingest": self.app})
        try:
            await running.start()
            yield running
        finally:
            await running.stop()
