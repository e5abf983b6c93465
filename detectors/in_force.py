"""A rule set in force: what events, clocks and people do to customers under it."""

from functools import partial

from detectors.agenda import ANY_FEED, Agenda
from detectors.decisions import Decisions, Tombstone
from detectors.documents import Documents
from detectors.labels import drop_pending
from detectors.partition_state import ENGINE_VERSION, PartitionState
from detectors.publishing import GONE, dropped_kinds, forget, moved_clocks, openings_from, waiting_kinds
from detectors.rules_compiled import CompiledRules
from detectors.standing import Standing
from detectors.state import Customer
from detectors.telling import Telling
from detectors.timers import Feeds
from schemas.control import FeedSpan, RulesPublished
from schemas.decisions import Because
from schemas.events import AlertEvent, AnyEvent, CustomerUpdated
from schemas.instants import format_instant


class InForce:
    """The documents of a partition, made ready.

    Args:
        published: the rule set.
        documents: for calendars and the model.
        state: of the partition; customers and timers are changed in it.

    Raises:
        ContractError: a rule or the model is of no use to this release.
    """

    def __init__(self, published: RulesPublished, documents: Documents, state: PartitionState) -> None:
        model = documents.model
        self.rules = CompiledRules(published.document, documents.calendars(), state.head.gaps)
        self.live = frozenset(rule.id for rule in published.document.rules if rule.mode == "live")
        """Ids of the rules whose alerts are to be acted on."""
        self._state = state
        self._standing = Standing(self.rules, model, state.marks, state.pending, state.looks, state.tally)
        version = model.version if model is not None else None
        self._telling = Telling(self.rules, state.marks, state.head, ENGINE_VERSION, version)
        self._agenda = Agenda(self.rules, self._standing, self._telling.life)

    def restore(self) -> None:
        """Set timers and looks anew, from what the customers' states name."""
        for customer_id, known in self._state.customers.wakes():
            if known.look_ms is not None:
                self._state.looks.load(customer_id, known.look_ms)
            self._agenda.restore(self._state.timers, customer_id, known.wakes)

    # -- events

    def on_event(self, customer: Customer, event: AnyEvent, decisions: Decisions) -> None:
        """An event that the customer remembers already."""
        stage, said = customer.stage, False
        now_ms = self._state.marks.now_ms
        for kind in self.rules.by_type.get(event.type, ()):
            if found := kind.on_event(customer, event, now_ms(kind.feeds)):
                self._telling.say(customer, kind, found)
                said = True
        self._standing.on_event(customer, event, decisions)
        selects = customer.stage != stage or isinstance(event, CustomerUpdated)
        if said or selects:
            self._told(customer, decisions, selects=selects)
            self._agenda.arm(self._state.timers, customer, self._agenda.all)
            self.run_timers(decisions)
        elif self._agenda.hurry(self._state.timers, customer, event):
            self.run_timers(decisions)

    def act(self, customer: Customer, action: AlertEvent, decisions: Decisions) -> None:
        """Somebody did something with an alert.

        Raises:
            ContractError: there is no such alert, or the action means nothing to it.
        """
        try:
            self._telling.act(customer, action)
        finally:  # what was due before the action happened all the same
            if self._told(customer, decisions):
                self._agenda.arm(self._state.timers, customer, self._agenda.all)
                self.run_timers(decisions)

    def take_out(self, customer: Customer, at_ms: int, decisions: Decisions) -> tuple[int, int]:
        """Close and take out all that was told of a customer; how many alerts, and how many pending examples."""
        for kind in self.rules.kinds:
            self._telling.expire(customer, kind, at_ms, Because(clause="erased", value="the customer was erased"))
        self._told(customer, decisions)
        alerts = self._telling.life.past.forget_all(customer)
        decisions.tombstones += [Tombstone("alerts", key, customer.id, at_ms) for key in alerts]
        decisions.tombstones += [Tombstone("risk", customer.id, None, at_ms)] if customer.risk.sequence else []
        decisions.tombstones += [Tombstone("lifecycle", customer.id, None, at_ms)] if customer.lifecycle.sequence else []
        return len(alerts), drop_pending(customer, self._state.pending)

    def retire_ticket(self, customer: Customer, ticket_id: str) -> None:
        """A ticket was forgotten: its alerts are over, and leave their slots."""
        for key in [key for key in customer.alerts if key.partition("/")[2] == ticket_id]:
            self._telling.life.past.retire(customer, key)

    # -- time

    def run_timers(self, decisions: Decisions) -> None:
        """Decide whatever the clocks have reached, the earliest first. Whoever calls this is done with their customer."""
        while (due := self._state.timers.pop_due(self._state.marks.now_ms)) is not None:
            self._state.customers.make_room()
            self._due(*due, decisions)

    @property
    def prior_gap_days(self) -> float:
        """Of the features that the model sees."""
        return self._standing.prior_gap_days

    def look(self, decisions: Decisions) -> None:
        """Score whoever may have changed since the last tick."""
        now_ms = self._state.marks.now_ms(self._standing.feeds)
        if now_ms is None:
            return
        for customer_id in self._state.looks.take(now_ms):
            self._state.customers.make_room()
            known = self._state.customers.find(customer_id)
            if known is not None and known.look_ms is not None and known.look_ms < now_ms:
                self._state.customers.changing(known)
                self._look_at(known, now_ms, decisions)
        self.run_timers(decisions)

    def _look_at(self, customer: Customer, now_ms: int, decisions: Decisions) -> None:
        stage, found, said = customer.stage, self._standing.assess(customer, now_ms), False
        for kind in self._standing.score_kinds:
            if heard := kind.on_look(customer, now_ms, found.probability, partial(self._standing.explain, customer, found)):
                self._telling.say(customer, kind, heard)
                said = True
        if said:
            self._told(customer, decisions)
        self._standing.conclude(customer, found, decisions)
        selects = customer.stage != stage
        if selects:
            self._telling.life.relook(customer, self.rules.selective)
        if said or selects:
            self._agenda.arm(self._state.timers, customer, self._agenda.all)

    def _due(self, due_ms: int, customer_id: str, feeds: Feeds, decisions: Decisions) -> None:
        """An instant of a clock: stages first, since rules may ask for them; then rules, then alerts by themselves."""
        customer = self._state.customers.change(customer_id)
        stage = customer.stage
        self._standing.on_due(customer, due_ms, feeds, decisions)
        selects = customer.stage != stage
        if selects:
            self._telling.life.relook(customer, self.rules.selective)
        for kind in self._agenda.due(customer, feeds, due_ms):
            self._telling.say(customer, kind, kind.on_due(customer, due_ms), due_ms)
        for kind in self._agenda.awake(customer, feeds, due_ms):
            self._telling.wake(customer, kind, due_ms)
        if feeds == ANY_FEED:
            over = self._telling.life.past.forget(customer, due_ms)
            decisions.tombstones += [Tombstone("alerts", key, customer.id) for key in over]
        told = self._written(customer, decisions, due_ms)
        self._agenda.arm(self._state.timers, customer, self._agenda.all if told or selects else (feeds,))

    def _told(self, customer: Customer, decisions: Decisions, *, selects: bool = False) -> bool:
        """End a step; whether anything was told. `selects`: tier or stage may let out what was withheld."""
        if selects:
            self._telling.life.relook(customer, self.rules.selective)
        return self._written(customer, decisions)

    def _written(self, customer: Customer, decisions: Decisions, due_ms: int | None = None) -> bool:
        """Write what is to be told; whether it was anything: then a look has to follow."""
        told = self._telling.write(customer, decisions, due_ms)
        if told:
            self._state.looks.want(customer)
        return told

    # -- documents

    def adopt(self, before: CompiledRules | None, decisions: Decisions, *, gap: FeedSpan | None = None) -> None:
        """Make all customers ready for this rule set, which comes after another.

        Args:
            before: the rule set before.
            decisions: take what follows.
            gap: the rules are the same, and this was said about lost events.
        """
        state, rules = self._state, self.rules
        state.head.enabled_from_ms = openings_from(state.head.enabled_from_ms, rules, state.marks)
        dropped, moved = dropped_kinds(before, rules), moved_clocks(before, rules)
        keys = frozenset(kind.state_key for kind in rules.kinds)
        state.timers.clear()
        for customer_id in state.customers.ids():
            state.customers.make_room()
            customer = state.customers.change(customer_id)
            for kind in dropped:
                self._telling.expire(customer, kind, state.marks.now_ms(kind.feeds) or 0, GONE)
            for clock in moved:
                clock.leave(customer, state.marks.now_ms(clock.feeds))
            forget(customer, keys)
            if gap is not None:
                self._regret(customer, gap, decisions)
            for kind in rules.kinds:
                kind.adopt(customer, state.marks.now_ms(kind.feeds))
            self._standing.adopt(customer, decisions)
            self._told(customer, decisions, selects=True)
            customer.wakes = {}
            self._agenda.arm(state.timers, customer, self._agenda.all)
        self.run_timers(decisions)

    def _regret(self, customer: Customer, gap: FeedSpan, decisions: Decisions) -> None:
        """Take back what was told of a silence that nobody can have seen."""
        span = f"{gap.source}, {format_instant(gap.from_ms)} to {format_instant(gap.until_ms)}"
        because = Because(clause="feed_gap", value=span)
        for kind in waiting_kinds(self.rules):
            now_ms = self._state.marks.now_ms(kind.feeds)
            self._telling.say(customer, kind, kind.regret(customer, gap.at_ms if now_ms is None else now_ms, because))
        self._standing.regret(customer, decisions)
