"""Master data of a customer, by `customer.updated`."""

from detectors.state import Customer
from detectors.tickets import change_tier
from schemas.events import CustomerUpdated


def update(customer: Customer, event: CustomerUpdated) -> None:
    """Take master data in. Of the tier it is known since when it holds, and what it was before; the rest as it came last."""
    for name in ("owner", "org", "value"):
        if (given := getattr(event, name)) is not None:
            setattr(customer, name, given)
    if event.tier is None:
        return
    since_ms = customer.tier_since_ms
    if since_ms is None or event.at_ms >= since_ms:
        if event.tier != customer.tier:
            customer.tier_before, customer.tier, customer.tier_since_ms = customer.tier, event.tier, event.at_ms
    else:
        customer.tier_before = event.tier  # late: it held before the one that is known
    change_tier(customer.tickets, event)
