"""How long a million customers take to come back: a worker that finds them in `churn.state`.

`make bench-recovery`. The customers are the engine's own: those of a workload are worked on here, and their encoded
records are written under a million ids, outside of transactions and in equal parts to four partitions, with the
documents and the head that belong to them. The log has one event behind the position of each partition. Time is from
the assignment until the last partition has been taken over, as the worker logs it. Processor time and memory are what
the customers add to a worker that starts without any, once the event of each partition is committed.
"""

import argparse
import asyncio
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import count

import msgspec
from benchmarks.figures import parser, report, say
from benchmarks.machine import cpu_s, resident_bytes
from benchmarks.mix import BEGINS_MS, DAYS, FIXED, TRIVIAL, Line, Workload, history, log_lines
from benchmarks.topics_filled import broker, fill, installation
from benchmarks.workers import DETECTED, until, worker

from detectors.customer_record import PREFIX
from detectors.engine import PartitionEngine
from detectors.partition_state import HEAD_KEY
from detectors.state import Head
from detectors.state_frame import opened, sealed
from schemas.codec import encode
from schemas.control import Tick
from schemas.events import OrderPlaced
from schemas.instants import DAY_MS

PARTITIONS = 4
SEEDS = 5_000
"""So many customers are worked on."""
EVENTS_OF_EACH = 6
ENDS_MS = BEGINS_MS + DAYS * DAY_MS
PATIENCE_S = 600.0
_TAKEN_OVER = re.compile(r'^{"timestamp":"(\S+?)".*"event":"partition\.taken_over".*"took_ms":(\d+)', re.MULTILINE)
State = dict[bytes, bytes]


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=1)
    made.add_argument("--customers", type=int, default=1_000_000, help="in the state (1,000,000)")
    options = made.parse_args()
    runs: dict[str, list[float]] = {}
    with broker() as bootstrap:
        for workload in (TRIVIAL, FIXED):
            state = state_of(workload)
            for _ in range(options.runs):
                for name, value in measure(bootstrap, workload, state, options).items():
                    runs.setdefault(f"recovery_{workload.name}_{name}", []).append(value)
    report("recovery", options, runs)


def measure(bootstrap: str, workload: Workload, state: State, options: argparse.Namespace) -> dict[str, float]:
    """One run with the customers, and one without any."""
    many, customers = options.customers, [value for key, value in state.items() if key.startswith(PREFIX)]
    _, used_s, held = start_once(bootstrap, workload, state, 0)
    took_s, with_used_s, with_held = start_once(bootstrap, workload, state, many)
    found = {
        "s": took_s,
        "us": (with_used_s - used_s) / many * 1e6,
        "bytes": (with_held - held) / many,
        "record_bytes": sum(len(value) for value in customers) / len(customers),
    }
    say(f"{workload.name}: {many:,} customers in {found['s']:.1f} s, {found['bytes']:.0f} bytes each")
    return found


def start_once(bootstrap: str, workload: Workload, state: State, customers: int) -> tuple[float, float, int]:
    """Seconds from the assignment until everything flows; processor time since the start, and the bytes held then."""
    with installation(bootstrap, partitions=PARTITIONS) as settings:
        position = len(workload.documents())
        event = encode(OrderPlaced(id="o", customer_id="somebody", at_ms=ENDS_MS, order_id="o", amount=20.0))
        log = [[*lines[:position], (b"somebody", event)] for lines in log_lines(workload, 0, PARTITIONS)]
        asyncio.run(fill(bootstrap, {settings.topic("events"): log}))
        parts = [state_lines(state, position - 1, range(number, customers, PARTITIONS)) for number in range(PARTITIONS)]
        asyncio.run(fill(bootstrap, {settings.topic("state"): parts}))
        with worker(settings, "detect") as one:
            until(lambda: one.total(DETECTED) >= PARTITIONS, PATIENCE_S, one)
            return take_over_s(one.log), cpu_s(one.pid), resident_bytes(one.pid)


def take_over_s(log: str) -> float:
    """From the first take-over's beginning to the last one's end."""
    found = [(datetime.fromisoformat(at).timestamp(), int(took_ms) / 1000) for at, took_ms in _TAKEN_OVER.findall(log)]
    return max(at_s for at_s, _ in found) - min(at_s - took_s for at_s, took_s in found)


def state_of(workload: Workload, customers: int = SEEDS) -> State:
    """The records of a partition with some customers that have done a few things each, pending examples apart."""
    engine, offsets, state = PartitionEngine(0), count(), dict[bytes, bytes]()
    for document in workload.documents():
        engine.apply(next(offsets), document)
    tick_ms = BEGINS_MS
    for event in history(customers * EVENTS_OF_EACH, customers):
        while event.at_ms >= tick_ms:
            engine.apply(next(offsets), Tick(at_ms=tick_ms))
            tick_ms += DAY_MS
        engine.apply(next(offsets), event)
    engine.apply(next(offsets), Tick(at_ms=ENDS_MS))
    for key, value in engine.take_changes():
        if value is not None and not key.startswith(b"x/"):
            state[key] = value
    return state


def state_lines(state: State, position: int, numbers: range) -> Iterator[Line]:
    """The same with customers of these numbers, by turns like those that were worked on, at a position."""
    for key, value in state.items():
        if not key.startswith(PREFIX) and key != HEAD_KEY:
            yield key, value
    known = [opened(key, value) for key, value in state.items() if key.startswith(PREFIX)]
    for number in numbers:
        key = PREFIX + b"customer-%07d" % number
        yield key, sealed(key, known[number % len(known)])
    head = msgspec.msgpack.decode(opened(HEAD_KEY, state[HEAD_KEY]), type=Head)
    yield HEAD_KEY, sealed(HEAD_KEY, msgspec.msgpack.encode(msgspec.structs.replace(head, position=position, sources={})))


if __name__ == "__main__":
    main()
