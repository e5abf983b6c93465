"""What a new rule set does to the customers that are here already."""

from typing import Any

from detectors.absence import AbsenceKind
from detectors.kinds import Kind
from detectors.marks import Marks
from detectors.rhythm import RhythmKind
from detectors.rules_compiled import CompiledRules
from detectors.sla import SlaKind
from detectors.state import Customer
from schemas.decisions import Because
from schemas.errors import ContractError
from schemas.rules import RuleSet

GONE = Because(clause="rule_gone", value="the rule was taken out, or counts something else")


def check_versions(before: RuleSet, after: RuleSet) -> None:
    """Refuse a rule that has other content under the version it had: alerts name the version as their reason.

    Raises:
        ContractError: with the id of the first such rule.
    """
    known = {rule.id: rule for rule in before.rules}
    for rule in after.rules:
        old = known.get(rule.id)
        if old is not None and old.version == rule.version and old != rule:
            message = f"rule {rule.id!r} has other content than its version {rule.version!r} had; raise the version"
            raise ContractError("bad_version", message)


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


def dropped_kinds(before: CompiledRules | None, after: CompiledRules) -> list[Kind]:
    """The rules that are gone, or count something else from now on."""
    keys = frozenset(kind.state_key for kind in after.kinds)
    return [kind for kind in before.kinds if kind.state_key not in keys] if before is not None else []


def moved_clocks(before: CompiledRules | None, after: CompiledRules) -> list[SlaKind]:
    """The `sla` rules of the rule set before that go on with other promises."""
    terms = {kind.state_key: kind.terms for kind in after.kinds if isinstance(kind, SlaKind)}
    clocks = (kind for kind in before.kinds if isinstance(kind, SlaKind)) if before is not None else ()
    return [kind for kind in clocks if terms.get(kind.state_key, kind.terms) != kind.terms]


def waiting_kinds(rules: CompiledRules) -> list[AbsenceKind | RhythmKind | SlaKind]:
    """The rules that are about what did not happen."""
    return [kind for kind in rules.kinds if isinstance(kind, AbsenceKind | RhythmKind | SlaKind)]


def forget(customer: Customer, keys: frozenset[str]) -> None:
    """Drop the state of rules that are gone, but for the numbering of their alerts."""
    told = (ticket.told for ticket in customer.tickets.values())
    states: tuple[dict[str, Any], ...] = (
        customer.silences,
        customer.rhythms,
        customer.bursts,
        customer.shares,
        customer.levels,
        customer.trends,
        customer.scores,
        customer.composites,
        *told,
        *(contract.walks for contract in customer.contracts.values()),
    )
    for by_key in states:
        for key in [key for key in by_key if key not in keys]:
            del by_key[key]
