"""How fast: detect alone, ingest and detect in one process, and the engine by itself.

`make bench`. Detect catches up with a log that was filled before: four partitions on Apache Kafka, exactly once, in a
worker process of its own, with trivial rules (100,000 customers; one count rule, one absence rule, no model) and with
the fixed mix (2,000 customers; six rules and a model that decides). Ingest and detect begin at three source topics of
JSON. The engine alone applies the same records in this process, and hands out its changes as often as detect does.
Rates are of the clock on the wall, beside the broker on the same cores; CPU is of the worker process, all threads.
Events are counted, the hourly ticks between them are not, though they are worked on too.
"""

import argparse
import asyncio
import gc
import time
from collections.abc import Sequence

from benchmarks.figures import parser, report, say
from benchmarks.mix import FIXED, TRIVIAL, Line, Workload, log_lines, source_lines
from benchmarks.topics_filled import broker, fill, installation
from benchmarks.workers import Pace, caught_up, worker

from detectors.engine import PartitionEngine

PARTITIONS = 4
CHANGES_EVERY = 2_000
"""Records between two commits: the most that detect puts into one transaction."""


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=3)
    made.add_argument("--events", type=int, default=300_000, help="with trivial rules (300,000)")
    made.add_argument("--fixed-events", type=int, default=100_000, help="of the fixed mix (100,000)")
    options = made.parse_args()
    runs: dict[str, list[float]] = {}
    with broker() as bootstrap:
        for workload, events in ((TRIVIAL, options.events), (FIXED, options.fixed_events)):
            bench_detect(bootstrap, workload, events, options, runs)
        bench_ingest(bootstrap, options, runs)
    report("detect", options, runs)


def bench_detect(
    bootstrap: str, workload: Workload, events: int, options: argparse.Namespace, runs: dict[str, list[float]]
) -> None:
    """Detect, and the engine alone, on the same log."""
    lines = log_lines(workload, events, PARTITIONS)
    gc.collect()
    gc.freeze()  # the lines are no part of what the engine's collections have to look through
    share = sum(key is not None for part in lines for key, _ in part) / sum(len(part) for part in lines)
    for _ in range(options.runs):
        _note(runs, f"detect_{workload.name}", _of_events(detect_once(bootstrap, lines), share))
        runs.setdefault(f"engine_{workload.name}_us", []).append(engine_once(lines) / share)
    gc.unfreeze()


def detect_once(bootstrap: str, lines: Sequence[Sequence[Line]]) -> Pace:
    """A worker with the role detect, from the start of the log to its end."""
    with installation(bootstrap, partitions=len(lines)) as settings:
        records = asyncio.run(fill(bootstrap, {settings.topic("events"): lines}))
        with worker(settings, "detect") as one:
            return caught_up([one], records)


def engine_once(lines: Sequence[Sequence[Line]]) -> float:
    """Microseconds of the processor for a record."""
    gc.collect()
    began_s = time.process_time()
    for partition, part in enumerate(lines):
        engine = PartitionEngine(partition)
        for offset, (_, value) in enumerate(part):
            engine.apply_bytes(offset, value)
            if offset % CHANGES_EVERY == 0:
                engine.take_changes()
        engine.take_changes()
    return (time.process_time() - began_s) / sum(len(part) for part in lines) * 1e6


def bench_ingest(bootstrap: str, options: argparse.Namespace, runs: dict[str, list[float]]) -> None:
    """From source topics; the log holds the rules when ingest begins, and gets no ticks: a clock would run beside."""
    sources = source_lines(TRIVIAL, options.events, PARTITIONS)
    documents = log_lines(TRIVIAL, 0, PARTITIONS)
    for _ in range(options.runs):
        with installation(bootstrap, partitions=PARTITIONS) as settings:
            topics = {settings.source_prefix + feed: lines for feed, lines in sources.items()}
            events = asyncio.run(fill(bootstrap, topics))
            records = events + asyncio.run(fill(bootstrap, {settings.topic("events"): documents}))
            with worker(settings, "ingest", "detect") as one:
                _note(runs, "ingest_detect", caught_up([one], records))


def _of_events(found: Pace, share: float) -> Pace:
    return Pace(found.per_s * share, found.cpu_us / share, found.broker_cpu_us / share)


def _note(runs: dict[str, list[float]], name: str, found: Pace) -> None:
    say(f"{name}: {found.per_s:,.0f} events/s, {found.cpu_us:.1f} us, broker {found.broker_cpu_us:.1f} us")
    measured = {f"{name}_per_s": found.per_s, f"{name}_us": found.cpu_us}
    if found.broker_cpu_us:  # what a broker uses that is not our own cannot be seen
        measured[f"{name}_broker_us"] = found.broker_cpu_us
    for figure, value in measured.items():
        runs.setdefault(figure, []).append(value)


if __name__ == "__main__":
    main()
