"""The seam between the engine and the kinds of rules: what a kind is asked, and what it answers.

A kind says when what it looks for begins to hold and when it no longer does, and nothing else. Whether somebody is told,
and when (tiers, stages, dwell, cooldown, freeze, acks, snoozes), is decided in `detectors/alert_life.py` for all kinds.
"""

from typing import Protocol
from zlib import crc32

from detectors.state import Customer
from detectors.transition import Transition
from schemas.events import AnyEvent
from schemas.rule_kinds import Rule

__all__ = ["Kind", "Transition", "state_key"]


class Kind(Protocol):
    """One rule, compiled; its state is in the customer."""

    @property
    def rule(self) -> Rule:
        """As published."""

    @property
    def state_key(self) -> str:
        """Under which the customer keeps the rule's state: another one when the rule counts something else."""

    @property
    def feeds(self) -> tuple[str, ...]:
        """The feeds whose marks make the rule's now, sorted; empty: the greatest mark of all."""

    @property
    def types(self) -> frozenset[str]:
        """Event types it wants to see."""

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """A rule set arrived: a rule that is new starts from what is remembered of the customer anyway."""

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:
        """An event of `types` arrived; it may be late, or ahead of the rule's now, which is None while a feed has no mark."""

    def wake_ms(self, customer: Customer) -> int | None:
        """The next instant at which something must be decided, if nothing else happens."""

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:
        """The rule's now has reached `wake_ms`: decide this instant; the next has a wake-up of its own, further ahead."""


def state_key(rule: Rule, *counted: object) -> str:
    """The key of a rule's state, made of the rule's id and of what it counts.

    A rule that counts something else from some version on starts anew, for its old state says nothing about that.
    """
    return f"{rule.id}#{crc32(repr(counted).encode()):08x}"
