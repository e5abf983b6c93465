"""Records of `churn.progress`: how far ingest has read which topics, and what the clock has learned of their feeds."""

from typing import Annotated, Final

import msgspec

from schemas.events import Count, EpochMs, Id


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """One source partition at one moment; compacted by feed, topic and partition."""

    feed: Id
    topic: Id
    partition: Count
    partitions: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    """How many the topic has: a feed has no mark until each of them has reported."""
    generation: int
    """Of the consumer group; reports of a lower one come from a zombie and are ignored."""
    position: Count
    """Next offset to read; everything before it is in the log."""
    max_event_ms: EpochMs | None = None
    """Greatest time of an event (or watermark) read so far."""
    caught_up: bool
    paused: Id | None = None
    """Why the partition is not read until somebody does something, like `poison` or `recreated`; None: it is read."""


EPOCH_KEY: Final = "/epoch/"
"""Begins the key of `SourceEpoch`, which a topic follows; no heartbeat has a key with nothing before the slash."""


class SourceEpoch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which topic it is that events of a source come from; compacted by the topic's name.

    A topic that was deleted and made again has the same name and another id, and its offsets start over.
    """

    topic: Id
    topic_id: Id
    """The broker's."""
    epoch: Count
    """Stands in the position of every event."""
    by: Id | None = None
    """Who reset it."""


ARRIVALS_KEY: Final = "/arrivals/"
"""Begins the key of `Arrivals`, which the name of the feed follows."""


class Arrivals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the clock has learned of the usual arrivals of a feed; compacted by feed."""

    feed: Id
    first_hour: Count
    """Since the epoch."""
    counts: list[int]
    """Records by the hour, from the first hour on; -1 where nobody knows."""
    longest: dict[str, float] = {}
    """By week since the epoch: how many records were missing in the longest silence that ended by itself."""
    last_ms: EpochMs | None = None
    """When the last record came, at the latest."""
    silent_since_ms: EpochMs | None = None
    catching_up: bool = False
    """It was silent, and brings what should have come then."""
    positions: dict[str, Count] = {}
    """By source partition, as far as it was read then."""
