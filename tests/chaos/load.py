"""The load: events of many kinds into the source topics, some twice, some late, some of them no events at all."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from detectors.labels import next_review_ms
from schemas.codec import Record, encode
from schemas.events import (
    AlertAcked,
    AlertNoted,
    AlertSnoozed,
    Category,
    ContactMade,
    ContactReplied,
    CustomerErased,
    CustomerUpdated,
    LoginSucceeded,
    OrderPlaced,
    OrderReturned,
    Priority,
    SurveyAnswered,
    TicketClosed,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketStatus,
    TicketUpdated,
)
from schemas.instants import DAY_MS, HOUR_MS, SECOND_MS
from streams.settings import Settings
from streams.wallclock import now_ms

_BEAT_S: Final = 0.05
_REQUEST_TIMEOUT_MS: Final = 120_000
"""Longer than any fault: what is not acknowledged then is counted, and may or may not be there."""
_TWICE: Final = 0.03
_LATE: Final = 0.12
_VERY_LATE: Final = 0.02
_NO_EVENT: Final = 0.002
_ACTION: Final = 0.02
_ERASURE: Final = 0.0005
_HISTORY_DAYS: Final = 5
_OPEN_TICKETS: Final = 200

Position = tuple[str, int, int]
"""Topic, partition, offset of a source record."""
Alert = tuple[str, str]
"""Id and customer of an alert that may be acted on."""


@dataclass
class Sent:
    """What the brokers have acknowledged."""

    events: set[Position] = field(default_factory=set)
    broken: set[Position] = field(default_factory=set)
    """Records that no one can read."""
    unknown: int = 0
    """Records that were not acknowledged."""


def reviewed_soon(count: int, begin_ms: int, within_ms: int) -> list[str]:
    """Names of customers whose weekly review falls into an interval: a run is too short for the others."""
    names: list[str] = []
    number = 0
    while len(names) < count:
        name = f"c{number}"
        if next_review_ms(name, begin_ms) < begin_ms + within_ms:
            names.append(name)
        number += 1
    return names


class Load:
    """A steady stream until it is told to stop; the seed and the alerts that it is shown decide what it sends."""

    def __init__(self, settings: Settings, *, rate: float, seed: int, customers: list[str], alerts: deque[Alert]) -> None:
        self.sent = Sent()
        self._settings = settings
        self._rate = rate
        self._chance = random.Random(seed)
        self._customers = customers
        self._alerts = alerts
        self._tickets: deque[tuple[str, str]] = deque(maxlen=_OPEN_TICKETS)
        self._number = 0
        self._stopping = False
        self._waiting: set[asyncio.Future[Any]] = set()
        self._kinds: list[Callable[[str], Record]] = [
            *[self._order] * 8,
            *[self._login] * 6,
            *[self._ticket] * 5,
            *[self._later_on_a_ticket] * 9,
            *[self._survey] * 3,
            *[self._contact] * 3,
            self._master_data,
        ]

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopping = True

    async def run(self) -> None:
        """Send until stopped, then wait for the last acknowledgement."""
        producer: Any = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap,
            enable_idempotence=True,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            linger_ms=5,
        )
        await producer.start()
        try:
            for customer in self._customers:
                await self._send_history(producer, customer)
            began_s, count = time.monotonic(), 0
            while not self._stopping:
                while count < (time.monotonic() - began_s) * self._rate:
                    await self._send_one(producer)
                    count += 1
                await asyncio.sleep(_BEAT_S)
            await asyncio.gather(*self._waiting, return_exceptions=True)
        finally:
            await producer.stop()

    async def _send_history(self, producer: Any, customer: str) -> None:
        """A few days of orders, one a day: a rhythm."""
        for days in range(_HISTORY_DAYS, 0, -1):
            order = OrderPlaced(
                id=self._id("o"), customer_id=customer, at_ms=now_ms() - days * DAY_MS, order_id=self._id("o"), amount=10.0
            )
            await self._send(producer, "orders", customer, encode(order))

    async def _send_one(self, producer: Any) -> None:
        chance, customer = self._chance, self._chance.choice(self._customers)
        if chance.random() < _NO_EVENT:
            await self._send(producer, "orders", customer, b'{"type": "order.placed", "id": 7', broken=True)
            return
        if chance.random() < _ERASURE:
            await self._act(producer, CustomerErased(id=self._id("e"), customer_id=customer, at_ms=now_ms()))
            return
        if self._alerts and chance.random() < _ACTION:
            await self._act(producer, self._action(*chance.choice(self._alerts)))
            return
        record: Any = chance.choice(self._kinds)(customer)
        for _ in range(2 if chance.random() < _TWICE else 1):
            await self._send(producer, _topic_of(record.type), record.customer_id, encode(record))

    async def _act(self, producer: Any, record: Record) -> None:
        customer: str = record.customer_id  # type: ignore[union-attr]  # an event
        await self._send_to(producer, self._settings.topic("actions"), customer, encode(record), broken=False)

    async def _send(self, producer: Any, source: str, customer: str, value: bytes, *, broken: bool = False) -> None:
        await self._send_to(producer, self._settings.source_prefix + source, customer, value, broken=broken)

    async def _send_to(self, producer: Any, topic: str, customer: str, value: bytes, *, broken: bool) -> None:
        future = await producer.send(topic, value, key=customer.encode())
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._acknowledged(done, self.sent.broken if broken else self.sent.events))

    def _acknowledged(self, future: "asyncio.Future[Any]", positions: set[Position]) -> None:
        self._waiting.discard(future)
        if future.cancelled() or isinstance(future.exception(), KafkaError):
            self.sent.unknown += 1
            return
        found = future.result()
        positions.add((found.topic, found.partition, found.offset))

    def _id(self, letter: str) -> str:
        self._number += 1
        return f"{letter}{self._number}"

    def _at_ms(self) -> int:
        chance, at_ms = self._chance, now_ms()
        kind = chance.random()
        if kind < _VERY_LATE:
            return at_ms - chance.randint(HOUR_MS, _HISTORY_DAYS * DAY_MS)
        if kind < _VERY_LATE + _LATE:
            return at_ms - chance.randint(SECOND_MS, 40 * SECOND_MS)
        return at_ms - chance.randint(-SECOND_MS, SECOND_MS)  # the future is what clocks of machines make of the present

    def _common(self, letter: str, customer: str) -> dict[str, Any]:
        return {"id": self._id(letter), "customer_id": customer, "at_ms": self._at_ms()}

    def _order(self, customer: str) -> Record:
        if self._chance.random() < 0.1:
            return OrderReturned(**self._common("x", customer), order_id=f"o{self._number}")
        return OrderPlaced(
            **self._common("o", customer), order_id=f"o{self._number}", amount=round(self._chance.uniform(5, 90), 2)
        )

    def _login(self, customer: str) -> Record:
        return LoginSucceeded(**self._common("l", customer))

    def _ticket(self, customer: str) -> Record:
        fields = self._common("t", customer)
        ticket = f"t{self._number}"
        self._tickets.append((ticket, customer))
        categories: list[Category] = ["complaint", "complaint", "question"]
        priorities: list[Priority] = ["normal", "urgent"]
        return TicketOpened(
            **fields, ticket_id=ticket, category=self._chance.choice(categories), priority=self._chance.choice(priorities)
        )

    def _later_on_a_ticket(self, customer: str) -> Record:
        if not self._tickets:
            return self._ticket(customer)
        ticket, owner = self._chance.choice(self._tickets)
        fields = self._common("u", owner) | {"ticket_id": ticket}
        kind = self._chance.random()
        if kind < 0.35:
            return TicketReplied(**fields, by="agent")
        if kind < 0.5:
            return TicketReplied(**fields, by="customer")
        if kind < 0.62:
            statuses: list[TicketStatus] = ["pending", "open"]
            return TicketUpdated(**fields, status=self._chance.choice(statuses))
        if kind < 0.8:
            return TicketResolved(**fields)
        return TicketReopened(**fields) if kind < 0.9 else TicketClosed(**fields)

    def _survey(self, customer: str) -> Record:
        return SurveyAnswered(**self._common("s", customer), survey="csat", score=self._chance.randint(1, 5), scale_max=5)

    def _contact(self, customer: str) -> Record:
        fields = self._common("k", customer)
        made = self._chance.random() < 0.5
        return ContactMade(**fields, contact_id="k") if made else ContactReplied(**fields, contact_id="k")

    def _master_data(self, customer: str) -> Record:
        tier, value = self._chance.choice(["vip", "key", "other"]), float(self._chance.randint(1, 9) * 1_000)
        return CustomerUpdated(**self._common("m", customer), tier=tier, value=value)

    def _action(self, alert_id: str, customer: str) -> Record:
        fields: dict[str, Any] = {
            "id": self._id("a"),
            "customer_id": customer,
            "at_ms": now_ms(),
            "alert_id": alert_id,
            "by": "agent-1",
        }
        kind = self._chance.random()
        if kind < 0.5:
            return AlertAcked(**fields)
        if kind < 0.8:
            return AlertSnoozed(**fields, until_ms=now_ms() + self._chance.randint(2, 20) * SECOND_MS)
        return AlertNoted(**fields, text="looked at")


def _topic_of(event_type: str) -> str:
    kind = event_type.split(".", maxsplit=1)[0]
    return {"login": "logins", "ticket": "tickets", "survey": "tickets"}.get(kind, "orders")
