"""What the engine costs: `replay` alone on one core, where its time goes, and what an idle customer takes in memory.

`make bench-engine`. The mix is fixed (`benchmarks.mix.FIXED`), with a tick each hour.
Time is that of the processor, so that other work on the machine disturbs little.
"""

import cProfile
import gc
import pstats
import tracemalloc
from collections import Counter
from itertools import count
from pathlib import Path
from statistics import median
from time import process_time

from benchmarks.machine import ROOT
from benchmarks.mix import BEGINS_MS, FIXED, RULES, history, model

from detectors import pending as pending_examples
from detectors.customer_record import PREFIX
from detectors.engine import PartitionEngine
from schemas.codec import decode_line, encode
from schemas.control import RulesPublished, Tick
from schemas.instants import DAY_MS
from streams.garbage import look_seldom
from streams.replay import replay

EVENTS = 100_000
IDLE_CUSTOMERS = 5_000
EVENTS_OF_IDLE = 6
RUNS = 3


def tell_speed(lines: list[bytes]) -> None:
    """Events per second."""
    found = []
    for _ in range(RUNS):
        gc.collect()
        began_s = process_time()
        alerts = sum(1 for _ in replay(lines, RULES))
        found.append(len(lines) / (process_time() - began_s))
    runs = ", ".join(f"{speed:,.0f}" for speed in found)
    say(f"{median(found):,.0f} events per second (runs: {runs}); {len(lines):,} lines, {alerts:,} alert records")


def tell_where(lines: list[bytes]) -> None:
    """The share of each module; what a module calls of the interpreter counts as its own."""
    profile = cProfile.Profile()
    profile.runcall(lambda: sum(1 for _ in replay(lines, RULES)))
    own_s: Counter[str] = Counter()
    # file, line and name of a function lead to its calls, its time, and both by caller
    for (file, _, _), (_, _, spent_s, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if file.startswith(str(ROOT)):
            own_s[str(Path(file).relative_to(ROOT))] += spent_s
        for (caller, _, _), (_, _, called_s, _) in callers.items():
            if not file.startswith(str(ROOT)) and caller.startswith(str(ROOT)):
                own_s[str(Path(caller).relative_to(ROOT))] += called_s
    total_s = sum(own_s.values())
    for name, spent_s in own_s.most_common(16):
        say(f"  {spent_s / total_s:6.1%}  {name}")


def tell_memory() -> dict[str, bytes]:
    """Bytes per customer once all of them are idle, by the module that holds them; pending examples apart. The state."""
    engine, offsets = PartitionEngine(0, max_busy=0), count()  # everybody is idle once their changes were taken
    engine.apply(next(offsets), RulesPublished(at_ms=0, version="1", revision=1, document=RULES))
    engine.apply(next(offsets), model())
    lines = [encode(event) for event in history(IDLE_CUSTOMERS * EVENTS_OF_IDLE, IDLE_CUSTOMERS)]
    state: dict[str, bytes] = {}  # keys are texts of our own, so that nobody else is charged for them
    tick_ms = BEGINS_MS
    tracemalloc.start(2)  # a frame, and who called it: what seals a record does so for all kinds of them
    for line in lines:
        record = decode_line(line)
        while record.at_ms >= tick_ms:
            _tick(engine, next(offsets), tick_ms, state)
            tick_ms += DAY_MS
        engine.apply(next(offsets), record)
    _tick(engine, next(offsets), tick_ms + DAY_MS, state)
    gc.collect()
    held = tracemalloc.take_snapshot().statistics("traceback")
    tracemalloc.stop()
    apart = {__file__, pending_examples.__file__}
    mine: Counter[str] = Counter()
    for one in held:
        files = [frame.filename for frame in one.traceback]
        if files[-1].startswith(str(ROOT)) and not apart.intersection(files):
            mine[files[-1]] += one.size
    sizes = [len(value) for key, value in state.items() if key.encode().startswith(PREFIX)]
    customers = len(sizes)
    say(f"{mine.total() / customers:.0f} bytes per idle customer; {sum(sizes) / customers:.0f} in churn.state")
    for file, size in mine.most_common():
        if size >= customers:
            say(f"  {size / customers:6.0f}  {Path(file).relative_to(ROOT)}")
    return state


def tell_restore(state: dict[str, bytes]) -> None:
    """What a customer costs when a partition is restored, and when somebody looks; and the bytes of one who is busy."""
    records = {key.encode(): value for key, value in state.items()}
    ids = [key.removeprefix(PREFIX).decode() for key in records if key.startswith(PREFIX)]
    others = {key: value for key, value in records.items() if not key.startswith(PREFIX)}
    loading_s, looking_s = [], []
    for _ in range(RUNS):
        began_s = process_time()
        _restored(others)
        made_s = process_time()
        engine = _restored(records)
        loaded_s = process_time()
        for customer_id in ids:
            engine._state.customers.find(customer_id)
        loading_s.append(loaded_s - made_s - (made_s - began_s))
        looking_s.append(process_time() - loaded_s)
    engine = _restored(records)
    tracemalloc.start()
    for customer_id in ids:
        engine._state.customers.find(customer_id)
    busy = tracemalloc.get_traced_memory()[0] / len(ids)
    tracemalloc.stop()
    load_us, look_us = (median(found) / len(ids) * 1e6 for found in (loading_s, looking_s))
    say(f"{load_us:.1f} us to restore a customer, {look_us:.1f} us to look at one; {busy:.0f} bytes more while busy")


def _restored(state: dict[bytes, bytes]) -> PartitionEngine:
    engine = PartitionEngine(0)
    for key, value in state.items():
        if not key.startswith(pending_examples.PREFIX):
            engine.load(key, value)
    engine.restored()
    return engine


def _tick(engine: PartitionEngine, offset: int, at_ms: int, state: dict[str, bytes]) -> None:
    """A tick, and what changed up to it."""
    engine.apply(offset, Tick(at_ms=at_ms))
    for key, value in engine.take_changes():
        if value is None:
            state.pop(key.decode(), None)
        else:
            state[key.decode()] = value


def say(text: str) -> None:
    """A line of the report."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    look_seldom()  # as a worker does
    mix = [encode(model()), *(encode(event) for event in history(EVENTS, FIXED.customers))]
    tell_speed(mix)
    tell_where(mix)
    tell_restore(tell_memory())
