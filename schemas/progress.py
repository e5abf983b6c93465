"""Heartbeats of `churn.progress`: how far ingest has read each partition of each source topic."""

from typing import Annotated

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
