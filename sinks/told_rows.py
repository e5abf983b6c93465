"""What one recipient was told, in memory: rows by alert, those that wait by when, and those that a storm holds by rule."""

import heapq
from collections import defaultdict
from collections.abc import Iterator

from schemas.deliveries import ToldRecord


class ToldRows:
    """The rows of `churn.deliveries` of one recipient."""

    def __init__(self) -> None:
        self._rows: dict[str, ToldRecord] = {}
        self._due: list[tuple[int, str]] = []
        self._held: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[ToldRecord]:
        return iter(self._rows.values())

    def get(self, alert_id: str) -> ToldRecord | None:
        """The row of an alert."""
        return self._rows.get(alert_id)

    def put(self, row: ToldRecord) -> None:
        """Add a row, or take the place of the one before."""
        self.pop(row.alert_id)
        self._rows[row.alert_id] = row
        if row.told == "waits" and row.due_ms is not None:
            heapq.heappush(self._due, (row.due_ms, row.alert_id))
        elif row.told == "waits":
            self._held[row.rule or ""][row.alert_id] = None

    def pop(self, alert_id: str) -> None:
        """Take a row out, if it is there."""
        row = self._rows.pop(alert_id, None)
        if row is not None:
            self._held[row.rule or ""].pop(alert_id, None)

    def held(self, rule: str) -> list[ToldRecord]:
        """Those that the storm of a rule holds."""
        return [self._rows[alert_id] for alert_id in self._held.get(rule, ())]

    def next_due_ms(self) -> int | None:
        """When the first of those that wait for a time is due."""
        while self._due:
            due_ms, alert_id = self._due[0]
            row = self._rows.get(alert_id)
            if row is not None and row.told == "waits" and row.due_ms == due_ms:
                return due_ms
            heapq.heappop(self._due)
        return None

    def due(self, now_ms: int) -> dict[int, list[ToldRecord]]:
        """Those that waited until now, by the instant that they waited for; they stay in."""
        found: defaultdict[int, dict[str, ToldRecord]] = defaultdict(dict)
        while (due_ms := self.next_due_ms()) is not None and due_ms <= now_ms:
            row = self._rows[heapq.heappop(self._due)[1]]
            found[due_ms][row.alert_id] = row
        return {due_ms: list(rows.values()) for due_ms, rows in found.items()}
