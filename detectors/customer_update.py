"""Master data of a customer, by `customer.updated`; the tier with its history, since decisions are about past instants."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from detectors.state import Customer
from schemas.events import CustomerUpdated

MAX_TIERS: Final = 8
"""So many changes of the tier are remembered; before the oldest of them it counts as if it had always held."""


def update(customer: Customer, event: CustomerUpdated) -> None:
    """Take master data in; of everything but the tier, what came last holds."""
    told = _told(customer)
    _take(customer, event)
    if _told(customer) != told:
        customer.risk.about_changed = True


def _told(customer: Customer) -> tuple[str | None, str | None, float | None]:
    """What risk records carry of it."""
    return customer.tier, customer.owner, customer.value


def _take(customer: Customer, event: CustomerUpdated) -> None:
    for name in ("owner", "org", "value"):
        if (given := getattr(event, name)) is not None:
            setattr(customer, name, given)
    if event.tier is None:
        return
    place = bisect_right(customer.tiers, event.at_ms, key=lambda known: known[0])
    customer.tiers.insert(place, (event.at_ms, event.tier))
    if len(customer.tiers) > MAX_TIERS:
        del customer.tiers[0]
        customer.tiers[0] = (0, customer.tiers[0][1])
    customer.tier = customer.tiers[-1][1]


def tiers_from(customer: Customer, from_ms: int) -> Iterator[tuple[int, int | None, str | None]]:
    """The tiers from an instant on: since when, until when (None: to this day), and which.

    A tier that begins at an instant holds behind it: what is due at the instant itself is decided before the change.
    """
    changes = [(from_ms, _tier_before(customer, from_ms)), *(change for change in customer.tiers if change[0] >= from_ms)]
    for (since_ms, tier), (until_ms, _) in pairwise(changes):
        yield since_ms, until_ms, tier
    yield changes[-1][0], None, changes[-1][1]


def _tier_before(customer: Customer, at_ms: int) -> str | None:
    return next((tier for since_ms, tier in reversed(customer.tiers) if since_ms < at_ms), None)
