"""The role `ingest`: source records become events of the log or dead letters, and heartbeats say how far it got."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust import App

from schemas.codec import encode
from schemas.decisions import DeadLetter
from schemas.progress import Heartbeat
from streams.apps import add_agent, add_work, make_app
from streams.dead_letters import dead_letter_row
from streams.first_rules import wait_for_first_rules
from streams.heartbeats import Lane, Progress, Reading
from streams.log_writer import LogWriter
from streams.poison import PoisonWatch
from streams.redrive import first_topic, route_redriven
from streams.routing import route
from streams.settings import Settings
from streams.source_terms import load_terms
from streams.sources import REDRIVE_FEED, Source, load_sources
from streams.topic_tail import heartbeat_in, read_to_end, reader
from streams.transactions import Place, Row
from streams.transport import Chunk, ChunkConsumer, consumer_of
from streams.unmatched import MatchWatch
from streams.wallclock import now_ms

_FETCHED_LATELY_MS: Final = 3_000
"""A consumer asks for news several times a second; without an answer for so long it does not know where the partition ends."""

_FINISH_TIMEOUT_S: Final = 4.0

log = structlog.get_logger("churn.ingest")


@dataclass
class IngestCounters:
    """What ingest has done since the process started; only ever added to."""

    events: Counter[str] = field(default_factory=Counter)
    """Written to the log, by source topic."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""
    clamped: Counter[str] = field(default_factory=Counter)
    """Events a little ahead of the broker, by source topic."""
    heartbeats: int = 0


@dataclass
class _Routed:
    """What a chunk led to, before anything was written."""

    rows: dict[Place, list[Row]] = field(default_factory=dict)
    max_event_ms: int | None = None
    events: int = 0
    clamped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, place: Place, row: Row) -> None:
        self.rows.setdefault(place, []).append(row)


def make_ingest_app(settings: Settings) -> App:
    """The app of the role `ingest`.

    Raises:
        SourcesError: the file of sources has faults, or a mapping that it names.
    """
    sources = load_sources(settings)
    ingest = Ingest(settings, sources)
    app = make_app(settings, "ingest", read_committed=True)
    ingest.app = app
    app.ingest = ingest  # type: ignore[attr-defined]  # Faust apps carry what belongs to them
    add_agent(app, "ingest", [source.topic for source in sources], ingest.read)
    add_work(app, "heartbeats", ingest.report, ingest.close)
    return app


def ingest_of(app: App) -> "Ingest":
    """The ingest of an app that `make_ingest_app` made."""
    ingest: Ingest = app.ingest  # type: ignore[attr-defined]  # set there
    return ingest


class Ingest:
    """Acknowledges a source record when everything it led to is acknowledged. What fails on the way ends the process."""

    app: App

    def __init__(self, settings: Settings, sources: tuple[Source, ...]) -> None:
        self.counters = IngestCounters()
        self._settings = settings
        self._sources = load_terms(settings, sources)
        self._terms = self._sources.by_topic
        self._progress = Progress({source.topic: source.feed for source in sources})
        self._writer = LogWriter(settings)
        self._poison = PoisonWatch(settings.max_dead_letter_share)
        self._matches = MatchWatch(sources)
        self._caught_up = asyncio.Event()
        self._recalled: set[Lane] = set()
        self._writing = asyncio.Lock()
        self._leaving = False
        self._rules_lead = False

    async def read(self, chunks: list[Chunk]) -> None:
        """Route, write, wait for the acknowledgements, then say that the chunks are done.

        Raises:
            PoisonError: most of a source cannot be read.
            KafkaError: some of it is not in the log, or it is not known whether it is.
        """
        async with self._writing:
            if not self._leaving:
                await self._read(chunks)

    async def report(self) -> None:
        """Write heartbeats until the app stops: at each interval, and once more as soon as a backlog may be worked off."""
        while not self.app.should_stop:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._caught_up.wait(), self._settings.heartbeat_ms / 1000)
            self._caught_up.clear()
            if not self.app.rebalancing:
                await self._write_reports()

    async def close(self) -> None:
        """Finish what is being written, if the broker answers in time, and let go of it."""
        self._leaving = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._writing.acquire(), _FINISH_TIMEOUT_S)
        await self._writer.close()

    async def _read(self, chunks: list[Chunk]) -> None:
        if not self._rules_lead:
            await wait_for_first_rules(self._settings, lambda: self._leaving)
            if self._leaving:
                return
            self._rules_lead = True
        if not await self._sources.prepare(self._named(chunks), lambda: not self._leaving):
            return
        routed = [self._route(chunk) for chunk in chunks]
        for chunk, part in zip(chunks, routed, strict=True):
            if self._terms[chunk.tp.topic].source.feed == REDRIVE_FEED:
                continue  # what people redrove too early must not stop the sources
            self._matches.saw(chunk.tp.topic, chunk.records, part.events, part.reasons)
            self._poison.saw(chunk.tp.topic, len(chunk.records), part.reasons.total())
        rows: dict[Place, list[Row]] = {}
        for part in routed:
            for place, more in part.rows.items():
                rows.setdefault(place, []).extend(more)
        await self._writer.write(rows)
        for chunk, part in zip(chunks, routed, strict=True):
            self._done(chunk, part)
        if self._progress.behind:
            self._caught_up.set()

    def _named(self, chunks: list[Chunk]) -> Iterator[tuple[str, ConsumerRecord]]:
        """Records with the topic on whose terms they are read."""
        for chunk in chunks:
            topic = chunk.tp.topic
            again = self._terms[topic].source.feed == REDRIVE_FEED
            for record in chunk.records:
                yield (first_topic(record) if again else topic), record

    def _route(self, chunk: Chunk) -> _Routed:
        terms, routed = self._terms[chunk.tp.topic], _Routed()
        again = terms.source.feed == REDRIVE_FEED
        log_topic, dead_letters = self._settings.topic("events"), Place(self._settings.topic("deadletters"), 0)
        for record in chunk.records:
            found = route_redriven(record, self._terms) if again else route(record, terms)
            if isinstance(found, DeadLetter):
                routed.add(dead_letters, dead_letter_row(found))
                routed.reasons[found.reason] += 1
                continue
            for written in found.records:
                routed.add(Place(log_topic, written.partition), Row(written.key, written.value))
            routed.events += len(found.records)
            routed.clamped += found.clamped
            if found.max_event_ms is not None:
                routed.max_event_ms = max(found.max_event_ms, routed.max_event_ms or 0)
        return routed

    def _done(self, chunk: Chunk, routed: _Routed) -> None:
        topic, partition = chunk.tp.topic, chunk.tp.partition
        next_offset = chunk.records[-1].offset + 1
        consumer_of(self.app).done(chunk.tp, next_offset, chunk.generation)
        self._progress.read(Lane(topic, partition), next_offset, routed.max_event_ms, chunk.generation)
        self.counters.events[topic] += routed.events
        self.counters.clamped[topic] += routed.clamped
        self.counters.dead_letters.update(routed.reasons)
        for reason, count in routed.reasons.items():
            log.warning("ingest.dead_letters", topic=topic, partition=partition, reason=reason, count=count)

    async def _write_reports(self) -> None:
        consumer, generation = consumer_of(self.app), self.app.consumer_generation_id
        lanes = {Lane(tp.topic, tp.partition) for tp in consumer.assignment()}
        if not lanes <= self._recalled:
            self._progress.recall(await self._last_reports())
            self._recalled = lanes
        readings, partitions = await _readings(consumer)
        if self.app.consumer_generation_id != generation:
            return
        beats = self._progress.reports(readings, partitions, generation)
        place = Place(self._settings.topic("progress"), 0)
        await self._writer.write({place: [Row(_beat_key(beat), encode(beat)) for beat in beats]})
        self.counters.heartbeats += len(beats)

    async def _last_reports(self) -> list[Heartbeat]:
        """What was reported of our sources before, by whichever process."""
        async with reader(self._settings) as consumer:
            records = await read_to_end(consumer, TopicPartition(self._settings.topic("progress"), 0))
        beats = [beat for record in records if (beat := heartbeat_in(record)) is not None]
        return [beat for beat in beats if beat.topic in self._terms]


def _beat_key(beat: Heartbeat) -> bytes:
    return f"{beat.feed}/{beat.topic}/{beat.partition}".encode()


async def _readings(consumer: ChunkConsumer) -> tuple[dict[Lane, Reading], dict[str, int]]:
    """Positions and ends of the assigned partitions, and how many partitions their topics have."""
    found = await consumer.positions()
    fetched_after_ms = now_ms() - _FETCHED_LATELY_MS
    readings = {
        Lane(tp.topic, tp.partition): Reading(
            position=at.position,
            end=at.end if at.fetched_ms > fetched_after_ms else None,
            idle=consumer.held(tp) == 0,
        )
        for tp, at in found.items()
    }
    return readings, {tp.topic: at.partitions for tp, at in found.items()}
