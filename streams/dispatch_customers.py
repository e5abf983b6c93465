"""How many customers there are: a storm may be a share of them."""

import asyncio
import contextlib
from typing import Final

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from streams.distinct import DistinctCount
from streams.settings import Settings
from streams.topic_tail import reader

_POLL_MS: Final = 1_000
_FETCH_WAIT_MS: Final = 500
_AGAIN_AFTER_S: Final = 5.0


class CustomerCount:
    """Counts the keys of `churn.lifecycle`: everybody who was ever seen has a stage. An erasure is not subtracted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen = DistinctCount()
        self._has_read_all = False

    def known(self) -> int | None:
        """About how many; None as long as the topic is being read."""
        return self._seen.estimate() if self._has_read_all else None

    async def run(self) -> None:
        """Count, and go on counting, until cancelled."""
        while True:
            with contextlib.suppress(KafkaError):  # whoever needs the broker more says so
                await self._count()
            await asyncio.sleep(_AGAIN_AFTER_S)

    async def _count(self) -> None:
        topic = self._settings.topic("lifecycle")
        partitions = [TopicPartition(topic, number) for number in range(self._settings.partitions)]
        async with reader(self._settings, fetch_wait_ms=_FETCH_WAIT_MS) as consumer:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await consumer.seek_to_beginning(*partitions)
            while True:
                arrived = await consumer.getmany(timeout_ms=_POLL_MS)
                for records in arrived.values():
                    for record in records:
                        if record.key is not None and record.value is not None:
                            self._seen.add(record.key)
                if not self._has_read_all:
                    reached = [await consumer.position(tp) >= ends[tp] for tp in partitions]
                    self._has_read_all = all(reached)
