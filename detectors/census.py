"""How many customers and open alerts a partition has, by what is asked of them.

It is part of the partition's state, so that nobody has to look at a million customers after a restart. A customer who is
at rest is counted as the bytes say; who is a struct is counted anew when it becomes bytes again.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from detectors.alert_state import SlotState
from detectors.state import Customer
from detectors.told import OPEN_STATES

Counts = dict[str, int]
"""By `customer/STAGE/TIER` (of no tier it is empty) and `alert/STATE/RULE`."""
_CUSTOMER: Final = "customer"
_ALERT: Final = "alert"


@dataclass(frozen=True)
class PartitionStanding:
    """What is counted of a partition, for whoever watches the whole."""

    customers: Mapping[tuple[str, str], int]
    """By stage and tier."""
    open_alerts: Mapping[tuple[str, str], int]
    """By rule and state, of rules that are not in shadow mode."""
    timers: int
    """Wake-ups that are noted, with those that have moved since."""


class Census:
    """Keeps counts up to date.

    Args:
        counts: of the state; changed in place.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._known: dict[str, tuple[str, ...]] = {}
        """How the customers who are structs are counted."""

    def found(self, customer: Customer) -> None:
        """A customer who is counted becomes a struct."""
        self._known[customer.id] = _keys(customer)

    def packed(self, customer: Customer) -> None:
        """A struct becomes bytes: count it as it is now."""
        now, before = _keys(customer), self._known.get(customer.id, ())
        if now != before:
            self._add(before, -1)
            self._add(now, 1)
            self._known[customer.id] = now

    def rests(self, customer_id: str) -> None:
        """A customer is no struct any more."""
        self._known.pop(customer_id, None)

    def dropped(self, customer_id: str) -> None:
        """A customer who was found is forgotten."""
        self._add(self._known.pop(customer_id, ()), -1)

    def _add(self, keys: tuple[str, ...], many: int) -> None:
        for key in keys:
            known = self._counts.get(key)
            if known is None:
                # In order, whatever came first: equal counts are equal bytes.
                ordered = sorted({**self._counts, key: many}.items())
                self._counts.clear()
                self._counts.update(ordered)
            elif known + many:
                self._counts[key] = known + many
            else:
                del self._counts[key]


def customers_in(counts: Counts) -> Counter[tuple[str, str]]:
    """Customers by stage and tier."""
    found: Counter[tuple[str, str]] = Counter()
    for key, count in counts.items():
        what, stage, tier = key.split("/", 2)
        if what == _CUSTOMER:
            found[stage, tier] = count
    return found


def open_alerts_in(counts: Counts) -> Counter[tuple[str, str]]:
    """Open alerts by rule and state, those of rules in shadow mode too."""
    found: Counter[tuple[str, str]] = Counter()
    for key, count in counts.items():
        what, state, rule = key.split("/", 2)
        if what == _ALERT:
            found[rule, state] = count
    return found


def _keys(customer: Customer) -> tuple[str, ...]:
    who = f"{_CUSTOMER}/{customer.stage}/{customer.tier or ''}"
    if not customer.alerts:
        return (who,)
    slots = customer.alerts.items()
    return (who, *(_alert_key(slot.state, key.partition("/")[0]) for key, slot in slots if slot.state in OPEN_STATES))


def _alert_key(state: SlotState, rule: str) -> str:
    return f"{_ALERT}/{state}/{rule}"
