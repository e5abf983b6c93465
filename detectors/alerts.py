"""The alert book: gives what happened to an alert the form of a record."""

from collections.abc import Iterable
from zlib import crc32

from detectors.identity import alert_id, id_in_slot
from detectors.kinds import Kind
from detectors.marks import Marks
from detectors.state import Customer
from detectors.told import OPEN_STATES, Told, slots_of
from schemas.decisions import AlertRecord, Versions
from schemas.rules import RuleSet


class AlertBook:
    """Writes the alerts of one partition, under one rule set.

    Args:
        rule_set: in force.
        marks: for the status of feeds.
        engine: version of the engine.
        model: version of the model held, if any.
    """

    def __init__(self, rule_set: RuleSet, marks: Marks, engine: int, model: str | None) -> None:
        self._rule_set = rule_set
        self._marks = marks
        self._engine = engine
        self._model = model
        self._inhibiting = {
            rule.id: [other.id for other in rule_set.rules if rule.id in other.inhibits and other.mode == "live"]
            for rule in rule_set.rules
        }

    def write(self, customer: Customer, told: Told) -> AlertRecord:
        """The record of what happened; the customer is as it left it."""
        kind, said = told.kind, told.said
        rule = kind.rule
        identity = alert_id(self._rule_set.tenant, rule.id, customer.id, said.subject, said.episode_start_ms)
        now_ms = self._marks.now_ms(kind.feeds)
        risk = customer.risk.probability
        return AlertRecord(
            customer_id=customer.id,
            alert_id=identity,
            sequence=told.sequence,
            state=said.state,
            at_ms=said.at_ms,
            decided_ms=said.at_ms if now_ms is None else max(0, now_ms),
            rule=f"{rule.id}@{rule.version}",
            kind=rule.kind,
            ticket_id=said.subject if rule.subject == "ticket" else None,
            contract_id=said.subject if rule.subject == "contract" else None,
            episode_start_ms=said.episode_start_ms,
            due_ms=said.due_ms,
            fraction=said.fraction if said.state == "warned" else None,
            severity=rule.severity,
            mode=rule.mode,
            tier=customer.tier,
            owner=told.owner if told.owner is not None else self._owner(rule.owner, customer, identity),
            ack_by_ms=told.ack_by_ms,
            snoozed_until_ms=told.snoozed_until_ms,
            by=told.by,
            note=told.note,
            verdict=told.verdict,
            next_action=rule.next_action,
            because=list(said.because),
            evidence=list(said.evidence),
            clears_if=said.clears_if,
            inhibited_by=self._inhibited_by(customer, kind),
            feeds={feed: self._marks.status(feed) for feed in kind.feeds},
            notes=list(said.notes),
            versions=Versions(engine=self._engine, rules=self._rule_set.version, calendar=said.calendar, model=self._model),
            risk=risk,
            value_at_risk=customer.value * risk if customer.value is not None and risk is not None else None,
        )

    def find(self, customer: Customer, wanted: str) -> str | None:
        """The slot of the alert of this id; None if the customer has none that was told of."""
        tenant = self._rule_set.tenant
        for key, slot in customer.alerts.items():
            if slot.sequence and id_in_slot(tenant, customer.id, key, slot.episode_start_ms) == wanted:
                return key
        return None

    def _inhibited_by(self, customer: Customer, kind: Kind) -> str | None:
        """The open alert of a rule that says more than this one."""
        for rule_id in self._inhibiting.get(kind.rule.id, ()):
            for subject, slot in slots_of(customer, rule_id):
                if slot.state in OPEN_STATES:
                    return alert_id(self._rule_set.tenant, rule_id, customer.id, subject, slot.episode_start_ms)
        return None

    def _owner(self, candidates: Iterable[str], customer: Customer, identity: str) -> str | None:
        """The first that exists; the members of a team take turns, by the alert's id."""
        for candidate in candidates:
            if candidate == "customer.owner":
                owner = customer.owner
            elif candidate.startswith("team."):
                members = self._rule_set.teams.get(candidate.removeprefix("team."), [])
                owner = members[crc32(identity.encode()) % len(members)] if members else None
            else:
                owner = candidate
            if owner is not None:
                return owner
        return None
