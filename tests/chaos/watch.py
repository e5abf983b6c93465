"""A subscriber that reads what is committed while the faults happen: when each partition went on, and what it told."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.structs import TopicPartition
from chaos.load import Alert

from detectors.engine import PartitionEngine
from schemas.codec import decode_decision
from schemas.decisions import AlertRecord
from streams.settings import Settings
from streams.topic_tail import reader
from streams.wallclock import now_ms

_HEAD: Final = b"p/head"
_POLL_MS: Final = 100
_FETCH_WAIT_MS: Final = 100
_KEPT_ALERTS: Final = 200


@dataclass
class Watch:
    """What a reader of committed records has seen."""

    settings: Settings
    commits_ms: dict[int, list[int]] = field(default_factory=dict)
    """By partition, the times at which something new of it could be read."""
    open_alerts: deque[Alert] = field(default_factory=lambda: deque(maxlen=_KEPT_ALERTS))
    _heads: dict[int, bytes] = field(default_factory=dict)

    async def run(self) -> None:
        """Read until cancelled."""
        settings = self.settings
        partitions = range(settings.partitions)
        state = [TopicPartition(settings.topic("state"), partition) for partition in partitions]
        alerts = [TopicPartition(settings.topic("alerts"), partition) for partition in partitions]
        async with reader(settings, fetch_wait_ms=_FETCH_WAIT_MS) as consumer:
            consumer.assign([*state, *alerts])
            await consumer.seek_to_beginning(*state, *alerts)
            while True:
                found = await consumer.getmany(timeout_ms=_POLL_MS)
                at_ms = now_ms()
                for tp, records in found.items():
                    if tp.topic == settings.topic("alerts"):
                        self._see_alerts(records)
                    else:
                        self.commits_ms.setdefault(tp.partition, []).append(at_ms)
                        self._see_state(tp.partition, records)

    async def until_all_partitions_commit(self, within_s: float) -> bool:
        """Wait until something of each partition was read from now on."""
        begin_ms = now_ms()
        for _ in range(int(within_s * 10)):
            latest = [times[-1] for times in self.commits_ms.values() if times]
            if len(latest) == self.settings.partitions and min(latest) > begin_ms:
                return True
            await asyncio.sleep(0.1)
        return False

    def position(self, partition: int) -> int:
        """Of the log, up to where its decisions are committed; -1 if nothing was."""
        engine = PartitionEngine(partition, self.settings.topic("events"))
        if partition in self._heads:
            engine.load(_HEAD, self._heads[partition])
        return engine.position

    def _see_alerts(self, records: list[Any]) -> None:
        for record in records:
            found = decode_decision(record.value) if record.value is not None else None
            if isinstance(found, AlertRecord) and found.state == "opened" and found.customer_id is not None:
                self.open_alerts.append((found.alert_id, found.customer_id))

    def _see_state(self, partition: int, records: list[Any]) -> None:
        for record in records:
            if record.key == _HEAD and record.value is not None:
                self._heads[partition] = record.value
