"""The storm breaker of one recipient: counts openings by rule, says when they are a storm, and what people decided."""

from collections.abc import Callable, Sequence

from schemas.decisions import AlertRecord
from schemas.deliveries import AnyLedger, StormOrder, StormRecord, ToldRecord
from sinks.routes import Routes, rule_id
from sinks.storm_window import StormWindow

Known = Callable[[], int | None]
"""How many customers there are, as far as is known."""


class Storms:
    """A storm begins when more customers than the limit are counted, and ends when people decide.

    One that holds nothing back any more is over by itself once the openings are few again.

    Args:
        recipient: name of whom they would reach.
        routes: has the limits.
        customers: how many there are.
    """

    def __init__(self, recipient: str, routes: Routes, customers: Known) -> None:
        self._recipient = recipient
        self._routes = routes
        self._customers = customers
        self._windows: dict[str, StormWindow] = {}
        self._orders: dict[str, StormOrder] = {}
        self.running: dict[str, StormRecord] = {}
        """By rule."""
        self.decided: dict[str, tuple[StormOrder, StormRecord]] = {}
        """By rule: orders that a crash perhaps kept from being carried out, and what they are about."""
        self.over: list[StormRecord] = []
        """That a crash kept from being forgotten."""

    def restore(self, rows: Sequence[AnyLedger]) -> None:
        """What was running, decided and counted."""
        self._orders = {row.rule: row for row in rows if isinstance(row, StormOrder)}
        for row in rows:
            if isinstance(row, StormRecord) and row.over:
                self.over.append(row)
            elif isinstance(row, StormRecord):
                self.running[row.rule] = row
        for rule, order in self._orders.items():
            storm = self._ended_by(order)
            if storm is not None:
                self.decided[rule] = (order, storm)
        told = [row for row in rows if isinstance(row, ToldRecord)]
        for row in sorted(told, key=lambda row: (row.counted_ms or 0, row.alert_id)):
            window = self._window(row.rule)
            if window is not None and row.counted_ms is not None:
                window.add(row.counted_ms, row.alert_id, row.customer_id or row.alert_id)

    def count(self, alert: AlertRecord, now_ms: int) -> None:
        """Count an opening."""
        window = self._window(rule_id(alert))
        if window is not None:
            window.clear(now_ms - window.within_ms)
            window.add(now_ms, alert.alert_id, alert.customer_id or alert.alert_id)

    def counted_ms(self, alert: AlertRecord) -> int | None:
        """When an alert was counted; None: it is not."""
        window = self._window(rule_id(alert))
        return None if window is None else window.counted_ms(alert.alert_id)

    def counts_until_ms(self, row: ToldRecord) -> int | None:
        """Until when an alert is counted; None: it is not."""
        window = self._window(row.rule)
        return None if window is None or row.counted_ms is None else row.counted_ms + window.within_ms

    def uncount(self, row: ToldRecord) -> None:
        """The alert is gone."""
        window = self._window(row.rule)
        if window is not None:
            window.remove(row.alert_id)

    def is_many(self, rule: str, now_ms: int) -> bool:
        """Whether the rule has opened for more customers than its limit."""
        limit, window = self._routes.storm_limit(rule), self._window(rule)
        most = None if limit is None else limit.most(self._customers())
        return window is not None and most is not None and window.customers(now_ms) > most

    def begin(self, rule: str, now_ms: int, due_ms: int) -> StormRecord:
        """A storm begins: after whatever people have decided before, since nothing up to then is counted."""
        window = self._window(rule)
        customers = 0 if window is None else window.customers(now_ms)
        storm = StormRecord(recipient=self._recipient, rule=rule, began_ms=now_ms, customers=customers, due_ms=due_ms)
        self.running[rule] = storm
        return storm

    def take(self, order: StormOrder) -> StormRecord | None:
        """The storm that a new order ends, if there is one. Counting begins anew either way."""
        latest, window = self._orders.get(order.rule), self._window(order.rule)
        if latest is not None and order.at_ms <= latest.at_ms:
            return None
        self._orders[order.rule] = order
        if window is not None:
            window.clear(order.at_ms)
        return self._ended_by(order)

    def _ended_by(self, order: StormOrder) -> StormRecord | None:
        storm = self.running.get(order.rule)
        if storm is None or storm.began_ms > order.at_ms:
            return None
        return self.running.pop(order.rule)

    def _window(self, rule: str | None) -> StormWindow | None:
        limit = None if rule is None else self._routes.storm_limit(rule)
        if rule is None or limit is None:
            return None
        if rule not in self._windows:
            order = self._orders.get(rule)
            self._windows[rule] = StormWindow(limit.within_ms, -1 if order is None else order.at_ms)
        return self._windows[rule]
