"""`score`: the churn probability stays above a limit for some time. Decided at looks only."""

from collections.abc import Sequence

from detectors.kinds import Transition, View, state_key
from detectors.risk_state import ScoreWatch
from detectors.state import Customer
from schemas.decisions import Because, ClearsIf, RiskReason
from schemas.events import AnyEvent
from schemas.instants import exact_ms
from schemas.rules import ScoreRule


class ScoreKind:
    """One `score` rule. An episode starts at the look that crossed the limit.

    Args:
        rule: valid; `dwell` and `cooldown` are exact durations, `clear_below` is not above `above`.
        feeds: whose marks make its now: those of the features.
    """

    def __init__(self, rule: ScoreRule, feeds: tuple[str, ...]) -> None:
        self.rule = rule
        self.feeds = feeds
        self.types: frozenset[str] = frozenset()
        self.state_key = state_key(rule)
        self._dwell_ms = exact_ms(rule.dwell) if rule.dwell is not None else 0
        self._cooldown_ms = exact_ms(rule.cooldown) if rule.cooldown is not None else 0

    def adopt(self, customer: Customer) -> None:
        """Nothing: how a customer scored before is not known."""

    def on_event(self, customer: Customer, event: AnyEvent, view: View) -> list[Transition]:  # noqa: ARG002
        """Nothing: a look follows at the next tick."""
        return []

    def wake_ms(self, customer: Customer) -> int | None:
        """When a look is wanted: at the end of the dwell, or of the cooldown that suppressed an opening."""
        watch = customer.scores.get(self.state_key)
        return watch.look_ms if watch is not None else None

    def on_due(self, customer: Customer, due_ms: int, view: View) -> list[Transition]:  # noqa: ARG002
        """Ask for a look in this tick; it decides."""
        customer.scores[self.state_key].look_ms = None
        customer.touched = True
        return []

    def on_look(
        self, customer: Customer, at_ms: int, probability: float | None, view: View, reasons: Sequence[RiskReason] = ()
    ) -> list[Transition]:
        """The customer was scored; None, because no model may decide, changes nothing."""
        if probability is None:
            return []
        watch = customer.scores.get(self.state_key)
        if watch is None:
            if probability <= self.rule.above:
                return []
            watch = customer.scores[self.state_key] = ScoreWatch()
        if watch.open:
            return self._close(watch, at_ms, probability) if probability < self.rule.clear_below else []
        watch.look_ms = None
        if probability <= self.rule.above:
            watch.above_since_ms = None
            return []
        if watch.above_since_ms is None:
            watch.above_since_ms = at_ms
        ripe_ms = max(watch.above_since_ms + self._dwell_ms, watch.cooldown_until_ms or 0)
        if at_ms < ripe_ms:
            watch.look_ms = ripe_ms
            return []
        return self._open(watch, at_ms, probability, reasons) if view.may_open(customer, at_ms) else []

    def _open(self, watch: ScoreWatch, at_ms: int, probability: float, reasons: Sequence[RiskReason]) -> list[Transition]:
        since_ms = watch.above_since_ms if watch.above_since_ms is not None else at_ms
        watch.open = True
        because = [Because(clause="probability", value=probability, threshold=self.rule.above)]
        if self._dwell_ms:
            because.append(Because(clause="above_for_ms", value=at_ms - since_ms, threshold=self._dwell_ms))
        because += [Because(clause=reason.feature, value=reason.value) for reason in reasons]
        return [
            Transition(
                state="opened",
                at_ms=at_ms,
                episode_start_ms=since_ms,
                due_ms=since_ms + self._dwell_ms,
                because=tuple(because),
                clears_if=ClearsIf(code="probability_below", below=self.rule.clear_below),
            )
        ]

    def _close(self, watch: ScoreWatch, at_ms: int, probability: float) -> list[Transition]:
        since_ms = watch.above_since_ms if watch.above_since_ms is not None else at_ms
        watch.open, watch.above_since_ms = False, None
        watch.cooldown_until_ms = at_ms + self._cooldown_ms if self._cooldown_ms else None
        because = (Because(clause="probability", value=probability, threshold=self.rule.clear_below),)
        due_ms = since_ms + self._dwell_ms
        return [Transition(state="resolved", at_ms=at_ms, episode_start_ms=since_ms, due_ms=due_ms, because=because)]
