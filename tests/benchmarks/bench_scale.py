"""What more workers bring: detect with one, two and four of them, each with one partition of its own; trivial rules.

`make bench-scale`. The workers have their partitions and are stopped (SIGSTOP) while the log is filled, then all go on
at once. Rates are of all workers together. They share the cores with the broker: beyond the number of cores nothing
can be won on one machine.
"""

import argparse
import asyncio
import contextlib
import os
import signal

from benchmarks.figures import parser, report, say
from benchmarks.mix import TRIVIAL, log_lines
from benchmarks.topics_filled import broker, fill, installation
from benchmarks.workers import Pace, caught_up, until, worker

WORKERS = (1, 2, 4)
SESSION_S = 120
"""Longer than it takes to fill the log: a stopped worker sends no heartbeats."""


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=3)
    made.add_argument("--events", type=int, default=200_000, help="in the log, of all partitions together (200,000)")
    options = made.parse_args()
    runs: dict[str, list[float]] = {}
    with broker() as bootstrap:
        for _ in range(options.runs):
            for count in WORKERS:
                found = measure(bootstrap, count, options)
                say(f"{count} workers: {found.per_s:,.0f} records/s, {found.cpu_us:.1f} us each")
                runs.setdefault(f"scale_{count}_per_s", []).append(found.per_s)
                runs.setdefault(f"scale_{count}_us", []).append(found.cpu_us)
    report("scale", options, runs)


def measure(bootstrap: str, count: int, options: argparse.Namespace) -> Pace:
    """So many workers and partitions, once."""
    lines = log_lines(TRIVIAL, options.events, count)
    with installation(bootstrap, partitions=count, session_timeout_s=SESSION_S) as settings, contextlib.ExitStack() as stack:
        workers = [stack.enter_context(worker(settings, "detect")) for _ in range(count)]
        until(lambda: all(one.partitions("detect") for one in workers), 60, *workers)
        for one in workers:
            os.kill(one.pid, signal.SIGSTOP)
        try:
            records = asyncio.run(fill(bootstrap, {settings.topic("events"): lines}))
        finally:
            for one in workers:
                os.kill(one.pid, signal.SIGCONT)
        return caught_up(workers, records)


if __name__ == "__main__":
    main()
