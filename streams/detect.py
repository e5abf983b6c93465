"""The role `detect`: one owner for each log partition that the group gives us."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import structlog
from faust import App
from faust.types import TP

from detectors.engine import PartitionEngine
from streams.apps import add_agent, make_app
from streams.chunks import Chunk
from streams.detect_counters import DetectCounters
from streams.partition_owner import PartitionOwner
from streams.partition_status import PartitionStatus
from streams.readiness import Obstacle
from streams.refusals import Severity, explained, severity
from streams.restore import NewEngine
from streams.settings import Settings
from streams.take_over import take_over
from streams.transport import ChunkConsumer, consumer_of

log = structlog.get_logger("churn.detect")


def make_detect_app(settings: Settings, new_engine: NewEngine | None = None) -> App:
    """The app of the role `detect`; another `new_engine` than the one of the settings is for tests."""
    detector = Detector(settings, new_engine or partial(PartitionEngine, max_busy=settings.busy_customers))
    app = make_app(settings, "detect", bare_records=True, seek=detector.on_assigned)
    detector.app = app
    cast("Any", app).detector = detector
    add_agent(app, "detect", [settings.topic("events")], detector.feed, keeps_chunks=True)

    async def leave(*_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - the signal's
        await detector.leave_all()

    app.on_before_shutdown.connect(leave, weak=False)
    return app


def detector_of(app: App) -> "Detector":
    """The detector of an app that `make_detect_app` made."""
    detector: Detector = cast("Any", app).detector
    return detector


class Detector:
    """Keeps one owner for each assigned partition.

    Correctness does not rest on the group: two processes may believe that they own a partition, and the broker lets
    only the one commit that started its writer last. The group decides who tries.
    """

    app: App

    def __init__(self, settings: Settings, new_engine: NewEngine) -> None:
        self.counters = DetectCounters()
        self._settings = settings
        self._new_engine = new_engine
        self._statuses: dict[int, PartitionStatus] = {}
        self._owners: dict[int, PartitionOwner] = {}
        self._taking_over: dict[int, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()

    @property
    def partitions(self) -> list[int]:
        """The partitions that are worked on now."""
        return sorted(self._owners)

    def statuses(self) -> list[PartitionStatus]:
        """How each assigned partition is doing; may be asked from another thread."""
        return sorted(self._statuses.copy().values(), key=lambda status: status.partition)

    def obstacles(self) -> list[Obstacle]:
        """Why partitions are not worked on; may be asked from another thread."""
        now_s = time.monotonic()
        return [obstacle for status in self.statuses() if (obstacle := status.obstacle(now_s)) is not None]

    async def feed(self, chunks: list[Chunk]) -> None:
        """Hand chunks to their owners; without one they are dropped, since its first seek comes later."""
        for chunk in chunks:
            owner = self._owners.get(chunk.tp.partition)
            if owner is None:
                self._consumer.release(chunk)
            else:
                owner.feed(chunk)

    async def on_assigned(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Keep the owners of partitions that stay, let go of the others, begin to take over what is new.

        A partition that stays needs no restore: had anybody else owned it in between, our writer would be fenced, and
        the next commit would say so. The new ones stay paused: restoring may take longer than a rebalance may.
        """
        wanted = {tp.partition for tp in assigned}
        for partition in sorted(self._taking_over.keys() - wanted):
            self._taking_over.pop(partition).cancel()
        for partition in sorted(self._owners.keys() - wanted):
            self._in_background(self._owners.pop(partition).leave())
        for owner in self._owners.values():
            owner.forget_chunks()
        for partition in sorted(self._statuses.keys() - wanted):
            del self._statuses[partition]
        for partition in sorted(wanted - self._statuses.keys()):
            self._statuses[partition] = PartitionStatus(self._settings.topic("events"), partition)
            self._begin_take_over(partition)
        return {owner.tp: owner.next_offset for owner in self._owners.values()}

    async def leave_all(self) -> None:
        """Finish what is being committed, and let go of every partition."""
        for task in self._taking_over.values():
            task.cancel()
        owners, self._owners = list(self._owners.values()), {}
        await asyncio.gather(*(owner.leave() for owner in owners), return_exceptions=True)
        await asyncio.gather(*self._taking_over.values(), *self._background, return_exceptions=True)
        self._taking_over.clear()
        self._statuses.clear()

    @property
    def _consumer(self) -> ChunkConsumer:
        return consumer_of(self.app)

    def _begin_take_over(self, partition: int, *, after: PartitionOwner | None = None) -> None:
        task = asyncio.create_task(self._take_over(self._statuses[partition], after), name=f"take-over-{partition}")
        self._taking_over[partition] = task
        task.add_done_callback(lambda done: self._take_over_ended(partition, done))

    def _take_over_ended(self, partition: int, task: "asyncio.Task[None]") -> None:
        if self._taking_over.get(partition) is task:
            del self._taking_over[partition]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._give_up(partition, error)

    async def _take_over(self, status: PartitionStatus, after: PartitionOwner | None) -> None:
        """Try until the partition is ours, or is assigned to somebody else."""

        def new_owner() -> PartitionOwner:
            return PartitionOwner(self._settings, status, self._consumer, self.counters)

        owner = await take_over(self.app, status, new_owner, self._new_engine, after)
        while owner is not None and not await self._install(owner):
            owner = await take_over(self.app, status, new_owner, self._new_engine, owner)

    async def _install(self, owner: PartitionOwner) -> bool:
        """Let the records flow; false if the partition was taken away while it was restored."""
        self._owners[owner.partition] = owner
        if not await self._consumer.read_from(owner.tp, owner.next_offset):
            self._owners.pop(owner.partition, None)
            await owner.leave()
            return False
        owner.start().add_done_callback(lambda task: self._work_ended(owner, task))
        return True

    def _work_ended(self, owner: PartitionOwner, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is None or self._owners.get(owner.partition) is not owner:
            return
        del self._owners[owner.partition]
        if severity(error) is not Severity.PASSING:
            self._in_background(owner.leave())
            self._give_up(owner.partition, error)
            return
        # Fenced does not mean "not ours": a process that slept may have its old partitions back, with a dead writer.
        status = self._statuses[owner.partition]
        status.failed(repr(error))
        log.warning(
            "partition.lost",
            partition=owner.partition,
            next_offset=owner.next_offset,
            error=repr(error),
            failures=status.failures,
        )
        self.counters.lost_partitions += 1
        self._consumer.pause(owner.tp)
        self._begin_take_over(owner.partition, after=owner)

    def _give_up(self, partition: int, error: BaseException) -> None:
        """Refuse the partition alone, or end the worker, as the error is of the one or of the whole installation."""
        status = self._statuses.get(partition)
        if status is not None and severity(error) is Severity.PARTITION:
            log.error("partition.refused", partition=partition, reason=str(error))
            self._consumer.pause(TP(status.topic, partition))
            status.refuse(str(error))
            return
        self._in_background(self._crash(partition, error))

    async def _crash(self, partition: int, error: BaseException) -> None:
        reason = await asyncio.to_thread(explained, self._settings, error)
        log.error("partition.failed", partition=partition, error=repr(reason), exc_info=error)
        await self.app.crash(reason)

    def _in_background(self, work: Any) -> None:  # noqa: ANN401 - any coroutine
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
