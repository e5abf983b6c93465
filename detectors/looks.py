"""Whom to look at in a tick: those of whom something was heard or told that no look has seen."""

import heapq
from typing import Final

from detectors.state import Customer

AT_ONCE: Final = -1
"""In place of the instant that the clock has to pass: the next tick will do."""


class Looks:
    """The looks that are wanted at the customers of a partition. Derived from the customers, never stored."""

    def __init__(self) -> None:
        self._wanted: list[tuple[int, str]] = []  # a heap; a customer may be in it several times

    def want(self, customer: Customer, at_ms: int = AT_ONCE) -> None:
        """Look at a customer once the clock has passed an instant, or sooner, if that is wanted already."""
        if customer.look_ms is None or at_ms < customer.look_ms:
            customer.look_ms = at_ms
            self.load(customer.id, at_ms)

    def load(self, customer_id: str, at_ms: int) -> None:
        """Take in what the state of a customer says."""
        heapq.heappush(self._wanted, (at_ms, customer_id))

    def take(self, now_ms: int) -> list[str]:
        """Whom to look at now that the clock is here, by id; some may not need it any more."""
        found = set()
        while self._wanted and self._wanted[0][0] < now_ms:
            found.add(heapq.heappop(self._wanted)[1])
        return sorted(found)
