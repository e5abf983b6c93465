"""The stage of a customer: new, active, silent, high_risk, churned.

A customer is `new` until the second activity, `silent` after a time without any, `churned` after a longer one or by an
event that means an end, and `high_risk` by the probability or by an open alert, until both have let go. Activity brings
back whoever was silent or churned; it is no answer to a high risk, which the next look decides.
"""

from bisect import insort
from collections.abc import Iterable
from typing import Self

from detectors.gaps import NO_GAPS, Gaps, Spans, extended, of_feeds
from detectors.predicates import event_types
from detectors.risk_state import LifecycleState, Turn
from detectors.state import Customer
from schemas.decisions import LifecycleRecord
from schemas.instants import exact_ms
from schemas.rule_kinds import Stage
from schemas.rules import Churn, Lifecycle, RuleSet

FIRST_SEEN = "first_seen"
NO_ACTIVITY = "no_activity"
PROBABILITY = "probability"
RISK_CLEARED = "risk_cleared"
FEED_GAP = "feed_gap"
"""Other causes are the type of an event, or `rule:` and the id of a rule."""


class LifecyclePolicy:
    """Stages under one rule set.

    Args:
        limits: the `lifecycle` section; its durations are exact.
        stays: event types that are activity.
        leaves: event types that mean an end.
        feeds: whose marks make the now of the timers.
        gaps: of the feeds, which put a silence off.
    """

    def __init__(
        self, limits: Lifecycle, stays: frozenset[str], leaves: frozenset[str], feeds: tuple[str, ...], gaps: Spans = ()
    ) -> None:
        self.feeds = feeds
        self.types = stays | leaves
        self._limits = limits
        self._leaves = leaves
        self._silent_after_ms = exact_ms(limits.silent_after)
        self._churned_after_ms = exact_ms(limits.churned_after)
        self._silent_ms = extended(lambda from_ms: from_ms + self._silent_after_ms, gaps)
        self._churned_ms = extended(lambda from_ms: from_ms + self._churned_after_ms, gaps)

    @classmethod
    def of(cls, rule_set: RuleSet, gaps: Gaps = NO_GAPS) -> Self:
        """The stages of a rule set; what counts as activity stands in its `churn` section, else it is an order.

        Args:
            rule_set: in force.
            gaps: of each feed that has some.
        """
        churn = rule_set.churn or Churn()
        stays, leaves = event_types(churn.of), event_types(churn.or_)
        delivering = {rule_set.feed_of(name) for name in sorted(stays | leaves)}
        feeds = tuple(sorted(feed for feed in delivering if feed is not None))
        return cls(rule_set.lifecycle, stays, leaves, feeds, of_feeds(gaps, feeds))

    def begin(self, customer: Customer, at_ms: int) -> list[LifecycleRecord]:
        """The customer is seen for the first time; nothing if that was told before."""
        return [] if customer.lifecycle.sequence else [self._move(customer, "new", at_ms, FIRST_SEEN)]

    def adopt(self, customer: Customer, now_ms: int | None) -> list[LifecycleRecord]:
        """Stages begin for a customer who is here already: of the past, the last activity is known."""
        if customer.lifecycle.sequence:
            return []
        found = self.begin(customer, customer.first_ms)
        lasts = [last for name, last in sorted(customer.lasts.items()) if name in self.types - self._leaves]
        if sum(customer.counts.get(last.type, 0) for last in lasts) > 1:
            customer.lifecycle.active_ms = customer.first_ms
        for last in sorted(lasts, key=lambda last: last.at_ms):
            found += self.on_activity(customer, last.type, last.at_ms, now_ms)
        return found

    def regret(self, customer: Customer, now_ms: int) -> list[LifecycleRecord]:
        """A gap became known: whoever was taken for silent or gone too early is not any more."""
        if customer.stage not in {"silent", "churned"} or customer.lifecycle.cause != NO_ACTIVITY:
            return []
        from_ms = self._quiet_from_ms(customer)
        if customer.stage == "churned" and now_ms >= self._churned_ms(from_ms):
            return []
        stage = self._calm(customer, now_ms)
        return [] if stage == customer.stage else [self._move(customer, stage, now_ms, FEED_GAP)]

    def on_activity(self, customer: Customer, event_type: str, at_ms: int, now_ms: int | None) -> list[LifecycleRecord]:
        """An event of `types`; one that is not behind the clock waits for it."""
        turn = Turn(at_ms, event_type, event_type in self._leaves)
        found = self.catch_up(customer, now_ms)
        if now_ms is not None and at_ms < now_ms:
            return found + self._turn(customer, turn)
        insort(customer.lifecycle.ahead, turn, key=lambda known: known.at_ms)
        self._thin_out(customer.lifecycle)
        return found

    def wake_ms(self, customer: Customer) -> int | None:
        """When the stage may change if nothing else happens; activity that only moves a deadline does not matter."""
        deadline, ahead, passed_ms = self._deadline(customer), customer.lifecycle.ahead, None
        if ahead:
            calm = customer.stage in {"active", "high_risk"}
            passed_ms = next((turn.at_ms + 1 for turn in ahead if turn.leaves or not calm), None)
        if deadline is None:
            return passed_ms
        return deadline[0] if passed_ms is None else min(deadline[0], passed_ms)

    def on_due(self, customer: Customer, due_ms: int) -> list[LifecycleRecord]:
        """The clock has reached `wake_ms`. Of a deadline and an event at the same instant the deadline goes first."""
        ahead = customer.lifecycle.ahead
        found: list[LifecycleRecord] = []
        while True:
            deadline = self._deadline(customer)
            turn_ms = ahead[0].at_ms if ahead else None
            if deadline is not None and deadline[0] <= due_ms and (turn_ms is None or deadline[0] <= turn_ms):
                found.append(self._move(customer, deadline[1], deadline[0], NO_ACTIVITY))
            elif turn_ms is not None and turn_ms < due_ms:
                found += self._turn(customer, ahead.pop(0))
            else:
                return found

    def catch_up(self, customer: Customer, now_ms: int | None) -> list[LifecycleRecord]:
        """Take in the activity that the clock has passed."""
        return self.on_due(customer, now_ms) if now_ms is not None and customer.lifecycle.ahead else []

    def on_risk(
        self, customer: Customer, at_ms: int, probability: float | None, open_rules: Iterable[str]
    ) -> list[LifecycleRecord]:
        """A look: the probability, None if it is not known, and the ids of the rules with an open alert."""
        if customer.stage == "churned":
            return []
        wanted = self._limits.high_risk_rules
        opened = frozenset(open_rules) if wanted else frozenset()
        rule = next((rule for rule in wanted if rule in opened), None)
        if customer.stage != "high_risk":
            if rule is not None:
                return [self._move(customer, "high_risk", at_ms, f"rule:{rule}")]
            above = probability is not None and probability > self._limits.high_risk_above
            return [self._move(customer, "high_risk", at_ms, PROBABILITY)] if above else []
        if rule is not None or not self._has_fallen(customer, probability):
            return []
        return [self._move(customer, self._calm(customer, at_ms), at_ms, RISK_CLEARED)]

    def _has_fallen(self, customer: Customer, probability: float | None) -> bool:
        """A probability that is not known has not fallen; but it is not what holds a customer whom a rule brought here."""
        if probability is None:
            return customer.lifecycle.cause != PROBABILITY
        return probability < self._limits.high_risk_clear

    def _turn(self, customer: Customer, turn: Turn) -> list[LifecycleRecord]:
        state = customer.lifecycle
        active_ms = state.active_ms
        if turn.leaves:
            stands = customer.stage == "churned" or (active_ms is not None and turn.at_ms < active_ms)
            return [] if stands else [self._move(customer, "churned", turn.at_ms, turn.type)]
        state.returned = state.returned or (active_ms is not None and turn.at_ms != active_ms)
        state.active_ms = turn.at_ms if active_ms is None else max(active_ms, turn.at_ms)
        if customer.stage == "new" and state.returned:
            return [self._move(customer, "active", state.active_ms, turn.type)]
        if active_ms is not None and turn.at_ms <= active_ms:
            return []  # late, and a later one is known
        if customer.stage == "silent" or (customer.stage == "churned" and not self._left_after(customer, turn)):
            return [self._move(customer, "active", turn.at_ms, turn.type)]
        return []

    def _left_after(self, customer: Customer, turn: Turn) -> bool:
        """Whether the customer left, by an event, at or after an activity."""
        state = customer.lifecycle
        return state.cause != NO_ACTIVITY and state.since_ms >= turn.at_ms

    def _deadline(self, customer: Customer) -> tuple[int, Stage] | None:
        if customer.stage == "churned" or not customer.lifecycle.sequence:
            return None
        from_ms = self._quiet_from_ms(customer)
        if customer.stage in {"new", "active"} and self._silent_after_ms < self._churned_after_ms:
            return self._silent_ms(from_ms), "silent"
        return self._churned_ms(from_ms), "churned"

    def _quiet_from_ms(self, customer: Customer) -> int:
        active_ms = customer.lifecycle.active_ms
        return customer.first_ms if active_ms is None else active_ms

    def _calm(self, customer: Customer, at_ms: int) -> Stage:
        """The stage without any risk."""
        if at_ms >= self._silent_ms(self._quiet_from_ms(customer)):
            return "silent"
        return "active" if customer.lifecycle.returned else "new"

    def _thin_out(self, state: LifecycleState) -> None:
        """Drop activities whose neighbours are too close together for a silence: they change nothing."""
        ahead = state.ahead
        i = 1
        while i + 1 < len(ahead):
            before, turn, after = ahead[i - 1 : i + 2]
            plain = not (before.leaves or turn.leaves or after.leaves)
            if plain and i > 1 and after.at_ms - before.at_ms < self._silent_after_ms:
                del ahead[i]
            else:
                i += 1

    def _move(self, customer: Customer, stage: Stage, at_ms: int, cause: str) -> LifecycleRecord:
        state = customer.lifecycle
        first = state.sequence == 0
        record = LifecycleRecord(
            customer_id=customer.id,
            sequence=state.sequence + 1,
            at_ms=at_ms,
            stage=stage,
            before=None if first else customer.stage,
            before_for_ms=None if first else max(0, at_ms - state.since_ms),
            cause=cause,
        )
        customer.stage, state.sequence, state.since_ms, state.cause = stage, state.sequence + 1, at_ms, cause
        return record
