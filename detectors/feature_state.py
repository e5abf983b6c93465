"""What is remembered of a customer to compute features from: fading sums and a few instants.

Events may come late and in any order: every sum is one whatever the order, save for the bounds on memory that
`feature_orders` and `MAX_TICKETS` set.
"""

from bisect import bisect_left, insort
from operator import attrgetter
from typing import Final

import msgspec

from detectors.fading import fading, mean_lives
from detectors.feature_notes import Note, note_of
from detectors.feature_orders import Orders, make_up, order_placed, order_taken_back
from schemas.events import AnyEvent
from schemas.instants import DAY_MS

MAX_TICKETS: Final = 32
"""How many tickets are known by name; the ones that ended longest ago are forgotten first."""
DAYS_KEPT: Final = 64
"""How many days back it is known on which of them there was a login."""
MAX_AHEAD: Final = 256
"""How many events may wait for the marks; beyond it the earliest half is settled early."""

_ALL_DAYS: Final = (1 << DAYS_KEPT) - 1

_by_instant: Final = attrgetter("at_ms")


class Logins(msgspec.Struct, array_like=True):
    """Logins and usage; the sums are as they stood at the last of them."""

    last_ms: int
    count_7d: float = 0.0
    count_30d: float = 0.0
    usage_30d: float = 0.0
    days: int = 1
    """UTC days with any of them, as bits: the lowest is the latest such day, the next the day before, `DAYS_KEPT` in all."""
    count_90d: float = 0.0


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
    """The latest opening: the fading sums are as they stood then."""
    opened_30d: float = 0.0
    complaints_90d: float = 0.0
    survey_ms: int | None = None
    survey_share: float = 0.0
    complaints_30d: float = 0.0


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
        case "order" | "corrected" | "returned" | "cancelled":
            _fold_order(state, note)
        case _:
            _fold_ticket(state, note)


def _fold_order(state: FeatureState, note: Note) -> None:
    if state.orders is None:
        if note.what != "order":
            return
        state.orders = Orders(note.at_ms, note.at_ms)
    elif not state.orders.weeks:
        make_up(state.orders)
    if note.what == "order":
        order_placed(state.orders, note)
    else:
        order_taken_back(state.orders, note)


def _fold_login(state: FeatureState, note: Note) -> None:
    at_ms = note.at_ms
    logins = state.logins
    if logins is None:
        logins = state.logins = Logins(at_ms)
    count, usage = (0.0, note.amount or 0.0) if note.what == "usage" else (1.0, 0.0)
    elapsed_ms = at_ms - logins.last_ms
    days_later = at_ms // DAY_MS - logins.last_ms // DAY_MS
    left_of_7d = fading(abs(elapsed_ms), 7 * DAY_MS)
    left_of_30d, left_of_90d = mean_lives(abs(elapsed_ms))
    if elapsed_ms >= 0:
        logins.count_7d = logins.count_7d * left_of_7d + count
        logins.count_30d = logins.count_30d * left_of_30d + count
        logins.count_90d = logins.count_90d * left_of_90d + count
        logins.usage_30d = logins.usage_30d * left_of_30d + usage
        logins.last_ms = at_ms
        logins.days = (logins.days << min(days_later, DAYS_KEPT) | 1) & _ALL_DAYS
    else:
        logins.count_7d += count * left_of_7d
        logins.count_30d += count * left_of_30d
        logins.count_90d += count * left_of_90d
        logins.usage_30d += usage * left_of_30d
        if days_later > -DAYS_KEPT:
            logins.days |= 1 << -days_later


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
    left_of_30d, left_of_90d = mean_lives(abs(elapsed_ms))
    if elapsed_ms >= 0:
        tickets.opened_30d = tickets.opened_30d * left_of_30d + 1.0
        tickets.complaints_30d = tickets.complaints_30d * left_of_30d + complaint
        tickets.complaints_90d = tickets.complaints_90d * left_of_90d + complaint
        tickets.opened_ms = at_ms
    else:
        tickets.opened_30d += left_of_30d
        tickets.complaints_30d += complaint * left_of_30d
        tickets.complaints_90d += complaint * left_of_90d


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
