"""The engine of one partition: a record of the log in, decisions out. No clock, no randomness, no I/O.

State is a function of the log: the same records in the same order give the same decisions and the same state, wherever
the shell cuts them into batches, and whether or not the engine was restored in between.
"""

from collections.abc import Iterable, Iterator
from typing import assert_never

from detectors import contracts
from detectors.census import PartitionStanding, customers_in, open_alerts_in
from detectors.contracts import ContractEvent
from detectors.customer_update import update
from detectors.customers import MAX_BUSY
from detectors.decisions import Decisions
from detectors.documents import Document, Documents
from detectors.duplicates import forget_last, is_duplicate, is_old_position
from detectors.erasure import hash_of
from detectors.features import PRIOR_GAP_DAYS, glimpse, remember
from detectors.feed_alerts import feed_alert
from detectors.gaps import with_span, without_span
from detectors.in_force import InForce
from detectors.occurrence import Occurrence
from detectors.partition_state import ENGINE_VERSION, PartitionState
from detectors.publishing import check_versions
from detectors.state import Customer
from detectors.tally import Happening, Tally
from detectors.tickets import forgettable, take
from schemas.codec import Record, decode_record, encode
from schemas.control import CalendarPublished, FeedChanged, FeedConfirmed, FeedGap, ModelPublished, RulesPublished, Tick
from schemas.decisions import DeadLetter, ErasureRecord
from schemas.errors import ContractError
from schemas.events import AlertAction, AlertEvent, AnyEvent, CustomerErased, CustomerUpdated, Event, TicketEvent


class PartitionEngine:
    """The state of one partition, and how a record changes it.

    Args:
        partition: of the log; it stands in dead letters.
        topic: of the log, likewise.
        max_busy: customers that are kept ready at most; it costs memory and saves time, and changes no decision.
    """

    def __init__(self, partition: int, topic: str = "churn.events", *, max_busy: int = MAX_BUSY) -> None:
        self._partition = partition
        self._topic = topic
        self._state = PartitionState(max_busy)
        self._in_force: InForce | None = None

    @property
    def position(self) -> int:
        """Offset of the last record that was applied, -1 before the first."""
        return self._state.head.position

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take in one record of the partition's state topic; the later one of a key wins, None is a tombstone."""
        self._state.load(key, value)

    def restored(self) -> None:
        """All state is loaded: make ready what is derived from it."""
        self._state.loaded()
        self._in_force = self._made_ready(self._state.documents)
        if self._in_force is not None:
            self._in_force.restore()

    def apply(self, offset: int, record: Record) -> Decisions:
        """Apply the record at an offset of the log, which is the one after `position`."""
        decisions = Decisions()
        match record:
            case Event():
                self._event(offset, record, decisions)
            case Tick():
                self._tick(record, decisions)
            case FeedChanged():
                self._feed_changed(record, decisions)
            case RulesPublished() | CalendarPublished() | ModelPublished():
                self._published(offset, record, decisions)
            case FeedConfirmed() | FeedGap():
                self._span_told(record, decisions)
            case _:
                assert_never(record)
        self._state.head.position = offset
        return decisions

    def apply_bytes(self, offset: int, value: bytes | None) -> Decisions:
        """The same for a record as it stands in the log; one that cannot be read becomes a dead letter."""
        try:
            record = decode_record(value or b"")
        except ContractError as error:
            decisions = Decisions()
            self._dead_letter(offset, value or b"", error, decisions)
            self._state.head.position = offset
            return decisions
        return self.apply(offset, record)

    def features_of(self, customer_ids: Iterable[str], at_ms: int) -> Iterator[tuple[float, ...] | None]:
        """What a look at each customer at an instant would see, in the order of `NAMES`; None: not known here.

        Nobody's state changes. Exact for every instant that the clock has not passed.
        """
        customers = self._state.customers
        prior_gap_days = PRIOR_GAP_DAYS if self._in_force is None else self._in_force.prior_gap_days
        for customer_id in customer_ids:
            customers.make_room()
            known = customers.find(customer_id)
            yield None if known is None else glimpse(known.features, at_ms, prior_gap_days)

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """State records since the last call, the partition's own last; none if nothing but the position changed."""
        return self._state.take_changes()

    def head_change(self) -> tuple[bytes, bytes]:
        """The partition's own record: position, marks, and what it has seen of its sources."""
        return self._state.head_change()

    # -- for whoever watches the whole

    def standing(self) -> PartitionStanding:
        """How the partition stands, as of the last `take_changes`."""
        census = self._state.head.census or {}
        live = frozenset[str]() if self._in_force is None else self._in_force.live
        alerts = {labels: count for labels, count in open_alerts_in(census).items() if labels[0] in live}
        return PartitionStanding(customers_in(census), alerts, len(self._state.timers))

    def take_tally(self) -> Tally:
        """What happened since the last call."""
        found = self._state.tally.copy()
        self._state.tally.clear()
        return found

    # -- clocks and feeds

    def _tick(self, tick: Tick, decisions: Decisions) -> None:
        in_force = self._in_force
        moved = self._state.marks.tick(tick, in_force.rules.feeds if in_force is not None else ())
        if in_force is None:
            return
        if moved:
            in_force.run_timers(decisions)
        in_force.look(decisions)

    def _feed_changed(self, change: FeedChanged, decisions: Decisions) -> None:
        self._state.marks.changed(change)
        if self._partition == 0 and self._in_force is not None:
            alert = feed_alert(self._state.head, self._in_force.rules, change, ENGINE_VERSION)
            decisions.alerts += [alert] if alert is not None else []

    def _span_told(self, span: FeedConfirmed | FeedGap, decisions: Decisions) -> None:
        """Somebody says what a silence of a feed was: its events are lost, or there were none."""
        head, feed = self._state.head, span.source
        if span.revision and span.revision <= head.span_revisions.get(feed, 0):
            return  # the clock sends them again whenever it restarts
        head.span_revisions[feed] = span.revision
        known = head.gaps.get(feed, ())
        change = with_span if isinstance(span, FeedGap) else without_span
        head.gaps[feed] = change(known, span.from_ms, span.until_ms)
        before = self._in_force
        if before is None or head.gaps[feed] == known:
            return
        self._in_force = self._made_ready(self._state.documents)
        if self._in_force is not None:
            self._in_force.adopt(before.rules, decisions, gap=span)

    # -- events

    def _event(self, offset: int, event: AnyEvent, decisions: Decisions) -> None:
        state, in_force = self._state, self._in_force
        if event.src is not None and is_old_position(state.head, event.src):
            return
        if isinstance(event, CustomerErased):
            self._erase(event, decisions)
            return
        if state.erased.covers(event.customer_id, event.at_ms):
            return
        if isinstance(event, AlertAction):
            self._act(offset, event, decisions)
            return
        customer = state.customers.change(event.customer_id, event.at_ms)
        feed = in_force.rules.feed_of(event.type) if in_force is not None else None
        if is_duplicate(customer, event, feed) or (isinstance(event, TicketEvent) and not self._take_ticket(customer, event)):
            return
        self._remember(customer, event)
        if in_force is not None:
            in_force.on_event(customer, event, decisions)

    def _remember(self, customer: Customer, event: AnyEvent) -> None:
        """What is kept of any customer, whatever the rules."""
        at_ms, name, counts, lasts = event.at_ms, event.type, customer.counts, customer.lasts
        customer.first_ms = min(customer.first_ms, at_ms)
        if name == "order.placed":
            self._state.tally[Happening("order", customer.tier or "", "repeat" if name in counts else "first")] += 1
        counts[name] = counts.get(name, 0) + 1
        last = lasts.get(name)
        if last is None or at_ms >= last.at_ms:
            lasts[name] = Occurrence(at_ms, name, event.id, event.origin or event.src)
        if isinstance(event, CustomerUpdated):
            update(customer, event)
        elif isinstance(event, ContractEvent):
            contracts.take(customer.contracts, event)
        remember(customer.features, event)

    def _take_ticket(self, customer: Customer, event: TicketEvent) -> bool:
        """Keep an event of a ticket; False if it says nothing new."""
        if event.ticket_id not in customer.tickets:
            self._state.tally[Happening("ticket", customer.tier or "")] += 1
            for ticket_id in forgettable(customer.tickets, event.at_ms):
                del customer.tickets[ticket_id]
                if self._in_force is not None:
                    self._in_force.retire_ticket(customer, ticket_id)
        return take(customer.tickets, event)

    def _act(self, offset: int, action: AlertEvent, decisions: Decisions) -> None:
        """Somebody did something with an alert."""
        customer = self._state.customers.find(action.customer_id)
        if customer is None or self._in_force is None:
            unknown = ContractError("alert_unknown", f"there is no customer {action.customer_id!r} here with an alert")
            self._dead_letter(offset, encode(action), unknown, decisions)
            return
        customer = self._state.customers.change(action.customer_id)
        if is_duplicate(customer, action, None):
            return
        try:
            self._in_force.act(customer, action, decisions)
        except ContractError as error:
            # Redriven out of the dead letters it is no duplicate: it had no effect.
            forget_last(self._state.customers.change(action.customer_id))
            self._dead_letter(offset, encode(action), error, decisions)

    def _erase(self, event: CustomerErased, decisions: Decisions) -> None:
        """Forget a customer, and take out what was told, with a proof that names nobody."""
        state, customer_hash = self._state, hash_of(event.customer_id)
        if not state.erased.add(customer_hash, event.at_ms):
            return
        customer = state.customers.find(event.customer_id)
        alerts = examples = 0
        if customer is not None:
            if self._in_force is not None:
                alerts, examples = self._in_force.take_out(customer, event.at_ms, decisions)
            state.customers.drop(customer.id)
        proof = ErasureRecord(customer_hash=customer_hash, at_ms=event.at_ms, alerts=alerts, examples=examples)
        decisions.erasures.append(proof)

    # -- documents

    def _published(self, offset: int, document: Document, decisions: Decisions) -> None:
        documents, before = self._state.documents, self._in_force
        if not documents.is_news(document):
            return
        try:
            if isinstance(document, RulesPublished) and before is not None:
                check_versions(before.rules.rule_set, document.document)
            self._in_force = self._made_ready(documents.with_one(document))
        except ContractError as error:  # what holds now goes on holding
            self._dead_letter(offset, encode(document), error, decisions)
            return
        documents.take(document)
        if self._in_force is not None and not isinstance(document, ModelPublished):
            self._in_force.adopt(before.rules if before is not None else None, decisions)

    def _made_ready(self, documents: Documents) -> InForce | None:
        published = documents.rules
        return None if published is None else InForce(published, documents, self._state)

    # -- what cannot be used

    def _dead_letter(self, offset: int, value: bytes, error: ContractError, decisions: Decisions) -> None:
        decisions.dead_letters.append(
            DeadLetter(
                value=value,
                reason=error.code,
                message=error.message,
                stage="detect",
                topic=self._topic,
                partition=self._partition,
                offset=offset,
            )
        )
