"""The engine of one partition: a record of the log in, decisions out. No clock, no randomness, no I/O.

State is a function of the log: the same records in the same order give the same decisions and the same state, wherever
the shell cuts them into batches, and whether or not the engine was restored in between.
"""

from collections.abc import Iterable
from typing import Final, assert_never

import msgspec

from detectors import customers as customer_records
from detectors import documents as document_records
from detectors.agenda import Agenda
from detectors.alerts import AlertBook
from detectors.customers import Customers
from detectors.decisions import Decisions
from detectors.documents import Document, Documents
from detectors.duplicates import is_duplicate, is_old_position
from detectors.features import remember
from detectors.kinds import Kind, Transition, View
from detectors.marks import Marks
from detectors.occurrence import Occurrence
from detectors.pending import PREFIX as PENDING_PREFIX
from detectors.pending import PendingExamples
from detectors.publishing import expired, forget, openings_from
from detectors.rules_compiled import CompiledRules
from detectors.standing import Standing
from detectors.state import Customer, Head
from detectors.tickets import change_tier, forgettable, take
from detectors.timers import Feeds, Timers
from schemas.codec import Record, decode_record, encode
from schemas.control import CalendarPublished, FeedChanged, FeedConfirmed, FeedGap, ModelPublished, RulesPublished, Tick
from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from schemas.events import AlertAction, AnyEvent, CustomerErased, CustomerUpdated, Event, TicketEvent

ENGINE_VERSION: Final = 1
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
        self._timers = Timers()
        self._touched: dict[str, None] = {}
        self._marks = Marks(self._head)
        self._rules: CompiledRules | None = None
        self._book: AlertBook | None = None
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
        changes = self._documents.take_changes() + self._customers.take_changes() + self._pending.take_changes()
        return [*changes, self.head_change()] if changes else []

    def head_change(self) -> tuple[bytes, bytes]:
        """The partition's own record: position, marks, and what it has seen of its sources."""
        return HEAD_KEY, _encoder.encode(self._head)

    # -- events

    def _event(self, offset: int, event: AnyEvent, decisions: Decisions) -> None:
        if isinstance(event, AlertAction | CustomerErased):
            self._refuse(offset, event, decisions)
            return
        if event.src is not None and is_old_position(self._head, event.src):
            return
        customer = self._customers.change(event.customer_id, event.at_ms)
        feed = self._rules.rule_set.feed_of(event.type) if self._rules is not None else None
        if is_duplicate(customer, event, feed) or (isinstance(event, TicketEvent) and not self._take_ticket(customer, event)):
            return
        self._remember(customer, event)
        for kind in self._rules.by_type.get(event.type, ()) if self._rules is not None else ():
            self._tell(customer, kind, kind.on_event(customer, event, self._view(kind)), decisions)
        if self._standing is not None:
            self._standing.on_event(customer, event, decisions)
        self._arm(customer, self._agenda.of_event(event.type) if self._agenda is not None else ())
        self._run_timers(decisions)

    def _remember(self, customer: Customer, event: AnyEvent) -> None:
        """What is kept of any customer, whatever the rules."""
        customer.first_ms = min(customer.first_ms, event.at_ms)
        customer.counts[event.type] = customer.counts.get(event.type, 0) + 1
        last = customer.lasts.get(event.type)
        if last is None or event.at_ms >= last.at_ms:
            customer.lasts[event.type] = Occurrence.of(event)
        if isinstance(event, CustomerUpdated):
            for name in ("tier", "owner", "org", "value"):
                if (given := getattr(event, name)) is not None:
                    setattr(customer, name, given)
            if event.tier is not None:
                change_tier(customer.tickets, event)
        remember(customer.features, event)

    def _take_ticket(self, customer: Customer, event: TicketEvent) -> bool:
        """Keep an event of a ticket; False if it says nothing new."""
        if event.ticket_id not in customer.tickets:
            for ticket_id in forgettable(customer.tickets, event.at_ms):
                del customer.tickets[ticket_id]
                for key in [key for key in customer.alerts if key.partition("/")[2] == ticket_id]:
                    del customer.alerts[key]
        return take(customer.tickets, event, customer.tier)

    def _tell(self, customer: Customer, kind: Kind, said: list[Transition], decisions: Decisions) -> None:
        if self._book is None:
            return
        for transition in said:
            decisions.add_alert(self._book.write(customer, kind, transition, risk=customer.risk.probability))
            customer.touched = True

    # -- time

    def _view(self, kind: Kind) -> View:
        return View(kind.rule, self._marks.now_ms(kind.feeds), self._head.enabled_from_ms.get(kind.rule.id))

    def _run_timers(self, decisions: Decisions) -> None:
        """Decide whatever the clocks have reached, the earliest first."""
        while self._agenda is not None and (due := self._timers.pop_due(self._marks.now_ms)) is not None:
            due_ms, customer_id, feeds = due
            customer = self._customers.change(customer_id)
            for kind in self._agenda.due(customer, feeds, due_ms):
                self._tell(customer, kind, kind.on_due(customer, due_ms, self._view(kind)), decisions)
            if self._standing is not None:
                self._standing.on_due(customer, due_ms, feeds, decisions)
            self._arm(customer, self._agenda.of_clock(feeds))

    def _look(self, decisions: Decisions) -> None:
        """Score whoever may have changed since the last tick."""
        standing = self._standing
        now_ms = self._marks.now_ms(standing.feeds) if standing is not None else None
        if standing is None or self._agenda is None or now_ms is None:
            return
        for customer_id in sorted(self._touched):
            customer = self._customers.change(customer_id)
            found = standing.assess(customer, now_ms)
            for kind in standing.score_kinds:
                said = kind.on_look(customer, now_ms, found.probability, self._view(kind), found.reasons)
                self._tell(customer, kind, said, decisions)
            standing.conclude(customer, found, decisions)
            customer.touched = False
            self._arm(customer, self._agenda.of_looks)
        self._touched.clear()

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
            self._compile(self._documents.with_one(document))
        except ContractError as error:  # what holds now goes on holding
            self._dead_letter(offset, encode(document), error, decisions)
            return
        self._documents.take(document)
        if self._rules is None or self._agenda is None or isinstance(document, ModelPublished):
            return
        self._head.enabled_from_ms = openings_from(self._head.enabled_from_ms, self._rules, self._marks)
        keys = frozenset(kind.state_key for kind in self._rules.kinds)
        dropped = [kind for kind in before.kinds if kind.state_key not in keys] if before is not None else []
        self._timers.clear()
        for customer_id in self._customers.ids():
            customer = self._customers.change(customer_id)
            for kind in dropped:
                self._tell(customer, kind, expired(customer, kind, self._marks.now_ms(kind.feeds) or 0), decisions)
            forget(customer, keys)
            for kind in self._rules.kinds:
                kind.adopt(customer)
            if self._standing is not None:
                self._standing.adopt(customer, decisions)
            customer.wakes = {}
            self._arm(customer, self._agenda.all)
        self._run_timers(decisions)

    def _compile(self, documents: Documents) -> None:
        """Build what the documents say."""
        published, model = documents.rules, documents.model
        if published is None:
            return
        rules = CompiledRules(published.document, documents.calendars())
        self._standing = Standing(rules, model, self._marks, self._pending)
        self._rules = rules
        self._book = AlertBook(published.document, self._marks, ENGINE_VERSION, model.version if model is not None else None)
        self._agenda = Agenda(rules, self._standing)

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
