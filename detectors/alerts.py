"""The alert book: gives what the kinds of rules say an identity, a number, an owner, and the form of a record."""

import uuid
from typing import Final
from zlib import crc32

import msgspec

from detectors.kinds import Kind, Transition
from detectors.marks import Marks
from detectors.state import AlertSlot, Customer
from schemas.decisions import CLOSED_STATES, AlertRecord, Versions
from schemas.rules import RuleSet

NAMESPACE: Final = uuid.UUID("9d0c3f0a-52a3-5a0e-8b1d-6f2f7c1f4e11")
"""Of all alert ids; changing it would make every open alert a stranger."""


def alert_id(tenant: str, rule_id: str, customer_id: str, ticket_id: str | None, episode_start_ms: int) -> str:
    """The same alert has the same id, whoever computes it and however often: UUIDv5 (RFC 9562) of what it is about."""
    name = msgspec.json.encode([tenant, rule_id, customer_id, ticket_id, episode_start_ms]).decode()
    return str(uuid.uuid5(NAMESPACE, name))


def slot_key(rule_id: str, ticket_id: str | None) -> str:
    """Where a customer keeps the latest alert of a rule and subject."""
    return rule_id if ticket_id is None else f"{rule_id}/{ticket_id}"


class AlertBook:
    """Writes transitions of one partition, under one rule set.

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
        self.model = model

    def write(self, customer: Customer, kind: Kind, said: Transition, risk: float | None) -> AlertRecord:
        """The record of a transition; its sequence goes on from the last record of the same alert."""
        rule = kind.rule
        key = slot_key(rule.id, said.ticket_id)
        last = customer.alerts.get(key)
        same = last is not None and last.episode_start_ms == said.episode_start_ms
        sequence = last.sequence + 1 if last is not None and same else 1
        customer.alerts[key] = AlertSlot(said.episode_start_ms, said.due_ms, sequence, said.state)
        identity = alert_id(self._rule_set.tenant, rule.id, customer.id, said.ticket_id, said.episode_start_ms)
        now_ms = self._marks.now_ms(kind.feeds)
        return AlertRecord(
            customer_id=customer.id,
            alert_id=identity,
            sequence=sequence,
            state=said.state,
            at_ms=said.at_ms,
            decided_ms=said.at_ms if now_ms is None else max(0, now_ms),
            rule=f"{rule.id}@{rule.version}",
            kind=rule.kind,
            ticket_id=said.ticket_id,
            episode_start_ms=said.episode_start_ms,
            due_ms=said.due_ms,
            fraction=said.fraction,
            severity=rule.severity,
            mode=rule.mode,
            tier=customer.tier,
            owner=self._owner(rule.owner, customer, identity),
            next_action=rule.next_action,
            because=list(said.because),
            evidence=list(said.evidence),
            clears_if=said.clears_if,
            feeds={feed: self._marks.status(feed) for feed in kind.feeds},
            notes=list(said.notes),
            versions=Versions(engine=self._engine, rules=self._rule_set.version, calendar=said.calendar, model=self.model),
            risk=risk,
        )

    def _owner(self, candidates: list[str], customer: Customer, identity: str) -> str | None:
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


def is_open(slot: AlertSlot) -> bool:
    """Whether somebody was told of it and it is not closed; a warning is not open yet."""
    return slot.state not in CLOSED_STATES and slot.state != "warned"
