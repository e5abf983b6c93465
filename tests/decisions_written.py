"""What detect would write, by a test: risks, stages and alerts of forty customers, and that some of them are erased."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from alert_records import alert
from msgspec.structs import replace

from schemas.codec import encode
from schemas.decisions import AlertState, LifecycleRecord, RiskRecord
from streams.decision_rows import CUSTOMER_HEADER, ERASED_HEADER
from streams.settings import Settings, Topic

CUSTOMERS = 40
STATES: list[AlertState] = ["warned", "opened", "acked", "resolved"]


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator["Decisions"]:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        yield Decisions(settings, producer)


class Decisions:
    """Writes what detect would: risks, stages and alerts of forty customers, of whom every eighth is erased."""

    def __init__(self, settings: Settings, producer: Any) -> None:
        self._settings, self._producer = settings, producer
        self._sequences = itertools.count(1)

    async def a_round(self) -> None:
        sequence = next(self._sequences)
        for number in range(CUSTOMERS):
            name = f"c{number}"
            value = 100.0 * number if number % 3 else None
            risk = RiskRecord(customer_id=name, sequence=sequence, at_ms=sequence, probability=0.5, band="high", basis="model")
            await self._put("risk", name, encode(replace(risk, owner=f"owner-{number % 4}", value=value)))
            stage = LifecycleRecord(customer_id=name, sequence=sequence, at_ms=sequence, stage="active", cause="order")
            await self._put("lifecycle", name, encode(stage))
            state = STATES[min(sequence, 1 + number % 4) - 1]
            about = replace(alert(state), alert_id=f"alert-{number}", customer_id=name, sequence=sequence, owner="kim")
            await self._put("alerts", name, encode(about), key=f"alert-{number}")
        await self._producer.flush()

    async def erase_some(self) -> None:
        erased = (ERASED_HEADER, b"1000")
        for number in range(0, CUSTOMERS, 8):
            name = f"c{number}"
            owner = (CUSTOMER_HEADER, name.encode())
            await self._put("alerts", name, None, owner, erased, key=f"alert-{number}")
            await self._put("risk", name, None, erased)
            await self._put("lifecycle", name, None, erased)
        await self._producer.flush()

    async def _put(self, topic: Topic, name: str, value: bytes | None, *headers: tuple[str, bytes], key: str = "") -> None:
        place = {"key": (key or name).encode(), "partition": int(name[1:]) % self._settings.partitions}
        await self._producer.send(self._settings.topic(topic), value, headers=list(headers), **place)
