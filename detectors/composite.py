"""`all` and `any`: other rules have an open alert for the customer.

What happens to the parts is noted, and decided once the rule's now has passed it, in the order of time: a part may be
closed ahead of its clock, by an event that is here already, while another part has yet to open before that.
"""

from bisect import insort
from collections.abc import Iterator
from typing import Final

from detectors.composite_state import Composite, Turn
from detectors.kinds import state_key
from detectors.state import Customer
from detectors.told import OPEN_STATES
from detectors.transition import Transition
from schemas.decisions import AlertState, Because, ClearsIf, Evidence
from schemas.events import AnyEvent
from schemas.rule_kinds import AllRule, AnyRule

MAX_EVIDENCE: Final = 8
"""Records that a composite takes over from its parts."""


class CompositeKind:
    """One `all` or `any` rule.

    Args:
        rule: valid; its parts are rules of the same set.
        feeds: those of its parts.
    """

    def __init__(self, rule: AllRule | AnyRule, feeds: tuple[str, ...]) -> None:
        self.rule = rule
        self.feeds = feeds
        self.types: frozenset[str] = frozenset()
        self.state_key = state_key(rule, rule.kind, sorted(rule.rules))

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Parts may be open already: that is not told, since they opened before the rule was there."""
        if self.state_key in customer.composites:
            return
        held = [key for key, slot in customer.alerts.items() if _rule_of(key) in self.rule.rules and slot.state in OPEN_STATES]
        if held:
            known = customer.composites[self.state_key] = Composite(open=held)
            known.episode_ms = (now_ms or 0) if self._holds(known) else None

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:  # noqa: ARG002
        """Nothing: it looks at alerts alone."""
        return []

    def note(self, customer: Customer, key: str, said: Transition) -> None:
        """Something happened to an alert of a part; `key` is its slot."""
        known = customer.composites.setdefault(self.state_key, Composite())
        insort(known.ahead, Turn(said.at_ms, key, said.state, said.evidence), key=lambda turn: turn.at_ms)

    def wake_ms(self, customer: Customer) -> int | None:
        """When the clock passes the next of what was noted."""
        known = customer.composites.get(self.state_key)
        return known.ahead[0].at_ms if known is not None and known.ahead else None

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:
        """Look at the parts again, turn by turn."""
        known = customer.composites[self.state_key]
        found = []
        while known.ahead and known.ahead[0].at_ms <= due_ms:
            found += self._turned(customer, known, known.ahead.pop(0))
        if known == Composite():
            del customer.composites[self.state_key]
        return found

    def _turned(self, customer: Customer, known: Composite, turn: Turn) -> list[Transition]:
        if turn.state in OPEN_STATES:
            if turn.part not in known.open:
                known.open.append(turn.part)
        elif turn.part in known.open:
            known.open.remove(turn.part)
        held, holds = known.episode_ms, self._holds(known)
        if held is None and holds:
            known.episode_ms = turn.at_ms
            return [self._opened(customer, known, turn)]
        if held is not None and not holds:
            known.episode_ms = None
            state: AlertState = "retracted" if turn.state == "retracted" else "resolved"
            because = (Because(clause="rule_closed", value=_rule_of(turn.part)),)
            return [_said(state, turn, held, because=because, evidence=turn.evidence[:MAX_EVIDENCE])]
        return []

    def _holds(self, known: Composite) -> bool:
        there = {_rule_of(part) for part in known.open}
        return all(part in there for part in self.rule.rules) if isinstance(self.rule, AllRule) else bool(there)

    def _opened(self, customer: Customer, known: Composite, turn: Turn) -> Transition:
        there = dict.fromkeys(_rule_of(part) for part in known.open)
        return _said(
            "opened",
            turn,
            turn.at_ms,
            because=tuple(Because(clause="rule_open", value=part) for part in there),
            evidence=tuple(_evidence_of(customer, known.open, turn))[:MAX_EVIDENCE],
            clears_if=ClearsIf(code="rules_close", of=sorted(set(self.rule.rules))),
        )


def _said(
    state: AlertState,
    turn: Turn,
    episode_ms: int,
    *,
    because: tuple[Because, ...],
    evidence: tuple[Evidence, ...],
    clears_if: ClearsIf | None = None,
) -> Transition:
    return Transition(
        state=state,
        at_ms=turn.at_ms,
        episode_start_ms=episode_ms,
        due_ms=episode_ms,
        because=because,
        evidence=evidence,
        clears_if=clears_if,
    )


def _evidence_of(customer: Customer, parts: list[str], turn: Turn) -> Iterator[Evidence]:
    """What the parts rest on; of one that is closed by now nothing is known but the turn."""
    for part in parts:
        slot = customer.alerts.get(part)
        if part == turn.part:
            yield from turn.evidence
        elif slot is not None and slot.said is not None:
            yield from slot.said.evidence


def _rule_of(key: str) -> str:
    return key.partition("/")[0]
