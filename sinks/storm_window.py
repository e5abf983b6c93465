"""How many customers a rule has opened for of late, for one recipient."""

from collections import Counter, deque


class StormWindow:
    """Trailing, `(now - within, now]`; each alert is counted once.

    Args:
        within_ms: its length.
        after_ms: what was counted up to then does not count any more.
    """

    def __init__(self, within_ms: int, after_ms: int = -1) -> None:
        self.within_ms = within_ms
        self._after_ms = after_ms
        self._counted: deque[tuple[int, str]] = deque()
        self._by_alert: dict[str, tuple[int, str]] = {}
        self._alerts_of: Counter[str] = Counter()

    def add(self, counted_ms: int, alert_id: str, customer: str) -> None:
        """Count an alert, not before those that were counted before it; one that is counted already stays as it is."""
        if alert_id not in self._by_alert and counted_ms > self._after_ms:
            self._counted.append((counted_ms, alert_id))
            self._by_alert[alert_id] = (counted_ms, customer)
            self._alerts_of[customer] += 1

    def counted_ms(self, alert_id: str) -> int | None:
        """When an alert was counted; None: it is not."""
        entry = self._by_alert.get(alert_id)
        return None if entry is None else entry[0]

    def remove(self, alert_id: str) -> None:
        """Take an alert out."""
        _, customer = self._by_alert.pop(alert_id, (0, ""))
        self._alerts_of[customer] -= 1
        if self._alerts_of[customer] <= 0:
            del self._alerts_of[customer]

    def customers(self, now_ms: int) -> int:
        """How many there are now."""
        self.clear(now_ms - self.within_ms)
        return len(self._alerts_of)

    def clear(self, until_ms: int) -> None:
        """Take out what was counted up to an instant."""
        self._after_ms = max(self._after_ms, until_ms)
        while self._counted and self._counted[0][0] <= until_ms:
            entry = self._counted.popleft()
            if self._by_alert.get(entry[1], (-1, ""))[0] == entry[0]:
                self.remove(entry[1])
