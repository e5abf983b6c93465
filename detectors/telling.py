"""What is told at one step: of what kinds say about a customer, through the life of alerts, to records.

A step is an event, or an instant of a clock. Rules that are made of others have their say before anything is written, so
that a part knows whether something that says more has opened at the same instant.
"""

from collections.abc import Iterable

from detectors.alert_life import AlertLife
from detectors.alerts import AlertBook
from detectors.decisions import Decisions
from detectors.identity import slot_key
from detectors.kinds import Kind
from detectors.marks import Marks
from detectors.rules_compiled import CompiledRules
from detectors.state import Customer, Head
from detectors.told import Told
from detectors.transition import Transition
from schemas.decisions import Because
from schemas.errors import ContractError
from schemas.events import AlertEvent


class Telling:
    """Tells of one customer at a time: any number of `say`, `wake` and `act`, then `write`.

    Args:
        rules: in force.
        marks: the clocks.
        head: the partition's record.
        engine: version of the engine.
        model: version of the model held, if any.
    """

    def __init__(self, rules: CompiledRules, marks: Marks, head: Head, engine: int, model: str | None) -> None:
        self.life = AlertLife(rules.rule_set)
        self._rules = rules
        self._marks = marks
        self._head = head
        self._book = AlertBook(rules.rule_set, marks, engine, model)
        self._told: list[Told] = []

    def say(self, customer: Customer, kind: Kind, said: Iterable[Transition], due_ms: int | None = None) -> None:
        """Take in what a kind says; `due_ms` is the instant at which time made it say so, None: an event did."""
        for transition in said:
            heard = self.life.hear(
                customer,
                kind,
                transition,
                enabled_from_ms=self._head.enabled_from_ms.get(kind.rule.id),
                reached_ms=self._marks.now_ms(kind.feeds) if due_ms is None else due_ms,
                by_timer=due_ms is not None,
            )
            for told in heard:
                self._note(customer, told)

    def wake(self, customer: Customer, kind: Kind, due_ms: int) -> None:
        """Let happen what happens to alerts of a rule by itself until an instant."""
        for told in self.life.on_due(customer, kind, due_ms):
            self._note(customer, told)

    def act(self, customer: Customer, action: AlertEvent) -> None:
        """Let somebody do something with an alert.

        Raises:
            ContractError: the customer has no such alert, or it is over.
        """
        key = self._book.find(customer, action.alert_id)
        past = self.life.past.find(customer, action.alert_id) if key is None else None
        name = key if key is not None else past.key if past is not None else ""
        kind = self._rules.by_id.get(name.partition("/")[0])
        if kind is None:
            raise ContractError("alert_unknown", f"the customer has no alert {action.alert_id!r}, or its rule is gone")
        if key is not None:
            for told in self.life.act(customer, kind, key, customer.alerts[key], action):
                self._note(customer, told)
        elif past is not None:  # others are not told: for them the newer alert counts
            slot = self.life.past.slot_of(past)
            self._told += self.life.act(customer, kind, past.key, slot, action)
            self.life.past.renumber(customer, past, slot.sequence)

    def expire(self, customer: Customer, kind: Kind, at_ms: int, because: Because) -> None:
        """Close whatever a rule has open for a customer."""
        for told in self.life.expire_all(customer, kind, at_ms, because):
            self._note(customer, told)

    def write(self, customer: Customer, decisions: Decisions, due_ms: int | None = None) -> bool:
        """End the step; whether anything was told.

        Args:
            customer: whom it was about.
            decisions: take the records.
            due_ms: the instant that the step decides; None: all that the clocks have reached.
        """
        if customer.composites:
            self._compose(customer, due_ms)
        told, self._told = self._told, []
        for one in told:
            decisions.add_alert(self._book.write(customer, one))
        return bool(told)

    def _compose(self, customer: Customer, due_ms: int | None) -> None:
        for kind in self._rules.composites:
            wake_ms, reached_ms = kind.wake_ms(customer), self._marks.now_ms(kind.feeds)
            if wake_ms is None or reached_ms is None:
                continue
            limit_ms = reached_ms if due_ms is None else min(reached_ms, due_ms)
            if wake_ms <= limit_ms:
                self.say(customer, kind, kind.on_due(customer, limit_ms), limit_ms)

    def _note(self, customer: Customer, told: Told) -> None:
        self._told.append(told)
        rule_id = told.kind.rule.id
        for kind in self._rules.composites_of(rule_id):
            kind.note(customer, slot_key(rule_id, told.said.subject), told.said)
