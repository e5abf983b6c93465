"""The role `ingest`: source records become events of the log or dead letters, and heartbeats say how far it got."""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

from aiokafka.structs import ConsumerRecord
from faust import App

from schemas.decisions import DeadLetter
from streams.apps import add_agent, add_work, make_app
from streams.chunks import Chunk
from streams.dead_letters import dead_letter_row
from streams.first_rules import wait_for_first_rules
from streams.heartbeats import Lane, Progress
from streams.ingest_reports import IngestReports
from streams.letter_log import LetterLog
from streams.log_writer import LogWriter
from streams.poison import PoisonWatch
from streams.readiness import Obstacle
from streams.redrive import route_redriven
from streams.registry_pauses import RegistryPauses
from streams.routing import route
from streams.settings import Settings
from streams.source_gate import SourceGate
from streams.source_terms import load_terms
from streams.sources import REDRIVE_FEED, Source, load_sources
from streams.traces import Headers, trace_headers
from streams.tracing import tracing_of
from streams.transactions import Place, Row
from streams.transport import consumer_of
from streams.unmatched import MatchWatch

_CHECK_MS: Final = 1_000
"""The ids of the topics are looked at so often at least, also when nothing comes."""
_REBALANCE_CHECK_S: Final = 0.02
_FINISH_TIMEOUT_S: Final = 4.0


@dataclass
class IngestCounters:
    """What ingest has done since the process started; but for `late_ms` only ever added to."""

    events: Counter[str] = field(default_factory=Counter)
    """Written to the log, by source topic."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""
    clamped: Counter[str] = field(default_factory=Counter)
    """Events a little ahead of the broker, by source topic."""
    late_ms: dict[str, int] = field(default_factory=dict)
    """How old the newest event of the last chunk was when the broker had it, by source topic."""
    heartbeats: int = 0


@dataclass
class _Routed:
    """What a chunk led to, before anything was written."""

    rows: dict[Place, list[Row]] = field(default_factory=dict)
    max_event_ms: int | None = None
    events: int = 0
    clamped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    traced: list[tuple[ConsumerRecord, Headers, str]] = field(default_factory=list)
    """Records that belong to a trace, by which headers, and why they became dead letters."""

    def add(self, place: Place, row: Row) -> None:
        self.rows.setdefault(place, []).append(row)


def make_ingest_app(settings: Settings) -> App:
    """The app of the role `ingest`.

    Raises:
        SourcesError: the file of sources has faults, or a mapping that it names.
    """
    sources = load_sources(settings)
    ingest = Ingest(settings, sources)
    app = make_app(settings, "ingest", read_committed=True, seek=ingest.gate.on_assigned)
    ingest.app = ingest.gate.app = ingest.reports.app = app
    app.ingest = ingest  # type: ignore[attr-defined]  # Faust apps carry what belongs to them
    add_agent(app, "ingest", [source.topic for source in sources], ingest.read)
    add_work(app, "heartbeats", ingest.report, ingest.close)
    if ingest.registry.is_needed:
        add_work(app, "schemas", ingest.registry.retry, ingest.registry.close)
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
        self.gate = SourceGate(settings, self._terms.keys(), self._progress, self._writer)
        self.reports = IngestReports(settings, self._progress, self.gate, self._writer)
        self._poison = PoisonWatch(settings.max_dead_letter_share)
        self._matches = MatchWatch(sources)
        self._letters = LetterLog()
        self._writing = asyncio.Lock()
        self._tracing = tracing_of(settings)
        self._leaving = False
        self._rules_lead = False
        self.registry = RegistryPauses(self._sources, self.gate, self._writing)

    async def read(self, chunks: list[Chunk]) -> None:
        """Route, write, wait for the acknowledgements, then say that the chunks are done.

        Raises:
            KafkaError: some of it is not in the log, or it is not known whether it is.
        """
        if not await self._can_begin(chunks):  # not while writing: reports go on meanwhile
            return
        async with self._writing:
            if not self._leaving:
                await self._read(chunks)

    async def report(self) -> None:
        """Tend the sources and write heartbeats until the app stops: at each interval, and when something woke us."""
        interval_s, reported_s = self._settings.heartbeat_ms / 1000, 0.0
        while not self.app.should_stop:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gate.woken.wait(), min(interval_s, _CHECK_MS / 1000))
            if self.app.rebalancing:
                await asyncio.sleep(_REBALANCE_CHECK_S)
                continue
            self._letters.tell()
            is_due = self.gate.woken.is_set() or time.monotonic() - reported_s >= interval_s
            self.gate.woken.clear()
            if await self._tend(is_due=is_due) and is_due:
                reported_s = time.monotonic()

    def obstacles(self) -> list[Obstacle]:
        """What is in the way; called from the thread of the metrics."""
        return self.gate.obstacles()

    async def close(self) -> None:
        """Finish what is being written, if the broker answers in time, and let go of it."""
        self._leaving = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._writing.acquire(), _FINISH_TIMEOUT_S)
        self._letters.tell(everything=True)
        await self._writer.close()
        await self.gate.close()

    async def _tend(self, *, is_due: bool) -> bool:
        positions = await self.reports.positions()
        async with self._writing:  # no partition is opened or shut while something of it is being written
            is_sure = await self.gate.tend()
        if is_sure and is_due:
            self.counters.heartbeats += await self.reports.write(positions)
        return is_sure

    async def _can_begin(self, chunks: list[Chunk]) -> bool:
        """Wait for the first rules, and for the schemas that records name; false if the worker is stopped meanwhile."""
        if not self._rules_lead:
            await wait_for_first_rules(self._settings, lambda: self._leaving)
            if self._leaving:
                return False
            self._rules_lead = True
        await self.registry.prepare(chunks, lambda: self._leaving)
        return not self._leaving

    async def _read(self, chunks: list[Chunk]) -> None:
        spans = self._tracing.begin("ingest")
        routed = [(chunk, self._route(chunk)) for chunk in await self.gate.as_recorded(chunks)]
        await self._look_for_poison(routed)
        routed = [(chunk, part) for chunk, part in routed if self.gate.is_open(chunk)]
        rows: dict[Place, list[Row]] = {}
        for _, part in routed:
            for place, more in part.rows.items():
                rows.setdefault(place, []).extend(more)
        await self._writer.write(rows)
        for chunk, part in routed:
            for record, traced, fault in part.traced:
                spans.add_record(record, traced, fault=fault)
            self._done(chunk, part)
        spans.end()
        if self._progress.behind:
            self.gate.woken.set()

    async def _look_for_poison(self, routed: list[tuple[Chunk, _Routed]]) -> None:
        for chunk, part in routed:
            topic = chunk.tp.topic
            if not self.gate.is_open(chunk):
                continue
            if self._terms[topic].source.feed != REDRIVE_FEED:  # its records go by many mappings
                self._matches.saw(topic, chunk.records, part.events, part.reasons)
            says = self._poison.saw(topic, len(chunk.records), part.reasons.total())
            if says is not None:
                await self.gate.pause(topic, "poison", says, [dropped for dropped, _ in routed if dropped.tp.topic == topic])

    def _route(self, chunk: Chunk) -> _Routed:
        terms, routed = replace(self._terms[chunk.tp.topic], epoch=self.gate.epoch(chunk.tp.topic).epoch), _Routed()
        self._terms[chunk.tp.topic] = terms
        again = terms.source.feed == REDRIVE_FEED
        dead_letters = Place(self._settings.topic("deadletters"), 0)
        by_partition: list[list[Row]] = [[] for _ in range(terms.partitions)]
        for record in chunk.records:
            found = route_redriven(record, self._terms) if again else route(record, terms)
            traced = trace_headers(record.headers, redriven=again) if record.headers else ()
            if traced:
                routed.traced.append((record, traced, found.reason if isinstance(found, DeadLetter) else ""))
            if isinstance(found, DeadLetter):
                routed.add(dead_letters, dead_letter_row(found))
                routed.reasons[found.reason] += 1
                continue
            for written in found.records:
                by_partition[written.partition].append(Row(written.key, written.value, traced))
            routed.events += len(found.records)
            routed.clamped += found.clamped
            if found.max_event_ms is not None:
                routed.max_event_ms = max(found.max_event_ms, routed.max_event_ms or 0)
        log_topic = self._settings.topic("events")
        routed.rows |= {Place(log_topic, number): rows for number, rows in enumerate(by_partition) if rows}
        return routed

    def _done(self, chunk: Chunk, routed: _Routed) -> None:
        topic, partition = chunk.tp.topic, chunk.tp.partition
        next_offset = chunk.records[-1].offset + 1
        consumer_of(self.app).done(chunk.tp, next_offset, chunk.generation, self.gate.epoch(topic).topic_id)
        self._progress.read(Lane(topic, partition), next_offset, routed.max_event_ms, chunk.generation)
        self.reports.read_records[topic] += len(chunk.records)
        self.counters.events[topic] += routed.events
        self.counters.clamped[topic] += routed.clamped
        if routed.max_event_ms is not None:
            self.counters.late_ms[topic] = max(0, chunk.records[-1].timestamp - routed.max_event_ms)
        self.counters.dead_letters.update(routed.reasons)
        self._letters.add(topic, routed.reasons)
