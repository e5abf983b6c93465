"""Contracts and renewal rules for tests: short names, days counted from the epoch."""

from itertools import count

from engine_run import rule_set

from schemas.events import ContractCancelled, ContractRenewed, ContractSet, LoginSucceeded, TicketResolved
from schemas.instants import DAY_MS
from schemas.rule_kinds import RenewalRule
from schemas.rules import Churn, RuleSet

_ids = count()


def renewal(before: int = 30, *, churn: Churn | None = None, **fields: object) -> RuleSet:
    """A renewal date nearer than so many days."""
    given = {"id": "renews", "version": "1", "before": f"P{before}D", **fields}
    return rule_set(RenewalRule(**given), churn=churn)  # type: ignore[arg-type]


def agreed(day: float, renews: float, contract: str = "c1") -> ContractSet:
    """A contract and its renewal date."""
    name = f"s{next(_ids)}"
    return ContractSet(
        id=name, customer_id="ann", at_ms=int(day * DAY_MS), contract_id=contract, renews_at_ms=int(renews * DAY_MS)
    )


def renewed(day: float, renews: float, contract: str = "c1") -> ContractRenewed:
    """It goes on until another date."""
    name = f"r{next(_ids)}"
    return ContractRenewed(
        id=name, customer_id="ann", at_ms=int(day * DAY_MS), contract_id=contract, renews_at_ms=int(renews * DAY_MS)
    )


def cancelled(day: float, contract: str = "c1") -> ContractCancelled:
    """The customer gave notice."""
    return ContractCancelled(id=f"n{next(_ids)}", customer_id="ann", at_ms=int(day * DAY_MS), contract_id=contract)


def login(day: float) -> LoginSucceeded:
    """The customer signed in."""
    return LoginSucceeded(id=f"l{next(_ids)}", customer_id="ann", at_ms=int(day * DAY_MS))


def solved(day: float, ticket: str) -> TicketResolved:
    """A ticket is solved."""
    return TicketResolved(id=f"e{next(_ids)}", customer_id="ann", at_ms=int(day * DAY_MS), ticket_id=ticket)
