"""What a new rule set does to the customers that are here already."""

from typing import Any

from detectors.kinds import Kind, Transition
from detectors.marks import Marks
from detectors.rules_compiled import CompiledRules
from detectors.state import AlertSlot, Customer
from schemas.decisions import CLOSED_STATES


def openings_from(old: dict[str, int | None], compiled: CompiledRules, marks: Marks) -> dict[str, int | None]:
    """From when on each rule may open: as it says, or else from its now when it first arrived.

    A rule that arrives before any tick counts from the beginning of time: there is no past that it could dig up.
    """
    found: dict[str, int | None] = {}
    for kind in compiled.kinds:
        rule = kind.rule
        if rule.enabled_from_ms is not None:
            found[rule.id] = rule.enabled_from_ms
        else:
            found[rule.id] = old[rule.id] if rule.id in old else marks.now_ms(kind.feeds)
    return found


def expired(customer: Customer, kind: Kind, at_ms: int) -> list[Transition]:
    """Close what a rule has open for a customer, because the rule is gone or counts something else."""
    found = []
    for key, slot in customer.alerts.items():
        rule_id, _, ticket_id = key.partition("/")
        if rule_id == kind.rule.id and slot.state not in CLOSED_STATES:
            found.append(_expired(slot, ticket_id or None, at_ms))
    return found


def forget(customer: Customer, keys: frozenset[str]) -> None:
    """Drop the state of rules that are gone, but for the numbering of their alerts."""
    told = (ticket.told for ticket in customer.tickets.values())
    states: tuple[dict[str, Any], ...] = (customer.silences, customer.bursts, customer.scores, *told)
    for by_key in states:
        for key in [key for key in by_key if key not in keys]:
            del by_key[key]


def _expired(slot: AlertSlot, ticket_id: str | None, at_ms: int) -> Transition:
    return Transition(
        state="expired", at_ms=at_ms, episode_start_ms=slot.episode_start_ms, due_ms=slot.due_ms, ticket_id=ticket_id
    )
