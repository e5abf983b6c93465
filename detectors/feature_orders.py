"""What is remembered of a customer's orders.

Orders may come late and in any order: every sum is one whatever the order, save for two bounds on memory.
`RECENT_DAYS` order days and `RECENT_ORDERS` orders are known by name; what concerns older ones is only counted.
"""

from bisect import bisect_left, insort
from typing import Final

import msgspec

from detectors.fading import half_lives, mean_lives
from detectors.feature_notes import Note
from schemas.instants import DAY_MS

RECENT_DAYS: Final = 16
RECENT_ORDERS: Final = 16


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
    """The latest instant in the fading sums, which are as they stood then."""
    count_30d: float = 0.0
    count_90d: float = 0.0
    value_90d: float = 0.0
    weeks: int = 0
    """Different weeks with an order; 0: left by a release that kept nothing from here on."""
    half_14d: float = 0.0
    """Orders, halved every 14 days."""
    value_half_112d: float = 0.0
    items: int = 0
    """Of all orders that were placed."""


def order_placed(orders: Orders, note: Note) -> None:
    """Take in an order."""
    at_ms, amount = note.at_ms, note.amount or 0.0
    orders.first_ms, orders.last_ms = min(orders.first_ms, at_ms), max(orders.last_ms, at_ms)
    orders.placed += 1
    _weigh(orders, at_ms, 1.0, amount)
    _count_day(orders, at_ms // DAY_MS)
    insort(orders.recent, KnownOrder(at_ms, note.key, amount))
    del orders.recent[:-RECENT_ORDERS]
    orders.items += note.items


def order_taken_back(orders: Orders, note: Note) -> None:
    """Take in a correction, a return or a cancellation."""
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


def make_up(orders: Orders) -> None:
    """What an older release did not keep, made of the orders that are known by name."""
    orders.weeks = len({day // 7 for day in orders.days}) or 1
    for order in orders.recent:
        left_of_14d, left_of_112d = half_lives(orders.weighed_ms - order.at_ms)
        orders.half_14d += 0.0 if order.gone else left_of_14d
        orders.value_half_112d += order.amount * left_of_112d


def _count_day(orders: Orders, day: int) -> None:
    days = orders.days
    place = bisect_left(days, day)
    if days[place : place + 1] == [day]:
        return
    week = day // 7
    if all(beside // 7 != week for beside in days[max(0, place - 1) : place + 1]):
        orders.weeks += 1
    days.insert(place, day)
    orders.day_count += 1
    del days[:-RECENT_DAYS]


def _weigh(orders: Orders, at_ms: int, count: float, amount: float) -> None:
    """Take in an amount of any instant, in any order."""
    orders.value += amount
    elapsed_ms = at_ms - orders.weighed_ms
    left_of_30d, left_of_90d = mean_lives(abs(elapsed_ms))
    left_of_14d, left_of_112d = half_lives(abs(elapsed_ms))
    if elapsed_ms >= 0:
        orders.weighed_ms = at_ms
        orders.count_30d = orders.count_30d * left_of_30d + count
        orders.count_90d = orders.count_90d * left_of_90d + count
        orders.value_90d = orders.value_90d * left_of_90d + amount
        orders.half_14d = orders.half_14d * left_of_14d + count
        orders.value_half_112d = orders.value_half_112d * left_of_112d + amount
    else:
        orders.count_30d += count * left_of_30d
        orders.count_90d += count * left_of_90d
        orders.value_90d += amount * left_of_90d
        orders.half_14d += count * left_of_14d
        orders.value_half_112d += amount * left_of_112d
