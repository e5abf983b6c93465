"""An engine under test: events and ticks in, alerts out as short words like `opened@90`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

import msgspec

from detectors.decisions import Decisions
from detectors.engine import PartitionEngine
from detectors.state import Customer
from schemas.codec import Record
from schemas.control import FeedChanged, FeedStatus, RulesPublished, Tick
from schemas.decisions import AlertRecord
from schemas.events import ContactMade, ContractSet, CustomerUpdated, OrderPlaced, SurveyAnswered, TicketOpened, TicketReplied
from schemas.instants import DAY_MS
from schemas.rule_kinds import AbsenceRule, Rule
from schemas.rules import DEFAULT_FEEDS, RuleSet

_ids = count()


def rule_set(*rules: Rule, version: str = "1", **fields: object) -> RuleSet:
    """A rule set with the default feeds."""
    return RuleSet(version=version, tenant="shop", feeds=dict(DEFAULT_FEEDS), rules=list(rules), **fields)  # type: ignore[arg-type]


def absence(days: int = 90, **fields: object) -> AbsenceRule:
    """No order for so many days."""
    return AbsenceRule(**{"id": "silent", "version": "1", "of": ["order.placed"], "for_": f"P{days}D", **fields})  # type: ignore[arg-type]


def order(day: float, customer: str = "ann", amount: float = 10.0, event_id: str | None = None) -> OrderPlaced:
    """An order on a day, counted from the epoch."""
    name = event_id or f"o{next(_ids)}"
    return OrderPlaced(id=name, customer_id=customer, at_ms=int(day * DAY_MS), order_id=name, amount=amount)


def contact(day: float, customer: str = "ann") -> ContactMade:
    """We wrote to the customer."""
    name = f"k{next(_ids)}"
    return ContactMade(id=name, customer_id=customer, at_ms=int(day * DAY_MS), contact_id=name)


def complaint(day: float, customer: str = "ann", ticket: str | None = None) -> TicketOpened:
    """A complaint."""
    name = f"t{next(_ids)}"
    return TicketOpened(id=name, customer_id=customer, at_ms=int(day * DAY_MS), ticket_id=ticket or name, category="complaint")


def reply(day: float, customer: str = "ann", ticket: str = "t") -> TicketReplied:
    """An agent answers."""
    return TicketReplied(id=f"r{next(_ids)}", customer_id=customer, at_ms=int(day * DAY_MS), ticket_id=ticket, by="agent")


def survey(day: float, customer: str = "ann", score: float = 5) -> SurveyAnswered:
    """A score from 1 to 5."""
    name = f"s{next(_ids)}"
    return SurveyAnswered(id=name, customer_id=customer, at_ms=int(day * DAY_MS), survey="csat", score=score, scale_max=5)


def contract(day: float, customer: str = "ann", renews_day: float = 30) -> ContractSet:
    """A contract and when it is to be renewed."""
    name, renews_at_ms = f"c{next(_ids)}", int(renews_day * DAY_MS)
    return ContractSet(id=name, customer_id=customer, at_ms=int(day * DAY_MS), contract_id="c", renews_at_ms=renews_at_ms)


def tier(day: float, name: str, customer: str = "ann") -> CustomerUpdated:
    """The customer's tier is set."""
    return updated(day, customer, tier=name)


def updated(day: float, customer: str = "ann", **known: str | float) -> CustomerUpdated:
    """More is known of the customer."""
    return CustomerUpdated(id=f"u{next(_ids)}", customer_id=customer, at_ms=int(day * DAY_MS), **known)  # type: ignore[arg-type]


def tick(day: float, **marks_days: float | None) -> Tick:
    """A tick on a day; marks may differ from it by feed."""
    marks_ms = {feed: None if mark is None else int(mark * DAY_MS) for feed, mark in marks_days.items()}
    return Tick(at_ms=int(day * DAY_MS), marks_ms=marks_ms)


def feed(day: float, source: str, status: FeedStatus) -> FeedChanged:
    """A feed changes its status."""
    return FeedChanged(at_ms=int(day * DAY_MS), source=source, status=status, since_ms=int(day * DAY_MS))


@dataclass
class EngineRun:
    """An engine and all that it has decided."""

    rules: RuleSet | None = None
    engine: PartitionEngine = field(default_factory=lambda: PartitionEngine(0))
    decisions: list[Decisions] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.rules is not None:
            self.publish(self.rules)

    def publish(self, rules: RuleSet, revision: int = 1) -> "EngineRun":
        """Publish a rule set; from the second revision on as a version of its own, and so are its rules."""
        if revision > 1:
            later = [msgspec.structs.replace(rule, version=f"{rule.version}.{revision}") for rule in rules.rules]
            rules = msgspec.structs.replace(rules, version=f"{rules.version}.{revision}", rules=later)
        return self.feed(RulesPublished(at_ms=0, version=rules.version, revision=revision, document=rules))

    def feed(self, *records: Record) -> "EngineRun":
        """Apply records in this order."""
        for record in records:
            self.decisions.append(self.engine.apply(self.engine.position + 1, record))
        return self

    @property
    def alerts(self) -> list[AlertRecord]:
        """All records of customers' alerts so far."""
        return [alert for alert in self._all_alerts() if alert.feed is None]

    @property
    def feed_alerts(self) -> list[AlertRecord]:
        """All records of alerts about feeds so far."""
        return [alert for alert in self._all_alerts() if alert.feed is not None]

    def _all_alerts(self) -> Iterator[AlertRecord]:
        return (alert for decided in self.decisions for alert in (*decided.alerts, *decided.shadow))

    @property
    def told(self) -> list[str]:
        """All transitions so far, as `state@day` of their instant."""
        return [f"{alert.state}@{day_of(alert.at_ms)}" for alert in self.alerts]

    def customer(self, customer_id: str = "ann") -> Customer:
        """What the engine remembers of a customer."""
        found = self.engine._state.customers.find(customer_id)
        assert found is not None
        return found

    def size(self, customer_id: str = "ann") -> int:
        """How many bytes a customer has before they are compressed."""
        return len(msgspec.msgpack.encode(self.customer(customer_id)))

    def restored(self) -> "EngineRun":
        """The same engine after a crash: a new one, made of the state records alone."""
        changes = dict(self.engine.take_changes() or [self.engine.head_change()])
        self._store.update(changes)
        self._store.update([self.engine.head_change()])
        engine = PartitionEngine(0)
        for key, value in self._store.items():
            engine.load(key, value)
        engine.restored()
        self.engine = engine
        return self

    _store: dict[bytes, bytes | None] = field(default_factory=dict)


def day_of(at_ms: int) -> str:
    """Days since the epoch, short."""
    return f"{at_ms / DAY_MS:g}"


def told_by(rules: RuleSet, records: Iterable[Record]) -> list[str]:
    """What an engine says of these records."""
    return EngineRun(rules).feed(*records).told
