"""How somebody is told, as steps: the notice, and the rows that say so."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.deliveries import BudgetRecord, StormRecord, Told, ToldRecord, Wait
from sinks.base import NoticeKind, Storm
from sinks.local_hours import local_date
from sinks.manners import Way, urgency
from sinks.routes import Recipient, rule_id
from sinks.steps import Draft, Step, Write
from sinks.storms import Storms
from sinks.told_rows import ToldRows

_PUT_OFF: Final = frozenset({"acked", "snoozed"})


class Telling:
    """Makes the steps of one recipient, and keeps the rows as they are once these are done.

    Args:
        recipient: whom.
        write: puts words in.
        storms: knows what is counted.
    """

    def __init__(self, recipient: Recipient, write: Write, storms: Storms) -> None:
        self.rows = ToldRows()
        self.budget = BudgetRecord(recipient=recipient.name, day="", used=0)
        self.fading: dict[str, int] = {}
        """Alerts that are over, and until when they count all the same."""
        self._recipient = recipient
        self._write = write
        self._storms = storms

    def used(self, alert: AlertRecord, now_ms: int) -> int:
        """How many other alerts of this day's budget went at once."""
        if self.budget.day != self._day(now_ms):
            return 0
        return self.budget.used - (self.budget.last == _key(alert))

    def at_once(self, alert: AlertRecord, now_ms: int, way: Way, *, knows: bool) -> Iterator[Step]:
        """A message of its own. Who did not know the alert as open does after it, a warning apart."""
        opened = knows or _opens(alert)
        if opened and not knows:
            # First of all: who was told, and then the worker crashed, hears of the end whatever comes next.
            yield Step(alert.alert_id, remember=(self._row(alert, now_ms, "telling", opened=True),), why=way.why)
        notice = self._write(self._draft(_key(alert), [alert], now_ms))
        row = self._row(alert, now_ms, "sent", opened=opened)
        if way.spends:
            used = self.used(alert, now_ms) + 1
            self.budget = BudgetRecord(recipient=self._recipient.name, day=self._day(now_ms), used=used, last=_key(alert))
        spent = (self.budget,) if way.spends else ()
        yield Step(alert.alert_id, (notice,), (*spent, row), why=way.why)

    def later(self, alert: AlertRecord, now_ms: int, wait: Wait, due_ms: int | None, *, opened: bool, why: str = "") -> Step:
        """It waits until an instant, or for the end of a storm."""
        row = self._row(alert, now_ms, "waits", opened=opened, wait=wait, due_ms=due_ms)
        return Step(alert.alert_id, remember=(row,), why=why)

    def silently(self, alert: AlertRecord, now_ms: int, told: Told, *, opened: bool) -> Step:
        """Nothing is said."""
        return Step(alert.alert_id, remember=(self._row(alert, now_ms, told, opened=opened),))

    def not_told(self, row: ToldRecord, alert: AlertRecord, now_ms: int) -> Step:
        """What waited is not said any more; who knew of the alert before still does."""
        return self.silently(alert, now_ms, "sent" if row.opened else "dropped", opened=row.opened)

    def ended(self, alert: AlertRecord, now_ms: int, *, says: bool) -> Step:
        """The last that is told of an alert, or its silent end."""
        row = self._row(alert, now_ms, "sent" if says else "dropped", over=True)
        drafts = [self._draft(_key(alert), [alert], now_ms)] if says else []
        return Step(alert.alert_id, tuple(self._write(draft) for draft in drafts), (row,), self._forgets([row]))

    def together(self, key: str, waited: Iterable[ToldRecord], now_ms: int) -> Iterator[Step]:
        """One message for all that waited."""
        alerts = sorted(((row.alert, row) for row in waited if row.alert is not None), key=lambda one: urgency(one[0]))
        news = [row for alert, row in alerts if not row.opened and _opens(alert)]
        if news:
            yield Step(key, remember=tuple(msgspec.structs.replace(row, opened=True) for row in news))
        rows = [self._sent(alert, row, now_ms) for alert, row in alerts]
        notice = self._write(self._draft(key, [alert for alert, _ in alerts], now_ms, kind="digest"))
        yield Step(key, (notice,), tuple(rows), self._forgets(rows))

    def storm(self, storm: StormRecord, now_ms: int) -> Step:
        """One message for all that the storm holds."""
        told = msgspec.structs.replace(storm, due_ms=None)
        self._storms.running[storm.rule] = told
        key = f"storm/{self._recipient.name}/{storm.rule}/{storm.began_ms}"
        draft = Draft(key, "storm", self._recipient, now_ms, storm=Storm(storm.rule, storm.customers, storm.began_ms))
        return Step(key, (self._write(draft),), (told,))

    def let_go(self, row: ToldRecord) -> Step:
        """Nothing is remembered of an alert."""
        self.rows.pop(row.alert_id)
        self.fading.pop(row.alert_id, None)
        return Step(row.alert_id, forget=(row.key(),))

    def _sent(self, alert: AlertRecord, row: ToldRecord, now_ms: int) -> ToldRecord:
        if alert.state in CLOSED_STATES:
            return self._row(alert, now_ms, "sent", over=True)
        return self._row(alert, now_ms, "sent", opened=row.opened or _opens(alert), wait=row.wait)

    def _row(
        self,
        alert: AlertRecord,
        now_ms: int,
        told: Told,
        *,
        opened: bool = False,
        over: bool = False,
        wait: Wait | None = None,
        due_ms: int | None = None,
    ) -> ToldRecord:
        """The new row of an alert, which takes the place of the one before."""
        counted_ms = self._storms.counted_ms(alert)
        row = ToldRecord(
            recipient=self._recipient.name,
            alert_id=alert.alert_id,
            sequence=alert.sequence,
            told=told,
            at_ms=now_ms,
            opened=opened,
            over=over,
            wait=wait,
            due_ms=due_ms,
            alert=alert if told == "waits" else None,
            counted_ms=counted_ms,
            rule=rule_id(alert) if told == "waits" or counted_ms is not None else None,
            customer_id=alert.customer_id if counted_ms is not None else None,
        )
        self.fading.pop(row.alert_id, None)
        until_ms = self._storms.counts_until_ms(row)
        if not over or until_ms is not None:
            self.rows.put(row)
        else:
            self.rows.pop(row.alert_id)
        if over and until_ms is not None:
            self.fading[row.alert_id] = until_ms
        return row

    def _forgets(self, rows: Iterable[ToldRecord]) -> tuple[bytes, ...]:
        """Of those that are over at once."""
        return tuple(row.key() for row in rows if row.over and row.alert_id not in self.fading)

    def _draft(self, key: str, alerts: list[AlertRecord], now_ms: int, *, kind: NoticeKind = "alert") -> Draft:
        return Draft(key, kind, self._recipient, now_ms, tuple(_as_told(alert) for alert in alerts))

    def _day(self, now_ms: int) -> str:
        return local_date(now_ms, self._recipient.zone).isoformat()


def _as_told(alert: AlertRecord) -> AlertRecord:
    """Who gets an alert that was acked or put off before is told of it as if it had opened."""
    return msgspec.structs.replace(alert, state="opened") if alert.state in _PUT_OFF else alert


def _opens(alert: AlertRecord) -> bool:
    """Whether who is told of it knows it as open."""
    return alert.state != "warned" and alert.state not in CLOSED_STATES


def _key(alert: AlertRecord) -> str:
    return f"{alert.alert_id}/{alert.sequence}"
