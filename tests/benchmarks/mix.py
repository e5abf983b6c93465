"""What the benchmarks run on: two workloads, each a rule set and a stream of events, made by seed and always the same.

`TRIVIAL` is as little as anybody would call rules: one count and one absence, no model. `FIXED` is six rules of
different kinds, and a model that decides. Both see the same mix: 70 % logins, 25 % orders, 5 % events of tickets, over
thirty days.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from detectors.features import NAMES
from schemas.codec import encode
from schemas.control import ModelPublished, RulesPublished, Tick
from schemas.events import (
    AnyEvent,
    Category,
    LoginSucceeded,
    OrderPlaced,
    SourcePosition,
    TicketOpened,
    TicketReplied,
    TicketResolved,
)
from schemas.instants import DAY_MS, HOUR_MS
from schemas.model_quality import ModelQuality
from schemas.models import ModelDocument
from schemas.rule_kinds import AbsenceRule, CountRule, LevelRule, RhythmRule, ScoreRule, SlaRule, SlaTarget
from schemas.rules import Churn, RuleSet
from streams.routing import log_partition

DAYS: Final = 30
BEGINS_MS: Final = 20_000 * DAY_MS
MINUTE_MS: Final = 60_000

SIMPLE_RULES: Final = RuleSet(
    version="1",
    tenant="shop",
    rules=[
        CountRule(id="many-tickets", version="1", of=["ticket.opened"], at_least=2, within="P7D"),
        AbsenceRule(id="no-order", version="1", of=["order.placed"], for_="P20D"),
    ],
)

RULES: Final = RuleSet(
    version="1",
    tenant="shop",
    churn=Churn(horizon="P30D"),
    rules=[
        AbsenceRule(id="no-order", version="1", of=["order.placed"], for_="P10D"),
        RhythmRule(id="out-of-rhythm", version="1", of=["login.*"], times=3.0, min_count=3),
        SlaRule(id="reply-4h", version="1", clock="first_response", warn_at=[0.5], targets=[SlaTarget(target="PT4H")]),
        CountRule(
            id="complaints", version="1", of=["ticket.opened"], where='event.category == "complaint"', at_least=2, within="P7D"
        ),
        LevelRule(id="small-order", version="1", of=["order.placed"], value="event.amount", below=10.0, clear_above=50.0),
        ScoreRule(id="high-risk", version="1", above=0.8, clear_below=0.6),
    ],
)


def model() -> ModelPublished:
    """A model that may decide; every feature has its say."""
    many = len(NAMES)
    document = ModelDocument(
        name="churn",
        features=list(NAMES),
        transform="signed_log",
        mean=[1.5] * many,
        scale=[1.0] * many,
        weights=[0.1 * (place % 5 - 2) for place in range(many)],
        intercept=-0.5,
        horizon_ms=30 * DAY_MS,
        usable=True,
        quality=ModelQuality(examples=1000, churned=200, log_loss=0.4, base_log_loss=0.5, auc=0.75),
        trained_until_offset=999,
        library="by hand",
    )
    return ModelPublished(at_ms=BEGINS_MS, version="m1", revision=1, document=document)


@dataclass(frozen=True)
class Workload:
    """A rule set, and of how many customers the stream is."""

    name: str
    rules: RuleSet
    customers: int
    with_model: bool = False

    def documents(self) -> list[RulesPublished | ModelPublished]:
        """What every partition of the log begins with."""
        published = RulesPublished(at_ms=0, version=self.rules.version, revision=1, document=self.rules)
        return [published, model()] if self.with_model else [published]


TRIVIAL: Final = Workload("trivial", SIMPLE_RULES, customers=100_000)
FIXED: Final = Workload("fixed", RULES, customers=2_000, with_model=True)


def history(events: int, customers: int, seed: int = 4) -> list[AnyEvent]:
    """Visits, by time: a login, and after a third of them an order some minutes later; apart from these the tickets."""
    draw = random.Random(seed)
    found: list[AnyEvent] = []
    for place in range(events * 70 // 100):
        who, at_ms = _anybody(draw, customers)
        found.append(LoginSucceeded(id=f"login-{place:08}", customer_id=who, at_ms=at_ms))
        if draw.random() < 25 / 70:
            name, amount = f"order-{place:08}", draw.randrange(500, 20_000) / 100
            at_ms += draw.randrange(1, 20) * MINUTE_MS
            found.append(OrderPlaced(id=name, customer_id=who, at_ms=at_ms, order_id=name, amount=amount))
    for place in range(events * 5 // 300):
        found += _ticket(draw, *_anybody(draw, customers), f"ticket-{place:08}")
    return sorted(found, key=lambda event: event.at_ms)


def _anybody(draw: random.Random, customers: int) -> tuple[str, int]:
    return f"customer-{draw.randrange(customers):06}", BEGINS_MS + draw.randrange(DAYS * DAY_MS)


def _ticket(draw: random.Random, who: str, at_ms: int, name: str) -> Iterator[AnyEvent]:
    """Opened; answered after three hours, and resolved after another twenty, in the mean."""
    categories: tuple[Category, ...] = ("complaint", "question")
    yield TicketOpened(id=f"{name}-o", customer_id=who, at_ms=at_ms, ticket_id=name, category=draw.choice(categories))
    at_ms += int(draw.expovariate(1 / (3 * HOUR_MS)))
    yield TicketReplied(id=f"{name}-a", customer_id=who, at_ms=at_ms, ticket_id=name, by="agent")
    at_ms += int(draw.expovariate(1 / (20 * HOUR_MS)))
    yield TicketResolved(id=f"{name}-r", customer_id=who, at_ms=at_ms, ticket_id=name)


Line = tuple[bytes | None, bytes]
"""Key and value of a record."""


def log_lines(workload: Workload, events: int, partitions: int) -> list[list[Line]]:
    """What `churn.events` holds, by partition: the documents, then the events with an hourly tick between them."""
    beginning: list[Line] = [(None, encode(document)) for document in workload.documents()]
    log = [list(beginning) for _ in range(partitions)]
    offsets = dict.fromkeys(FEEDS, 0)
    tick_ms = BEGINS_MS
    for event in history(events, workload.customers):
        while event.at_ms >= tick_ms:
            _tick(log, tick_ms)
            tick_ms += HOUR_MS
        feed = feed_of(event)
        event = msgspec.structs.replace(event, src=SourcePosition(feed, 0, 0, offsets[feed]))  # noqa: PLW2901
        offsets[feed] += 1
        key = event.customer_id.encode()
        log[log_partition(key, partitions)].append((key, encode(event)))
    _tick(log, tick_ms)
    return log


def source_lines(workload: Workload, events: int, partitions: int) -> dict[str, list[list[Line]]]:
    """The same events as three sources have them, by feed and partition: with the customer as key."""
    found: dict[str, list[list[Line]]] = {feed: [[] for _ in range(partitions)] for feed in FEEDS}
    for event in history(events, workload.customers):
        key = event.customer_id.encode()
        found[feed_of(event)][log_partition(key, partitions)].append((key, encode(event)))
    return found


FEEDS: Final = ("orders", "logins", "tickets")


def feed_of(event: AnyEvent) -> str:
    """The feed that delivers an event of this stream."""
    return f"{event.type.partition('.')[0]}s"


def _tick(log: Sequence[list[Line]], at_ms: int) -> None:
    value = encode(Tick(at_ms=at_ms))
    for partition in log:
        partition.append((None, value))
