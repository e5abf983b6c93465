"""Whether memory grows: twenty minutes of a steady load on one worker with all roles, and the slope of its memory.

`make bench-soak`. 2,000 events a second of the same 10,000 customers, real time, four partitions, a Valkey for the
profiles, a webhook for every transition. A fortieth of the events are uses of a feature, each followed by an order a
minute later, so alerts open and close all the time.
Nothing of it is to be remembered for longer than two minutes, so what is kept on purpose is whole when the warm-up ends:
each customer has used the feature (200 s), the alerts are over (60 s) and forgotten (120 s). Tickets, which are
remembered for 30 days, are not among the events. What is kept is told before and after, as the worker counts it.
The resident memory is looked at every second. The slope is that of a least-squares line through what lies behind the
warm-up; the drift is the median of the last tenth less that of the first tenth behind the warm-up. At the end nothing may
be left unread.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Final

from benchmarks.figures import parser, report, say
from benchmarks.load import Outgoing, publish, send_steadily
from benchmarks.machine import cpu_s, resident_bytes
from benchmarks.topics_filled import broker, installation
from benchmarks.workers import DETECTED, Worker, free_port, until, worker
from dispatch_run import Receiver, listening
from valkey_server import running_valkey

from schemas.codec import encode
from schemas.events import AnyEvent, LoginSucceeded, OrderPlaced, UsageRecorded
from schemas.rule_kinds import AbsenceRule, CountRule
from schemas.rules import DEFAULT_FEEDS, Churn, RuleSet
from streams.settings import Settings, load_settings
from streams.wallclock import now_ms

PARTITIONS: Final = 4
CUSTOMERS: Final = 10_000
USE_EVERY: Final = 40
ORDER_AFTER: Final = 120_000
"""Events from a use to the order that ends the silence after it: a minute of the usual load."""
LOOK_EVERY_S: Final = 1.0
READ_WITHIN_S: Final = 60.0
LAG: Final = "churn_lag_records"
KEPT: Final = {"churn_customers": "customers", "churn_timers": "timers", "churn_open_alerts": "open alerts"}
RULES: Final = RuleSet(
    version="1",
    tenant="shop",
    feeds=DEFAULT_FEEDS,
    churn=Churn(horizon="P30D"),
    forget_after="PT2M",
    rules=[
        CountRule(id="used", version="1", of=["usage.recorded"], at_least=1, within="PT1M"),
        AbsenceRule(id="no-order", version="1", of=["order.placed"], after=["usage.recorded"], for_="PT30S"),
    ],
)


class Load:
    """The event of each number; an order comes a fixed number of events after a use, of the same customer."""

    def __init__(self, source_prefix: str) -> None:
        self._source_prefix = source_prefix

    def record(self, number: int) -> Outgoing:
        """As it is sent."""
        event = _event(number)
        topic = "orders" if isinstance(event, OrderPlaced) else "logins"
        return Outgoing(self._source_prefix + topic, event.customer_id.encode(), encode(event))


def _event(number: int) -> AnyEvent:
    name, at_ms, place = f"e{number:09}", now_ms(), number % USE_EVERY
    if place == 0:
        return UsageRecorded(id=name, customer_id=_who(number // USE_EVERY), at_ms=at_ms, feature="export")
    if place == 1:
        customer_id = _who(max(0, number - ORDER_AFTER) // USE_EVERY)
        return OrderPlaced(id=name, customer_id=customer_id, at_ms=at_ms, order_id=name, amount=20.0)
    if place < USE_EVERY // 4:
        return OrderPlaced(id=name, customer_id=_who(number), at_ms=at_ms, order_id=name, amount=20.0)
    return LoginSucceeded(id=name, customer_id=_who(number), at_ms=at_ms)


def _who(number: int) -> str:
    return f"customer-{number * 7919 % CUSTOMERS:06}"  # a prime, so that they all have their turn


def slope_per_h(seconds: Sequence[float], values: Sequence[float]) -> float:
    """Of the least-squares line, per hour.

    >>> round(slope_per_h([0, 1800, 3600], [10, 12, 14]), 6)
    4.0
    """
    mean_s, mean = fmean(seconds), fmean(values)
    over = sum((at_s - mean_s) * (value - mean) for at_s, value in zip(seconds, values, strict=True))
    return over / sum((at_s - mean_s) ** 2 for at_s in seconds) * 3_600


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=1)
    made.add_argument("--rate", type=int, default=2_000, help="events a second (2,000)")
    made.add_argument("--minutes", type=float, default=20.0, help="of load, the warm-up with it (20)")
    made.add_argument("--warm-up", type=float, default=8.0, help="minutes of it that do not count (8)")
    options = made.parse_args()
    runs: dict[str, list[float]] = {}
    with broker() as bootstrap, running_valkey() as redis_url, tempfile.TemporaryDirectory() as folder:
        port = free_port()
        routes = _routes(Path(folder), port)
        for _ in range(options.runs):
            with installation(bootstrap, partitions=PARTITIONS, redis_url=redis_url, routes=routes) as settings:
                options.port = port
                for name, value in measure(settings, options).items():
                    runs.setdefault(name, []).append(value)
    report("soak", options, runs)


def _routes(folder: Path, port: int) -> Path:
    (folder / "secret").write_text("whsec_" + "c29hay1zb2FrLXNvYWstc29hay1zb2Fr\n")
    path = folder / "routes.yaml"
    path.write_text(
        f"destinations: {{all: {{kind: webhook, url: 'http://127.0.0.1:{port}/alerts', secret: 'file:{folder}/secret', "
        "allow: ['127.0.0.1']}}\nroutes: [{to: [all]}]\n"
    )
    return path


def measure(settings: Settings, options: argparse.Namespace) -> dict[str, float]:
    """One run."""
    asyncio.run(publish(settings, RULES))
    with worker(settings, *load_settings().usual_roles()) as one:
        until(lambda: one.total(DETECTED) >= PARTITIONS, 60, one)  # the rules are in the log
        began_s, used_s = time.monotonic(), cpu_s(one.pid)
        looks = asyncio.run(_load(settings, options, one))
        cores = (cpu_s(one.pid) - used_s) / (time.monotonic() - began_s)
        until(lambda: one.total(LAG) <= PARTITIONS, READ_WITHIN_S, one)
        alerts = one.total("churn_alerts_total")
    counted = [look for look in looks if look[0] >= options.warm_up * 60]
    megabytes = [resident / 1e6 for _, resident in counted]
    tenth = max(1, len(megabytes) // 10)
    say(f"{len(counted)} looks, from {min(megabytes):.0f} to {max(megabytes):.0f} MB; {alerts:.0f} transitions of alerts")
    return {
        "soak_slope_mb_per_h": slope_per_h([at_s for at_s, _ in counted], megabytes),
        "soak_drift_mb": median(megabytes[-tenth:]) - median(megabytes[:tenth]),
        "soak_memory_mb": median(megabytes),
        "soak_cores": cores,
    }


async def _load(settings: Settings, options: argparse.Namespace, one: Worker) -> list[tuple[float, int]]:
    """Seconds since the beginning, and the memory that was held then."""
    load, receiver = Load(settings.source_prefix), Receiver()
    async with listening(receiver, options.port):
        return await _looked_at(settings, options, one, load)


async def _looked_at(settings: Settings, options: argparse.Namespace, one: Worker, load: Load) -> list[tuple[float, int]]:
    began_s = time.monotonic()
    sending = asyncio.create_task(send_steadily(settings, options.rate, options.minutes * 60, load.record))
    looks: list[tuple[float, int]] = []
    kept: list[str] = []
    while not sending.done():
        passed_s = time.monotonic() - began_s
        looks.append((passed_s, resident_bytes(one.pid)))
        if not kept and passed_s >= options.warm_up * 60:
            kept.append(_kept(one))
            say(f"at the end of the warm-up: {kept[0]}")
        one.check()
        await asyncio.sleep(LOOK_EVERY_S)
    await sending
    say(f"at the end of the load:    {_kept(one)}")
    return looks


def _kept(one: Worker) -> str:
    """What is remembered on purpose."""
    metrics = one.metrics()
    return ", ".join(f"{sum(value for _, value in metrics.get(name, [])):.0f} {what}" for name, what in KEPT.items())


if __name__ == "__main__":
    main()
