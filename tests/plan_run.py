"""A lane without Kafka: it carries a plan's steps out against a ledger in memory, and may crash between any two of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from alert_records import alert

from schemas.decisions import AlertRecord
from schemas.deliveries import AnyLedger, StormOrder
from schemas.zones import load_zone
from sinks.base import Item, Notice
from sinks.routes import Destination, Manners, Recipient, Route, Routes, StormLimit
from sinks.steps import Draft, Plan, Step

HOUR = 3_600_000
DAY = 24 * HOUR
MONDAY = 4 * DAY  # 1970-01-05


def record(alert_id: str = "a", sequence: int = 1, state: str = "opened", **fields: Any) -> AlertRecord:
    return msgspec.structs.replace(alert(state), alert_id=alert_id, sequence=sequence, **fields)


def person(name: str = "ann", *, is_person: bool = True, zone: str = "UTC", **manners: Any) -> Recipient:
    return Recipient(name, "people", "mail", load_zone(zone), "en", f"{name}@b.c", is_person, Manners(**manners))


def machine(name: str = "erp") -> Recipient:
    return Recipient(name, "machine", name, load_zone("UTC"), "en")


def routes_to(*recipients: Recipient, storm: StormLimit | None = None, routes: Sequence[Route] | None = None) -> Routes:
    everybody = Route(1, 1, tuple(one.name for one in recipients))
    destinations = {one.destination: Destination(one.destination, "email", one.audience, None) for one in recipients}
    return Routes(destinations, {one.name: one for one in recipients}, tuple(routes or [everybody]), storm)


def written(draft: Draft) -> Notice:
    items = tuple(Item(one, "", (), "", {}) for one in draft.alerts)
    name, zone = draft.recipient.name, draft.recipient.zone.key
    return Notice(draft.key, draft.kind, name, draft.recipient.address, draft.recipient.language, zone, items, draft.storm)


def told_of(step: Step) -> list[tuple[str, tuple[tuple[str, int], ...]]]:
    """What a step says: the key, and of each alert its number."""
    found: list[tuple[str, tuple[tuple[str, int], ...]]] = []
    for one in step.send:
        if isinstance(one, Notice):
            found.append((one.key, tuple((item.alert.alert_id, item.alert.sequence) for item in one.items)))
        elif isinstance(one, AlertRecord):
            found.append((f"{one.alert_id}/{one.sequence}", ((one.alert_id, one.sequence),)))
    return found


class Crash(Exception):  # noqa: N818 - it is one
    pass


@dataclass(frozen=True)
class Take:
    """A batch of the topic, read at an instant."""

    now_ms: int
    alerts: tuple[AlertRecord, ...]


@dataclass(frozen=True)
class Wait:
    now_ms: int


@dataclass(frozen=True)
class Decide:
    now_ms: int
    order: StormOrder


@dataclass(frozen=True)
class Gone:
    now_ms: int
    alert_id: str


Op = Take | Wait | Decide | Gone


@dataclass
class Lane:
    """What outlives a crash: the ledger, the position, and what the recipient has got."""

    make: Callable[[], Plan]
    crash_at: int = -1
    """Before so many actions; an action is a message, a row, or a tombstone."""
    splits: bool = False
    """Whether what is read again after a crash comes in batches of one record."""
    ledger: dict[bytes, AnyLedger] = field(default_factory=dict)
    told: list[tuple[int, str, tuple[tuple[str, int], ...]]] = field(default_factory=list)
    done: int = 0
    position: int = 0
    catches_up_to: int = 0
    """Before this position there may be records that were taken before."""

    def run(self, program: Sequence[Op]) -> "Lane":
        plan, ops = self._restarted(), list(program)
        while self.position < len(ops):
            op = ops[self.position]
            try:
                self._carry_out(plan, op)
            except Crash:
                plan = self._restarted()
                if self.splits and isinstance(op, Take) and op is ops[self.position]:
                    ops[self.position : self.position + 1] = [Take(op.now_ms, (one,)) for one in op.alerts]
                    self.catches_up_to = self.position + len(op.alerts)
        return self

    def _restarted(self) -> Plan:
        plan = self.make()
        plan.restore(list(self.ledger.values()))
        return plan

    def _carry_out(self, plan: Plan, op: Op) -> None:
        forget: dict[bytes, None] = {}
        match op:
            case Take(now_ms, alerts):
                self._do(plan.take(alerts, now_ms), now_ms, forget)
            case Decide(now_ms, order):
                self._decided(order)
                self._do(plan.order(order, now_ms), now_ms, forget)
            case Gone(now_ms, alert_id):
                self._do(plan.forgotten(alert_id), now_ms, forget)
            case Wait():
                pass
        self._do(plan.due(op.now_ms), op.now_ms, forget)
        next_ms = plan.next_due_ms()
        assert next_ms is None or next_ms > op.now_ms, "asked again at once, and for ever"
        self._act()
        self.position += 1
        for key in forget:
            self._act()
            self.ledger.pop(key, None)
        if self.position >= self.catches_up_to:
            self._do(plan.caught_up(), op.now_ms, forget := {})
            for key in forget:
                self.ledger.pop(key, None)

    def _decided(self, order: StormOrder) -> None:
        """As the command writes it: never one that is older than the one that stands there."""
        before = self.ledger.get(order.key())
        if not isinstance(before, StormOrder) or order.at_ms > before.at_ms:
            self.ledger[order.key()] = order

    def _do(self, steps: Iterable[Step], now_ms: int, forget: dict[bytes, None]) -> None:
        for step in steps:
            for key, alerts in told_of(step):
                self._act()
                self.told.append((now_ms, key, alerts))
            for row in step.remember:
                self._act()
                self.ledger[row.key()] = row
                forget.pop(row.key(), None)
            forget.update(dict.fromkeys(step.forget))

    def _act(self) -> None:
        self.done += 1
        if self.done == self.crash_at:
            raise Crash
