"""The engine of one partition: a record of the log in, decisions out. No clock, no randomness, no I/O.

State is a function of the log: the same records in the same order give the same decisions and the same state, wherever
the shell cuts them into batches, and whether or not the engine was restored in between.
"""

from collections.abc import Iterable
from typing import Final, assert_never

import msgspec

from detectors import contracts
from detectors import customers as customer_records
from detectors import documents as document_records
from detectors.agenda import ANY_FEED, Agenda
from detectors.contracts import ContractEvent
from detectors.customer_update import update
from detectors.customers import Customers
from detectors.decisions import Decisions, Tombstone
from detectors.documents import Document, Documents
from detectors.duplicates import is_duplicate, is_old_position
from detectors.erasure import PREFIX as ERASED_PREFIX
from detectors.erasure import Erased, hash_of
from detectors.features import remember
from detectors.feed_alerts import feed_alert
from detectors.labels import drop_pending
from detectors.marks import Marks
from detectors.occurrence import Occurrence
from detectors.pending import PREFIX as PENDING_PREFIX
from detectors.pending import PendingExamples
from detectors.publishing import GONE, check_versions, dropped_kinds, forget, leave, openings_from
from detectors.rules_compiled import CompiledRules
from detectors.standing import Standing
from detectors.state import Customer, Head
from detectors.telling import Telling
from detectors.tickets import forgettable, take
from detectors.timers import Feeds, Timers
from schemas.codec import Record, decode_record, encode
from schemas.control import CalendarPublished, FeedChanged, FeedConfirmed, FeedGap, ModelPublished, RulesPublished, Tick
from schemas.decisions import Because, DeadLetter, ErasureRecord
from schemas.errors import ContractError
from schemas.events import (
    AlertAction,
    AlertEvent,
    AnyEvent,
    CustomerErased,
    CustomerUpdated,
    Event,
    TicketEvent,
)

ENGINE_VERSION: Final = 2
"""Raised when the same log would give other decisions; it stands in every alert and in the state."""

HEAD_KEY: Final = b"p/head"
_head_decoder: Final = msgspec.msgpack.Decoder(Head)
_encoder: Final = msgspec.msgpack.Encoder()


class PartitionEngine:
    """The state of one partition, and how a record changes it.

    Args:
        partition: of the log; it stands in dead letters.
        topic: of the log, likewise.
    """

    def __init__(self, partition: int, topic: str = "churn.events") -> None:
        self._partition = partition
        self._topic = topic
        self._head = Head(engine=ENGINE_VERSION)
        self._customers = Customers()
        self._documents = Documents()
        self._pending = PendingExamples()
        self._erased = Erased()
        self._timers = Timers()
        self._touched: dict[str, None] = {}
        self._marks = Marks(self._head)
        self._rules: CompiledRules | None = None
        self._telling: Telling | None = None
        self._standing: Standing | None = None
        self._agenda: Agenda | None = None

    @property
    def position(self) -> int:
        """Offset of the last record that was applied, -1 before the first."""
        return self._head.position

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take in one record of the partition's state topic; the later one of a key wins, None is a tombstone."""
        if key.startswith(customer_records.PREFIX):
            self._customers.load(key.removeprefix(customer_records.PREFIX).decode(), value)
        elif key.startswith(PENDING_PREFIX):
            self._pending.load(key, value)
        elif key == HEAD_KEY and value is not None:
            self._head = _head_decoder.decode(value)
        elif key.startswith(ERASED_PREFIX) and value is not None:
            self._erased.load(key, value)
        elif key.startswith(document_records.PREFIX) and value is not None:
            self._documents.load(key, value)

    def restored(self) -> None:
        """All state is loaded: make ready what is derived from it."""
        self._head.engine = ENGINE_VERSION
        self._marks = Marks(self._head)
        self._compile(self._documents)
        for customer_id, known in self._customers.wakes():
            if known.touched:
                self._touched[customer_id] = None
            if self._agenda is not None:
                self._agenda.restore(self._timers, customer_id, known.wakes)

    def apply(self, offset: int, record: Record) -> Decisions:
        """Apply the record at an offset of the log, which is the one after `position`."""
        decisions = Decisions()
        match record:
            case Event():
                self._event(offset, record, decisions)
            case Tick():
                if self._marks.tick(record, self._rules.feeds if self._rules is not None else ()):
                    self._run_timers(decisions)
                self._look(decisions)
            case FeedChanged():
                self._marks.changed(record)
                if self._partition == 0 and self._rules is not None:
                    alert = feed_alert(self._head, self._rules, record, ENGINE_VERSION)
                    decisions.alerts += [alert] if alert is not None else []
            case RulesPublished() | CalendarPublished() | ModelPublished():
                self._published(offset, record, decisions)
            case FeedConfirmed() | FeedGap():
                self._refuse(offset, record, decisions)
            case _:
                assert_never(record)
        self._head.position = offset
        return decisions

    def apply_bytes(self, offset: int, value: bytes | None) -> Decisions:
        """The same for a record as it stands in the log; one that cannot be read becomes a dead letter."""
        try:
            record = decode_record(value or b"")
        except ContractError as error:
            decisions = Decisions()
            self._dead_letter(offset, value or b"", error, decisions)
            self._head.position = offset
            return decisions
        return self.apply(offset, record)

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """State records since the last call, the partition's own last; none if nothing but the position changed."""
        changes = (
            self._documents.take_changes()
            + self._customers.take_changes()
            + self._pending.take_changes()
            + self._erased.take_changes()
        )
        return [*changes, self.head_change()] if changes else []

    def head_change(self) -> tuple[bytes, bytes]:
        """The partition's own record: position, marks, and what it has seen of its sources."""
        return HEAD_KEY, _encoder.encode(self._head)

    # -- events

    def _event(self, offset: int, event: AnyEvent, decisions: Decisions) -> None:
        if event.src is not None and is_old_position(self._head, event.src):
            return
        if isinstance(event, CustomerErased):
            self._erase(event, decisions)
            return
        if self._erased.covers(event.customer_id, event.at_ms):
            return
        if isinstance(event, AlertAction):
            self._act(offset, event, decisions)
            return
        customer = self._customers.change(event.customer_id, event.at_ms)
        feed = self._rules.rule_set.feed_of(event.type) if self._rules is not None else None
        if is_duplicate(customer, event, feed) or (isinstance(event, TicketEvent) and not self._take_ticket(customer, event)):
            return
        self._remember(customer, event)
        if self._rules is None or self._telling is None or self._standing is None or self._agenda is None:
            return
        stage = customer.stage
        for kind in self._rules.by_type.get(event.type, ()):
            self._telling.say(customer, kind, kind.on_event(customer, event, self._marks.now_ms(kind.feeds)))
        self._standing.on_event(customer, event, decisions)
        selects = customer.stage != stage or isinstance(event, CustomerUpdated)
        told = self._told(customer, decisions, selects=selects)
        self._arm(customer, self._agenda.all if told or selects else self._agenda.of_event(event.type))
        self._run_timers(decisions)

    def _remember(self, customer: Customer, event: AnyEvent) -> None:
        """What is kept of any customer, whatever the rules."""
        customer.first_ms = min(customer.first_ms, event.at_ms)
        customer.counts[event.type] = customer.counts.get(event.type, 0) + 1
        last = customer.lasts.get(event.type)
        if last is None or event.at_ms >= last.at_ms:
            customer.lasts[event.type] = Occurrence.of(event)
        if isinstance(event, CustomerUpdated):
            update(customer, event)
        elif isinstance(event, ContractEvent):
            contracts.take(customer.contracts, event)
        remember(customer.features, event)

    def _take_ticket(self, customer: Customer, event: TicketEvent) -> bool:
        """Keep an event of a ticket; False if it says nothing new."""
        if event.ticket_id not in customer.tickets and self._telling is not None:
            for ticket_id in forgettable(customer.tickets, event.at_ms):
                del customer.tickets[ticket_id]
                for key in [key for key in customer.alerts if key.partition("/")[2] == ticket_id]:
                    self._telling.life.retire(customer, key)
        return take(customer.tickets, event, customer.tier)

    def _act(self, offset: int, action: AlertEvent, decisions: Decisions) -> None:
        """Somebody did something with an alert."""
        customer = self._customers.find(action.customer_id)
        if customer is not None and is_duplicate(self._customers.change(customer.id), action, None):
            return
        try:
            if customer is None or self._telling is None or self._agenda is None:
                raise ContractError("alert_unknown", f"there is no customer {action.customer_id!r} here with an alert")  # noqa: TRY301
            self._telling.act(customer, action)
        except ContractError as error:
            self._dead_letter(offset, encode(action), error, decisions)
        if customer is not None and self._agenda is not None and self._told(customer, decisions):
            self._arm(customer, self._agenda.all)
            self._run_timers(decisions)

    def _erase(self, event: CustomerErased, decisions: Decisions) -> None:
        """Forget a customer, and take out what was told, with a proof that names nobody."""
        customer_hash = hash_of(event.customer_id)
        if not self._erased.add(customer_hash, event.at_ms):
            return
        customer = self._customers.find(event.customer_id)
        alerts: list[str] = []
        examples = 0
        if customer is not None:
            alerts, examples = self._take_out(customer, event.at_ms, decisions)
        proof = ErasureRecord(customer_hash=customer_hash, at_ms=event.at_ms, alerts=len(alerts), examples=examples)
        decisions.erasures.append(proof)

    def _take_out(self, customer: Customer, at_ms: int, decisions: Decisions) -> tuple[list[str], int]:
        alerts: list[str] = []
        if self._telling is not None and self._rules is not None and self._agenda is not None:
            for kind in self._rules.kinds:
                self._telling.expire(customer, kind, at_ms, Because(clause="erased", value="the customer was erased"))
            self._told(customer, decisions)
            alerts = self._telling.life.forget_all(customer)
            self._agenda.drop(self._timers, customer.id)
        decisions.tombstones += [Tombstone("alerts", key, customer.id) for key in alerts]
        decisions.tombstones += [Tombstone("risk", customer.id)] if customer.risk.sequence else []
        decisions.tombstones += [Tombstone("lifecycle", customer.id)] if customer.lifecycle.sequence else []
        examples = drop_pending(customer, self._pending)
        self._touched.pop(customer.id, None)
        self._customers.drop(customer.id)
        return alerts, examples

    # -- time

    def _told(self, customer: Customer, decisions: Decisions, *, selects: bool = False) -> bool:
        """End a step; whether anything was told. `selects`: tier or stage may let out what was withheld."""
        if self._telling is None or self._rules is None:
            return False
        if selects and customer.alerts:
            self._telling.life.relook(customer, self._rules.selective)
        return self._telling.write(customer, decisions)

    def _run_timers(self, decisions: Decisions) -> None:
        """Decide whatever the clocks have reached, the earliest first."""
        while self._agenda is not None and (due := self._timers.pop_due(self._marks.now_ms)) is not None:
            self._due(*due, decisions)

    def _due(self, due_ms: int, customer_id: str, feeds: Feeds, decisions: Decisions) -> None:
        if self._agenda is None or self._telling is None or self._standing is None or self._rules is None:
            return
        customer = self._customers.change(customer_id)
        stage, now_ms = customer.stage, self._marks.now_ms(feeds)
        self._standing.on_due(customer, due_ms, feeds, decisions)
        selects = customer.stage != stage
        if selects:
            self._telling.life.relook(customer, self._rules.selective)
        for kind in self._agenda.due(customer, feeds, due_ms):
            self._telling.say(customer, kind, kind.on_due(customer, due_ms, now_ms or due_ms), due_ms)
        for kind in self._agenda.awake(customer, feeds, due_ms):
            self._telling.wake(customer, kind, due_ms)
        if feeds == ANY_FEED:
            decisions.tombstones += [Tombstone("alerts", key) for key in self._telling.life.forget(customer, due_ms)]
        told = self._telling.write(customer, decisions, due_ms)
        self._arm(customer, self._agenda.all if told or selects else self._agenda.of_clock(feeds))

    def _look(self, decisions: Decisions) -> None:
        """Score whoever may have changed since the last tick."""
        standing = self._standing
        now_ms = self._marks.now_ms(standing.feeds) if standing is not None else None
        if standing is None or self._agenda is None or self._telling is None or now_ms is None:
            return
        for customer_id in sorted(self._touched):
            customer = self._customers.change(customer_id)
            stage, found = customer.stage, standing.assess(customer, now_ms)
            for kind in standing.score_kinds:
                self._telling.say(customer, kind, kind.on_look(customer, now_ms, found.probability, found.reasons))
            told = self._told(customer, decisions)
            standing.conclude(customer, found, decisions)
            customer.touched = False
            selects = customer.stage != stage and not self._told(customer, decisions, selects=True)
            self._arm(customer, self._agenda.all if told or selects else self._agenda.of_looks)
        self._touched.clear()
        self._run_timers(decisions)

    def _arm(self, customer: Customer, clocks: Iterable[Feeds]) -> None:
        """Note when the customer is due, after something that may have changed it."""
        if customer.touched:
            self._touched[customer.id] = None
        if self._agenda is not None:
            self._agenda.arm(self._timers, customer, clocks)

    # -- documents

    def _published(self, offset: int, document: Document, decisions: Decisions) -> None:
        if not self._documents.is_news(document):
            return
        before = self._rules
        try:
            if isinstance(document, RulesPublished) and before is not None:
                check_versions(before.rule_set, document.document)
            self._compile(self._documents.with_one(document))
        except ContractError as error:  # what holds now goes on holding
            self._dead_letter(offset, encode(document), error, decisions)
            return
        self._documents.take(document)
        if self._rules is not None and not isinstance(document, ModelPublished):
            self._adopt(self._rules, before, decisions)
            self._run_timers(decisions)

    def _adopt(self, rules: CompiledRules, before: CompiledRules | None, decisions: Decisions) -> None:
        """Make all customers ready for a rule set."""
        if self._telling is None or self._standing is None or self._agenda is None:
            return
        self._head.enabled_from_ms = openings_from(self._head.enabled_from_ms, rules, self._marks)
        dropped, keys = dropped_kinds(before, rules), frozenset(kind.state_key for kind in rules.kinds)
        self._timers.clear()
        for customer_id in self._customers.ids():
            customer = self._customers.change(customer_id)
            for kind in dropped:
                self._telling.expire(customer, kind, self._marks.now_ms(kind.feeds) or 0, GONE)
            leave(customer, before, self._marks)
            forget(customer, keys)
            for kind in rules.kinds:
                kind.adopt(customer, self._marks.now_ms(kind.feeds))
            self._standing.adopt(customer, decisions)
            self._told(customer, decisions, selects=True)
            customer.wakes = {}
            self._arm(customer, self._agenda.all)

    def _compile(self, documents: Documents) -> None:
        """Build what the documents say."""
        published, model = documents.rules, documents.model
        if published is None:
            return
        rules = CompiledRules(published.document, documents.calendars())
        standing = Standing(rules, model, self._marks, self._pending)
        self._rules, self._standing = rules, standing
        self._telling = Telling(rules, self._marks, self._head, ENGINE_VERSION, model.version if model is not None else None)
        self._agenda = Agenda(rules, standing, self._telling.life)

    # -- what cannot be used

    def _refuse(self, offset: int, record: Record, decisions: Decisions) -> None:
        error = ContractError("not_built", f"records of type {record.type!r} are not acted on by this release")
        self._dead_letter(offset, encode(record), error, decisions)

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
