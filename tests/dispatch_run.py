"""A dispatch in a test: alerts in the topic, recipients that note what they hear, and a receiver over HTTP."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from aiohttp import web
from aiokafka import AIOKafkaProducer

from schemas.codec import encode
from schemas.decisions import CLOSED_STATES, AlertRecord, AlertState, Versions
from sinks.base import Delivery, Notice, SinkError
from sinks.routes import Audience, Destination, Recipient, Route, Routes
from streams.dispatch import Dispatch, app_of, new_plan
from streams.settings import Settings
from streams.worker import Roles

Heard = tuple[str, int]
"""An alert's id and the sequence that was told."""


def transition(name: str, sequence: int, state: AlertState, rule: str = "silent@1") -> AlertRecord:
    return AlertRecord(
        customer_id=f"customer-of-{name}",
        alert_id=name,
        sequence=sequence,
        state=state,
        at_ms=sequence,
        decided_ms=sequence,
        rule=rule,
        kind="absence",
        episode_start_ms=0,
        due_ms=1,
        severity="high",
        mode="live",
        versions=Versions(engine=1, rules="1"),
    )


def life(name: str, steps: int) -> list[AlertRecord]:
    """Of an alert that is opened, acknowledged again and again, and resolved by its last step."""
    states: list[AlertState] = ["opened", *["acked"] * (steps - 2), "resolved"]  # type: ignore[list-item]
    return [transition(name, number + 1, state) for number, state in enumerate(states)]


async def tell(settings: Settings, alerts: Sequence[AlertRecord]) -> None:
    """Put alerts into their topic; each has a partition by its id."""
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for alert in alerts:
            partition = sum(alert.alert_id.encode()) % settings.partitions
            await producer.send(settings.topic("alerts"), encode(alert), key=alert.alert_id.encode(), partition=partition)
        await producer.flush()


def routes_to(**audiences: Audience) -> Routes:
    """Everybody is told of everything."""
    names = tuple(audiences)
    return Routes(
        destinations={name: Destination(name, "notes", audience, None) for name, audience in audiences.items()},
        recipients={name: Recipient(name, audience, name, ZoneInfo("UTC"), "en") for name, audience in audiences.items()},
        routes=(Route(1, 1, names),),
    )


@dataclass
class Notes:
    """A sink that notes what it was told."""

    name: str = "notes"
    heard: list[Heard] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    error: SinkError | None = None
    delay_s: float = 0.0
    asked: int = 0
    most_at_once: int = 0
    closed: int = 0
    _at_once: int = 0

    async def deliver(self, records: Sequence[Delivery]) -> None:
        self.asked += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self.delay_s)
        finally:
            self._at_once -= 1
        if self.error is not None:
            raise self.error
        self.notices += [record for record in records if isinstance(record, Notice)]
        for record in records:
            alerts = [item.alert for item in record.items] if isinstance(record, Notice) else [record]
            self.heard += [(alert.alert_id, alert.sequence) for alert in alerts if isinstance(alert, AlertRecord)]

    async def close(self) -> None:
        self.closed += 1


@asynccontextmanager
async def dispatching(
    settings: Settings, routes: Routes, sinks: dict[str, Notes], *, forget_after_s: float = 3_600.0
) -> AsyncIterator[Dispatch]:
    dispatch = Dispatch(settings, routes, new_plan, lambda recipient, _: sinks[recipient.name], forget_after_s=forget_after_s)
    roles = Roles({"deliver-dispatch": app_of(dispatch)})
    try:
        await roles.start()
        yield dispatch
    finally:
        await roles.stop()
    if roles.crash_reason is not None:
        raise roles.crash_reason


def in_order(heard: Sequence[Heard]) -> bool:
    """Whether of each alert nothing came for the first time after something later."""
    latest: dict[str, int] = {}
    for name, sequence in heard:
        if sequence > latest.get(name, 0) + 1:
            return False
        latest[name] = max(latest.get(name, 0), sequence)
    return True


@dataclass
class Receiver:
    """A system that takes alerts over HTTP, each once however often it comes, and is not always well."""

    failing: float = 0.0
    """Share of the calls that it answers with 503; half of them it has taken all the same."""
    effects: dict[str, int] = field(default_factory=dict)
    """How often each key was new: by definition once; and calls by key beside."""
    heard: list[Heard] = field(default_factory=list)
    calls: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(7))

    async def take(self, request: web.Request) -> web.Response:
        self.calls += 1
        plain = await request.json()
        fails, has_taken = self._chance.random() < self.failing, self._chance.random() < 0.5
        if not fails or has_taken:
            key = request.headers["webhook-id"]
            if key not in self.effects:
                self.effects[key] = 1
                self.heard.append((plain["alert_id"], plain["sequence"]))
        return web.Response(status=503 if fails else 204)


@asynccontextmanager
async def listening(receiver: Receiver, port: int) -> AsyncIterator[None]:
    application = web.Application()
    application.router.add_post("/alerts", receiver.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


def wanted(alerts: Sequence[AlertRecord]) -> set[Heard]:
    """What a system is to hear of them."""
    return {(alert.alert_id, alert.sequence) for alert in alerts}


def over(alerts: Sequence[AlertRecord]) -> set[str]:
    return {alert.alert_id for alert in alerts if alert.state in CLOSED_STATES}


Unique = Callable[[str], str]
