"""Tickets of a customer: the moments that a clock may ask for, by time, whatever order they arrived in."""

from bisect import insort
from collections.abc import Iterator
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
"""A ticket that has been resolved or closed for so long is forgotten when the customer has a new one; what comes for
it later is taken for an unknown ticket."""


MANY_MOMENTS: Final = 64
"""Beyond so many, and at each further multiple, a ticket is thinned: see `_thinned`."""
_ENDS: Final = frozenset({"ticket.resolved", "ticket.closed"})


class Moment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something happened to a ticket."""

    occurrence: Occurrence
    answers: bool = False
    """A public reply of an agent; private notes and the customer's own words are no answers."""
    priority: Priority | None = None
    category: Category | None = None
    team: str | None = None
    status: TicketStatus | None = None
    asks: bool = False
    """The customer wrote."""

    @property
    def ends(self) -> bool:
        """Whether the ticket is solved from here on."""
        return self.occurrence.type in _ENDS

    @property
    def reopens(self) -> bool:
        """Whether a solved ticket is open again; many desks say so by a status alone, for a solved ticket has none."""
        kind = self.occurrence.type
        return kind == "ticket.reopened" or (kind == "ticket.updated" and self.status is not None)

    @property
    def at_ms(self) -> int:
        """When."""
        return self.occurrence.at_ms


class Carried(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a clock had used up when the rule changed its promises: what lies behind that instant is not measured again."""

    at_ms: int
    consumed_ms: int
    target_ms: int
    """Of the promise until then; 0: there was none."""
    calendar: str | None
    """Its calendar, by name; None: around the clock."""


class SlaTold(msgspec.Struct, array_like=True):
    """What one `sla` rule has told about a ticket, and when it wants to look again."""

    start_ms: int = 0
    """Of the episode that something was told of, or will be."""
    due_ms: int = 0
    passed: list[float] = []
    """Warnings that were told: none is given twice."""
    warned: bool = False
    opened: bool = False
    ended_ms: int | None = None
    """When it was over: met, answered or taken back."""
    retracted: bool = False
    wake_ms: int | None = None
    since_ms: int | None = None
    """Start of the episode before that something was told of; it is final."""
    over_ms: int = 0
    """Its end."""
    replies_until_ms: int | None = None
    """Of a `next_response` clock: whatever was written before has been decided."""
    carried: Carried | None = None

    @property
    def said(self) -> bool:
        """Whether anything was told of the episode."""
        return self.warned or self.opened


class Ticket(msgspec.Struct, array_like=True):
    """One ticket."""

    moments: list[Moment] = []
    """By time; at the same instant in log order."""
    opened: bool = False
    """It was opened by its own event; before that, by the first that was heard of it."""
    told: dict[str, SlaTold] = {}
    """By the rule's state key."""
    replies_from_ms: int | None = None
    """Of what was written before only the first answer is kept."""


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
    if not ticket.moments or moment.at_ms < ticket.moments[0].at_ms or (_matters(moment) and not _was_dropped(ticket, moment)):
        _insert(ticket, moment)
    return True


def _insert(ticket: Ticket, moment: Moment) -> None:
    insort(ticket.moments, moment, key=lambda known: known.at_ms)
    if len(ticket.moments) > MANY_MOMENTS and len(ticket.moments) % MANY_MOMENTS == 1:
        _thin(ticket)


def _was_dropped(ticket: Ticket, moment: Moment) -> bool:
    """Whether something like it was left out already, so that alone it would be read wrongly; a first answer never is."""
    if ticket.replies_from_ms is None or moment.at_ms >= ticket.replies_from_ms or not (moment.asks or moment.answers):
        return False
    return moment.asks or any(known.answers and known.at_ms <= moment.at_ms for known in ticket.moments)


def _thin(ticket: Ticket) -> None:
    """Leave out what says nothing any more; the latest half stays as it is.

    Updates that only repeat what holds, of several messages in a row all but the first, of several answers all but the
    first, and what was written before an answer that every clock has dealt with. A later arrival between two of those
    may then be read wrongly.
    """
    latest = ticket.moments[-MANY_MOMENTS // 2 :]
    decided = (told.replies_until_ms for told in ticket.told.values() if told.replies_until_ms is not None)
    ticket.replies_from_ms = min([latest[0].at_ms, *decided])
    older = _that_change_something(ticket.moments[: -MANY_MOMENTS // 2])
    ticket.moments = [*_without_old_replies(list(older), ticket.replies_from_ms), *latest]


def _that_change_something(moments: list[Moment]) -> Iterator[Moment]:
    held: dict[str, object] = {}
    for place, moment in enumerate(moments):
        said = {name: getattr(moment, name) for name in ("priority", "category", "team", "status")}
        news = {name: value for name, value in said.items() if value is not None and held.get(name) != value}
        if place == 0 or news or moment.occurrence.type != "ticket.updated":
            yield moment
        held.update(news)
        if moment.ends:
            held["status"] = None  # any status would be news


def _without_old_replies(moments: list[Moment], until_ms: int) -> Iterator[Moment]:
    first_answer = next((moment for moment in moments if moment.answers), None)
    last: Moment | None = None
    for moment in moments:
        is_reply = moment.asks or moment.answers
        is_old = moment.at_ms < until_ms and moment is not first_answer
        repeats = last is not None and (last.asks, last.answers) == (moment.asks, moment.answers)
        if not is_reply or moment is moments[0] or not (is_old or repeats):
            yield moment
        if is_reply or moment.ends:
            last = moment


def _moment_of(event: TicketEvent) -> Moment:
    occurrence = Occurrence.of(event)
    match event:
        case TicketOpened():
            return Moment(occurrence, priority=event.priority, category=event.category, team=event.team, status="open")
        case TicketUpdated():
            return Moment(occurrence, priority=event.priority, category=event.category, team=event.team, status=event.status)
        case TicketReplied():
            return Moment(
                occurrence, answers=event.by == "agent" and event.public, asks=event.by == "customer" and event.public
            )
        case TicketReopened():
            return Moment(occurrence, status="open")
        case TicketResolved() | TicketClosed():
            return Moment(occurrence)


def _matters(moment: Moment) -> bool:
    changes = (moment.priority, moment.category, moment.team, moment.status)
    return moment.answers or moment.asks or moment.ends or moment.reopens or any(change is not None for change in changes)


def forgettable(tickets: dict[str, Ticket], at_ms: int) -> list[str]:
    """The tickets that have been closed for so long that they may be dropped, with whatever is kept of their alerts."""
    return [ticket_id for ticket_id, ticket in tickets.items() if _is_over(ticket, at_ms - FORGET_AFTER_MS)]


def _is_over(ticket: Ticket, before_ms: int) -> bool:
    """Whether the last that counts was its end: thanks may follow."""
    last = next((known for known in reversed(ticket.moments) if known.ends or known.reopens), ticket.moments[0])
    ended = last.ends and last.at_ms < before_ms
    return ended and not any(told.opened and told.ended_ms is None for told in ticket.told.values())
