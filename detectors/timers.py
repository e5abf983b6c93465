"""When to look at which customer: one heap per set of feeds, for each set has a clock of its own."""

import heapq
from collections.abc import Callable

Feeds = tuple[str, ...]
"""Names of feeds, sorted."""


class Timers:
    """The next wake-up of every customer, one per set of feeds. Derived from the customers, never stored.

    A wake-up that moved leaves its old entry in the heap; it is recognised, and dropped, when it comes up.
    """

    def __init__(self) -> None:
        self._heaps: dict[Feeds, list[tuple[int, str]]] = {}
        self._armed: dict[Feeds, dict[str, int]] = {}

    def arm(self, customer_id: str, feeds: Feeds, due_ms: int | None) -> None:
        """Set, move or (with None) drop a wake-up."""
        armed = self._armed.setdefault(feeds, {})
        if due_ms is None:
            armed.pop(customer_id, None)
        elif armed.get(customer_id) != due_ms:
            armed[customer_id] = due_ms
            heapq.heappush(self._heaps.setdefault(feeds, []), (due_ms, customer_id))

    def pop_due(self, now_ms: Callable[[Feeds], int | None]) -> tuple[int, str, Feeds] | None:
        """Take the earliest wake-up that the clock of its feeds has reached; ties go by customer, then feeds."""
        found: tuple[int, str, Feeds] | None = None
        for feeds, heap in self._heaps.items():
            reached_ms = now_ms(feeds)
            if reached_ms is None or not heap or heap[0][0] > reached_ms:
                continue
            top = self._top(feeds)
            if top is not None and top[0] <= reached_ms:
                candidate = (*top, feeds)
                found = candidate if found is None else min(found, candidate)
        if found is not None:
            _, customer_id, feeds = found
            heapq.heappop(self._heaps[feeds])
            del self._armed[feeds][customer_id]
        return found

    def clear(self) -> None:
        """Forget everything, to be armed anew."""
        self._heaps.clear()
        self._armed.clear()

    def _top(self, feeds: Feeds) -> tuple[int, str] | None:
        heap, armed = self._heaps[feeds], self._armed[feeds]
        while heap and armed.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0] if heap else None
