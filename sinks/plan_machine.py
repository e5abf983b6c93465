"""The plan of a system: it is told of every transition at once, at any hour."""

from collections.abc import Sequence

from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.deliveries import AnyLedger, StormOrder, ToldRecord
from sinks.routes import Routes
from sinks.steps import Step


class MachinePlan:
    """Of one system.

    Args:
        recipient: its name in the file of routes.
        routes: the file.
    """

    def __init__(self, recipient: str, routes: Routes) -> None:
        self._recipient = recipient
        self._routes = routes
        self._rows: dict[str, ToldRecord] = {}

    def restore(self, rows: Sequence[AnyLedger]) -> None:
        """What it was told before."""
        self._rows = {row.alert_id: row for row in rows if isinstance(row, ToldRecord)}

    def take(self, alerts: Sequence[AlertRecord], now_ms: int) -> list[Step]:
        """Each transition that concerns it, in order."""
        return [step for alert in alerts if (step := self._step(alert, now_ms)) is not None]

    def caught_up(self) -> list[Step]:
        """Alerts that were over before a crash are forgotten."""
        over = [row for row in self._rows.values() if row.over]
        for row in over:
            del self._rows[row.alert_id]
        return [Step(row.alert_id, forget=(row.key(),)) for row in over]

    def forgotten(self, alert_id: str) -> list[Step]:
        """Nothing more is told of it."""
        row = self._rows.pop(alert_id, None)
        return [] if row is None else [Step(alert_id, remember=(row.closed(),), forget=(row.key(),))]

    def order(self, order: StormOrder, now_ms: int) -> list[Step]:  # noqa: ARG002 - of a Plan
        """Systems have no storms."""
        return []

    def due(self, now_ms: int) -> list[Step]:  # noqa: ARG002 - of a Plan
        """Nothing waits."""
        return []

    def next_due_ms(self) -> int | None:
        """Nothing waits."""
        return None

    def _step(self, alert: AlertRecord, now_ms: int) -> Step | None:
        row = self._rows.get(alert.alert_id)
        if (row is not None and alert.sequence <= row.sequence) or not self._concerns(alert, row):
            return None
        over = alert.state in CLOSED_STATES
        told = ToldRecord(
            recipient=self._recipient,
            alert_id=alert.alert_id,
            sequence=alert.sequence,
            told="sent",
            at_ms=now_ms,
            opened=not over,
            over=over,
        )
        if not over:
            self._rows[alert.alert_id] = told
            return Step(alert.alert_id, (alert,), (told,), why="system")
        self._rows.pop(alert.alert_id, None)
        return Step(alert.alert_id, (alert,), (told,), (told.key(),), why="system")

    def _concerns(self, alert: AlertRecord, row: ToldRecord | None) -> bool:
        """It hears the end of what it was told, and what else a route sends it; not the beginning of what is inhibited."""
        knows = row is not None and row.opened
        if alert.state in CLOSED_STATES:
            # A remark on an alert that is over, e.g. a verdict, is a transition by itself.
            return knows or (alert.by is not None and self._routes.reaches(alert, self._recipient))
        quiet = alert.inhibited_by is not None and (not knows or alert.state in {"opened", "warned"})
        return not quiet and self._routes.reaches(alert, self._recipient)
