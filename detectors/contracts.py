"""Contracts of a customer: what was agreed from when on, by time, whatever order it was heard of in.

A kind of rule walks along the terms of a contract by its own clock; those ahead of it are kept until it passes them.
"""

from bisect import bisect_right
from operator import attrgetter
from typing import Final

import msgspec

from detectors.occurrence import Occurrence
from schemas.events import ContractCancelled, ContractRenewed, ContractSet
from schemas.instants import DAY_MS

ContractEvent = ContractSet | ContractRenewed | ContractCancelled

MANY_TERMS: Final = 32
"""So many terms of a contract are remembered; beyond it the oldest is forgotten."""
FORGET_AFTER_MS: Final = 400 * DAY_MS
"""A contract that was cancelled, or due for renewal, so long ago is forgotten when the customer has a new one."""

_by_time: Final = attrgetter("at_ms")


class Term(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What holds from an event on."""

    occurrence: Occurrence
    renews_at_ms: int | None = None
    """None: cancelled."""
    renewed: bool = False
    """The customer has agreed to this date, and to go on until it."""

    @property
    def at_ms(self) -> int:
        """Since when."""
        return self.occurrence.at_ms


class RenewalSaid(msgspec.Struct, array_like=True):
    """The latest that one `renewal` rule has said about a contract."""

    renews_at_ms: int
    due_ms: int
    """When it opened."""
    closed: bool = False
    retracted: bool = False


class RenewalWalk(msgspec.Struct, array_like=True):
    """How far one `renewal` rule has come with a contract."""

    walked: int = 0
    """How many of the terms are behind it."""
    looked_ms: int = -1
    """Up to this instant, it included, every look was taken."""
    said: RenewalSaid | None = None


class Contract(msgspec.Struct, array_like=True):
    """One contract."""

    terms: list[Term] = []
    """By time; at the same instant in log order, so that the later holds."""
    walks: dict[str, RenewalWalk] = {}
    """By the rule's state key."""


def take(contracts: dict[str, Contract], event: ContractEvent) -> None:
    """Take in an event of a contract, in whatever order it comes; at a new one, forget those that ended long ago."""
    contract = contracts.get(event.contract_id)
    if contract is None:
        for contract_id in [known for known, old in contracts.items() if _is_over(old, event.at_ms - FORGET_AFTER_MS)]:
            del contracts[contract_id]
        contract = contracts[event.contract_id] = Contract()
    term = _term_of(event)
    place = bisect_right(contract.terms, term.at_ms, key=_by_time)
    contract.terms.insert(place, term)
    for walk in contract.walks.values():
        walk.walked += place < walk.walked
    if len(contract.terms) > MANY_TERMS:
        del contract.terms[0]
        for walk in contract.walks.values():
            walk.walked = max(0, walk.walked - 1)


def _term_of(event: ContractEvent) -> Term:
    occurrence = Occurrence.of(event)
    if isinstance(event, ContractCancelled):
        return Term(occurrence)
    return Term(occurrence, event.renews_at_ms, isinstance(event, ContractRenewed))


def _is_over(contract: Contract, before_ms: int) -> bool:
    last = contract.terms[-1]
    end_ms = last.at_ms if last.renews_at_ms is None else max(last.at_ms, last.renews_at_ms)
    is_open = any(walk.said is not None and not walk.said.closed for walk in contract.walks.values())
    return end_ms < before_ms and not is_open
