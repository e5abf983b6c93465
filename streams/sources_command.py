"""`churnwatch sources list` and `sources reset`: which topics the sources are, and that one was made again on purpose."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.structs import TopicPartition

from schemas.progress import Heartbeat, SourceEpoch
from streams.columns import in_columns
from streams.log_writer import write_once
from streams.settings import Settings
from streams.source_epochs import ProgressReader, epoch_row, epochs_in
from streams.sources import Source, load_sources
from streams.topic_ids import FoundTopic, look_once
from streams.topic_tail import heartbeats_in, reader
from streams.topics import partition_count
from streams.transactions import Place

PAUSED: Final = {
    "poison": "most of it cannot be read; `churnwatch dlq list` says why. Mend its mapping, and start the worker anew",
    "recreated": "the topic was deleted and made again; `churnwatch sources reset NAME` lets it be read from its beginning",
    "missing": "there is no such topic",
    "registry": "the schema registry does not answer; when it does, the source goes on by itself",
}
"""What the states of a source say in which somebody has to do something."""

_PAUSED_BY_INGEST: Final = frozenset({"poison", "registry"})
"""The others are seen at the topic itself."""


class SourceRefused(RuntimeError):  # noqa: N818 - what became of the order
    """Nothing was changed; the message says why."""


@dataclass(frozen=True)
class SourceSeen:
    """What is known of a source."""

    topic: str
    feed: str
    epoch: int | None
    """None: nothing was ever read of it."""
    recorded_id: str | None
    found_id: str | None
    """Of the topic that there is now; None: there is none."""
    partitions: int
    behind_records: int | None
    """Not reported as read, up to the end of the topic; None where it is another one, or nothing was ever read."""
    paused: str | None
    """Why ingest does not read the topic, as the last reports say."""

    @property
    def state(self) -> str:
        """In a word: `read`, or why not."""
        if self.found_id is None:
            return "missing"
        if self.recorded_id is None:
            return "new"
        if self.recorded_id != self.found_id:
            return "recreated"
        return self.paused or "read"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "topic": self.topic,
            "feed": self.feed,
            "state": self.state,
            "epoch": self.epoch,
            "topic_id": self.recorded_id,
            "found_topic_id": self.found_id,
            "partitions": self.partitions,
            "behind_records": self.behind_records,
        }


def list_sources(settings: Settings) -> list[SourceSeen]:
    """Every source: which topic it is, and how far it was read by the last reports.

    Raises:
        SourcesError: the file of sources has faults.
        SourceRefused: there is no topic of progress.
        KafkaError: the broker does not answer.
    """
    sources = load_sources(settings)
    found = look_once(settings, [source.topic for source in sources])
    epochs, beats = _progress(settings)
    spans = asyncio.run(_spans(settings, found))
    return [_seen(source, found.get(source.topic), epochs.get(source.topic), beats, spans) for source in sources]


def reset(settings: Settings, name: str, *, epoch: int | None, by: str) -> list[SourceEpoch]:
    """Say that topics were deleted and made again: each is read from its first record, under the next epoch.

    Args:
        settings: broker and topics.
        name: of a topic, or of a feed: then of those of its topics that are not what they were.
        epoch: the number to go on with, where it was kept elsewhere and nothing was read yet; None: the next one.
        by: who says so.

    Raises:
        SourcesError: the file of sources has faults.
        SourceRefused: no such source, or there is nothing to reset.
        KafkaError: the broker does not answer.
    """
    sources = load_sources(settings)
    named = [source.topic for source in sources if name in {source.topic, source.feed}]
    if not named:
        known = ", ".join(sorted({source.topic for source in sources} | {source.feed for source in sources}))
        raise SourceRefused(f"there is no source {name!r}, neither a topic nor a feed: {known}")
    found = look_once(settings, named)
    epochs, _ = _progress(settings)
    decided = [_next(topic, found.get(topic), epochs.get(topic), epoch, by) for topic in named]
    new = [one for one in decided if isinstance(one, SourceEpoch)]
    if not new:
        raise SourceRefused("; ".join(one for one in decided if isinstance(one, str)))
    rows = [epoch_row(one) for one in new]
    asyncio.run(write_once(settings, {Place(settings.topic("progress"), 0): rows}))
    return new


def as_table(seen: Sequence[SourceSeen]) -> str:
    """For people: a line for each source under a line of titles."""
    rows = [("topic", "feed", "state", "epoch", "topic id", "partitions", "behind")]
    for one in seen:
        topic_id = one.recorded_id or "-"
        if one.found_id is not None and one.found_id != one.recorded_id:
            topic_id = f"{topic_id} (now {one.found_id})"
        numbers = (one.epoch, one.behind_records)
        epoch, behind = ("-" if number is None else str(number) for number in numbers)
        rows.append((one.topic, one.feed, one.state, epoch, topic_id, str(one.partitions), behind))
    return "\n".join(in_columns(rows))


def reset_in_words(new: Iterable[SourceEpoch], *, as_json: bool) -> str:
    """What a reset has done."""
    if as_json:
        return json.dumps({"reset": [{"topic": one.topic, "topic_id": one.topic_id, "epoch": one.epoch} for one in new]})
    return "\n".join(
        f"{one.topic} ({one.topic_id}) is read from its first record under epoch {one.epoch}; a worker that runs notices "
        "within seconds"
        for one in new
    )


def _next(topic: str, found: FoundTopic | None, known: SourceEpoch | None, epoch: int | None, by: str) -> SourceEpoch | str:
    """The epoch to be recorded, or why there is none."""
    if found is None:
        return f"the topic {topic} does not exist"
    if known is not None and known.topic_id == found.topic_id:
        return f"{topic} is what it was, {known.topic_id}, read under epoch {known.epoch}: there is nothing to reset"
    least = 0 if known is None else known.epoch + 1
    if epoch is None:
        if known is None:
            return f"nothing was read of {topic} yet: there is nothing to reset"
    elif epoch < least:
        return f"{topic} has epoch {least - 1} already: only a greater one can follow"
    return SourceEpoch(topic=topic, topic_id=found.topic_id, epoch=least if epoch is None else epoch, by=by)


def _seen(
    source: Source,
    found: FoundTopic | None,
    known: SourceEpoch | None,
    beats: Mapping[TopicPartition, Heartbeat],
    spans: Mapping[TopicPartition, tuple[int, int]],
) -> SourceSeen:
    ours = {tp: span for tp, span in spans.items() if tp.topic == source.topic}
    reports = {tp: beats[tp] for tp in ours if tp in beats}
    behind = sum(end - min(end, max(begin, reports[tp].position if tp in reports else 0)) for tp, (begin, end) in ours.items())
    is_same = found is not None and known is not None and known.topic_id == found.topic_id
    return SourceSeen(
        topic=source.topic,
        feed=source.feed,
        epoch=None if known is None else known.epoch,
        recorded_id=None if known is None else known.topic_id,
        found_id=None if found is None else found.topic_id,
        partitions=0 if found is None else found.partitions,
        behind_records=behind if is_same else None,
        paused=next((beat.paused for beat in reports.values() if beat.paused in _PAUSED_BY_INGEST), None),
    )


def _progress(settings: Settings) -> tuple[dict[str, SourceEpoch], dict[TopicPartition, Heartbeat]]:
    topic = settings.topic("progress")
    if partition_count(settings, topic) is None:
        raise SourceRefused(f"the topic {topic} does not exist: `churnwatch topics` creates it")
    records = asyncio.run(ProgressReader(settings).new())
    return epochs_in(records), {TopicPartition(beat.topic, beat.partition): beat for beat in heartbeats_in(records)}


async def _spans(settings: Settings, found: Mapping[str, FoundTopic]) -> dict[TopicPartition, tuple[int, int]]:
    """Where each partition of the topics begins and ends."""
    tps = [TopicPartition(topic, number) for topic, at in found.items() for number in range(at.partitions)]
    if not tps:
        return {}
    async with reader(settings) as consumer:
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    return {tp: (begins[tp], ends[tp]) for tp in tps}
