"""The plan of a person or a room: told at once, later, together with others, or not at all.

Everything that it knows stands in the rows that it had written, so a plan that was restored decides as the one before.
"""

from collections.abc import Iterator, Sequence

import msgspec

from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.deliveries import AnyLedger, BudgetRecord, StormOrder, StormRecord, ToldRecord
from sinks.manners import digest_ms, quiet_until, way_of
from sinks.routes import Recipient, Routes, rule_id
from sinks.steps import Step, Write
from sinks.storms import Known, Storms
from sinks.telling import Telling


class PeoplePlan:
    """Of one person or room.

    Args:
        recipient: whom.
        routes: the file.
        write: puts words in.
        customers: how many there are, as far as is known: a storm may be a share of them.
    """

    def __init__(self, recipient: Recipient, routes: Routes, write: Write, customers: Known) -> None:
        self._recipient = recipient
        self._routes = routes
        self._storms = Storms(recipient.name, routes, customers)
        self._telling = Telling(recipient, write, self._storms)
        self._rows = self._telling.rows
        self._may_repeat = False
        self._quiet_until_ms: int | None = None

    def restore(self, rows: Sequence[AnyLedger]) -> None:
        """What was told, what waits, and what people decided."""
        self._storms.restore(rows)
        for row in rows:
            if isinstance(row, ToldRecord):
                self._rows.put(row)
                self._may_repeat = True
                if row.over:
                    self._telling.fading[row.alert_id] = self._storms.counts_until_ms(row) or 0
            elif isinstance(row, BudgetRecord):
                self._telling.budget = row

    def take(self, alerts: Sequence[AlertRecord], now_ms: int) -> list[Step]:
        """Decide about each; what an end in the same batch follows is passed over."""
        brief = _over_in_batch(alerts)
        steps = self._decided(now_ms)
        for index, alert in enumerate(alerts):
            row = self._rows.get(alert.alert_id)
            if row is not None and row.told == "telling" and alert.sequence == row.sequence:
                # A crash left it open whether it was told. It is told as one that comes back, and its end in any case.
                row = msgspec.structs.replace(row, told="dropped")
            elif row is not None and alert.sequence <= row.sequence:
                continue
            if index not in brief:
                steps += self._decide(row, alert, now_ms)
        return steps

    def caught_up(self) -> list[Step]:
        """What is over is forgotten by `due` from now on."""
        self._may_repeat = False
        return []

    def forgotten(self, alert_id: str) -> list[Step]:
        """Nothing more is told of it."""
        row = self._rows.get(alert_id)
        if row is None:
            return []
        self._storms.uncount(row)
        return [Step(alert_id, remember=(row.closed(),), forget=self._telling.let_go(row).forget)]

    def order(self, order: StormOrder, now_ms: int) -> list[Step]:
        """What the storm held is told together, or never."""
        storm = self._storms.take(order)
        return [] if storm is None else list(self._after_storm(order, storm, now_ms))

    def due(self, now_ms: int) -> list[Step]:
        """Digests, what waited for the end of quiet hours, storms that are to be told of, and what is to be forgotten."""
        steps = self._decided(now_ms)
        for storm in list(self._storms.running.values()):
            if storm.due_ms is not None and storm.due_ms <= now_ms:
                steps.append(self._telling.storm(storm, now_ms))
        self._quiet_until_ms = quiet_until(self._recipient, now_ms)  # what was due when nobody could tell it waits again
        for due_ms, rows in self._rows.due(now_ms).items() if self._quiet_until_ms is None else ():
            steps += self._telling.together(f"digest/{self._recipient.name}/{due_ms}", rows, now_ms)
        return steps if self._may_repeat else [*steps, *self._faded(now_ms)]

    def next_due_ms(self) -> int | None:
        """Of the first of all these."""
        found = [order.at_ms for order, _ in self._storms.decided.values()]
        found += [storm.due_ms for storm in self._storms.running.values() if storm.due_ms is not None]
        found += [] if self._may_repeat else self._telling.fading.values()
        waits_ms = self._rows.next_due_ms()
        found += [] if waits_ms is None else [max(waits_ms, self._quiet_until_ms or waits_ms)]
        return min(found, default=None)

    def _decide(self, row: ToldRecord | None, alert: AlertRecord, now_ms: int) -> Iterator[Step]:
        if row is not None and row.over:  # it only says up to where was decided
            row = None
        knows = row is not None and row.opened
        inhibited = alert.inhibited_by is not None
        if alert.state in CLOSED_STATES:
            if row is not None:
                yield self._end(row, alert, now_ms)
        elif (inhibited and not knows) or not self._routes.reaches(alert, self._recipient.name):
            if row is not None and (row.told == "waits" or (row.opened and row.told != "dropped")):
                yield self._leave(row, alert, now_ms)
        elif alert.by is not None:
            yield from self._remark(row, alert, now_ms)
        elif (alert.state == "opened" and not inhibited) or (alert.state == "escalated" and not _was_dropped(row)):
            yield from self._tell(row, alert, now_ms)
        elif alert.state == "warned" and not knows and not _was_dropped(row):
            yield from self._warn(row, alert, now_ms)

    def _remark(self, row: ToldRecord | None, alert: AlertRecord, now_ms: int) -> Iterator[Step]:
        """Somebody did something with it: only who has it from then on is told."""
        is_mine = self._recipient.is_person and alert.owner == self._recipient.name
        if row is not None and row.told == "waits" and row.alert is not None:
            if alert.state in {"acked", "snoozed"} and alert.state != row.alert.state:
                yield self._telling.not_told(row, alert, now_ms)
            elif row.wait is not None:
                yield self._telling.later(alert, now_ms, row.wait, row.due_ms, opened=row.opened)
            return
        was_elsewhere = row is not None and row.opened and row.told == "dropped"
        is_unknown = row is None and (is_mine or alert.state in {"opened", "escalated"})
        if (was_elsewhere or is_unknown) and is_mine and alert.by == self._recipient.name:
            yield self._telling.silently(alert, now_ms, "sent", opened=True)
        elif was_elsewhere or is_unknown:
            yield from self._tell(row, alert, now_ms)

    def _leave(self, row: ToldRecord, alert: AlertRecord, now_ms: int) -> Step:
        """It is no longer for this recipient, who hears of its end all the same if it was told."""
        if row.opened:
            return self._telling.silently(alert, now_ms, "dropped", opened=True)
        return self._telling.ended(alert, now_ms, says=False)

    def _end(self, row: ToldRecord, alert: AlertRecord, now_ms: int) -> Step:
        """The end of what was told goes the way that its opening went; what still waits is not told any more."""
        waits_for = row.alert if row.told == "waits" else None
        if waits_for is not None and row.wait is not None and _is_still_told(row, waits_for, alert):
            return self._telling.later(alert, now_ms, row.wait, row.due_ms, opened=row.opened)
        if not row.opened:
            return self._telling.ended(alert, now_ms, says=False)
        if row.wait in {"budget", "digest", "storm"}:
            return self._telling.later(alert, now_ms, "digest", digest_ms(self._recipient, now_ms), opened=True)
        quiet_until_ms = quiet_until(self._recipient, now_ms)
        if quiet_until_ms is not None:
            return self._telling.later(alert, now_ms, "quiet", quiet_until_ms, opened=True)
        return self._telling.ended(alert, now_ms, says=True)

    def _tell(self, row: ToldRecord | None, alert: AlertRecord, now_ms: int) -> Iterator[Step]:
        opened = row is not None and row.opened
        self._storms.count(alert, now_ms)
        yield from self._storm(alert, now_ms)
        storm = self._storms.running.get(rule_id(alert))
        if storm is not None:
            # It holds something before it is told: after a crash in between it is still the same storm.
            yield self._telling.later(alert, now_ms, "storm", None, opened=opened, why="storm")
            if storm.due_ms is not None and storm.due_ms <= now_ms:
                yield self._telling.storm(storm, now_ms)
            return
        way = way_of(alert, self._recipient, self._telling.used(alert, now_ms), now_ms)
        if way.wait is None:
            yield from self._telling.at_once(alert, now_ms, way, knows=opened)
        else:
            yield self._telling.later(alert, now_ms, way.wait, way.due_ms, opened=opened, why=way.why)

    def _warn(self, row: ToldRecord | None, alert: AlertRecord, now_ms: int) -> Iterator[Step]:
        """By the time of a digest a warning says nothing: then it is not told."""
        way = way_of(alert, self._recipient, self._telling.used(alert, now_ms), now_ms)
        if way.wait is None:
            yield from self._telling.at_once(alert, now_ms, way, knows=False)
        elif way.wait == "quiet":
            yield self._telling.later(alert, now_ms, way.wait, way.due_ms, opened=False, why=way.why)
        elif row is not None:
            yield self._telling.silently(alert, now_ms, "sent", opened=False)

    def _storm(self, alert: AlertRecord, now_ms: int) -> Iterator[Step]:
        """One begins, or is over by itself: it holds nothing back any more, and the openings are few again."""
        rule = rule_id(alert)
        is_many, running = self._storms.is_many(rule, now_ms), self._storms.running.get(rule)
        if running is not None and running.due_ms is None and not is_many and not self._rows.held(rule):
            del self._storms.running[rule]
            over = msgspec.structs.replace(running, over=True)
            yield Step(f"storm/{rule}", remember=(over,), forget=(over.key(),))
        if running is None and is_many:
            wakes = alert.severity in self._recipient.manners.wake_for
            quiet_until_ms = None if wakes else quiet_until(self._recipient, now_ms)
            # Remembered before it is told: told again after a crash, it has the same key.
            storm = self._storms.begin(rule, now_ms, now_ms if quiet_until_ms is None else quiet_until_ms)
            yield Step(f"storm/{rule}", remember=(storm,))

    def _decided(self, now_ms: int) -> list[Step]:
        """Storms that were over before this plan was restored, by themselves or since people decided."""
        decided, self._storms.decided = self._storms.decided, {}
        over, self._storms.over = self._storms.over, []
        steps = [Step(f"storm/{storm.rule}", forget=(storm.key(),)) for storm in over]
        return steps + [step for order, storm in decided.values() for step in self._after_storm(order, storm, now_ms)]

    def _after_storm(self, order: StormOrder, storm: StormRecord, now_ms: int) -> Iterator[Step]:
        held = [(row, row.alert) for row in self._rows.held(order.rule) if row.alert is not None]
        quiet_until_ms = quiet_until(self._recipient, now_ms)
        if order.order == "drop":
            for row, alert in held:
                yield self._telling.not_told(row, alert, now_ms)
        elif quiet_until_ms is not None:
            for row, alert in held:
                yield self._telling.later(alert, now_ms, "storm", quiet_until_ms, opened=row.opened)
        elif held:
            key = f"release/{self._recipient.name}/{order.rule}/{order.at_ms}"
            yield from self._telling.together(key, [row for row, _ in held], now_ms)
        if order.rule not in self._storms.running:
            yield Step(f"storm/{order.rule}", forget=(storm.key(),))

    def _faded(self, now_ms: int) -> Iterator[Step]:
        for alert_id in [name for name, until_ms in self._telling.fading.items() if until_ms <= now_ms]:
            row = self._rows.get(alert_id)
            if row is not None:
                yield self._telling.let_go(row)


def _over_in_batch(alerts: Sequence[AlertRecord]) -> set[int]:
    """The places of records after which the batch has the end of their alert. Of an SLA people hear all the same."""
    found: set[int] = set()
    ended: set[str] = set()
    for index in range(len(alerts) - 1, -1, -1):
        alert = alerts[index]
        if alert.state in CLOSED_STATES:
            ended.add(alert.alert_id)
        elif alert.alert_id in ended and alert.kind != "sla":
            found.add(index)
    return found


def _is_still_told(row: ToldRecord, waits_for: AlertRecord, alert: AlertRecord) -> bool:
    """A remark on an end that waits, and the answer to an SLA that was broken: that it was is told."""
    if waits_for.state in CLOSED_STATES:
        return True
    is_answer = alert.kind == "sla" and alert.state == "resolved" and waits_for.state != "warned"
    return is_answer and row.wait != "storm" and not row.opened


def _was_dropped(row: ToldRecord | None) -> bool:
    """Somebody took care of it before it was told, or decided that it should not be."""
    return row is not None and row.told == "dropped" and not row.opened
