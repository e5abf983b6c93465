"""One customer of the simulated shop: a rhythm of orders and logins, tickets, and perhaps an end that can be seen coming."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.events import (
    AnyEvent,
    Category,
    LoginSucceeded,
    OrderPlaced,
    Priority,
    TicketClosed,
    TicketOpened,
    TicketReplied,
    TicketResolved,
)
from schemas.instants import DAY_MS, HOUR_MS

SIGNS_MS: Final = 28 * DAY_MS
"""How long before the end it shows: fewer logins, longer gaps, complaints."""

_PRIORITIES: Final[tuple[Priority, ...]] = ("low", "normal", "normal", "normal", "high", "urgent")
_CATEGORIES: Final[tuple[Category, ...]] = ("question", "question", "request", "incident", "complaint")
_TICKETS_A_DAY: Final = 0.008
_BURST_TICKETS: Final = 4
_BURST_MS: Final = 8 * DAY_MS
_CLOSED_AFTER_MS: Final = 3 * DAY_MS


@dataclass(frozen=True)
class Span:
    """`[start_ms, end_ms)`."""

    start_ms: int
    end_ms: int

    def __contains__(self, at_ms: object) -> bool:
        return isinstance(at_ms, int) and self.start_ms <= at_ms < self.end_ms


@dataclass(frozen=True)
class Plan:
    """What a customer is like, and what will become of it."""

    customer_id: str
    joins_ms: int
    gap_ms: int
    """Mean time between two orders."""
    login_gap_ms: int
    amount: float
    leaves_ms: int | None = None
    """The true end: nothing is ordered and nobody signs in from here on."""
    away: Span | None = None
    """A silence with a return."""
    burst_ms: int | None = None
    """When a series of complaints begins."""


@dataclass(frozen=True)
class Desk:
    """The ticket desk: quick on most days, and weeks when it is not."""

    overloaded: Span
    reply_ms: int = 3 * HOUR_MS
    """Median."""
    overload: float = 9.0

    def delay_ms(self, at_ms: int, draw: random.Random) -> int:
        """How long a ticket of that instant waits for an answer."""
        factor = self.overload if at_ms in self.overloaded else 1.0
        return round(self.reply_ms * factor * draw.lognormvariate(0.0, 0.8))


def life_of(plan: Plan, desk: Desk, end_ms: int, draw: random.Random) -> list[AnyEvent]:
    """All that happens to a customer in `[joins_ms, end_ms)`, in time order."""
    events: list[AnyEvent] = [*_orders(plan, end_ms, draw), *_logins(plan, end_ms, draw)]
    events += [event for opening in _openings(plan, end_ms, draw) for event in _ticket(opening, plan, desk, draw)]
    return sorted((event for event in events if event.at_ms < end_ms), key=lambda event: (event.at_ms, event.id))


def _shows_signs(plan: Plan, at_ms: int) -> bool:
    return plan.leaves_ms is not None and at_ms >= plan.leaves_ms - SIGNS_MS


def _instants(plan: Plan, mean_ms: int, slowed: float, end_ms: int, draw: random.Random) -> Iterator[int]:
    """A rhythm: gaps of a gamma distribution, longer by a factor while signs show, none while away or gone."""
    stop_ms = end_ms if plan.leaves_ms is None else min(end_ms, plan.leaves_ms)
    at_ms = plan.joins_ms + round(mean_ms * draw.random())
    while at_ms < stop_ms:
        if plan.away is not None and at_ms in plan.away:
            at_ms = plan.away.end_ms + round(mean_ms * draw.random())
            continue
        yield at_ms
        factor = slowed if _shows_signs(plan, at_ms) else 1.0
        at_ms += max(1, round(mean_ms * factor * draw.gammavariate(5.0, 0.2)))


def _orders(plan: Plan, end_ms: int, draw: random.Random) -> Iterator[AnyEvent]:
    for number, at_ms in enumerate(_instants(plan, plan.gap_ms, 1.7, end_ms, draw)):
        order_id = f"{plan.customer_id}-o{number}"
        shrunk = 0.7 if _shows_signs(plan, at_ms) else 1.0
        amount = round(plan.amount * shrunk * draw.lognormvariate(0.0, 0.4), 2)
        yield OrderPlaced(id=order_id, customer_id=plan.customer_id, at_ms=at_ms, order_id=order_id, amount=amount)


def _logins(plan: Plan, end_ms: int, draw: random.Random) -> Iterator[AnyEvent]:
    for number, at_ms in enumerate(_instants(plan, plan.login_gap_ms, 3.0, end_ms, draw)):
        yield LoginSucceeded(id=f"{plan.customer_id}-l{number}", customer_id=plan.customer_id, at_ms=at_ms)


@dataclass(frozen=True)
class _Opening:
    number: int
    at_ms: int
    category: Category
    priority: Priority
    neglected: bool


def _openings(plan: Plan, end_ms: int, draw: random.Random) -> Iterator[_Opening]:
    found: list[tuple[int, Category, bool]] = []
    stop_ms = end_ms if plan.leaves_ms is None else min(end_ms, plan.leaves_ms)
    at_ms = plan.joins_ms + round(draw.expovariate(_TICKETS_A_DAY) * DAY_MS)
    while at_ms < stop_ms:
        if plan.away is None or at_ms not in plan.away:
            found.append((at_ms, draw.choice(_CATEGORIES), False))
        at_ms += round(draw.expovariate(_TICKETS_A_DAY) * DAY_MS)
    if plan.burst_ms is not None:
        found += [(plan.burst_ms + round(_BURST_MS * draw.random()), "complaint", True) for _ in range(_BURST_TICKETS)]
    for number, (at_ms, category, neglected) in enumerate(sorted(found)):
        yield _Opening(number, at_ms, category, draw.choice(_PRIORITIES), neglected)


def _ticket(opening: _Opening, plan: Plan, desk: Desk, draw: random.Random) -> Iterator[AnyEvent]:
    ticket_id = f"{plan.customer_id}-t{opening.number}"
    replied_ms = opening.at_ms + desk.delay_ms(opening.at_ms, draw) * (3 if opening.neglected else 1)
    resolved_ms = replied_ms + round(draw.lognormvariate(0.0, 0.7) * 20 * HOUR_MS)
    whose = plan.customer_id
    yield TicketOpened(
        id=f"{ticket_id}-open",
        customer_id=whose,
        ticket_id=ticket_id,
        at_ms=opening.at_ms,
        category=opening.category,
        priority=opening.priority,
    )
    yield TicketReplied(id=f"{ticket_id}-reply", customer_id=whose, ticket_id=ticket_id, at_ms=replied_ms, by="agent")
    yield TicketResolved(id=f"{ticket_id}-solve", customer_id=whose, ticket_id=ticket_id, at_ms=resolved_ms)
    closed_ms = resolved_ms + _CLOSED_AFTER_MS
    yield TicketClosed(id=f"{ticket_id}-close", customer_id=whose, ticket_id=ticket_id, at_ms=closed_ms)
