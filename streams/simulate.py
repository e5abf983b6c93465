"""The simulated shop: seeded, so that the same shop has the same customers, events and truth each time.

What it is made of: customers with a rhythm; some leave, and it shows in the weeks before; some are away for long and
come back; a ticket desk with an overloaded week; a feed that is dead for a while and then delivers all at once; and a
few records that nobody can read.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import Final

from schemas.codec import encode
from schemas.events import AnyEvent, Event
from schemas.instants import DAY_MS, HOUR_MS, WEEK_MS
from streams.simulated_customers import SIGNS_MS, Desk, Plan, Span, life_of

FEEDS: Final = ("orders", "logins", "tickets")
_STARTS_MS: Final = 1_736_121_600_000  # 2025-01-06, a Monday, in UTC
_JOINING: Final = 0.25  # of the time, at its beginning, in which customers arrive
_FIRST_END: Final = 0.35  # nobody leaves earlier
_LAST_END: Final = 0.85  # nobody leaves later: the rest is for noticing it
_MALFORMED: Final = (
    b'{"type":"order.placed","id":"m-1","customer_id":"shop-0001",',
    b'{"type":"order.placed","id":"m-2","customer_id":"","at_ms":1740000000000,"order_id":"m-2","amount":10}',
    b'{"type":"order.placed","id":"m-3","customer_id":"shop-0001","at_ms":1740000000000,"order_id":"m-3","amount":"ten"}',
    b'{"type":"order.painted","id":"m-4","customer_id":"shop-0001","at_ms":1740000000000}',
    b'{"type":"tick","at_ms":1740000000000}',
    b"\xff\xfe\x00 not a record",
)


@dataclass(frozen=True)
class Shop:
    """What kind of a shop."""

    seed: int = 7
    customers: int = 360
    weeks: int = 26
    starts_ms: int = _STARTS_MS
    leaving: float = 0.3
    """Share of the customers who leave."""
    away: float = 0.03
    """Share of those who are silent for long and come back."""
    watermark_ms: int = 12 * HOUR_MS
    """Each feed says so often how far it is."""
    dead_feed: str = "logins"

    @property
    def ends_ms(self) -> int:
        """The first instant after it."""
        return self.starts_ms + self.weeks * WEEK_MS

    def at(self, share: float) -> int:
        """The instant when that share of the time is over."""
        return self.starts_ms + round((self.ends_ms - self.starts_ms) * share)

    @property
    def outage(self) -> Span:
        """When the dead feed delivers nothing."""
        start_ms = self.at(0.5)
        return Span(start_ms, start_ms + 9 * DAY_MS)


@dataclass(frozen=True)
class Delivery:
    """Something arrives from a feed: a record with a value, or a watermark."""

    arrives_ms: int
    feed: str
    key: bytes | None = None
    value: bytes | None = None
    """None: this is a watermark, `arrives_ms` is what it says."""


@dataclass(frozen=True)
class Truth:
    """What really happened, which no alert knows."""

    left_ms: Mapping[str, int]
    """The true end of each customer who left."""
    away: Mapping[str, Span]
    """Who was silent for long, and came back."""
    malformed: int
    """How many records cannot be read."""


@dataclass(frozen=True)
class Simulation:
    """A shop's whole story."""

    shop: Shop
    plans: Sequence[Plan]
    truth: Truth
    desk: Desk = field(repr=False)

    def deliveries(self) -> Iterator[Delivery]:
        """Everything that arrives, in order of arrival; of the same instant events come before watermarks."""
        events = sorted(self._arrivals(), key=lambda delivery: (delivery.arrives_ms, delivery.feed))
        return merge(events, self._malformed(), self._watermarks(), key=lambda delivery: delivery.arrives_ms)

    def events(self) -> Iterator[AnyEvent]:
        """Everything that happens, customer by customer."""
        for plan in self.plans:
            draw = random.Random(f"{self.shop.seed}/life/{plan.customer_id}")  # noqa: S311 - a simulation
            yield from life_of(plan, self.desk, self.shop.ends_ms, draw)

    def _arrivals(self) -> Iterator[Delivery]:
        outage = self.shop.outage
        for event in self.events():
            feed = feed_of(event)
            late = feed == self.shop.dead_feed and event.at_ms in outage
            yield Delivery(outage.end_ms if late else event.at_ms, feed, event.customer_id.encode(), encode(event))

    def _malformed(self) -> Iterator[Delivery]:
        for number, value in enumerate(_MALFORMED):
            yield Delivery(self.shop.at((number + 1) / (len(_MALFORMED) + 1)), "orders", None, value)

    def _watermarks(self) -> Iterator[Delivery]:
        shop = self.shop
        for at_ms in range(shop.starts_ms + shop.watermark_ms, shop.ends_ms + 1, shop.watermark_ms):
            for feed in FEEDS:
                if feed != shop.dead_feed or at_ms not in shop.outage:
                    yield Delivery(at_ms, feed)


def simulate(shop: Shop) -> Simulation:
    """The story of a shop; equal shops have equal stories."""
    plans = [_plan(shop, number) for number in range(1, shop.customers + 1)]
    truth = Truth(
        left_ms={plan.customer_id: plan.leaves_ms for plan in plans if plan.leaves_ms is not None},
        away={plan.customer_id: plan.away for plan in plans if plan.away is not None},
        malformed=len(_MALFORMED),
    )
    overloaded = Span(shop.at(0.62), shop.at(0.62) + WEEK_MS)
    return Simulation(shop, plans, truth, Desk(overloaded))


def feed_of(event: Event) -> str:
    """The feed that delivers an event of the shop: `order.placed` comes from `orders`."""
    return event.type.partition(".")[0] + "s"


def _plan(shop: Shop, number: int) -> Plan:
    customer_id = f"shop-{number:04d}"
    draw = random.Random(f"{shop.seed}/plan/{customer_id}")  # noqa: S311 - a simulation
    joins_ms = shop.starts_ms + round((shop.at(_JOINING) - shop.starts_ms) * draw.random())
    gap_ms = round(draw.uniform(4, 11) * DAY_MS)
    login_gap_ms = round(draw.uniform(2, 5) * DAY_MS)
    amount = round(draw.lognormvariate(3.6, 0.5), 2)
    fate = draw.random()
    leaves_ms = away = burst_ms = None
    if fate < shop.leaving:
        leaves_ms = round(draw.uniform(shop.at(_FIRST_END), shop.at(_LAST_END)))
        if draw.random() < 0.4:
            burst_ms = leaves_ms - round(SIGNS_MS * draw.uniform(0.4, 0.8))
    elif fate < shop.leaving + shop.away:
        start_ms = round(draw.uniform(shop.at(0.4), shop.at(0.6)))
        away = Span(start_ms, start_ms + 55 * DAY_MS)
    elif fate > 0.96:
        burst_ms = round(draw.uniform(shop.at(0.3), shop.at(0.9)))
    return Plan(customer_id, joins_ms, gap_ms, login_gap_ms, amount, leaves_ms, away, burst_ms)
