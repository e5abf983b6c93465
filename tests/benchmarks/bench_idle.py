"""What a worker costs that has nothing to do: eight partitions, first with the role detect alone, then with all roles.

`make bench-idle`. Rules are in force, no events come; with all roles the clock goes on ticking. After a while in which
the worker settles its processor time over a minute is taken, in per cent of a core.
"""

import argparse
import asyncio
import time

from benchmarks.figures import parser, report, say
from benchmarks.load import publish
from benchmarks.machine import cpu_s
from benchmarks.mix import TRIVIAL, log_lines
from benchmarks.topics_filled import broker, fill, installation
from benchmarks.workers import DETECTED, until, worker

from streams.settings import Role, load_settings

PARTITIONS = 8


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=1)
    made.add_argument("--seconds", type=float, default=60.0, help="over which the time is taken (60)")
    made.add_argument("--settle", type=float, default=10.0, help="seconds before that (10)")
    options = made.parse_args()
    runs: dict[str, list[float]] = {}
    kinds: dict[str, tuple[Role, ...]] = {"detect": ("detect",), "all": load_settings().usual_roles()}
    with broker() as bootstrap:
        for _ in range(options.runs):
            for name, roles in kinds.items():
                percent = measure(bootstrap, roles, options)
                say(f"{name}: {percent:.2f} %")
                runs.setdefault(f"idle_{name}_percent", []).append(percent)
    report("idle", options, runs)


def measure(bootstrap: str, roles: tuple[Role, ...], options: argparse.Namespace) -> float:
    """Per cent of a core."""
    with installation(bootstrap, partitions=PARTITIONS) as settings:
        if "clock" in roles:
            asyncio.run(publish(settings, TRIVIAL.rules))
        else:
            asyncio.run(fill(bootstrap, {settings.topic("events"): log_lines(TRIVIAL, 0, PARTITIONS)}))
        with worker(settings, *roles) as one:
            until(lambda: one.total(DETECTED) >= PARTITIONS, 60, one)
            time.sleep(options.settle)
            began_s, used_s = time.monotonic(), cpu_s(one.pid)
            time.sleep(options.seconds)
            one.check()
            return (cpu_s(one.pid) - used_s) / (time.monotonic() - began_s) * 100


if __name__ == "__main__":
    main()
