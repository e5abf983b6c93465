"""The table of features: what each is, in which unit, how a reason says it.

The order of `FEATURES` is the order of every vector. A name that is taken out of the table is never used again
with another meaning, since models, examples and rules name features by it.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Feature:
    """One row of the table."""

    about: str
    """What it tells of, in a word or two: features of one group say nearly the same thing."""
    of: tuple[str, ...]
    """The event types that it is made of: who asks for it waits for their feeds."""
    name: str
    unit: str
    definition: str
    words: str
    """How a reason says it: a template over all features."""
    alone: str = ""
    """How it is said while there are no two days with an order, and to whoever does not know the other features."""


_ORDERS: Final = ("order.*",)
_LOGINS: Final = ("login.*", "usage.*")
_TICKETS: Final = ("ticket.*",)
_SURVEYS: Final = ("survey.*",)

FEATURES: Final = (
    Feature(
        "order silence",
        _ORDERS,
        "order_recency_days",
        "days",
        "since the last order; without one: since the first event",
        "last order {order_recency_days:.0f} days ago, usually every {order_gap_mean_days:.0f}",
        "no order for {order_recency_days:.0f} days",
    ),
    Feature("tenure", (), "tenure_days", "days", "since the first event", "known for {tenure_days:.0f} days"),
    Feature("order count", _ORDERS, "orders", "orders", "placed and not given back", "{orders:.0f} orders in all"),
    Feature(
        "order gaps",
        _ORDERS,
        "order_gap_mean_days",
        "days",
        "mean gap between days with an order, drawn towards the prior gap while there are few",
        "orders every {order_gap_mean_days:.0f} days on average",
        "no order on a second day so far",
    ),
    Feature(
        "order silence",
        _ORDERS,
        "order_recency_ratio",
        "ratio",
        "order_recency_days / order_gap_mean_days",
        "{order_recency_ratio:.1f} times the usual gap has passed since the last order",
        "no order for {order_recency_days:.0f} days",
    ),
    Feature(
        "order gaps",
        _ORDERS,
        "order_gap_last_days",
        "days",
        "the latest gap, else the mean",
        "{order_gap_last_days:.0f} days between the last two orders",
        "no order on a second day so far",
    ),
    Feature(
        "order gaps",
        _ORDERS,
        "order_gap_max_days",
        "days",
        "the longest of the last 15 gaps, else the mean",
        "longest gap {order_gap_max_days:.0f} days",
        "no order on a second day so far",
    ),
    Feature(
        "order silence",
        _ORDERS,
        "order_recency_max_ratio",
        "ratio",
        "order_recency_days / order_gap_max_days, of at least 7 days",
        "{order_recency_max_ratio:.1f} times the longest gap has passed since the last order",
        "no order for {order_recency_days:.0f} days",
    ),
    Feature(
        "order gaps",
        _ORDERS,
        "order_gap_recent_days",
        "days",
        "the prior gap, moved by .3 of the way to each of the last 15 gaps in turn",
        "orders every {order_gap_recent_days:.0f} days lately",
        "no order on a second day so far",
    ),
    Feature(
        "order frequency",
        _ORDERS,
        "orders_half_14d",
        "orders",
        "orders, halved every 14 days",
        "about {orders_half_14d:.1f} orders in the last three weeks",
    ),
    Feature(
        "order frequency",
        _ORDERS,
        "orders_30d",
        "orders",
        "orders, fading with a mean life of 30 days",
        "about {orders_30d:.1f} orders in the last 30 days",
    ),
    Feature(
        "order frequency",
        _ORDERS,
        "orders_90d",
        "orders",
        "orders, fading with a mean life of 90 days",
        "about {orders_90d:.1f} orders in the last 90 days",
    ),
    Feature(
        "order value",
        _ORDERS,
        "order_value_90d",
        "currency",
        "value of orders, fading with a mean life of 90 days",
        "ordered for about {order_value_90d:.0f} in the last 90 days",
    ),
    Feature(
        "order value",
        _ORDERS,
        "order_value_half_112d",
        "currency",
        "value of orders, halved every 112 days",
        "ordered for about {order_value_half_112d:.0f} in the last five months",
    ),
    Feature(
        "order value",
        _ORDERS,
        "order_value_mean",
        "currency",
        "mean value of an order",
        "an average order of {order_value_mean:.0f}",
    ),
    Feature(
        "order frequency",
        _ORDERS,
        "order_rate",
        "per day",
        "orders / (tenure_days + prior gap)",
        "{orders:.0f} orders in {tenure_days:.0f} days",
        "{order_rate:.3f} orders a day",
    ),
    Feature(
        "order frequency",
        _ORDERS,
        "order_days_180d",
        "days",
        "different UTC days with an order, from 180 days ago to today; 16 at most",
        "orders on {order_days_180d:.0f} of the last 180 days",
    ),
    Feature(
        "order frequency",
        _ORDERS,
        "order_weeks_share",
        "share",
        "different weeks with an order / (tenure_days / 7 + 1)",
        "orders in {order_weeks_share:.0%} of the weeks",
    ),
    Feature(
        "order count",
        _ORDERS,
        "order_once",
        "flag",
        "1 with orders on one day only, else 0",
        "{orders:.0f} orders in all",
        "ordered on one day only (1) or not (0): {order_once:.0f}",
    ),
    Feature(
        "order size",
        _ORDERS,
        "order_items_mean",
        "items",
        "mean number of items of an order",
        "{order_items_mean:.1f} items in an average order",
    ),
    Feature(
        "returns",
        _ORDERS,
        "returns",
        "returns",
        "returns and cancellations since the first order",
        "{returns:.0f} returns or cancellations",
    ),
    Feature(
        "login silence",
        _LOGINS,
        "login_recency_days",
        "days",
        "since the last login or use; without one: since the first event",
        "last seen {login_recency_days:.0f} days ago",
    ),
    Feature(
        "logins",
        _LOGINS,
        "logins_7d",
        "logins",
        "logins, fading with a mean life of 7 days",
        "about {logins_7d:.1f} logins in the last 7 days",
    ),
    Feature(
        "logins",
        _LOGINS,
        "logins_30d",
        "logins",
        "logins, fading with a mean life of 30 days",
        "about {logins_30d:.1f} logins in the last 30 days",
    ),
    Feature(
        "logins",
        _LOGINS,
        "logins_90d",
        "logins",
        "logins, fading with a mean life of 90 days",
        "about {logins_90d:.1f} logins in the last 90 days",
    ),
    Feature(
        "logins",
        _LOGINS,
        "login_days_7d",
        "days",
        "different UTC days with a login or use, from 7 days ago to today",
        "seen on {login_days_7d:.0f} of the last 7 days",
    ),
    Feature(
        "logins",
        _LOGINS,
        "login_days_28d",
        "days",
        "different UTC days with a login or use, from 28 days ago to today",
        "seen on {login_days_28d:.0f} of the last 28 days",
    ),
    Feature(
        "logins",
        _LOGINS,
        "login_days_56d",
        "days",
        "different UTC days with a login or use, from 56 days ago to today",
        "seen on {login_days_56d:.0f} of the last 56 days",
    ),
    Feature(
        "usage",
        _LOGINS,
        "usage_30d",
        "uses",
        "uses of any feature, fading with a mean life of 30 days",
        "about {usage_30d:.0f} uses in the last 30 days",
    ),
    Feature("tickets", _TICKETS, "tickets_open", "tickets", "tickets open now", "{tickets_open:.0f} tickets open"),
    Feature(
        "tickets",
        _TICKETS,
        "tickets_30d",
        "tickets",
        "tickets opened, fading with a mean life of 30 days",
        "about {tickets_30d:.1f} tickets in the last 30 days",
    ),
    Feature(
        "complaints",
        _TICKETS,
        "complaints_30d",
        "tickets",
        "complaints, fading with a mean life of 30 days",
        "about {complaints_30d:.1f} complaints in the last 30 days",
    ),
    Feature(
        "complaints",
        _TICKETS,
        "complaints_90d",
        "tickets",
        "complaints, fading with a mean life of 90 days",
        "about {complaints_90d:.1f} complaints in the last 90 days",
    ),
    Feature(
        "surveys",
        _SURVEYS,
        "survey_last",
        "share",
        "last survey score over its scale; .5 without one",
        "last survey score {survey_last:.0%} of the scale",
    ),
)
NAMES: Final = tuple(feature.name for feature in FEATURES)
