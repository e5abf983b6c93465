"""The first rules come before the first event: else a history that is imported at once would be silent about its past.

A rule looks at events from where it stands in the log. On a new installation the clock and ingest start together, so
ingest holds its first records back until the clock has copied the published rules to every partition.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from aiokafka.structs import TopicPartition

from streams.settings import Settings
from streams.topic_tail import reader

_POLL_S: Final = 0.2
_TELL_EVERY_S: Final = 10.0

log = structlog.get_logger("churn.ingest")


async def wait_for_first_rules(settings: Settings, is_leaving: Callable[[], bool]) -> None:
    """Return once no partition of the log is empty, or nothing was published, or the caller leaves."""
    told_s = time.monotonic()
    async with reader(settings) as consumer:
        control = TopicPartition(settings.topic("control"), 0)
        partitions = [TopicPartition(settings.topic("events"), number) for number in range(settings.partitions)]
        while not is_leaving():
            ends = await consumer.end_offsets([control, *partitions])
            if not ends[control] or all(ends[partition] for partition in partitions):
                return
            if time.monotonic() - told_s > _TELL_EVERY_S:
                told_s = time.monotonic()
                log.warning("ingest.waits_for_rules", hint="rules are published, but no clock has copied them to the log yet")
            await asyncio.sleep(_POLL_S)
