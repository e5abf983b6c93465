"""The seam between the engine and the kinds of rules: what a kind is asked, and what it answers."""

from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from detectors.state import Customer
from schemas.decisions import AlertState, Because, ClearsIf, Evidence
from schemas.events import AnyEvent
from schemas.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What a kind says about one alert; the alert book makes it a record, with id, sequence and owner."""

    state: AlertState
    at_ms: int
    episode_start_ms: int
    due_ms: int
    because: tuple[Because, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    clears_if: ClearsIf | None = None
    ticket_id: str | None = None
    fraction: float | None = None
    notes: tuple[str, ...] = ()
    calendar: str | None = None
    """Version of the calendar that the decision rests on."""


@dataclass(frozen=True, slots=True)
class View:
    """What a rule may know beside the customer."""

    rule: Rule
    now_ms: int | None
    """The least mark of the rule's feeds; None while one of them has none."""
    enabled_from_ms: int | None = None

    def may_open(self, customer: Customer, at_ms: int) -> bool:
        """Whether the rule is for this customer at all, and was in force at the instant."""
        rule = self.rule
        return (
            (self.enabled_from_ms is None or at_ms >= self.enabled_from_ms)
            and (rule.tiers is None or customer.tier in rule.tiers)
            and (rule.stages is None or customer.stage in rule.stages)
        )


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

    def adopt(self, customer: Customer) -> None:
        """The rule is new: start from what is remembered of the customer anyway."""

    def on_event(self, customer: Customer, event: AnyEvent, view: View) -> list[Transition]:
        """An event of `types` arrived; it may be late, or ahead of `now_ms`."""

    def wake_ms(self, customer: Customer) -> int | None:
        """The next instant at which something must be decided, if nothing else happens."""

    def on_due(self, customer: Customer, due_ms: int, view: View) -> list[Transition]:
        """The rule's now has reached `wake_ms`. Afterwards `wake_ms` lies further ahead."""


def state_key(rule: Rule, *counted: object) -> str:
    """The key of a rule's state, made of the rule's id and of what it counts.

    A rule that counts something else from some version on starts anew, for its old state says nothing about that.
    """
    return f"{rule.id}#{crc32(repr(counted).encode()):08x}"
