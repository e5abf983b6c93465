"""Workers and brokers as processes of their own, which a test may stop and kill."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detect_log import until

from streams.settings import Settings, variable

# A broker that does not answer would keep the stock consumers for minutes, and nothing would ever end the stock worker.
ENDS_WITHIN_S = 30
WORKER = """
import sys
from streams.settings import load_settings
from streams.worker import run_worker
run_worker(load_settings(), sys.argv[1:])
"""


class Worker:
    """A worker process, and what it says."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def said(self) -> str:
        return self._output.read_text(encoding="utf-8")

    async def ready(self) -> None:
        await until(lambda: "worker.ready" in self.said and self.said.count("partition.taken_over") == 2)

    def stop(self) -> int:
        """The exit status, after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(ENDS_WITHIN_S)


@contextmanager
def worker(settings: Settings, output: Path, *roles: str) -> Iterator[Worker]:
    chosen = settings.model_dump(exclude_defaults=True)
    environment = {**os.environ, **{variable(name): str(value) for name, value in chosen.items()}}
    command = [sys.executable, "-c", WORKER, *(roles or ("ingest", "detect"))]
    with output.open("wb") as stderr, subprocess.Popen(command, env=environment, stderr=stderr) as process:
        try:
            yield Worker(process, output)
        finally:
            process.kill()


@contextmanager
def broker_process() -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A development broker that the test may stop and kill."""
    command = [sys.executable, "-m", "streams.devbroker.process", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["bootstrap"]
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
