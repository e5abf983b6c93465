"""Workers whose clocks are hours wrong: time comes from the broker, so nothing that is decided knows."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from aiokafka import AIOKafkaProducer
from detect_log import PUBLISHED, Log, new_installation, until
from engine_run import order

from schemas.codec import decode_record, encode
from schemas.control import Tick
from schemas.instants import HOUR_MS
from streams.settings import Settings, variable

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
# Before anything is imported, as on a machine whose clock was set wrong; what measures spans is not touched by that.
WORKER = """
import sys, time
shift_s = float(sys.argv[1])
true_s, true_ns = time.time, time.time_ns
time.time = lambda: true_s() + shift_s
time.time_ns = lambda: true_ns() + int(shift_s * 1e9)
from streams.settings import load_settings
from streams.worker import run_worker
sys.exit(run_worker(load_settings(), ["ingest", "clock", "detect"]))
"""


@contextmanager
def worker_with_clock(settings: Settings, shift_h: int) -> Iterator["subprocess.Popen[bytes]"]:
    chosen = settings.model_dump(exclude_defaults=True)
    environment = {**os.environ, **{variable(name): str(value) for name, value in chosen.items()}}
    with subprocess.Popen([sys.executable, "-c", WORKER, str(shift_h * 3_600)], env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_clocks_of_workers_that_are_hours_apart_decide_nothing(bootstrap: str, unique: Unique) -> None:
    #  a worker 7 hours ahead, then one 5 hours behind: marks would jump by 12 hours, and back
    log = Log(new_installation(bootstrap, unique("clocks"), heartbeat_ms=200, tick_ms=200))
    orders, control = log.settings.source_prefix + "orders", log.settings.topic("control")

    async def say(topic: str, key: bytes, value: bytes) -> None:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            await producer.send_and_wait(topic, value, key=key)

    async def ticks(partition: int) -> list[tuple[int, Tick]]:
        """Each with the broker's time of it."""
        records = [(record.timestamp, decode_record(record.value)) for record in await log.committed("events", partition)]
        return [(appended_ms, record) for appended_ms, record in records if isinstance(record, Tick)]

    async def told() -> int:
        return sum([len(await log.alerts(partition)) for partition in (0, 1)])

    now_days = time.time_ns() / 86_400e9
    await say(control, b"rules", encode(PUBLISHED))
    await say(orders, b"ann", encode(order(now_days - 95, customer="ann")))
    with worker_with_clock(log.settings, 7) as ahead:
        await until(told, every_s=0.5)
        ahead.terminate()
        await asyncio.to_thread(ahead.wait)
    told_first, before = await told(), len(await ticks(0))
    await say(orders, b"bob", encode(order(now_days - 94, customer="bob")))
    with worker_with_clock(log.settings, -5) as behind:

        async def goes_on() -> bool:
            return await told() > told_first and len(await ticks(0)) > before + 5

        await until(goes_on, every_s=0.5)
        behind.terminate()
        await asyncio.to_thread(behind.wait)

    for partition in (0, 1):
        found = await ticks(partition)
        marks_ms = [mark_ms for appended_ms, tick in found for mark_ms in tick.marks_ms.values() if mark_ms is not None]
        assert marks_ms
        assert all(abs(appended_ms - tick.at_ms) < HOUR_MS for appended_ms, tick in found)
        assert all(abs(mark_ms - found[-1][0]) < HOUR_MS for mark_ms in marks_ms)
        assert [tick.at_ms for _, tick in found] == sorted(tick.at_ms for _, tick in found)
        log.written[partition] = [record.value for record in await log.committed("events", partition)]
        alerts, _ = log.oracle(partition)
        assert await log.alerts(partition) == alerts
