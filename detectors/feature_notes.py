"""What the features need of an event: an instant, a word, a key and an amount."""

import math
import zlib
from typing import Final, Literal

import msgspec

from schemas.events import (
    AnyEvent,
    LoginSucceeded,
    OrderCancelled,
    OrderCorrected,
    OrderEvent,
    OrderPlaced,
    OrderReturned,
    SurveyAnswered,
    TicketClosed,
    TicketEvent,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketUpdated,
    UsageRecorded,
)

MAX_AMOUNT: Final = 1e9
"""Amounts beyond it, either way, count as this much."""
MAX_USAGE: Final = 1_000_000
MAX_ITEMS: Final = 1_000_000

What = Literal[
    "order",
    "corrected",
    "returned",
    "cancelled",
    "login",
    "usage",
    "opened",
    "complaint",
    "reopened",
    "seen",
    "ended",
    "survey",
]


class Note(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the features need of one event."""

    at_ms: int
    what: What
    key: int = 0
    """Hash of the order or ticket."""
    amount: float | None = None
    items: int = 0
    """Of an order; 0 where nobody says."""


_ORDER_WHAT: Final[dict[str, What]] = {
    "order.placed": "order",
    "order.corrected": "corrected",
    "order.returned": "returned",
    "order.cancelled": "cancelled",
}


def note_of(event: AnyEvent) -> Note | None:
    """What the features need of an event; None: nothing."""
    at_ms = event.at_ms
    match event:
        case LoginSucceeded():  # the most frequent first
            return Note(at_ms, "login")
        case OrderPlaced() | OrderCorrected() | OrderReturned() | OrderCancelled():
            return _order(event)
        case UsageRecorded():
            return Note(at_ms, "usage", 0, float(min(event.count, MAX_USAGE)))
        case SurveyAnswered():
            return _survey(event)
        case TicketOpened() | TicketReopened() | TicketReplied() | TicketUpdated() | TicketResolved() | TicketClosed():
            return Note(at_ms, _what_of(event), _hash(event.ticket_id))
        case _:
            return None


def _order(event: OrderEvent) -> Note:
    items = min(event.items or 0, MAX_ITEMS) if isinstance(event, OrderPlaced) else 0
    return Note(event.at_ms, _ORDER_WHAT[event.type], _hash(event.order_id), _clamped(event.amount), items)


def _survey(event: SurveyAnswered) -> Note | None:
    share = event.score / event.scale_max if event.scale_max > 0 else math.nan
    return Note(event.at_ms, "survey", 0, min(1.0, max(0.0, share))) if math.isfinite(share) else None


def _what_of(event: TicketEvent) -> What:
    match event:
        case TicketOpened():
            return "complaint" if event.category == "complaint" else "opened"
        case TicketResolved() | TicketClosed():
            return "ended"
        case TicketReopened():
            return "reopened"
        case _:
            return "seen"


def _hash(name: str) -> int:
    """Four bytes that are the same in every process."""
    return zlib.crc32(name.encode())


def _clamped(amount: float | None) -> float | None:
    if amount is None:
        return None
    return min(MAX_AMOUNT, max(-MAX_AMOUNT, amount)) if math.isfinite(amount) else 0.0
