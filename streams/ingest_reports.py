"""What ingest says of its progress: heartbeats for the clock, and how long a backlog will take, for people."""

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from faust import App
from faust.types import TP

from schemas.codec import encode
from schemas.progress import Heartbeat
from streams.catch_up import CatchUp
from streams.fetching import Position
from streams.heartbeats import Lane, Progress, Reading
from streams.log_writer import LogWriter
from streams.settings import Settings
from streams.source_gate import SourceGate
from streams.transactions import Place, Row
from streams.transport import consumer_of
from streams.wallclock import now_ms

_FETCHED_LATELY_MS: Final = 3_000
"""A consumer asks for news several times a second; without an answer for so long it does not know where the partition ends."""

log = structlog.get_logger("churn.ingest")


class IngestReports:
    """Of one process."""

    app: App

    def __init__(self, settings: Settings, progress: Progress, gate: SourceGate, writer: LogWriter) -> None:
        self.catch_up = CatchUp()
        self.read_records: Counter[str] = Counter()
        """Of each source topic, since the process started."""
        self._progress = progress
        self._gate = gate
        self._writer = writer
        self._place = Place(settings.topic("progress"), 0)

    async def positions(self) -> "Positions":
        """Where the partitions are at this moment."""
        consumer, generation = consumer_of(self.app), self.app.consumer_generation_id
        found = await consumer.positions()
        return Positions(generation, found, {tp: consumer.seeks(tp) for tp in found})

    async def write(self, at: "Positions") -> int:
        """Report to the clock, with the ids of the topics confirmed since the positions were taken; returns how many reports.

        Raises:
            KafkaError: it is not known whether they are there.
        """
        if self.app.consumer_generation_id != at.generation:
            return 0
        opened = self._gate.opened()
        same = [tp for tp, seeks in at.seeks.items() if opened.get(tp) == seeks]
        readings = {Lane(*tp): self._reading(tp, at.found[tp]) for tp in same}
        self._tell_backlogs(at, same)
        beats = self._progress.reports(readings, self._gate.partitions(), at.generation, self._gate.paused())
        await self._writer.write({self._place: [Row(_beat_key(beat), encode(beat)) for beat in beats]})
        return len(beats)

    def _reading(self, tp: TP, at: Position) -> Reading:
        is_known = at.fetched_ms > now_ms() - _FETCHED_LATELY_MS
        return Reading(position=at.position, end=at.end if is_known else None, idle=consumer_of(self.app).held(tp) == 0)

    def _tell_backlogs(self, at: "Positions", opened: Collection[TP]) -> None:
        behind: Counter[str] = Counter()
        for tp in opened:
            position = at.found[tp].position - consumer_of(self.app).held(tp)
            behind[tp.topic] += max(0, at.found[tp].end - position)
        self.catch_up.forget(self.catch_up.backlogs.keys() - behind.keys())
        for topic, records in behind.items():
            backlog = self.catch_up.report(topic, records, self.read_records[topic], time.monotonic())
            if backlog is not None:
                log.info(
                    "ingest.catching_up",
                    source=topic,
                    behind_records=records,
                    rate_per_s=round(backlog.rate_per_s),
                    eta_s=None if backlog.eta_s is None else round(backlog.eta_s),
                )


@dataclass(frozen=True)
class Positions:
    """Of the partitions that have been fetched, at one moment."""

    generation: int
    """Of the group."""
    found: Mapping[TP, Position]
    seeks: Mapping[TP, int]
    """How often each had been sought."""


def _beat_key(beat: Heartbeat) -> bytes:
    return f"{beat.feed}/{beat.topic}/{beat.partition}".encode()
