"""The events of the comparison, and what a naive look at them says must be alerted."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import count
from typing import Final

from aiokafka.partitioner import murmur2
from benchmarks.mix import Line
from benchmarks.peers.job_logic import AT_LEAST, COUNTED, WITHIN_MS

from schemas.codec import encode
from schemas.events import AnyEvent, LoginSucceeded, OrderPlaced, SourcePosition, TicketOpened
from schemas.instants import DAY_MS

PARTITIONS: Final = 4
CUSTOMERS: Final = 100_000
WARM_UP_EVENTS: Final = 20_000
MEASURED_EVENTS: Final = 300_000
BEGINS_MS: Final = 20_000 * DAY_MS
# So that whoever reads a part of the feed sees the same customers equally often.
_STEP_MS: Final = 30 * DAY_MS // (WARM_UP_EVENTS + MEASURED_EVENTS)

Alert = tuple[str, int, tuple[str, ...]]
"""Whose it is, when, and the ids of the events that filled the window."""


@dataclass(frozen=True)
class Feed:
    """Lines by partition: what is written before the clock starts, and what is measured."""

    warm_up: list[list[Line]]
    measured: list[list[Line]]
    alerts: Counter[Alert]
    """All that both lead to."""
    warm_ends: frozenset[str]
    """The customers whose alert is the last thing of the warm-up, one in each partition."""
    ends: frozenset[str]
    """The same of what is measured."""

    @property
    def events(self) -> int:
        """How many are measured."""
        return sum(map(len, self.measured))


def make_feed(events: int, *, warm_up_events: int = WARM_UP_EVENTS, customers: int = CUSTOMERS) -> Feed:
    """The first so many events of one endless stream, each partition ended by an alert.

    70 % logins, 25 % orders, 5 % tickets, of customers taken at random. Everybody is in the partition that Kafka's
    own partitioner says.
    """
    maker = _Maker(customers)
    warm_up, warm_ends = maker.some(warm_up_events), maker.ends("warm")
    measured, ends = maker.some(events), maker.ends("last")
    warm_events, measured_events = warm_up + warm_ends, measured + ends
    return Feed(
        maker.lines(warm_events),
        maker.lines(measured_events),
        expected_alerts([*warm_events, *measured_events]),
        frozenset(event.customer_id for event in warm_ends),
        frozenset(event.customer_id for event in ends),
    )


def expected_alerts(events: list[AnyEvent]) -> Counter[Alert]:
    """For each customer the first window `(t - within, t]` with enough events, found by looking at all of them."""
    by_customer: dict[str, list[AnyEvent]] = defaultdict(list)
    for event in events:
        if event.type == COUNTED:
            by_customer[event.customer_id].append(event)
    found: Counter[Alert] = Counter()
    for customer_id, counted in by_customer.items():
        for last in counted:
            window = [one.id for one in counted if last.at_ms - WITHIN_MS < one.at_ms <= last.at_ms]
            if len(window) >= AT_LEAST:
                found[customer_id, last.at_ms, tuple(window)] += 1
                break
    return found


def partition_of(customer_id: str) -> int:
    """Where every producer for Kafka puts this key."""
    return int((murmur2(customer_id.encode()) & 0x7FFFFFFF) % PARTITIONS)


class _Maker:
    """Makes events one after the other, and knows where each stood in its source."""

    def __init__(self, customers: int) -> None:
        self._draw = random.Random(7)
        self._number = count()
        self._partitions = [partition_of(_name(who)) for who in range(customers)]
        self._offsets: Counter[tuple[str, int]] = Counter()

    def some(self, events: int) -> list[AnyEvent]:
        made = []
        for _ in range(events):
            who, kind = self._draw.randrange(len(self._partitions)), self._draw.random()
            made.append(self._event(_name(who), self._partitions[who], kind))
        return made

    def ends(self, name: str) -> list[AnyEvent]:
        """As many logins of one customer in each partition as make an alert."""
        made: list[AnyEvent] = []
        for partition in range(PARTITIONS):
            customer_id = next(one for number in count() if partition_of(one := f"{name}-{number}") == partition)
            made += [self._event(customer_id, partition, 0.0) for _ in range(AT_LEAST)]
        return made

    def lines(self, events: list[AnyEvent]) -> list[list[Line]]:
        by_partition: list[list[Line]] = [[] for _ in range(PARTITIONS)]
        for event in events:
            assert event.src is not None
            by_partition[event.src.partition].append((event.customer_id.encode(), encode(event)))
        return by_partition

    def _event(self, customer_id: str, partition: int, kind: float) -> AnyEvent:
        number = next(self._number)
        at_ms, name = BEGINS_MS + number * _STEP_MS, f"e{number:08}"
        topic = "logins" if kind < 0.7 else "orders" if kind < 0.95 else "tickets"
        self._offsets[topic, partition] += 1
        src = SourcePosition(topic, 0, partition, self._offsets[topic, partition])
        if topic == "logins":
            return LoginSucceeded(id=name, customer_id=customer_id, at_ms=at_ms, src=src, channel="web")
        if topic == "orders":
            amount = self._draw.randrange(500, 20_000) / 100
            return OrderPlaced(id=name, customer_id=customer_id, at_ms=at_ms, src=src, order_id=f"o{number}", amount=amount)
        return TicketOpened(
            id=name,
            customer_id=customer_id,
            at_ms=at_ms,
            src=src,
            ticket_id=f"t{number}",
            priority="normal",
            category="question",
        )


def _name(who: int) -> str:
    return f"customer-{who:06}"
