"""How late: from a source record to its alert, and from a timer's due instant to its alert.

`make bench-latency`. One worker with the roles ingest, detect and clock, four partitions, 2,000 events a second into
three source topics of JSON. Latency is from just before a record is handed to the producer until a consumer of
committed records has the alert that it opens. On time is from the instant at which a silence is due until a consumer
has its alert: what a feed may be late (2 s), up to one tick (5 s), and the way. The first seconds do not count.
"""

import argparse
import asyncio
import time

from benchmarks.figures import LATENESS_MS, TICK_MS, parser, percentile, report, say
from benchmarks.load import Outgoing, publish, reading_alerts, send_steadily
from benchmarks.machine import cpu_s
from benchmarks.topics_filled import broker, installation
from benchmarks.workers import DETECTED, Worker, until, worker

from schemas.codec import encode
from schemas.decisions import AlertRecord
from schemas.events import AnyEvent, LoginSucceeded, OrderPlaced, TicketOpened, UsageRecorded
from schemas.rule_kinds import AbsenceRule, CountRule
from schemas.rules import DEFAULT_FEEDS, Feed, RuleSet
from streams.settings import Settings
from streams.wallclock import now_ms

PARTITIONS = 4
CUSTOMERS = 100_000

SILENT_AFTER_S = 10
WARM_UP_S = 14.0
"""Longer than a silence, so that timers are due at their full rate when it counts."""
ALL_READ_WITHIN_S = 12.0
RULES = RuleSet(
    version="1",
    tenant="shop",
    feeds=DEFAULT_FEEDS | {"logins": Feed(types=["login.*", "usage.*"], lateness=f"PT{LATENESS_MS // 1000}S")},
    rules=[
        CountRule(id="ticket", version="1", of=["ticket.opened"], at_least=1, within="P1D"),
        AbsenceRule(id="unused", version="1", of=["usage.recorded"], for_=f"PT{SILENT_AFTER_S}S"),
    ],
)


class Watch:
    """What was sent when, and how late its alert was read."""

    def __init__(self, source_prefix: str) -> None:
        self.latencies_ms: list[float] = []
        self.overdue_ms: list[float] = []
        self.begins_ms = self.ends_ms = 0
        self._source_prefix = source_prefix
        self._sent_s: dict[str, float] = {}

    def record(self, number: int) -> Outgoing:
        """The event of this number: of 40 one ticket and one usage, of customers of their own, ten orders, else logins."""
        event = _event(number)
        if event.at_ms >= self.begins_ms and isinstance(event, TicketOpened):
            self._sent_s[event.customer_id] = time.perf_counter()
        topic = {"ticket": "tickets", "order": "orders"}.get(event.type.partition(".")[0], "logins")
        return Outgoing(self._source_prefix + topic, event.customer_id.encode(), encode(event))

    def take(self, alert: AlertRecord, _partition: int) -> None:
        """An alert was read."""
        if alert.kind == "absence" and self.begins_ms <= alert.due_ms < self.ends_ms:
            self.overdue_ms.append(now_ms() - alert.due_ms)
        sent_s = self._sent_s.pop(alert.customer_id or "", None)
        if sent_s is not None:
            self.latencies_ms.append((time.perf_counter() - sent_s) * 1000)

    @property
    def missing(self) -> int:
        """Tickets whose alert was not read."""
        return len(self._sent_s)


def _event(number: int) -> AnyEvent:
    name, at_ms = f"e{number:09}", now_ms()
    who = f"customer-{number * 7919 % CUSTOMERS:06}"  # a prime, so that they all have their turn
    match number % 40:
        case 0:
            return TicketOpened(id=name, customer_id=f"t-{name}", at_ms=at_ms, ticket_id=name, category="complaint")
        case 1:
            return UsageRecorded(id=name, customer_id=f"u-{name}", at_ms=at_ms, feature="report")
        case place if place < 12:
            return OrderPlaced(id=name, customer_id=who, at_ms=at_ms, order_id=name, amount=20.0)
    return LoginSucceeded(id=name, customer_id=who, at_ms=at_ms)


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=3)
    made.add_argument("--rate", type=int, default=2_000, help="events a second (2,000)")
    made.add_argument("--seconds", type=float, default=30.0, help="that count, after the warm-up (30)")
    options = made.parse_args()
    runs: dict[str, list[float]] = {}
    with broker() as bootstrap:
        for _ in range(options.runs):
            with installation(bootstrap, partitions=PARTITIONS, tick_ms=TICK_MS) as settings:
                for name, value in measure(settings, options).items():
                    runs.setdefault(name, []).append(value)
    report("latency", options, runs)


def measure(settings: Settings, options: argparse.Namespace) -> dict[str, float]:
    """One run."""
    asyncio.run(publish(settings, RULES))
    with worker(settings, "ingest", "detect", "clock") as one:
        until(lambda: one.total(DETECTED) >= PARTITIONS, 60, one)  # the rules are in the log
        watch = Watch(settings.source_prefix)
        cores = asyncio.run(_load(settings, options, watch, one))
    late, overdue = watch.latencies_ms, watch.overdue_ms
    say(f"{len(late)} alerts of events and {len(overdue)} of timers; {watch.missing} not read, {cores:.2f} cores")
    return {
        **{f"latency_p{share}_ms": percentile(late, share / 100) for share in (50, 90, 99)},
        "latency_max_ms": max(late),
        **{f"on_time_p{share}_ms": percentile(overdue, share / 100) for share in (50, 99)},
        "latency_cores": cores,
    }


async def _load(settings: Settings, options: argparse.Namespace, watch: Watch, one: Worker) -> float:
    watch.begins_ms = now_ms() + round(WARM_UP_S * 1000)
    watch.ends_ms = watch.begins_ms + round(options.seconds * 1000)
    async with reading_alerts(settings, watch.take):
        loading = asyncio.create_task(send_steadily(settings, options.rate, WARM_UP_S + options.seconds, watch.record))
        await asyncio.sleep(WARM_UP_S)
        began_s, used_s = time.monotonic(), cpu_s(one.pid)
        await loading
        cores = (cpu_s(one.pid) - used_s) / (time.monotonic() - began_s)
        one.check()
        await asyncio.sleep(ALL_READ_WITHIN_S)
    return cores


if __name__ == "__main__":
    main()
