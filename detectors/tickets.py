"""Tickets of a customer: the moments that a clock may ask for, by time, whatever order they arrived in."""

from bisect import insort
from typing import Final

import msgspec

from detectors.occurrence import Occurrence
from schemas.events import (
    Category,
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
"""A ticket that has been closed for so long is forgotten when the customer has a new one; what comes for it later is
taken for an unknown ticket."""


class Moment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something happened to a ticket."""

    occurrence: Occurrence
    answers: bool = False
    """A public reply of an agent; private notes and the customer's own words are no answers."""
    priority: Priority | None = None
    category: Category | None = None
    team: str | None = None
    status: TicketStatus | None = None

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
    """Warnings behind us, told or not: none is given twice."""
    warned: bool = False
    opened: bool = False
    silent: bool = False
    """The episode was breached, and nothing was to be told."""
    closed: bool = False
    retracted: bool = False
    wake_ms: int | None = None


class Ticket(msgspec.Struct, array_like=True):
    """One ticket. Of replies only the first answer is kept, of updates only those that change something."""

    moments: list[Moment] = []
    """By time; at the same instant in log order."""
    opened: bool = False
    """It was opened by its own event; before that, by the first that was heard of it."""
    told: dict[str, SlaTold] = {}
    """By the rule's state key."""


def take(tickets: dict[str, Ticket], event: TicketEvent) -> bool:
    """Take an event of a ticket in; False if it opens one that is open already, which is to be ignored everywhere."""
    ticket = tickets.get(event.ticket_id)
    if ticket is None:
        ticket = tickets[event.ticket_id] = Ticket()
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
        insort(ticket.moments, moment, key=lambda known: known.at_ms)
    return True


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
    return last.occurrence.type == "ticket.closed" and last.at_ms < before_ms
