"""The part of `deliver` that tells recipients of alerts: a lane for each, in the one process that owns `churn.deliveries`."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust import App
from faust.types import TP

from schemas.deliveries import AnyLedger, StormOrder, ToldRecord
from sinks.base import Sink
from sinks.plans import plan_for
from sinks.routes import Recipient, Routes
from sinks.steps import Plan
from sinks.storms import Known
from streams.apps import add_agent, add_work, make_app
from streams.chunks import Chunk, from_the_beginning
from streams.dispatch_customers import CustomerCount
from streams.dispatch_lane import AT_ONCE, Lane, LaneCounters, LaneForm
from streams.ledger import Ledger, LedgerWriter
from streams.notices import writer_of
from streams.readiness import Obstacle, joined
from streams.routes_file import routes_of
from streams.routes_kinds import sink_of
from streams.settings import Settings, SettingsError, variable
from streams.topic_tail import last_ticks, reader
from streams.transport import consumer_of
from streams.wallclock import now_ms

_OWNERSHIP_CHECK_S: Final = 0.1
_READ_CHECK_S: Final = 0.02
_AGAIN_AFTER_S: Final = 1.0
_EVENT_CLOCK_CHECK_S: Final = 0.5
_FINISH_WITHIN_S: Final = 1.0
"""For calls that are under way when this process is to tell nobody any more: less than a role has for its stop."""
_FORGET_AFTER_S: Final = 3_600.0
"""While workers get another file one after the other, one with the old file may be the owner once more."""

log = structlog.get_logger("churn.dispatch")

NewPlan = Callable[[Recipient, Routes, Known], Plan]
NewSink = Callable[[Recipient, Routes], Sink]


class NotTheOwner(Exception):  # noqa: N818 - a state of the group
    """Another process tells recipients now, or the group is about to decide."""


def make_dispatch_app(settings: Settings) -> App:
    """The app that tells recipients.

    Raises:
        SettingsError: no file of routes is given.
        RoutesFileError: it has faults.
    """
    routes = routes_of(settings)
    if routes is None:
        raise SettingsError(f"{variable('routes')} is not set: nobody is to be told of alerts")
    return app_of(Dispatch(settings, routes, new_plan, partial(new_sink, settings)))


def app_of(dispatch: "Dispatch") -> App:
    """The app of a dispatch."""
    app = make_app(dispatch.settings, "deliver-dispatch", seek=from_the_beginning)
    dispatch.app = app
    app.dispatch = dispatch  # type: ignore[attr-defined]  # Faust apps carry what belongs to them
    add_agent(app, "dispatch", [dispatch.settings.topic("deliveries")], dispatch.read)
    add_work(app, "dispatch", dispatch.run, dispatch.close)
    return app


def dispatch_of(app: App) -> "Dispatch":
    """The dispatch of an app that `app_of` made."""
    dispatch: Dispatch = app.dispatch  # type: ignore[attr-defined]  # set there
    return dispatch


def new_plan(recipient: Recipient, routes: Routes, customers: Known) -> Plan:
    """The plan of a recipient."""
    return plan_for(recipient, routes, writer_of(routes), customers)


def new_sink(settings: Settings, recipient: Recipient, routes: Routes) -> Sink:
    """The sink that reaches a recipient."""
    return sink_of(routes.destinations[recipient.destination], routes, settings)


class Dispatch:
    """Reduces `churn.deliveries` from its beginning at each assignment, and runs lanes while the group says that it may.

    Two at once, one of them a process that slept, may tell somebody twice: each batch is preceded by a proof of
    membership, which leaves as long as a batch takes.
    """

    app: App

    def __init__(
        self,
        settings: Settings,
        routes: Routes,
        new_plan: NewPlan,
        new_sink: NewSink,
        *,
        forget_after_s: float = _FORGET_AFTER_S,
    ) -> None:
        self.settings = settings
        self._forget_after_s = forget_after_s
        self.counters: Mapping[str, LaneCounters] = {name: LaneCounters() for name in routes.recipients}
        self.lanes: dict[str, Lane] = {}
        """Those that run now."""
        self.ledger = Ledger()
        self._routes = routes
        self._new_plan, self._new_sink = new_plan, new_sink
        self._deliveries = TP(settings.topic("deliveries"), 0)
        self._writer = LedgerWriter(settings)
        self._customers = CustomerCount(settings)
        self._generation = -1
        self._next_offset = 0
        self._event_ms = 0
        self._began_s = time.monotonic()

    def waiting(self) -> Counter[tuple[str, str]]:
        """Alerts that wait, by recipient and why; none where this process tells nobody."""
        if not self.lanes:
            return Counter()
        rows = [row for row in list(self.ledger.rows()) if isinstance(row, ToldRecord) and row.told == "waits"]
        return Counter((row.recipient, row.wait or "") for row in rows)

    def obstacles(self) -> list[Obstacle]:
        """Whether the one that owns the topic has not read it yet."""
        if not joined(self.app):  # which is told already, and there may be no consumer yet
            return []
        if self.lanes or not self._owns(self.app.consumer_generation_id):
            return []
        says = f"{self._deliveries.topic} is being read, up to offset {self._next_offset} so far"
        return [Obstacle("deliver-dispatch", "reading_deliveries", says, for_s=time.monotonic() - self._began_s)]

    async def read(self, chunks: list[Chunk]) -> None:
        """Take records in; the first ones of a new generation are the first of the topic."""
        for chunk in chunks:
            self._enter(chunk.generation)
            for record in chunk.records:
                row = self.ledger.take(record)
                if isinstance(row, StormOrder):
                    for lane in self.lanes.values():
                        lane.order(row)
            self._next_offset = chunk.records[-1].offset + 1

    async def run(self) -> None:
        """Tell recipients whenever this process is the owner, until the app stops."""
        while not self.app.should_stop:
            generation = self.app.consumer_generation_id
            try:
                if self._owns(generation):
                    self._enter(generation)
                    await self._until_read(generation)
                    await self._tell(generation)
            except NotTheOwner:
                log.info("dispatch.lost", generation=generation)
            except KafkaError as error:
                log.warning("dispatch.failed", reason=repr(error), again_in_s=_AGAIN_AFTER_S)
                # A producer that gave up a batch has a gap in its sequence, which the broker refuses from then on.
                await self._writer.close()
                await asyncio.sleep(_AGAIN_AFTER_S)
            await asyncio.sleep(_OWNERSHIP_CHECK_S)

    async def close(self) -> None:
        """Let go of the broker."""
        await self._writer.close()

    async def _tell(self, generation: int) -> None:
        """Run the lanes until the app stops.

        Raises:
            NotTheOwner: the group decided anew.
            KafkaError: the broker does not answer; what is not known to stand in `churn.deliveries` is told again.
        """
        log.info("dispatch.began", generation=generation, recipients=",".join(self._routes.recipients))
        await self._prove(generation)
        await self._follow_time_once()
        works = [self._run_lane(recipient, generation) for recipient in self._routes.recipients.values()]
        lanes = [asyncio.create_task(work) for work in works]
        tasks = [*lanes, asyncio.create_task(self._follow_time()), asyncio.create_task(self._forget_who_left())]
        if self._routes.counts_customers:
            tasks.append(asyncio.create_task(self._customers.run()))
        try:
            while self._owns(generation):
                done, _ = await asyncio.wait(tasks, timeout=_OWNERSHIP_CHECK_S, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
            if not self.app.should_stop:
                raise NotTheOwner
        finally:
            ending = asyncio.create_task(self._end(lanes, tasks))
            try:
                await asyncio.shield(ending)
            finally:  # also where the stop of the app comes while it ends because the group decided anew
                await ending

    async def _end(self, lanes: Sequence[asyncio.Task[None]], tasks: Sequence[asyncio.Task[None]]) -> None:
        """Let lanes finish what they are telling, for a while, and cut off the rest."""
        for lane in self.lanes.values():
            lane.leave()
        await asyncio.wait(lanes, timeout=_FINISH_WITHIN_S if any(lane.is_telling for lane in self.lanes.values()) else 0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_lane(self, recipient: Recipient, generation: int) -> None:
        sink = self._new_sink(recipient, self._routes)
        plan = self._new_plan(recipient, self._routes, self._customers.known)
        form = LaneForm(recipient.name, plan, sink, AT_ONCE if recipient.audience == "machine" else 1)
        lane = self.lanes[recipient.name] = Lane(self.settings, form, self._writer, self.counters[recipient.name])
        try:
            await lane.run(self.ledger.of(recipient.name), self._now_ms, lambda: self._prove(generation))
        finally:
            del self.lanes[recipient.name]
            await sink.close()

    async def _forget_who_left(self) -> None:
        """Of those who are not in the file any more nothing is kept: nobody would take out of it who is erased."""
        left = sorted(self.ledger.recipients() - self._routes.recipients.keys())
        for name in left:
            waiting = sum(isinstance(row, ToldRecord) and row.told == "waits" for row in self._rows_of(name))
            log.warning("dispatch.recipient_left", recipient=name, waiting=waiting, forgotten_in_s=self._forget_after_s)
        await asyncio.sleep(self._forget_after_s)
        for name in left:
            await self._writer.write([], [row.key() for row in self._rows_of(name)])
            log.info("dispatch.recipient_forgotten", recipient=name)

    def _rows_of(self, name: str) -> list[AnyLedger]:
        return [row for row in self.ledger.rows() if row.recipient == name]

    async def _until_read(self, generation: int) -> None:
        """Wait until everything is known that stands in the topic now.

        Raises:
            NotTheOwner: another process is to know it.
        """
        async with reader(self.settings) as consumer:
            topic = TopicPartition(*self._deliveries)
            end = (await consumer.end_offsets([topic]))[topic]
        while self._next_offset < end:
            if not self._owns(generation):
                raise NotTheOwner
            await asyncio.sleep(_READ_CHECK_S)

    def _enter(self, generation: int) -> None:
        if generation != self._generation:
            self._generation, self._next_offset = generation, 0
            self._began_s = time.monotonic()
            self.ledger = Ledger()

    def _owns(self, generation: int) -> bool:
        app = self.app
        if app.should_stop or app.rebalancing or generation != app.consumer_generation_id:
            return False
        return self._deliveries in consumer_of(app).assignment()

    async def _prove(self, generation: int) -> None:
        """Ask the broker: a process that slept through its session believes for a while that nothing has changed.

        Raises:
            NotTheOwner: the broker does not take our offsets (now).
        """
        if not self._owns(generation) or not await consumer_of(self.app).still_member(self._deliveries, self._next_offset):
            raise NotTheOwner

    def _now_ms(self) -> int:
        return now_ms() if self.settings.clock == "broker" else self._event_ms

    async def _follow_time(self) -> None:
        while True:
            await asyncio.sleep(_EVENT_CLOCK_CHECK_S)
            await self._follow_time_once()

    async def _follow_time_once(self) -> None:
        """While time follows the events it is that of the last tick."""
        if self.settings.clock == "event":
            self._event_ms = max((tick.at_ms for tick in await last_ticks(self.settings)), default=self._event_ms)
