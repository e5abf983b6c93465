"""Opens the partitions of sources that may be read, at the right place, and keeps the others shut.

Nothing of a topic is forwarded unless the broker has confirmed its id after the records were fetched: offsets of a topic
that was deleted and made again start over, and what came of it under the old epoch would be counted twice, or dropped.
"""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka.errors import KafkaError
from faust import App
from faust.types import TP

from schemas.progress import SourceEpoch
from streams.chunks import Chunk, Done
from streams.heartbeats import Lane, Progress
from streams.log_writer import LogWriter
from streams.readiness import Obstacle
from streams.settings import Settings
from streams.source_epochs import ProgressReader, epoch_row, epochs_in
from streams.source_states import Pause, Reason, SourceStates
from streams.topic_ids import FoundTopic, TopicIds
from streams.topic_tail import heartbeats_in
from streams.transactions import Place
from streams.transport import consumer_of

_TRY_AGAIN_S: Final = 0.2

log = structlog.get_logger("churn.ingest")


@dataclass(frozen=True)
class _Opened:
    """How a partition is read."""

    epoch: SourceEpoch
    seeks: int
    """What was taken after an earlier seek belongs to something else."""


class SourceGate:
    """Of one process. Its callers see to it that nothing is written while it opens or shuts a partition."""

    app: App

    def __init__(self, settings: Settings, topics: Collection[str], progress: Progress, writer: LogWriter) -> None:
        self.states = SourceStates(topics)
        self.woken = asyncio.Event()
        """There is something to tend."""
        self._topics = frozenset(topics)
        self._progress = progress
        self._writer = writer
        self._place = Place(settings.topic("progress"), 0)
        self._ids = TopicIds(settings)
        self._recorded = ProgressReader(settings)
        self._found: dict[str, FoundTopic] = {}
        self._opened: dict[TP, _Opened] = {}
        self._generation: int | None = None

    async def on_assigned(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """The hook of the transport: nothing is read before it is known of which topic, and from where on."""
        log.debug("ingest.partitions_assigned", count=len(assigned))
        self._opened.clear()
        self.woken.set()
        return {}

    async def tend(self) -> bool:
        """Open what may be read and is not open, shut what may not; false if the broker could not be asked.

        Raises:
            KafkaError: the broker refuses, or a record cannot be written.
        """
        generation = self.app.consumer_generation_id
        try:
            self._found = await self._ids.look(self._topics)
        except KafkaError as error:
            if not error.retriable:
                raise
            log.debug("ingest.topic_ids_unknown", reason=repr(error))
            return False
        before = dict(self.states.pauses)
        await self._learn(generation)
        ours = {tp.topic for tp in self._assigned()}
        for topic in sorted(self._topics):
            if topic in ours or topic in self.states.pauses or topic not in self._found:
                self._settle(topic)
            self._tell(topic, before.get(topic), self.states.pauses.get(topic))
        await consumer_of(self.app).see_partitions(self.partitions())
        await self._open([tp for tp in self._assigned() if self._may_be_read(tp.topic) and tp not in self._opened], generation)
        return True

    async def as_recorded(self, chunks: Collection[Chunk]) -> list[Chunk]:
        """The chunks that are sure to come of the topics that are recorded; the partitions of the others are shut."""
        topics = {chunk.tp.topic for chunk in chunks if self.is_open(chunk)}
        found = await self._look(topics)
        for topic in topics:
            if not self.states.is_recorded(topic, _id_of(found.get(topic))):
                self._shut(topic)
                self.woken.set()
        return [chunk for chunk in chunks if self.is_open(chunk)]

    def is_open(self, chunk: Chunk) -> bool:
        """Whether a chunk was taken from a partition as it is open now."""
        opened = self._opened.get(chunk.tp)
        return opened is not None and opened.seeks == chunk.seeks

    def opened(self) -> dict[TP, int]:
        """The partitions that are read, each with how often it had been sought when it was opened."""
        return {tp: opened.seeks for tp, opened in self._opened.items()}

    def epoch(self, topic: str) -> SourceEpoch:
        """Of a topic with an open partition."""
        return self.states.epochs[topic]

    async def pause(self, topic: str, reason: Reason, says: str, dropped: Iterable[Chunk]) -> None:
        """Read no more of a topic; what was dropped is read again some day."""
        self.states.pause(topic, reason, says, time.monotonic())
        self._tell(topic, None, self.states.pauses[topic])
        self._shut(topic)
        first: dict[TP, int] = {}
        for chunk in dropped:
            first.setdefault(chunk.tp, chunk.records[0].offset)
        for tp, offset in first.items():
            await consumer_of(self.app).hold(tp, offset)

    def go_on(self, topic: str, reason: Reason) -> None:
        """Read a topic again, if that is why it is paused."""
        pause = self.states.pauses.get(topic)
        if pause is not None and pause.reason == reason:
            del self.states.pauses[topic]
            self._tell(topic, pause, None)
            self.woken.set()

    def paused(self) -> dict[Lane, str]:
        """The partitions of this process that are not read, and why."""
        pauses = self.states.pauses
        return {Lane(*tp): pauses[tp.topic].reason for tp in self._assigned() if tp.topic in pauses}

    def partitions(self) -> dict[str, int]:
        """How many each topic has."""
        return {topic: found.partitions for topic, found in self._found.items()}

    def obstacles(self) -> list[Obstacle]:
        """The sources that are paused, as far as partitions of them are ours; called from the thread of the metrics."""
        if not self.states.pauses:
            return []
        now_s, ours = time.monotonic(), {tp.topic for tp in self._assigned()}
        return [
            Obstacle("ingest", f"source_{pause.reason}", pause.says, now_s - pause.since_s)
            for topic, pause in sorted(self.states.pauses.items())
            if topic in ours or pause.reason == "missing"
        ]

    async def close(self) -> None:
        """Let go of the broker."""
        await self._ids.close()

    # -- inside

    def _assigned(self) -> list[TP]:
        return sorted(TP(*tp) for tp in consumer_of(self.app).assignment())

    async def _learn(self, generation: int) -> None:
        """Read what others have recorded: at each assignment, and while it does not go with what there is."""
        topics = {tp.topic for tp in self._assigned()} & self._found.keys()
        unknown = [topic for topic in topics if not self.states.is_recorded(topic, self._found[topic].topic_id)]
        if generation != self._generation or unknown:
            records = await self._recorded.new()
            self._progress.recall(beat for beat in heartbeats_in(records) if beat.topic in self._topics)
            self.states.learn(epochs_in(records))
            self._generation = generation
        first = [
            SourceEpoch(topic=topic, topic_id=self._found[topic].topic_id, epoch=0)
            for topic in sorted(topics - self.states.epochs.keys())
        ]
        if first:
            await self._writer.write({self._place: [epoch_row(epoch) for epoch in first]})
            self.states.learn({epoch.topic: epoch for epoch in first})

    def _settle(self, topic: str) -> None:
        """Shut the partitions of a topic if it may not be read as they are open."""
        found, now_s = self._found.get(topic), time.monotonic()
        verdict = self.states.judge(topic, _id_of(found), now_s)
        if verdict == "another" and found is not None:
            self.states.recreated(topic, found.topic_id, now_s)
        opened = {at.epoch for tp, at in self._opened.items() if tp.topic == topic}
        if verdict != "read" or opened - {self.states.epochs.get(topic)}:
            self._shut(topic)

    @staticmethod
    def _tell(topic: str, before: Pause | None, pause: Pause | None) -> None:
        if pause is not None and pause != before:
            log.error("ingest.source_paused", topic=topic, reason=pause.reason, says=pause.says)
        elif pause is None and before is not None:
            log.info("ingest.source_goes_on", topic=topic)

    def _may_be_read(self, topic: str) -> bool:
        found = self._found.get(topic)
        return found is not None and self.states.is_recorded(topic, found.topic_id) and topic not in self.states.pauses

    def _shut(self, topic: str) -> None:
        for tp in [tp for tp in self._opened if tp.topic == topic]:
            del self._opened[tp]
            consumer_of(self.app).pause(tp)

    async def _open(self, tps: Collection[TP], generation: int) -> None:
        consumer = consumer_of(self.app)
        committed = await consumer.committed(tps) if tps else {}
        for tp in tps:
            epoch = self.states.epochs[tp.topic]
            offset = _start(epoch, committed.get(tp))
            if not self._is_still(generation) or not await consumer.read_from(tp, offset):
                return  # the next assignment opens them
            self._progress.begin(Lane(*tp))
            self._opened[tp] = _Opened(epoch, consumer.seeks(tp))
            log.debug("ingest.partition_opened", topic=tp.topic, partition=tp.partition, epoch=epoch.epoch, offset=offset)

    def _is_still(self, generation: int) -> bool:
        return not self.app.rebalancing and self.app.consumer_generation_id == generation

    async def _look(self, topics: Collection[str]) -> Mapping[str, FoundTopic]:
        """Ask until there is an answer: as long as there is none nothing can be written anyway."""
        while topics:
            try:
                return await self._ids.look(topics)
            except KafkaError as error:
                if not error.retriable:
                    raise
                await asyncio.sleep(_TRY_AGAIN_S)
        return {}


def _id_of(found: FoundTopic | None) -> str | None:
    return None if found is None else found.topic_id


def _start(epoch: SourceEpoch, committed: Done | None) -> int:
    """Where reading begins: where it was left, if that was in this topic.

    An offset without the id of a topic comes from a release that knew no ids, or was set by hand; the group's offsets may
    have outlived a topic, so only in the first epoch it is believed. From the beginning is always right: the engine drops
    what it knows.
    """
    if committed is not None and (committed.note == epoch.topic_id or (not committed.note and not epoch.epoch)):
        return committed.next_offset
    return 0
