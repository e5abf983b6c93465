"""A steady load, and a reader of the alerts that it leads to."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.codec import decode_decision, encode
from schemas.control import RulesPublished
from schemas.decisions import AlertRecord
from schemas.rules import RuleSet
from streams.settings import Settings

_SEND_EVERY_S: Final = 0.005
_POLL_MS: Final = 200


class Outgoing(NamedTuple):
    """A record to be sent; without a partition the key says where to."""

    topic: str
    key: bytes
    value: bytes
    partition: int | None = None


Take = Callable[[AlertRecord, int], None]
"""Is handed each alert, and the partition it stands in, as soon as it was read."""


async def send_steadily(settings: Settings, per_s: float, seconds: float, record: Callable[[int], Outgoing]) -> None:
    """Send records 0, 1, 2, ... at a rate, in small bursts; return when all were acknowledged.

    Raises:
        KafkaError: some record was not.
    """
    producer: Any = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, enable_idempotence=True)
    async with producer:
        began_s, sent = time.monotonic(), 0
        under_way: deque[Any] = deque()
        while (passed_s := time.monotonic() - began_s) < seconds:
            for number in range(sent, int(passed_s * per_s)):
                topic, key, value, partition = record(number)
                under_way.append(await producer.send(topic, value, key=key, partition=partition))
            sent = max(sent, int(passed_s * per_s))
            while under_way and under_way[0].done():
                under_way.popleft().result()
            await asyncio.sleep(_SEND_EVERY_S)
        await asyncio.gather(*under_way)


@contextlib.asynccontextmanager
async def reading_alerts(settings: Settings, take: Take) -> AsyncIterator[None]:
    """Read the committed alerts from now on, for as long as the block lasts."""
    consumer: Any = AIOKafkaConsumer(
        settings.topic("alerts"),
        bootstrap_servers=settings.bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="latest",
        enable_auto_commit=False,
    )
    async with consumer:
        for partition in consumer.assignment():
            await consumer.position(partition)  # now, not when the first records are there
        reading = asyncio.create_task(_read(consumer, take))
        try:
            yield
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading


async def _read(consumer: Any, take: Take) -> None:
    while True:
        for partition, records in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
            for record in records:
                alert = decode_decision(record.value)
                assert isinstance(alert, AlertRecord)
                take(alert, partition.partition)


async def publish(settings: Settings, rules: RuleSet) -> None:
    """Publish a rule set as `churnwatch rules publish` does; the clock copies it into the log."""
    document = RulesPublished(at_ms=0, version=rules.version, revision=0, document=rules)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await producer.send_and_wait(settings.topic("control"), encode(document), key=b"rules")
