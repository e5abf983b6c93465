"""`score`: the churn probability is above a limit. Decided at looks only."""

from collections.abc import Callable, Sequence

from detectors.alert_state import waits
from detectors.kinds import Transition, state_key
from detectors.risk_state import ScoreWatch
from detectors.state import Customer
from schemas.decisions import Because, ClearsIf
from schemas.events import AnyEvent
from schemas.rule_kinds import ScoreRule

Explained = tuple[Sequence[Because], ClearsIf]
"""Why a probability is as high as it is, and what would bring it down."""


class ScoreKind:
    """One `score` rule. An episode starts at the look that crossed the limit.

    Args:
        rule: valid; `clear_below` is not above `above`.
        feeds: whose marks make its now: those of the features.
    """

    def __init__(self, rule: ScoreRule, feeds: tuple[str, ...]) -> None:
        self.rule = rule
        self.feeds = feeds
        self.types: frozenset[str] = frozenset()
        self.state_key = state_key(rule)

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Nothing: how a customer scored before is not known."""

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:  # noqa: ARG002
        """Nothing: a look follows at the next tick."""
        return []

    def wake_ms(self, customer: Customer) -> int | None:  # noqa: ARG002
        """Never: whoever may have changed is looked at."""
        return None

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:  # noqa: ARG002
        """Nothing."""
        return []

    def on_look(
        self,
        customer: Customer,
        at_ms: int,
        probability: float | None,
        explained: Callable[[float], Explained],
    ) -> list[Transition]:
        """The customer was scored; None, because no model may decide, changes nothing.

        `explained` is asked at an opening, with the limit below which the alert is over.
        """
        if probability is None:
            return []
        watch = customer.scores.get(self.state_key)
        if watch is None:
            if probability <= self.rule.above:
                return []
            watch = customer.scores[self.state_key] = ScoreWatch()
        since_ms = watch.above_since_ms
        if since_ms is None:
            return self._open(watch, at_ms, probability, explained) if probability > self.rule.above else []
        waiting = waits(customer.alerts.get(self.rule.id), since_ms, at_ms)
        over = probability <= self.rule.above if waiting else probability < self.rule.clear_below
        return self._close(watch, since_ms, at_ms, probability) if over else []

    def _open(
        self, watch: ScoreWatch, at_ms: int, probability: float, explained: Callable[[float], Explained]
    ) -> list[Transition]:
        watch.above_since_ms = at_ms
        because = [Because(clause="probability", value=probability, threshold=self.rule.above)]
        reasons, clears_if = explained(self.rule.clear_below)
        return [
            Transition(
                state="opened",
                at_ms=at_ms,
                episode_start_ms=at_ms,
                due_ms=at_ms,
                because=(*because, *reasons),
                clears_if=clears_if,
            )
        ]

    def _close(self, watch: ScoreWatch, since_ms: int, at_ms: int, probability: float) -> list[Transition]:
        watch.above_since_ms = None
        because = (Because(clause="probability", value=probability, threshold=self.rule.clear_below),)
        return [Transition(state="resolved", at_ms=at_ms, episode_start_ms=since_ms, due_ms=since_ms, because=because)]
