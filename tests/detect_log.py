"""A log under test: records in, what detect has committed out, and what a plain pass over the log says it should be."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from engine_run import absence, order, rule_set, tick

from detectors.engine import PartitionEngine
from schemas.codec import Record, encode
from schemas.control import RulesPublished
from streams.kafka_security import aiokafka_options
from streams.settings import Settings, Topic, load_settings
from streams.topics import ensure_topics

PATIENCE_S = 60
SILENT_90 = rule_set(absence(90))
PUBLISHED = RulesPublished(at_ms=0, version="1", revision=1, document=SILENT_90)


def new_installation(bootstrap: str, name: str, **fields: object) -> Settings:
    """Topics of an installation of its own; sessions are as short as a broker takes without being told."""
    chosen = {"partitions": 2, "session_timeout_s": 6, "min_transaction_gap_ms": 0, **fields}
    settings = load_settings(bootstrap=bootstrap, prefix=f"{name}.", source_prefix=f"{name}-", **chosen)
    ensure_topics(settings)
    return settings


def silences(begin: int, end: int) -> list[Record]:
    """Orders of customers `begin` to `end`, one a day, and after each a tick that makes some earlier one silent."""
    return [record for day in range(begin, end) for record in (order(day, customer=f"c{day}"), tick(day + 0.5))]


@dataclass
class Log:
    """The log of an installation, written by the test alone."""

    settings: Settings
    written: dict[int, list[bytes]] = field(default_factory=dict)

    async def append(self, partition: int, records: Sequence[Record | bytes]) -> None:
        """Write records to the end of a partition."""
        values = [record if isinstance(record, bytes) else encode(record) for record in records]
        async with AIOKafkaProducer(bootstrap_servers=self.settings.bootstrap, **aiokafka_options(self.settings)) as producer:
            sent = [await producer.send(self.settings.topic("events"), value, partition=partition) for value in values]
            await asyncio.gather(*sent)
        self.written.setdefault(partition, []).extend(values)

    def oracle(self, partition: int) -> tuple[list[bytes], PartitionEngine]:
        """What one engine says that sees the partition in one piece: its alerts, and itself."""
        engine, alerts = PartitionEngine(partition, self.settings.topic("events")), []
        for offset, value in enumerate(self.written[partition]):
            alerts += [encode(alert) for alert in engine.apply_bytes(offset, value).alerts]
        return alerts, engine

    async def alerts(self, partition: int) -> list[bytes]:
        """The alerts that are committed, in order."""
        return [record.value for record in await self.committed("alerts", partition)]

    async def state(self, partition: int) -> dict[bytes, bytes]:
        """The last committed value of each key of the state."""
        return {record.key: record.value for record in await self.committed("state", partition) if record.value is not None}

    async def committed(self, topic: Topic, partition: int) -> list[Any]:
        """All records of a partition that are committed."""
        async with reading(self.settings, TopicPartition(self.settings.topic(topic), partition)) as records:
            return records

    async def until_all_is_told(self, *partitions: int) -> None:
        """Wait until as many alerts as the oracle tells are committed."""

        async def told() -> bool:
            return all([len(await self.alerts(partition)) >= len(self.oracle(partition)[0]) for partition in partitions])

        await until(told)

    async def assert_as_the_oracle_says(self, partition: int) -> None:
        """The committed alerts are the oracle's, byte for byte and in order, and so is the state that they came with."""
        alerts, engine = self.oracle(partition)
        assert await self.alerts(partition) == alerts
        state, changes = await self.state(partition), dict(engine.take_changes())
        behind = PartitionEngine(partition, self.settings.topic("events"))
        for key, value in state.items():
            behind.load(key, value)
        behind.restored()
        # The position may lag by records that changed nothing: those are applied again, and then nothing differs.
        for offset in range(behind.position + 1, len(self.written[partition])):
            behind.apply_bytes(offset, self.written[partition][offset])
        assert behind.head_change() == engine.head_change()
        assert {**state, **dict(behind.take_changes())} == {**changes, engine.head_change()[0]: engine.head_change()[1]}


@asynccontextmanager
async def reading(settings: Settings, tp: TopicPartition) -> AsyncIterator[list[ConsumerRecord]]:
    """Everything of a partition that a reader of committed records sees now."""
    options = {"isolation_level": "read_committed", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    async with AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, **aiokafka_options(settings), **options) as consumer:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        records: list[ConsumerRecord] = []
        while await consumer.position(tp) < end:
            for some in (await consumer.getmany(timeout_ms=200)).values():
                records += some
        yield records


async def until(condition: Callable[[], Any], patience_s: float = PATIENCE_S, every_s: float = 0.05) -> None:
    """Wait for a condition, asked again and again; seldom, where the asking takes time from what is waited for."""
    deadline_s = time.monotonic() + patience_s
    while True:
        answer = condition()
        if await answer if asyncio.iscoroutine(answer) else answer:
            return
        assert time.monotonic() < deadline_s, f"not within {patience_s} s"
        await asyncio.sleep(every_s)
