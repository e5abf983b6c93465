"""How many webhooks a door takes, how long each waits, and what is lost when its process is killed.

`make bench-door`. pywrkr sends as fast as it is answered, each webhook signed and one of its own; first at one worker
that is left alone, then at one that is killed and stopped by turns, and started again. What was answered 202 is looked for
in the topic. Sender and worker share this machine.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import parser, report, say
from benchmarks.machine import cpu_s
from benchmarks.topics_filled import broker, installation
from benchmarks.workers import Worker, worker
from door_run import records_of, url, with_door
from webhooks import Sent, load

from streams.settings import Settings

PARTITIONS = 4
AS_FAST_AS_IT_GOES = 1_000_000
LIVES_S = 1.0
"""Of a worker, before it is killed or stopped."""
WARM_S = 1.0


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=3)
    made.add_argument("--seconds", type=float, default=10.0, help="of each load (10)")
    made.add_argument("--connections", type=int, default=64, help="that send at once (64)")
    made.add_argument("--ends", type=int, default=10, help="kills and stops of the worker, by turns (10)")
    options = made.parse_args()
    found: dict[str, list[float]] = {}
    with broker() as bootstrap:
        for _ in range(options.runs):
            with door(bootstrap) as settings, worker(settings, "door") as running:
                for name, value in asyncio.run(left_alone(settings, running, options)).items():
                    found.setdefault(name, []).append(value)
        with door(bootstrap) as settings:
            answered, lost = asyncio.run(ended_by_turns(settings, options))
    say(f"{answered} answered 202 while the worker was ended {options.ends} times, {lost} of them lost")
    found["door_lost"] = [lost]
    report("door", argparse.Namespace(**vars(options), answered_while_ended=answered), found)


@contextlib.contextmanager
def door(bootstrap: str) -> Iterator[Settings]:
    """An installation with a source that has a door."""
    with (
        tempfile.TemporaryDirectory(prefix="churnwatch-bench-") as folder,
        installation(bootstrap, partitions=PARTITIONS) as made,
    ):
        yield with_door(made, Path(folder), rate_per_s=AS_FAST_AS_IT_GOES)


async def left_alone(settings: Settings, running: Worker, options: Any) -> dict[str, float]:
    """Requests a second, latencies, and the worker's processor time for one of them."""
    await load(url(settings), Sent(), seconds=WARM_S, connections=options.connections)
    sent, before_s = Sent(), cpu_s(running.pid)
    result = await load(url(settings), sent, seconds=options.seconds, connections=options.connections)
    used_s = cpu_s(running.pid) - before_s
    if set(result.status_codes) != {202} or result.total_errors:
        raise SystemExit(f"not all was taken: {result.status_codes} {result.error_types}\n{running.log[-2000:]}")
    found = {
        "door_per_s": result.requests_per_sec,
        "door_p50_ms": result.percentiles.p50 * 1000,
        "door_p99_ms": result.percentiles.p99 * 1000,
        "door_us": used_s / result.total_requests * 1e6,
    }
    say(", ".join(f"{name} {value:,.1f}" for name, value in found.items()))
    return found


async def ended_by_turns(settings: Settings, options: Any) -> tuple[int, int]:
    """How many were answered 202, and how many of these are not in the topic."""
    sent = Sent()
    sending = asyncio.create_task(load(url(settings), sent, seconds=3600, connections=options.connections))
    for turn in range(options.ends):
        with contextlib.ExitStack() as stack:
            running = await asyncio.to_thread(stack.enter_context, worker(settings, "door"))
            await asyncio.sleep(LIVES_S)
            await asyncio.to_thread(running.end, signal.SIGTERM if turn % 2 else signal.SIGKILL)
    sent.enough = True
    result = await sending
    say(json.dumps({"statuses": result.status_codes, "errors": result.error_types}))
    return len(sent.answered), len(sent.lost([record.value for record in await records_of(settings)]))


if __name__ == "__main__":
    main()
