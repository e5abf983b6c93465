"""The role `deliver`: alerts, risks and stages go to a sink, and are acknowledged when it has them."""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog
from aiokafka.structs import ConsumerRecord
from faust import App

from schemas.codec import decode_decision
from schemas.decisions import AlertRecord, DeadLetter, LifecycleRecord, RiskRecord
from schemas.errors import ContractError
from sinks.base import Delivery, Forgotten, Sink, SinkError
from sinks.redis_profiles import RedisProfiles
from streams.apps import add_agent, add_work, make_app
from streams.chunks import Chunk
from streams.dead_letters import dead_letter_row
from streams.decision_rows import CUSTOMER_HEADER
from streams.log_writer import LogWriter
from streams.settings import Settings, Topic
from streams.transactions import Place
from streams.transport import consumer_of

DELIVERED: Final[tuple[Topic, ...]] = ("alerts", "risk", "lifecycle")
_FIRST_PAUSE_MS: Final = 200
_LONGEST_PAUSE_MS: Final = 30_000

log = structlog.get_logger("churn.deliver")


@dataclass
class DeliverCounters:
    """What deliver has done since the process started; only ever added to."""

    records: int = 0
    """That the sink has taken."""
    retries: int = 0
    """Batches that had to be sent again, each time."""
    failing_since_s: float | None = None
    """Since when the sink has taken nothing, by the monotonic clock; None: it took what it was given last."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""


class _Item(NamedTuple):
    record: ConsumerRecord
    decision: Delivery


def make_deliver_app(settings: Settings, sink: Sink | None = None) -> App:
    """The app that keeps profiles; its sink is the Redis of the settings unless one is given."""
    deliver = Deliver(settings, sink or RedisProfiles(settings.redis_url))
    app = make_app(settings, "deliver-redis", read_committed=True)
    deliver.app = app
    app.deliver = deliver  # type: ignore[attr-defined]  # Faust apps carry what belongs to them
    add_agent(app, "deliver", [settings.topic(name) for name in DELIVERED], deliver.read)
    add_work(app, "deliver", deliver.announce, deliver.close)
    return app


def deliver_of(app: App) -> "Deliver":
    """The deliver of an app that `make_deliver_app` made."""
    deliver: Deliver = app.deliver  # type: ignore[attr-defined]  # set there
    return deliver


def pause_ms(attempt: int) -> int:
    """How long to wait after a failed attempt, counted from 1: twice as long each time, up to a bound.

    >>> [pause_ms(attempt) for attempt in (1, 2, 3, 20)]
    [200, 400, 800, 30000]
    """
    return int(min(_LONGEST_PAUSE_MS, _FIRST_PAUSE_MS * 2 ** min(attempt - 1, 20)))


class Deliver:
    """At least once, in the order of each partition. A sink that is down holds the position of this group, no other's."""

    app: App

    def __init__(self, settings: Settings, sink: Sink) -> None:
        self.counters = DeliverCounters()
        self._settings = settings
        self.sink = sink
        self._writer = LogWriter(settings)
        self._leaving = asyncio.Event()

    async def announce(self) -> None:
        """Say where the records go."""
        log.info("deliver.began", sink=self.sink.name)

    async def read(self, chunks: list[Chunk]) -> None:
        """Deliver all that can be read, put the rest aside, then say that the chunks are done."""
        sink = self.sink
        items, letters = _decoded(self._settings, chunks)
        refused = await self._deliver(sink, items, chunks[0].generation)
        if refused is None:
            return
        letters += [_letter(items[index].record, "sink_refused", f"{sink.name} cannot keep this record") for index in refused]
        if letters:
            place = Place(self._settings.topic("deadletters"), 0)
            await self._writer.write({place: [dead_letter_row(letter) for letter in letters]})
        for letter in letters:
            log.error("deliver.dead_letter", topic=letter.topic, partition=letter.partition, offset=letter.offset)
        self.counters.records += len(items) - len(refused)
        self.counters.dead_letters.update(letter.reason for letter in letters)
        for chunk in chunks:
            consumer_of(self.app).done(chunk.tp, chunk.records[-1].offset + 1, chunk.generation)

    async def close(self) -> None:
        """Give up on a sink that is down, and let go."""
        self._leaving.set()
        await self._writer.close()
        await self.sink.close()

    async def _deliver(self, sink: Sink, items: list[_Item], generation: int) -> tuple[int, ...] | None:
        """Try until the sink has taken the batch; the indices that it will never take.

        None: the partitions were taken away, or the process is to end; whoever reads them next delivers them.
        """
        attempt = 0
        while not self._leaving.is_set() and generation == self.app.consumer_generation_id:
            try:
                await sink.deliver([item.decision for item in items])
            except SinkError as error:
                if not error.retryable:
                    log.error("sink.refused", sink=sink.name, reason=str(error), records=len(error.refused))  # noqa: TRY400
                    return error.refused
                attempt += 1
                self.counters.failing_since_s = self.counters.failing_since_s or time.monotonic()
                self.counters.retries += 1
                await self._pause(sink, attempt, str(error))
            else:
                self.counters.failing_since_s = None
                if attempt:
                    log.info("sink.recovered", sink=sink.name, attempts=attempt)
                return ()
        return None

    async def _pause(self, sink: Sink, attempt: int, reason: str) -> None:
        delay_ms = pause_ms(attempt)
        log.warning("sink.retry_scheduled", sink=sink.name, attempt=attempt, delay_ms=delay_ms, reason=reason)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), delay_ms / 1000)


def _decoded(settings: Settings, chunks: list[Chunk]) -> tuple[list[_Item], list[DeadLetter]]:
    items: list[_Item] = []
    letters: list[DeadLetter] = []
    for chunk in chunks:
        for record in chunk.records:
            try:
                decision = _forgotten(settings, record) if record.value is None else decode_decision(record.value)
            except ContractError as error:
                letters.append(_letter(record, error.code, error.message))
                continue
            if isinstance(decision, AlertRecord | RiskRecord | LifecycleRecord | Forgotten):
                items.append(_Item(record, decision))
            elif decision is not None:
                message = f"the topic {record.topic} does not carry records of the type {decision.__struct_config__.tag}"
                letters.append(_letter(record, "unexpected_type", message))
    return items, letters


def _forgotten(settings: Settings, record: ConsumerRecord) -> Forgotten | None:
    """What a record without a value says; None where it is about no customer."""
    key = (record.key or b"").decode(errors="replace")
    if record.topic != settings.topic("alerts"):
        return Forgotten(key, "risk" if record.topic == settings.topic("risk") else "stage") if key else None
    customer = dict(record.headers).get(CUSTOMER_HEADER)
    return None if customer is None else Forgotten(customer.decode(errors="replace"), "alert", key)


def _letter(record: ConsumerRecord, reason: str, message: str) -> DeadLetter:
    return DeadLetter(
        value=record.value or b"",
        reason=reason,
        message=message,
        stage="deliver",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
