"""Records of `churn.progress`: how far ingest has read its sources, and what the clock has learned of their feeds."""

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


ARRIVALS_KEY: Final = "/arrivals/"
"""Begins the key of `Arrivals`, which the name of the feed follows; no heartbeat has a key with nothing before the slash."""


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
