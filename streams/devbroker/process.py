"""The development broker as a process of its own: `python -m streams.devbroker.process --port 0`."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

from streams.devbroker.server import DevBroker

_START_TIMEOUT_S = 30
_STOP_TIMEOUT_S = 10


async def run(broker: DevBroker, *, die_with_stdin: bool = False) -> None:
    """Serve until SIGTERM or SIGINT, or until standard input ends; say where on standard output, in one JSON line.

    Args:
        broker: not started yet.
        die_with_stdin: stop when standard input closes: it does when the parent that holds its other end dies.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if die_with_stdin:
        loop.add_reader(sys.stdin.fileno(), lambda: stopping.set() if not os.read(sys.stdin.fileno(), 1024) else None)
    async with broker:
        sys.stdout.write(json.dumps({"bootstrap": broker.bootstrap}) + "\n")
        sys.stdout.flush()
        await stopping.wait()
        if die_with_stdin:
            loop.remove_reader(sys.stdin.fileno())


@contextlib.contextmanager
def spawn_broker(*, default_partitions: int = 4, auto_create: bool = True) -> Iterator[str]:
    """Run a broker in another process, which ends with the block or with this process, and yield its bootstrap string.

    Raises:
        RuntimeError: the process ended before it was ready.
    """
    options = ["--port", "0", "--die-with-stdin", "--default-partitions", str(default_partitions)]
    if not auto_create:
        options.append("--no-auto-create")
    command = [sys.executable, "-m", "streams.devbroker.process", *options]
    # S603: the command is made of this interpreter, this module and checked options.
    # A session of its own: Ctrl-C is for the parent, which still needs its broker to end in peace.
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield _announced_by(process)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT_S)
            process.kill()


def _announced_by(process: "subprocess.Popen[str]") -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError(f"the development broker ended with status {process.wait(_START_TIMEOUT_S)} before it was ready")
    return str(json.loads(line)["bootstrap"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a broker by command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="streams.devbroker", description="A Kafka broker in memory, for development.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9092, help="0: chosen by the operating system")
    parser.add_argument("--default-partitions", type=int, default=4)
    parser.add_argument("--no-auto-create", action="store_true", help="asking for a missing topic does not create it")
    parser.add_argument("--die-with-stdin", action="store_true", help="stop when standard input closes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    broker = DevBroker(options.host, options.port, options.default_partitions, not options.no_auto_create)
    asyncio.run(run(broker, die_with_stdin=options.die_with_stdin))
    return 0


if __name__ == "__main__":
    sys.exit(main())
