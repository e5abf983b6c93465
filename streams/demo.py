"""`churnwatch demo`: half a year of a simulated shop in under a minute, through the same agents as in production."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka.structs import ConsumerRecord, TopicPartition
from redis import Redis

from schemas.codec import decode_decision, decode_record
from schemas.control import ModelPublished
from schemas.decisions import AlertRecord
from schemas.instants import DAY_MS, format_instant
from streams.console import Screen, screen
from streams.demo_stage import DemoError, Worker, rules_path, stage
from streams.demo_summary import Summary, Tally, hits
from streams.lag import lags
from streams.log_writer import LogWriter
from streams.routing import WATERMARK_HEADER, log_partition
from streams.settings import Settings
from streams.simulate import Delivery, Shop, Simulation, simulate
from streams.topic_tail import last_ticks, reader
from streams.transactions import Place, Row

PACED_S: Final = 40.0
"""How long the shop's half year takes, if the machine can follow."""
_STEP_S: Final = 0.1
_POLL_MS: Final = 200
_DRAINED_WITHIN_S: Final = 120.0
_CHECK_S: Final = 0.5


@dataclass(frozen=True)
class Options:
    """How the demonstration runs."""

    shop: Shop = field(default_factory=Shop)
    paced_s: float = PACED_S
    rules: Path | None = None


@dataclass
class _Play:
    """One performance: what is sent, and what comes back."""

    settings: Settings
    simulation: Simulation
    paced_s: float
    tally: Tally
    screen: Screen
    now_ms: int = 0
    began_s: float = 0.0
    seen_all: bool = False
    """Whether all that has been said so far was taken in."""

    async def run(self, worker: Worker) -> float:
        """Send everything, wait until all of it has been decided, and return how long that took in seconds."""
        self.began_s = time.monotonic()
        watching = asyncio.create_task(self._watch())
        try:
            await self._send(worker)
            await self._drained(worker, watching)
        finally:
            seconds = time.monotonic() - self.began_s
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return seconds

    async def _send(self, worker: Worker) -> None:
        writer = LogWriter(self.settings)
        try:
            async for step in self._steps():
                worker.check()
                rows: dict[Place, list[Row]] = defaultdict(list)
                for delivery in step:
                    for place, row in self._rows(delivery):
                        rows[place].append(row)
                self.tally.events += sum(delivery.value is not None for delivery in step)
                await writer.write(rows)
                self._show()
        finally:
            await writer.close()

    async def _steps(self) -> AsyncIterator[list[Delivery]]:
        """What arrives within each step of real time."""
        shop, step = self.simulation.shop, list[Delivery]()
        per_second = (shop.ends_ms - shop.starts_ms) / max(self.paced_s, _STEP_S)
        edge_ms = shop.starts_ms + per_second * _STEP_S
        for delivery in self.simulation.deliveries():
            while delivery.arrives_ms >= edge_ms and step:
                yield step
                step, self.now_ms = [], round(edge_ms)
                await asyncio.sleep(self.began_s + (edge_ms - shop.starts_ms) / per_second - time.monotonic())
                edge_ms += per_second * _STEP_S
            step.append(delivery)
        self.now_ms = shop.ends_ms
        yield step

    def _rows(self, delivery: Delivery) -> list[tuple[Place, Row]]:
        count = self.settings.partitions
        if delivery.value is not None:
            return [(Place(delivery.feed, log_partition(delivery.key or b"", count)), Row(delivery.key, delivery.value))]
        mark = (WATERMARK_HEADER, str(delivery.arrives_ms).encode())
        return [(Place(delivery.feed, partition), Row(None, None, [mark])) for partition in range(count)]

    async def _watch(self) -> None:
        """Take in what the agents say, as any subscriber would."""
        settings = self.settings
        tps = [TopicPartition(settings.topic("alerts"), partition) for partition in range(settings.partitions)]
        tps += [TopicPartition(settings.topic(name), 0) for name in ("deadletters", "control")]
        async with reader(settings, fetch_wait_ms=_POLL_MS) as consumer:
            consumer.assign(tps)
            while True:
                for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    for record in records:
                        self._take(record)
                ends = await consumer.end_offsets(tps)
                self.seen_all = all([await consumer.position(tp) >= ends[tp] for tp in tps])

    def _take(self, record: ConsumerRecord) -> None:
        if record.topic == self.settings.topic("deadletters"):
            self.tally.dead_letters[dict(record.headers)["reason"].decode()] += 1
        elif record.value is None:
            return
        elif record.topic == self.settings.topic("control"):
            published = decode_record(record.value)
            if isinstance(published, ModelPublished):
                quality = published.document.quality
                self.tally.auc, self.tally.examples = quality.auc, quality.examples
        elif record.value is not None:  # an alert that is over for long is taken out
            alert = decode_decision(record.value)
            if isinstance(alert, AlertRecord):
                self.tally.take(alert)
                self.screen.show(alert)

    async def _drained(self, worker: Worker, watching: "asyncio.Task[None]") -> None:
        """Return once the clock has come to the end, and no role has anything left to read."""
        deadline_s = time.monotonic() + _DRAINED_WITHIN_S
        while not await self._is_drained():
            worker.check()
            if watching.done():
                watching.result()
            if time.monotonic() > deadline_s:
                raise DemoError(
                    f"the worker is not done {_DRAINED_WITHIN_S:.0f} s after the last event:\n{worker.last_lines()}"
                )
            self._show()
            await asyncio.sleep(_CHECK_S)

    async def _is_drained(self) -> bool:
        ticks = await last_ticks(self.settings)
        ends_ms = self.simulation.shop.ends_ms
        if len(ticks) < self.settings.partitions or any(tick.marks_ms.get("logins") != ends_ms for tick in ticks):
            return False
        if any((await lags(self.settings, "detect", ("events",))).values()) or not self.seen_all:
            return False
        return max((await lags(self.settings, "deliver-redis", ("alerts", "risk", "lifecycle"))).values()) <= 1

    def _show(self) -> None:
        tally, shop = self.tally, self.simulation.shop
        day = min(self.now_ms - shop.starts_ms, shop.ends_ms - shop.starts_ms) // DAY_MS
        rate = tally.events / max(0.1, time.monotonic() - self.began_s)
        dead = f", {shop.dead_feed} are dead" if self.now_ms in shop.outage else ""
        self.screen.progress(
            f"{format_instant(self.now_ms)[:10]} (day {day} of {shop.weeks * 7}){dead}   {tally.events} events, {rate:.0f}/s   "
            f"alerts {len(tally.opened)} opened, {tally.transitions['resolved']} resolved   "
            f"dead letters {tally.dead_letters.total()}"
        )


def run_demo(options: Options) -> Summary:
    """Put the demonstration on.

    Raises:
        DemoError: the worker failed.
        KeyboardInterrupt: Ctrl-C; all processes are gone by then.
    """
    simulation, tally = simulate(options.shop), Tally()
    with screen() as shown:
        shown.note("starting a broker and a Valkey in memory, and a worker with all agents; nothing is kept on disk")
        with stage(options.rules or rules_path()) as (settings, worker):
            play = _Play(settings, simulation, options.paced_s, tally, shown)
            seconds = asyncio.run(play.run(worker))
            tally.profiles = _profiles(settings)
    return Summary(tally, hits(tally.opened, simulation.truth.left_ms), seconds)


def _profiles(settings: Settings) -> int:
    client: Any = Redis.from_url(settings.redis_url)
    try:
        return sum(1 for _ in client.scan_iter(match="churn:profile:*", count=1000))
    finally:
        client.close()
