"""Tickets of a customer: the moments that a clock may ask for, by time, whatever order they arrived in."""

from bisect import insort
from collections.abc import Iterator
from typing import Final

import msgspec

from detectors.occurrence import Occurrence
from schemas.events import (
    Category,
    CustomerUpdated,
    Priority,
    TicketClosed,
    TicketEvent,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketStatus,
    TicketUpdated,
)
from schemas.instants import DAY_MS

FORGET_AFTER_MS: Final = 90 * DAY_MS
"""A ticket that has been resolved or closed for so long is forgotten when the customer has a new one; what comes for
it later is taken for an unknown ticket."""


MANY_MOMENTS: Final = 64
"""Beyond so many, and at each further multiple, the updates of a ticket that repeat what holds already are left out."""


class Moment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something happened to a ticket."""

    occurrence: Occurrence
    answers: bool = False
    """A public reply of an agent; private notes and the customer's own words are no answers."""
    priority: Priority | None = None
    category: Category | None = None
    team: str | None = None
    status: TicketStatus | None = None
    tier: str | None = None
    """The customer's, from here on."""

    @property
    def reopens(self) -> bool:
        """Whether a solved ticket is open again; many desks say so by a status alone, for a solved ticket has none."""
        kind = self.occurrence.type
        return kind == "ticket.reopened" or (kind == "ticket.updated" and self.status is not None)

    @property
    def at_ms(self) -> int:
        """When."""
        return self.occurrence.at_ms


class SlaTold(msgspec.Struct, array_like=True):
    """What one `sla` rule has told about a ticket, and when it wants to look again."""

    start_ms: int | None = None
    """Of the latest episode that something was told of."""
    due_ms: int = 0
    passed: list[float] = []
    """Warnings that were told: none is given twice."""
    warned: bool = False
    opened: bool = False
    ended_ms: int | None = None
    """When it was over: met, answered or taken back."""
    retracted: bool = False
    wake_ms: int | None = None


class Ticket(msgspec.Struct, array_like=True):
    """One ticket. Of replies only the first answer is kept; of many updates, those that change something."""

    moments: list[Moment] = []
    """By time; at the same instant in log order."""
    opened: bool = False
    """It was opened by its own event; before that, by the first that was heard of it."""
    told: dict[str, SlaTold] = {}
    """By the rule's state key."""
    tier: str | None = None
    """The customer's when the ticket began."""


def take(tickets: dict[str, Ticket], event: TicketEvent, tier: str | None) -> bool:
    """Take an event of a ticket in; False if it opens one that is open already, which is to be ignored everywhere."""
    ticket = tickets.get(event.ticket_id)
    if ticket is None:
        ticket = tickets[event.ticket_id] = Ticket(tier=tier)
    if isinstance(event, TicketOpened):
        if ticket.opened:
            return False
        ticket.opened = True
    moment = _moment_of(event)
    if moment.answers:
        earlier = [known for known in ticket.moments if known.answers]
        if any(known.at_ms <= moment.at_ms for known in earlier):
            return True
        for known in earlier:
            ticket.moments.remove(known)
    if _matters(moment) or not ticket.moments or moment.at_ms < ticket.moments[0].at_ms:
        _insert(ticket, moment)
    return True


def change_tier(tickets: dict[str, Ticket], event: CustomerUpdated) -> None:
    """The customer has another tier from here on: a moment of every ticket that began before, the start of the others."""
    for ticket in tickets.values():
        if event.at_ms > ticket.moments[0].at_ms:
            _insert(ticket, Moment(Occurrence.of(event), tier=event.tier))
        else:
            ticket.tier = event.tier


def _insert(ticket: Ticket, moment: Moment) -> None:
    insort(ticket.moments, moment, key=lambda known: known.at_ms)
    if len(ticket.moments) > MANY_MOMENTS and len(ticket.moments) % MANY_MOMENTS == 1:
        ticket.moments = list(_that_change_something(ticket.moments))


def _that_change_something(moments: list[Moment]) -> Iterator[Moment]:
    """Leave out updates that only repeat what holds already. A later arrival between two of them may then be read wrongly."""
    held: dict[str, object] = {}
    for place, moment in enumerate(moments):
        said = {name: getattr(moment, name) for name in ("priority", "category", "team", "status", "tier")}
        news = {name: value for name, value in said.items() if value is not None and held.get(name) != value}
        if place == 0 or news or moment.occurrence.type not in {"ticket.updated", "customer.updated"}:
            yield moment
        held.update(news)
        if moment.occurrence.type in {"ticket.resolved", "ticket.closed"}:
            held["status"] = None  # any status would be news


def _moment_of(event: TicketEvent) -> Moment:
    occurrence = Occurrence.of(event)
    match event:
        case TicketOpened():
            return Moment(occurrence, priority=event.priority, category=event.category, team=event.team, status="open")
        case TicketUpdated():
            return Moment(occurrence, priority=event.priority, category=event.category, team=event.team, status=event.status)
        case TicketReplied():
            return Moment(occurrence, answers=event.by == "agent" and event.public)
        case TicketReopened():
            return Moment(occurrence, status="open")
        case TicketResolved() | TicketClosed():
            return Moment(occurrence)


def _matters(moment: Moment) -> bool:
    changes = (moment.priority, moment.category, moment.team, moment.status)
    decisive = moment.occurrence.type in {"ticket.resolved", "ticket.closed", "ticket.reopened"}
    return moment.answers or decisive or any(change is not None for change in changes)


def forgettable(tickets: dict[str, Ticket], at_ms: int) -> list[str]:
    """The tickets that have been closed for so long that they may be dropped, with whatever is kept of their alerts."""
    return [ticket_id for ticket_id, ticket in tickets.items() if _is_over(ticket, at_ms - FORGET_AFTER_MS)]


def _is_over(ticket: Ticket, before_ms: int) -> bool:
    last = ticket.moments[-1]
    ended = last.occurrence.type in {"ticket.closed", "ticket.resolved"} and last.at_ms < before_ms
    return ended and not any(told.opened and told.ended_ms is None for told in ticket.told.values())
