"""The role `clock`: whoever owns the partition of `churn.progress` writes ticks, feed changes and documents into the log."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust import App
from faust.types import TP

from schemas.codec import decode_arrivals, decode_record, encode
from schemas.control import FeedChanged, FeedConfirmed, FeedSpan, Published, RulesPublished, Tick
from schemas.errors import ContractError
from schemas.progress import ARRIVALS_KEY, Arrivals
from streams.apps import add_agent, add_work, make_app
from streams.chunks import Chunk, from_the_beginning
from streams.feed_marks import ClockForm, ClockState
from streams.log_writer import LogWriter
from streams.settings import Settings
from streams.sources import load_sources, topics_by_feed
from streams.topic_tail import heartbeat_in, last_ticks, read_to_end, reader
from streams.transactions import Place, Row
from streams.transport import consumer_of

_OWNERSHIP_CHECK_S: Final = 0.1
_FETCH_WAIT_MS: Final = 200
_LEAST_WAIT_MS: Final = 10
_IDLE_INTERVALS: Final = 5
"""After so many intervals in which no mark moved a tick is due all the same, so that the log shows a living clock."""
_LEAST_LAGGING_MS: Final = 10_000
_HEARTBEATS_MISSED: Final = 5

Document = Published | FeedSpan
"""What `churn.control` holds, to be copied into every partition."""

log = structlog.get_logger("churn.clock")


class NotTheOwner(Exception):  # noqa: N818 - a state of the group
    """Another process is the clock now, or the group is about to decide."""


@dataclass
class ClockCounters:
    """What the clock has written since the process started; only ever added to. Each record goes to every partition."""

    ticks: int = 0
    feed_changes: int = 0
    documents: int = 0


def make_clock_app(settings: Settings) -> App:
    """The app of the role `clock`.

    Raises:
        SourcesError: the file of sources has faults.
    """
    clock = Clock(settings, clock_form(settings))
    app = make_app(settings, "clock", seek=from_the_beginning)
    clock.app = app
    app.clock = clock  # type: ignore[attr-defined]  # Faust apps carry what belongs to them
    add_agent(app, "clock", [settings.topic("progress")], clock.read)
    add_work(app, "clock", clock.run, clock.close)
    return app


def clock_of(app: App) -> "Clock":
    """The clock of an app that `make_clock_app` made."""
    clock: Clock = app.clock  # type: ignore[attr-defined]  # set there
    return clock


def clock_form(settings: Settings) -> ClockForm:
    """What the clock of an installation watches.

    Raises:
        SourcesError: the file of sources has faults.
    """
    patience_ms = max(_LEAST_LAGGING_MS, _HEARTBEATS_MISSED * settings.heartbeat_ms)
    if settings.clock == "event":  # a feed without events for some time is usual, and nobody waits for them
        patience_ms = settings.dead_after_ms // 2
    return ClockForm(
        mode=settings.clock,
        topics=topics_by_feed(load_sources(settings)),
        lagging_after_ms=min(patience_ms, settings.dead_after_ms),
        dead_after_ms=settings.dead_after_ms,
    )


class Clock:
    """Reduces `churn.progress` from its beginning at each assignment, and writes while the group says that it may.

    Two clocks at once, one of them a process that slept, do no harm: marks of the engine never go back, and a document
    with a revision that it has is ignored. Each write is preceded by a proof of membership all the same.
    """

    app: App

    def __init__(self, settings: Settings, form: ClockForm) -> None:
        self.counters = ClockCounters()
        self.state = ClockState(form)
        self._form = form
        self._settings = settings
        self._progress = TP(settings.topic("progress"), 0)
        self._control = TopicPartition(settings.topic("control"), 0)
        self._writer = LogWriter(settings)
        self._generation = -1
        self._next_offset = 0
        self._ticked_s = 0.0
        self._quiet_intervals = 0

    async def read(self, chunks: list[Chunk]) -> None:
        """Take heartbeats in; the first ones of a new generation are the first of the topic."""
        for chunk in chunks:
            self._enter(chunk.generation)
            for record in chunk.records:
                if (beat := heartbeat_in(record)) is not None:
                    self.state.heartbeat(beat, record.timestamp)
                elif (kept := arrivals_in(record)) is not None:
                    self.state.recall(kept)
            self._next_offset = chunk.records[-1].offset + 1

    async def run(self) -> None:
        """Be the clock whenever this process is the owner, until the app stops."""
        while not self.app.should_stop:
            try:
                if self._owns(self.app.consumer_generation_id):
                    await self._be_the_clock(self.app.consumer_generation_id)
            except NotTheOwner:
                log.info("clock.lost", generation=self._generation)
            await asyncio.sleep(_OWNERSHIP_CHECK_S)

    async def close(self) -> None:
        """Let go of the broker."""
        await self._writer.close()

    def _owns(self, generation: int) -> bool:
        app = self.app
        if app.should_stop or app.rebalancing or generation != app.consumer_generation_id:
            return False
        return self._progress in consumer_of(app).assignment()

    async def _prove_ownership(self) -> None:
        """Ask the broker: a process that slept through its session believes for a while that nothing has changed.

        Raises:
            NotTheOwner: the broker does not take our offsets (now).
        """
        if not await consumer_of(self.app).still_member(self._progress, self._next_offset):
            raise NotTheOwner

    def _enter(self, generation: int) -> None:
        if generation != self._generation:
            self._generation, self._next_offset = generation, 0
            self.state = ClockState(self._form)

    async def _be_the_clock(self, generation: int) -> None:
        self._enter(generation)
        log.info("clock.began", generation=generation, mode=self._form.mode)
        for tick in await last_ticks(self._settings):
            self.state.resume(tick)
        async with reader(self._settings, fetch_wait_ms=_FETCH_WAIT_MS) as control:
            await self._publish(last_of_each_key(await read_to_end(control, self._control)))
            progress = TopicPartition(*self._progress)
            reported = (await control.end_offsets([progress]))[progress]
            while self._owns(generation):
                arrived = await control.getmany(self._control, timeout_ms=self._ms_until_tick())
                await self._publish(arrived.get(self._control, []))
                if self._ms_until_tick() <= _LEAST_WAIT_MS and self._next_offset >= reported:
                    await self._tick()
        log.info("clock.ended", generation=generation)

    def _ms_until_tick(self) -> int:
        due_s = self._ticked_s + self._settings.tick_ms / 1000
        return max(_LEAST_WAIT_MS, round((due_s - time.monotonic()) * 1000))

    async def _publish(self, records: list[ConsumerRecord]) -> None:
        """Copy documents to every partition, in the order of their revisions."""
        documents = [found for record in records if (found := document_in(record)) is not None]
        if not documents:
            return
        await self._prove_ownership()
        await self._write(documents)
        for document in documents:
            if isinstance(document, RulesPublished):
                self.state.rules(document.document)
            elif isinstance(document, FeedConfirmed):
                self.state.confirm(document)
            log.info("clock.published", document=document.type, revision=document.revision)
        self.counters.documents += len(documents)

    async def _tick(self) -> None:
        self._ticked_s = time.monotonic()
        await self._prove_ownership()  # before the decision, which takes for granted that it will be written
        decided = self.state.decide(idle=self._quiet_intervals >= _IDLE_INTERVALS)
        self._quiet_intervals = 0 if decided else self._quiet_intervals + 1
        # First, for a clock that takes over must know of a silence that the log was told of.
        learned = [Row(f"{ARRIVALS_KEY}{kept.feed}".encode(), encode(kept)) for kept in self.state.learned()]
        if learned:
            await self._writer.write({Place(self._progress.topic, self._progress.partition): learned})
        if decided:
            await self._write(decided)
        for change in decided:
            if isinstance(change, FeedChanged):
                why = {} if change.reason is None else {"reason": change.reason}
                log.info("clock.feed_changed", feed=change.source, status=change.status, since_ms=change.since_ms, **why)
                self.counters.feed_changes += 1
            else:
                self.counters.ticks += 1

    async def _write(self, records: Sequence[Document | FeedChanged | Tick]) -> None:
        rows = [Row(None, encode(record)) for record in records]
        log_topic = self._settings.topic("events")
        written_ms = await self._writer.write({Place(log_topic, n): rows for n in range(self._settings.partitions)})
        if written_ms is not None:
            self.state.broker_time(written_ms)


def last_of_each_key(records: Sequence[ConsumerRecord]) -> list[ConsumerRecord]:
    """What compaction would leave, in the order of the offsets."""
    return sorted({record.key: record for record in records}.values(), key=lambda record: record.offset)


def arrivals_in(record: ConsumerRecord) -> Arrivals | None:
    """What an earlier clock has learned, in a record of `churn.progress`; None if it is no such record."""
    if record.value is None or not (record.key or b"").startswith(ARRIVALS_KEY.encode()):
        return None
    try:
        return decode_arrivals(record.value)
    except ContractError as error:  # it is learned anew
        log.warning("clock.arrivals_unreadable", offset=record.offset, reason=error.code, message=error.message)
        return None


def document_in(record: ConsumerRecord) -> Document | None:
    """The document in a record of `churn.control`, with its revision; None, and a line in the log, if there is none."""
    if record.value is None:
        return None
    try:
        found = decode_record(record.value)
    except ContractError as error:
        log.error("clock.document_refused", offset=record.offset, reason=error.code, message=error.message)  # noqa: TRY400
        return None
    if not isinstance(found, Published | FeedSpan):
        log.error("clock.document_refused", offset=record.offset, reason="no_document", message=f"a {found.type} is none")
        return None
    return msgspec.structs.replace(found, revision=record.offset + 1, at_ms=max(0, record.timestamp))
