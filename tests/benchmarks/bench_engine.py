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


def tell_memory() -> None:
    """Bytes per customer once all of them are idle, by the module that holds them; pending examples apart."""
    engine, offsets = PartitionEngine(0, max_busy=0), count()  # everybody is idle once their changes were taken
    engine.apply(next(offsets), RulesPublished(at_ms=0, version="1", revision=1, document=RULES))
    engine.apply(next(offsets), model())
    lines = [encode(event) for event in history(IDLE_CUSTOMERS * EVENTS_OF_IDLE, IDLE_CUSTOMERS)]
    sizes: dict[str, int] = {}
    tick_ms = BEGINS_MS
    tracemalloc.start(2)  # a frame, and who called it: what seals a record does so for all kinds of them
    for line in lines:
        record = decode_line(line)
        while record.at_ms >= tick_ms:
            sizes |= _ticked(engine, next(offsets), tick_ms)
            tick_ms += DAY_MS
        engine.apply(next(offsets), record)
    sizes |= _ticked(engine, next(offsets), tick_ms + DAY_MS)
    gc.collect()
    held = tracemalloc.take_snapshot().statistics("traceback")
    tracemalloc.stop()
    apart = {__file__, pending_examples.__file__}
    mine: Counter[str] = Counter()
    for one in held:
        files = [frame.filename for frame in one.traceback]
        if files[-1].startswith(str(ROOT)) and not apart.intersection(files):
            mine[files[-1]] += one.size
    customers = len(sizes)
    say(f"{mine.total() / customers:.0f} bytes per idle customer; {sum(sizes.values()) / customers:.0f} in churn.state")
    for file, size in mine.most_common():
        if size >= customers:
            say(f"  {size / customers:6.0f}  {Path(file).relative_to(ROOT)}")


def _ticked(engine: PartitionEngine, offset: int, at_ms: int) -> dict[str, int]:
    """The size of every customer that changed."""
    engine.apply(offset, Tick(at_ms=at_ms))
    changes = engine.take_changes()
    return {key.decode(): len(value or b"") for key, value in changes if key.startswith(PREFIX)}


def say(text: str) -> None:
    """A line of the report."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    mix = [encode(model()), *(encode(event) for event in history(EVENTS, FIXED.customers))]
    tell_speed(mix)
    tell_where(mix)
    tell_memory()
