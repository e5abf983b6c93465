"""The features by their definitions, over a whole history at once: slow, and as plain as the table."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from detectors.features import NAMES
from schemas.events import (
    AnyEvent,
    LoginSucceeded,
    OrderCancelled,
    OrderCorrected,
    OrderPlaced,
    OrderReturned,
    SurveyAnswered,
    TicketClosed,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketUpdated,
    UsageRecorded,
)
from schemas.instants import DAY_MS

PRIOR_DAYS = 45.0
_SEEN = (
    OrderPlaced
    | OrderCorrected
    | OrderReturned
    | OrderCancelled
    | LoginSucceeded
    | UsageRecorded
    | TicketOpened
    | TicketReopened
    | TicketReplied
    | TicketUpdated
    | TicketResolved
    | TicketClosed
    | SurveyAnswered
)


def naive_features(events: Iterable[AnyEvent], at_ms: int, prior_days: float = PRIOR_DAYS) -> dict[str, float]:
    """By name, of one customer, from the events strictly before an instant; amounts must be finite, tickets few."""
    before = sorted((event for event in events if event.at_ms < at_ms and isinstance(event, _SEEN)), key=lambda one: one.at_ms)
    tenure = (at_ms - before[0].at_ms) / DAY_MS if before else 0.0
    found = {
        "tenure_days": tenure,
        **_of_orders(before, at_ms, tenure, prior_days),
        **_of_logins(before, at_ms, tenure),
        **_of_tickets(before, at_ms),
    }
    return {name: float(found[name]) for name in NAMES}


def _of_orders(before: Sequence[AnyEvent], at_ms: int, tenure: float, prior: float) -> dict[str, float]:
    placed = [event for event in before if isinstance(event, OrderPlaced)]
    if not placed:
        return _without_orders(tenure, prior)
    orders, unknown, returns = _ledger(before)
    kept = sum(not gone for _, _, gone in orders)
    counted = [at for at, _, gone in orders if not gone]
    amounts = [(at, amount) for at, amount, _ in orders] + unknown
    days = sorted({event.at_ms // DAY_MS for event in placed})
    value = sum(amount for _, amount in amounts)
    weeks = len({day // 7 for day in days})
    return {
        **_of_gaps(days, (at_ms - placed[-1].at_ms) / DAY_MS, prior),
        "orders": kept,
        "orders_half_14d": sum(0.5 ** ((at_ms - at) / (14 * DAY_MS)) for at in counted),
        "orders_30d": sum(math.exp((at - at_ms) / (30 * DAY_MS)) for at in counted),
        "orders_90d": sum(math.exp((at - at_ms) / (90 * DAY_MS)) for at in counted),
        "order_value_90d": max(0.0, sum(amount * math.exp((at - at_ms) / (90 * DAY_MS)) for at, amount in amounts)),
        "order_value_half_112d": max(0.0, sum(amount * 0.5 ** ((at_ms - at) / (112 * DAY_MS)) for at, amount in amounts)),
        "order_value_mean": value / max(1, kept),
        "order_rate": kept / (tenure + prior),
        "order_days_180d": min(16, sum(day >= at_ms // DAY_MS - 180 for day in days)),
        "order_weeks_share": weeks / (tenure / 7 + 1),
        "order_once": len(days) == 1,
        "order_items_mean": sum(event.items or 0 for event in placed) / len(placed),
        "returns": returns,
    }


def _without_orders(tenure: float, prior: float) -> dict[str, float]:
    return {
        **dict.fromkeys((name for name in NAMES if name.startswith(("order", "returns"))), 0.0),
        **_of_gaps([], tenure, prior),
    }


def _of_gaps(days: list[int], recency: float, prior: float) -> dict[str, float]:
    gaps = [later - earlier for earlier, later in pairwise(days)]
    mean = (sum(gaps) + 2 * prior) / (len(gaps) + 2)
    longest = max(gaps[-15:], default=mean)
    recent = prior
    for gap in gaps[-15:]:
        recent = 0.7 * recent + 0.3 * gap
    return {
        "order_recency_days": recency,
        "order_gap_mean_days": mean,
        "order_recency_ratio": recency / mean,
        "order_gap_last_days": gaps[-1] if gaps else mean,
        "order_gap_max_days": longest,
        "order_recency_max_ratio": recency / max(longest, 7),
        "order_gap_recent_days": recent,
    }


def _ledger(before: Sequence[AnyEvent]) -> tuple[list[tuple[int, float, bool]], list[tuple[int, float]], int]:
    """Orders as (instant, what is left of the amount, gone); what was taken back of others; how often it was."""
    names: list[str] = []
    orders: list[tuple[int, float, bool]] = []
    unknown: list[tuple[int, float]] = []
    returns = 0
    for event in before:
        if isinstance(event, OrderPlaced):
            names.append(event.order_id)
            orders.append((event.at_ms, event.amount, False))
        elif isinstance(event, OrderCorrected | OrderReturned | OrderCancelled) and orders:
            place = max((n for n, name in enumerate(names) if name == event.order_id), default=None)
            back = not isinstance(event, OrderCorrected)
            returns += back
            if place is not None:
                orders[place] = _after(event, orders[place])
            elif back:
                unknown.append((event.at_ms, -abs(event.amount or 0.0)))
    return orders, unknown, returns


def _after(event: OrderCorrected | OrderReturned | OrderCancelled, known: tuple[int, float, bool]) -> tuple[int, float, bool]:
    at_ms, amount, gone = known
    if isinstance(event, OrderCorrected):
        return known if gone else (at_ms, event.amount, gone)
    left = amount - (amount if event.amount is None else min(abs(event.amount), amount))
    return at_ms, left, gone or left <= 0 or isinstance(event, OrderCancelled)


def _of_logins(before: Sequence[AnyEvent], at_ms: int, tenure: float) -> dict[str, float]:
    seen = [event for event in before if isinstance(event, LoginSucceeded | UsageRecorded)]
    logins = [event.at_ms for event in seen if isinstance(event, LoginSucceeded)]
    used = [(event.at_ms, event.count) for event in seen if isinstance(event, UsageRecorded)]
    days = {event.at_ms // DAY_MS for event in seen}
    return {
        "login_recency_days": (at_ms - seen[-1].at_ms) / DAY_MS if seen else tenure,
        **{f"logins_{life}d": sum(math.exp((at - at_ms) / (life * DAY_MS)) for at in logins) for life in (7, 30, 90)},
        **{f"login_days_{window}d": sum(day >= at_ms // DAY_MS - window for day in days) for window in (7, 28, 56)},
        "usage_30d": sum(count * math.exp((at - at_ms) / (30 * DAY_MS)) for at, count in used),
    }


def _of_tickets(before: Sequence[AnyEvent], at_ms: int) -> dict[str, float]:
    opened: dict[str, TicketOpened] = {}
    is_open: dict[str, bool] = {}
    survey = 0.5
    for event in before:
        match event:
            case TicketOpened() if event.ticket_id not in opened:
                opened[event.ticket_id] = event
                is_open[event.ticket_id] = True
            case TicketReopened():
                is_open[event.ticket_id] = True
            case TicketReplied() | TicketUpdated():
                is_open.setdefault(event.ticket_id, True)
            case TicketResolved() | TicketClosed():
                is_open[event.ticket_id] = False
            case SurveyAnswered():
                survey = min(1.0, max(0.0, event.score / event.scale_max))
            case _:
                pass
    complaints = [ticket.at_ms for ticket in opened.values() if ticket.category == "complaint"]
    return {
        "tickets_open": sum(is_open.values()),
        "tickets_30d": sum(math.exp((ticket.at_ms - at_ms) / (30 * DAY_MS)) for ticket in opened.values()),
        **{f"complaints_{life}d": sum(math.exp((at - at_ms) / (life * DAY_MS)) for at in complaints) for life in (30, 90)},
        "survey_last": survey,
    }
