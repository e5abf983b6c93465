"""Where customers stand under one rule set and model: stage, reviews, risk.

A look at a customer is taken at a tick, once an event has been passed by the clock of the features, or came late, or an
alert changed, or a review was held. All feeds have a say in that clock: a feed that is dead must not look like silence.
"""

from collections.abc import Iterable, Sequence

from detectors.clearing import WhatIf, what_clears
from detectors.decisions import Decisions
from detectors.features import PRIOR_GAP_DAYS, by_name, compared_with, features_at
from detectors.labels import Reviews, drop_pending
from detectors.lifecycle import LifecyclePolicy
from detectors.looks import Looks
from detectors.marks import Marks
from detectors.pending import PendingExamples
from detectors.predicates import event_types
from detectors.rules_compiled import CompiledRules
from detectors.score import Explained, ScoreKind
from detectors.scoring import Assessment, RiskPolicy, Scorer
from detectors.state import Customer
from detectors.tally import Happening, Tally, is_warned_of
from detectors.timers import Feeds
from detectors.told import OPEN_STATES
from schemas.control import ModelPublished
from schemas.decisions import Because, LifecycleRecord
from schemas.events import AnyEvent
from schemas.instants import DAY_MS
from schemas.rule_kinds import Rule


class Standing:
    """Drives the three policies; what they remember is in the customer, and in the pending examples.

    Args:
        compiled: the rule set.
        model: in use, if any.
        marks: the clocks.
        pending: examples that wait for their label.
        looks: who is to be looked at.
        tally: where changes of stages are counted.

    Raises:
        ContractError: the model is of no use to this release.
    """

    def __init__(
        self,
        compiled: CompiledRules,
        model: ModelPublished | None,
        marks: Marks,
        pending: PendingExamples,
        looks: Looks,
        tally: Tally,
    ) -> None:
        rule_set = compiled.rule_set
        self.feeds = compiled.feeds
        self.score_kinds = [kind for kind in compiled.kinds if isinstance(kind, ScoreKind)]
        self._lifecycle = LifecyclePolicy.of(rule_set, compiled.gaps)
        self._reviews = Reviews.of(rule_set, gaps=compiled.gaps)
        self.prior_gap_days = self._reviews.horizon_ms / DAY_MS if self._reviews is not None else PRIOR_GAP_DAYS
        """The gap between orders that a customer without any is believed to have: what the model predicts is one longer."""
        self._activity = event_types(rule_set.churn.of) if rule_set.churn is not None else frozenset[str]()
        self._scorer = Scorer.of(model.document, model.version) if model is not None else None
        self._policy = RiskPolicy.of(rule_set, self._scorer)
        self._rules = {rule.id: rule for rule in rule_set.rules}
        self._marks = marks
        self._pending = pending
        self._looks = looks
        self._tally = tally
        self._live = frozenset(rule.id for rule in rule_set.rules if rule.mode == "live")

    @property
    def clocks(self) -> list[Feeds]:
        """The sets of feeds whose clocks can wake a customer."""
        return sorted({self.feeds, self._lifecycle.feeds})

    def adopt(self, customer: Customer, decisions: Decisions) -> None:
        """A rule set arrived; the customer is here already."""
        self._moved(customer, self._lifecycle.adopt(customer, self._marks.now_ms(self._lifecycle.feeds)), decisions)
        if self._reviews is not None:
            self._reviews.adopt(customer, self._marks.now_ms(self.feeds))
        else:
            drop_pending(customer, self._pending)
        self._expect(customer)

    def regret(self, customer: Customer, decisions: Decisions) -> None:
        """A gap became known: stages that rest on a silence may be wrong."""
        now_ms = self._marks.now_ms(self._lifecycle.feeds)
        if now_ms is not None:
            self._moved(customer, self._lifecycle.regret(customer, now_ms), decisions)

    def on_event(self, customer: Customer, event: AnyEvent, decisions: Decisions) -> None:
        """An event that the features have taken in already."""
        now_ms = self._marks.now_ms(self.feeds)
        if not customer.lifecycle.sequence:
            self._moved(customer, self._lifecycle.begin(customer, event.at_ms), decisions)
            if self._reviews is not None:
                self._reviews.adopt(customer, now_ms)
        if event.type in self._lifecycle.types:
            reached_ms = self._marks.now_ms(self._lifecycle.feeds)
            self._moved(customer, self._lifecycle.on_activity(customer, event.type, event.at_ms, reached_ms), decisions)
        if self._reviews is not None and event.type in self._reviews.types:
            self._reviews.on_event(customer, event)
        is_late = now_ms is not None and event.at_ms < now_ms
        if is_late or self._tells_what_is_not_so(customer):
            self._looks.want(customer)
        self._expect(customer)

    def hurried(self, customer: Customer, event: AnyEvent) -> Sequence[tuple[Feeds, int | None]]:
        """The clocks whose `wake_ms` an event may have brought nearer: by what it is, or as the first that is known."""
        is_first = event.at_ms <= customer.first_ms
        if not is_first and event.type not in self._lifecycle.types:
            return ()
        stage = (self._lifecycle.feeds, self._lifecycle.wake_ms(customer))
        if not is_first or self._reviews is None:
            return (stage,)
        return stage, (self.feeds, self._reviews.wake_ms(customer))

    def wake_ms(self, customer: Customer, feeds: Feeds) -> int | None:
        """The next instant of a clock at which something must be decided."""
        stage_ms = self._lifecycle.wake_ms(customer) if feeds == self._lifecycle.feeds else None
        if feeds != self.feeds or self._reviews is None:
            return stage_ms
        review_ms = self._reviews.wake_ms(customer)
        return review_ms if stage_ms is None else min(stage_ms, review_ms)

    def on_due(self, customer: Customer, due_ms: int, feeds: Feeds, decisions: Decisions) -> None:
        """A clock has reached `wake_ms`."""
        if feeds == self._lifecycle.feeds and self._lifecycle.wake_ms(customer) == due_ms:
            self._moved(customer, self._lifecycle.on_due(customer, due_ms), decisions)
        if feeds == self.feeds and self._reviews is not None and self._reviews.wake_ms(customer) == due_ms:
            decisions.examples += self._reviews.on_due(customer, due_ms, self._pending)
            if customer.labels.reviewed_ms == due_ms:
                self._looks.want(customer)

    def assess(self, customer: Customer, at_ms: int) -> Assessment:
        """Look at a customer; without a `churn` section there is no probability, and open alerts are all there is."""
        severities = (rule.severity for rule in self._open_rules(customer))
        values = features_at(customer.features, at_ms, self.prior_gap_days)
        if self._policy is None:
            return Assessment(at_ms, "low", "rules", values)
        return self._policy.assess(values, at_ms, self._scorer, severities, customer.value)

    def explain(self, customer: Customer, found: Assessment, below: float) -> Explained:
        """Why the probability is what it is, and what would bring it below a limit."""
        if found.scorer is None:
            raise ValueError("rules alone decided: there is no probability to explain")
        values = by_name(found.values)
        because = [
            Because(clause=reason.feature, value=reason.value, beside=compared_with(reason.feature, values))
            for reason in found.reasons()
        ]
        asked = WhatIf(found.scorer, customer.features, found.at_ms, self.prior_gap_days)
        return because, what_clears(asked, found.values, self._activity, below)

    def conclude(self, customer: Customer, found: Assessment, decisions: Decisions) -> None:
        """What follows from a look, after the `score` rules have had their say."""
        open_rules = (rule.id for rule in self._open_rules(customer))
        reached_ms = self._marks.now_ms(self._lifecycle.feeds)
        self._moved(customer, self._lifecycle.catch_up(customer, reached_ms), decisions)
        self._moved(customer, self._lifecycle.on_risk(customer, found.at_ms, found.probability, open_rules), decisions)
        record = self._policy.tell(customer, found) if self._policy is not None else None
        if record is not None:
            decisions.risk.append(record)
        customer.look_ms = None
        self._expect(customer)

    def _tells_what_is_not_so(self, customer: Customer) -> bool:
        """Whether the last risk record has another tier, owner or value than the customer."""
        return self._policy is not None and customer.risk.sequence > 0 and customer.risk.about_changed

    def _moved(self, customer: Customer, moves: list[LifecycleRecord], decisions: Decisions) -> None:
        decisions.lifecycle += moves
        for move in moves:
            warned = ""
            if move.stage == "churned":
                warned = "yes" if is_warned_of(customer, move.at_ms, self._live) else "no"
            self._tally[Happening("stage", customer.tier or "", move.stage, warned)] += 1

    def _expect(self, customer: Customer) -> None:
        """Ask for a look when the clock has passed the next event that the features do not see yet."""
        ahead = customer.features.ahead
        if ahead and self._reviews is not None:
            self._looks.want(customer, ahead[0].at_ms)

    def _open_rules(self, customer: Customer) -> Iterable[Rule]:
        """Rules with an open alert; those in shadow mode must not have any effect."""
        for key, slot in customer.alerts.items():
            rule = self._rules.get(key.partition("/")[0])
            if rule is not None and rule.mode == "live" and slot.state in OPEN_STATES:
                yield rule
