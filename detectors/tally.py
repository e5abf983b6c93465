"""What happened to customers, counted for whoever watches the whole: it changes no decision, and stands in no state."""

from collections import Counter
from typing import Final, Literal, NamedTuple

from detectors.state import Customer
from detectors.told import OPEN_STATES
from schemas.instants import DAY_MS

WARNED_WITHIN_MS: Final = 30 * DAY_MS
"""An alert warned of a customer's end if it was open then, or was within so long before."""

What = Literal["order", "ticket", "stage"]


class Happening(NamedTuple):
    """One thing that happened."""

    what: What
    tier: str
    """Of the customer; empty: none."""
    detail: str = ""
    """Of an order `first` or `repeat`, of a change of stage the new stage."""
    warned: str = ""
    """Of the stage `churned`: `yes` or `no`."""


Tally = Counter[Happening]


def is_warned_of(customer: Customer, at_ms: int, live: frozenset[str]) -> bool:
    """Whether an alert of a live rule had been told of a customer before an instant.

    Args:
        customer: whom.
        at_ms: the instant.
        live: ids of the rules that are not in shadow mode.
    """
    for key, slot in customer.alerts.items():
        if not slot.sequence or key.partition("/")[0] not in live:
            continue
        if slot.state in OPEN_STATES:
            if slot.said is None or slot.said.at_ms < at_ms:
                return True
        elif at_ms - WARNED_WITHIN_MS <= slot.at_ms < at_ms:
            return True
    return any(not past.shadow and at_ms - WARNED_WITHIN_MS <= past.closed_ms < at_ms for past in customer.past_alerts)
