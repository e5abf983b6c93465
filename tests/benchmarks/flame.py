"""A flame graph of the detect worker under load, by py-spy: `make flame`.

The worker catches up with a log that was filled before. Its start is in the picture too: imports are a tower of their
own. Samples are of all its threads, while they run. Beside the picture it prints which layer of the worker they lie in,
without the start and without waiting: in per cent, and as microseconds of a record. Being watched takes time of its
own; what a record costs unwatched is what `make bench` prints.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from benchmarks.figures import say
from benchmarks.flame_layers import START, WAITING, samples_by_layer
from benchmarks.machine import ROOT, children
from benchmarks.mix import FIXED, TRIVIAL, log_lines
from benchmarks.topics_filled import broker, fill, installation
from benchmarks.workers import caught_up, worker

PARTITIONS = 4
WORKLOADS = {workload.name: workload for workload in (TRIVIAL, FIXED)}
WRITTEN_WITHIN_S = 60


def main() -> None:
    """Draw one."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--workload", choices=sorted(WORKLOADS), default=TRIVIAL.name, help=f"({TRIVIAL.name})")
    made.add_argument("--events", type=int, default=200_000, help="in the log (200,000)")
    made.add_argument("--samples", type=int, default=250, help="a second (250)")
    made.add_argument("--output", type=Path, default=ROOT / "flame.svg", help="file to be written (flame.svg)")
    options = made.parse_args()
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    launcher = [spy, "record", "--rate", str(options.samples), "--output", str(options.output), "--"]
    lines = log_lines(WORKLOADS[options.workload], options.events, PARTITIONS)
    with broker() as bootstrap, installation(bootstrap, partitions=PARTITIONS) as settings:
        records = asyncio.run(fill(bootstrap, {settings.topic("events"): lines}))
        # Started by py-spy, since a process may look into its children without being asked to be root.
        with worker(settings, "detect", launcher=launcher) as one:
            found = caught_up([one], records)
            for pid in children(one.pid):
                os.kill(pid, signal.SIGTERM)
            one.process.wait(WRITTEN_WITHIN_S)
    tell_layers(options.output, options.samples, records)
    say(f"{options.output}: {records:,} records, {found.per_s:,.0f} a second while they were watched")


def tell_layers(picture: Path, samples_per_s: int, records: int) -> None:
    """Where the microseconds go."""
    samples = samples_by_layer(picture.read_text(encoding="utf-8"))
    del samples[START], samples[WAITING]
    total = samples.total()
    for layer, count in samples.most_common():
        say(f"  {count / total:6.1%} {count / samples_per_s / records * 1e6:7.2f} us  {layer}")
    say(f"  100.0% {total / samples_per_s / records * 1e6:7.2f} us  together")


if __name__ == "__main__":
    main()
