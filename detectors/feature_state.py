"""What is remembered of a customer to compute features from: fading sums and a few instants.

Events may come late and in any order: every sum is one whatever the order, save for two bounds on memory.
`RECENT_DAYS` order days and `RECENT_ORDERS` orders are known by name; what concerns older ones is only counted.
"""

import math
from bisect import bisect_left, insort
from operator import attrgetter
from typing import Final

import msgspec

from detectors.feature_notes import Note, note_of
from schemas.events import AnyEvent
from schemas.instants import DAY_MS

RECENT_DAYS: Final = 16
RECENT_ORDERS: Final = 16
MAX_TICKETS: Final = 32
"""How many tickets are known by name; the ones that ended longest ago are forgotten first."""
MAX_AHEAD: Final = 256
"""How many events may wait for the marks; beyond it the earliest half is settled early."""

_by_instant: Final = attrgetter("at_ms")


def fading(elapsed_ms: int, life_ms: int) -> float:
    """What is left of 1 after a time: a sum of such parts equals, in a steady stream, that over the last mean life."""
    return math.exp(-elapsed_ms / life_ms)


class KnownOrder(msgspec.Struct, array_like=True, gc=False, order=True):
    """An order that can still be corrected or taken back; `amount` is what is left of it."""

    at_ms: int
    key: int
    amount: float
    gone: bool = False


class Orders(msgspec.Struct, array_like=True):
    """Orders; what was given back lowers counts and value, never recency."""

    first_ms: int
    last_ms: int
    placed: int = 0
    gone: int = 0
    """Orders wholly given back or called off."""
    returns: int = 0
    value: float = 0.0
    days: list[int] = []
    """The latest different UTC days, ascending: several orders of a day are one for the gaps."""
    day_count: int = 0
    recent: list[KnownOrder] = []
    weighed_ms: int = 0
    """The latest instant in the three sums, which are as they stood then."""
    count_30d: float = 0.0
    count_90d: float = 0.0
    value_90d: float = 0.0


class Logins(msgspec.Struct, array_like=True):
    """Logins and usage; the sums are as they stood at the last of them."""

    last_ms: int
    count_7d: float = 0.0
    count_30d: float = 0.0
    usage_30d: float = 0.0


class KnownTicket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a ticket stands; of events at the same instant the one that ends it counts."""

    at_ms: int
    open: bool
    opening: bool
    """Its opening was seen, and counted."""


class Tickets(msgspec.Struct, array_like=True):
    """Tickets and surveys."""

    known: dict[int, KnownTicket] = {}
    opened_ms: int = 0
    """The latest opening: the two sums are as they stood then."""
    opened_30d: float = 0.0
    complaints_90d: float = 0.0
    survey_ms: int | None = None
    survey_share: float = 0.0


class FeatureState(msgspec.Struct, array_like=True):
    """All of it, for one customer. Events that no look has passed yet wait in `ahead`."""

    settled_ms: int = 0
    """Events before this instant are in the sums; a later one waits, so that a look sees only what was before it."""
    first_ms: int | None = None
    ahead: list[Note] = []
    """By time; at the same instant as they came."""
    orders: Orders | None = None
    logins: Logins | None = None
    tickets: Tickets | None = None


def remember(state: FeatureState, event: AnyEvent) -> None:
    """Take in an event; it may be late, or ahead of every mark."""
    note = note_of(event)
    if note is None:
        return
    if note.at_ms < state.settled_ms:
        _fold(state, note)
        return
    if not state.ahead or note.at_ms >= state.ahead[-1].at_ms:
        state.ahead.append(note)
    else:
        insort(state.ahead, note, key=_by_instant)
    if len(state.ahead) > MAX_AHEAD:
        settle(state, state.ahead[MAX_AHEAD // 2].at_ms + 1)


def settle(state: FeatureState, until_ms: int) -> None:
    """Bring everything before the instant into the sums."""
    if state.ahead and state.ahead[0].at_ms < until_ms:
        ready = bisect_left(state.ahead, until_ms, key=_by_instant)
        for note in state.ahead[:ready]:
            _fold(state, note)
        del state.ahead[:ready]
    state.settled_ms = max(state.settled_ms, until_ms)


def _fold(state: FeatureState, note: Note) -> None:
    state.first_ms = note.at_ms if state.first_ms is None else min(state.first_ms, note.at_ms)
    match note.what:
        case "login" | "usage":
            _fold_login(state, note)
        case "order":
            _fold_order(state, note)
        case "corrected" | "returned" | "cancelled":
            _fold_taken_back(state, note)
        case _:
            _fold_ticket(state, note)


def _fold_order(state: FeatureState, note: Note) -> None:
    at_ms, amount = note.at_ms, note.amount or 0.0
    orders = state.orders
    if orders is None:
        orders = state.orders = Orders(at_ms, at_ms)
    orders.first_ms, orders.last_ms = min(orders.first_ms, at_ms), max(orders.last_ms, at_ms)
    orders.placed += 1
    _weigh(orders, at_ms, 1.0, amount)
    day = at_ms // DAY_MS
    place = bisect_left(orders.days, day)
    if orders.days[place : place + 1] != [day]:
        orders.days.insert(place, day)
        orders.day_count += 1
        del orders.days[:-RECENT_DAYS]
    insort(orders.recent, KnownOrder(at_ms, note.key, amount))
    del orders.recent[:-RECENT_ORDERS]


def _fold_taken_back(state: FeatureState, note: Note) -> None:
    orders = state.orders
    if orders is None:
        return
    known = next((order for order in reversed(orders.recent) if order.key == note.key), None)
    if note.what == "corrected":
        if known is not None and not known.gone:
            corrected = note.amount or 0.0
            _weigh(orders, known.at_ms, 0.0, corrected - known.amount)
            known.amount = corrected
        return
    orders.returns += 1
    if known is None:
        _weigh(orders, note.at_ms, 0.0, -abs(note.amount or 0.0))
        return
    back = known.amount if note.amount is None else min(abs(note.amount), known.amount)
    known.amount -= back
    wholly = not known.gone and (note.what == "cancelled" or known.amount <= 0)
    _weigh(orders, known.at_ms, -1.0 if wholly else 0.0, -back)
    if wholly:
        known.gone = True
        orders.gone += 1


def _weigh(orders: Orders, at_ms: int, count: float, amount: float) -> None:
    """Take in an amount of any instant, in any order."""
    orders.value += amount
    elapsed_ms = at_ms - orders.weighed_ms
    if elapsed_ms >= 0:
        left = fading(elapsed_ms, 90 * DAY_MS)
        orders.count_30d = orders.count_30d * fading(elapsed_ms, 30 * DAY_MS) + count
        orders.count_90d = orders.count_90d * left + count
        orders.value_90d = orders.value_90d * left + amount
        orders.weighed_ms = at_ms
    else:
        left = fading(-elapsed_ms, 90 * DAY_MS)
        orders.count_30d += count * fading(-elapsed_ms, 30 * DAY_MS)
        orders.count_90d += count * left
        orders.value_90d += amount * left


def _fold_login(state: FeatureState, note: Note) -> None:
    at_ms = note.at_ms
    logins = state.logins
    if logins is None:
        logins = state.logins = Logins(at_ms)
    count, usage = (0.0, note.amount or 0.0) if note.what == "usage" else (1.0, 0.0)
    elapsed_ms = at_ms - logins.last_ms
    if elapsed_ms >= 0:
        left = fading(elapsed_ms, 30 * DAY_MS)
        logins.count_7d = logins.count_7d * fading(elapsed_ms, 7 * DAY_MS) + count
        logins.count_30d = logins.count_30d * left + count
        logins.usage_30d = logins.usage_30d * left + usage
        logins.last_ms = at_ms
    else:
        left = fading(-elapsed_ms, 30 * DAY_MS)
        logins.count_7d += count * fading(-elapsed_ms, 7 * DAY_MS)
        logins.count_30d += count * left
        logins.usage_30d += usage * left


def _fold_ticket(state: FeatureState, note: Note) -> None:
    tickets = state.tickets
    if tickets is None:
        tickets = state.tickets = Tickets()
    if note.what == "survey":
        _fold_survey(tickets, note)
        return
    known = tickets.known.get(note.key)
    opening = note.what in {"opened", "complaint"}
    if known is not None and opening and known.opening:
        return
    if opening:
        _weigh_opening(tickets, note.at_ms, 1.0 if note.what == "complaint" else 0.0)
    tickets.known[note.key] = _ticket_after(known, note, opening=opening)
    if len(tickets.known) > MAX_TICKETS:
        del tickets.known[min(tickets.known, key=lambda key: (tickets.known[key].open, tickets.known[key].at_ms, key))]


def _weigh_opening(tickets: Tickets, at_ms: int, complaint: float) -> None:
    elapsed_ms = at_ms - tickets.opened_ms
    if elapsed_ms >= 0:
        tickets.opened_30d = tickets.opened_30d * fading(elapsed_ms, 30 * DAY_MS) + 1.0
        tickets.complaints_90d = tickets.complaints_90d * fading(elapsed_ms, 90 * DAY_MS) + complaint
        tickets.opened_ms = at_ms
    else:
        tickets.opened_30d += fading(-elapsed_ms, 30 * DAY_MS)
        tickets.complaints_90d += complaint * fading(-elapsed_ms, 90 * DAY_MS)


def _ticket_after(known: KnownTicket | None, note: Note, *, opening: bool) -> KnownTicket:
    if known is None:
        # A reply in a ticket whose opening was never seen shows that it is open, and nothing about since when.
        return KnownTicket(0 if note.what == "seen" else note.at_ms, note.what != "ended", opening)
    ended = note.what == "ended"
    newer = note.what != "seen" and (note.at_ms > known.at_ms or (ended and note.at_ms == known.at_ms))
    at_ms, is_open = (note.at_ms, not ended) if newer else (known.at_ms, known.open)
    return KnownTicket(at_ms, is_open, known.opening or opening)


def _fold_survey(tickets: Tickets, note: Note) -> None:
    answer = (note.at_ms, -(note.amount or 0.0))
    if tickets.survey_ms is None or answer > (tickets.survey_ms, -tickets.survey_share):
        tickets.survey_ms, tickets.survey_share = note.at_ms, note.amount or 0.0
