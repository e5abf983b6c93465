"""How long a killed worker's partitions are silent: kill -9 until a reader has the next alert of each of them.

`make bench-kill`. Two workers with the role detect, four partitions, session time-out 6 s, a light load in which every
event opens an alert. One is killed, the other takes over, a new one is started, and so on; the one that has been there
longer goes first.
"""

import argparse
import asyncio
import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median

from benchmarks.figures import parser, report, say
from benchmarks.load import Outgoing, reading_alerts, send_steadily
from benchmarks.mix import Workload, log_lines
from benchmarks.topics_filled import broker, fill, installation
from benchmarks.workers import Worker, until, worker

from schemas.codec import encode
from schemas.decisions import AlertRecord
from schemas.events import TicketOpened
from schemas.rule_kinds import CountRule
from schemas.rules import RuleSet
from streams.settings import Settings
from streams.wallclock import now_ms

PARTITIONS = 4
SESSION_S = 6
PER_S = 200
PATIENCE_S = 60.0
IN_FLIGHT_S = 1.0
"""An alert that was committed before the kill may still be read so long after it."""
EVERY_TICKET = Workload(
    "every-ticket",
    RuleSet(
        version="1",
        tenant="shop",
        rules=[CountRule(id="ticket", version="1", of=["ticket.opened"], at_least=1, within="P1D")],
    ),
    customers=1,
)


class LastRead:
    """When an alert of each partition was read last; written by one thread, read by another."""

    def __init__(self) -> None:
        self.at_s = [-math.inf] * PARTITIONS

    def take(self, _alert: AlertRecord, partition: int) -> None:
        """An alert was read."""
        self.at_s[partition] = time.monotonic()

    def flows(self, within_s: float = 1.0) -> bool:
        """Whether every partition has told something just now."""
        return min(self.at_s) > time.monotonic() - within_s


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=6)
    options = made.parse_args()
    stalls_s: list[float] = []
    with broker() as bootstrap, installation(bootstrap, partitions=PARTITIONS, session_timeout_s=SESSION_S) as settings:
        asyncio.run(fill(bootstrap, {settings.topic("events"): log_lines(EVERY_TICKET, 0, PARTITIONS)}))
        last = LastRead()
        with contextlib.ExitStack() as stack:
            workers = [stack.enter_context(worker(settings, "detect")) for _ in range(2)]
            stack.enter_context(loaded(settings, last))
            for _ in range(options.runs):
                until(lambda: last.flows() and all(one.partitions("detect") for one in workers), PATIENCE_S, *workers)
                stalls_s.append(kill_once(workers.pop(0), workers[0], last))
                say(f"silent for {stalls_s[-1]:.2f} s")
                workers.append(stack.enter_context(worker(settings, "detect")))
    found = {"kill_median_s": [median(stalls_s)], "kill_max_s": [max(stalls_s)]}
    report("kill", argparse.Namespace(**vars(options), stalls_s=[round(stall, 2) for stall in stalls_s]), found)


def kill_once(victim: Worker, heir: Worker, last: LastRead) -> float:
    """Seconds until the last of its partitions tells something again."""
    partitions = victim.partitions("detect")
    killed_s = time.monotonic()
    victim.end(signal.SIGKILL)
    told_s: dict[int, float] = {}

    def all_tell() -> bool:
        for partition in partitions - told_s.keys():
            if last.at_s[partition] > killed_s + IN_FLIGHT_S:
                told_s[partition] = last.at_s[partition]
        return told_s.keys() == partitions

    until(all_tell, PATIENCE_S, heir)
    return max(told_s.values()) - killed_s


@contextlib.contextmanager
def loaded(settings: Settings, last: LastRead) -> Iterator[None]:
    """Events go in, and alerts are read, in a thread of its own for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    work = loop.create_task(_load(settings, last))

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(work)
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(work.cancel)
        thread.join()


async def _load(settings: Settings, last: LastRead) -> None:
    async with reading_alerts(settings, last.take):
        await send_steadily(settings, PER_S, math.inf, tickets(settings.topic("events")))


def tickets(topic: str) -> Callable[[int], Outgoing]:
    """A ticket of somebody else each time, by turns in every partition of the log."""

    def ticket(number: int) -> Outgoing:
        name = f"t{number:07}"
        event = TicketOpened(id=name, customer_id=name, at_ms=now_ms(), ticket_id=name, category="complaint")
        return Outgoing(topic, name.encode(), encode(event), number % PARTITIONS)

    return ticket


if __name__ == "__main__":
    main()
