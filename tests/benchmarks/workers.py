"""Workers as processes of their own: what they say at their metrics, what they use, how fast they catch up."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from benchmarks.machine import children, cpu_s

from streams.settings import Role, Settings, variable

DETECTED: Final = "churn_detect_records_total"
_POSITION: Final = "churn_position_offset"
_SAMPLE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_UP_WITHIN_S: Final = 60.0
_ANSWERS_WITHIN_S: Final = 30.0
_DOWN_WITHIN_S: Final = 20.0
_ASK_EVERY_S: Final = 0.05
_LOOK_EVERY_S: Final = 0.25
_LOOK_AGAIN_S: Final = 0.02
_STALLED_AFTER_S: Final = 120.0


class WorkerFailed(RuntimeError):  # noqa: N818 - what happened to it
    """A worker ended, or did not come on; the message ends with its log."""


@dataclass
class Worker:
    """A running `churnwatch worker`."""

    process: "subprocess.Popen[bytes]"
    metrics_port: int
    log_path: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything that it has logged."""
        return self.log_path.read_text(encoding="utf-8")

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Labels and values of each metric, as they are now.

        Raises:
            WorkerFailed: it has ended, or does not answer for long.
        """
        deadline_s = time.monotonic() + _ANSWERS_WITHIN_S
        while True:
            try:
                return self.ask()
            except OSError as error:  # a loaded machine is not an ended worker
                self.check()
                if time.monotonic() > deadline_s:
                    raise WorkerFailed(f"{error!r}:\n{self.log[-4000:]}") from error
                time.sleep(_ASK_EVERY_S)

    def ask(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """The same, asked once.

        Raises:
            OSError: it does not answer (yet).
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            return parsed(answer.read().decode())

    def total(self, metric: str) -> float:
        """A metric, all its labels together."""
        return sum(value for _, value in self.metrics().get(metric, []))

    def partitions(self, role: Role) -> set[int]:
        """Of the topics that a role reads here."""
        positions = self.metrics().get(_POSITION, [])
        return {int(labels["partition"]) for labels, _ in positions if labels["role"] == role}

    def check(self) -> None:
        """Raise `WorkerFailed` if it has ended."""
        if self.process.poll() is not None:
            raise WorkerFailed(f"the worker ended with status {self.process.returncode}:\n{self.log[-4000:]}")

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, and wait until it is gone."""
        self.process.send_signal(number)
        self.process.wait(_DOWN_WITHIN_S)


@contextlib.contextmanager
def worker(settings: Settings, *roles: Role, launcher: Sequence[str] = ()) -> Iterator[Worker]:
    """A worker that serves its metrics, ended with the block.

    Args:
        settings: handed to it as environment.
        roles: of the worker.
        launcher: command that starts the command of the worker, like a profiler.
    """
    port = free_port()
    chosen = settings.model_dump(exclude_defaults=True) | {"metrics_port": port}
    environment = {**os.environ, **{variable(name): str(value) for name, value in chosen.items()}}
    command = [*launcher, sys.executable, "-m", "streams.cli", "worker", *(part for role in roles for part in ("--role", role))]
    with tempfile.TemporaryDirectory(prefix="churnwatch-bench-") as folder:
        path = Path(folder) / "worker.log"
        with path.open("wb") as log, _started(command, environment, log) as process:
            made = Worker(process, port, path)
            until(lambda: _answers(made), _UP_WITHIN_S, made)
            yield made


@contextlib.contextmanager
def _started(command: list[str], environment: dict[str, str], log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=log) as process:
        try:
            yield process
        finally:
            for child in children(process.pid):  # of a profiler; it would outlive it
                os.kill(child, signal.SIGTERM)
            process.terminate()
            try:
                process.wait(_DOWN_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(made: Worker) -> bool:
    try:
        return bool(made.ask())
    except OSError:
        return False


def until(condition: Callable[[], bool], patience_s: float, *workers: Worker) -> None:
    """Wait for a condition.

    Raises:
        WorkerFailed: one of the workers ended, or patience did.
    """
    deadline_s = time.monotonic() + patience_s
    while not condition():
        for one in workers:
            one.check()
        if time.monotonic() > deadline_s:
            raise WorkerFailed(f"not within {patience_s:g} s:\n" + "\n".join(one.log[-2000:] for one in workers))
        time.sleep(_ASK_EVERY_S)


def parsed(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """The samples of a Prometheus page.

    >>> parsed('# HELP a b\\na{x="1",y="p.q"} 2.0\\na{x="2"} 3\\n')
    {'a': [({'x': '1', 'y': 'p.q'}, 2.0), ({'x': '2'}, 3.0)]}
    """
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for line in text.splitlines():
        sample = _SAMPLE.match(line)
        if sample is not None:
            name, labels, value = sample.groups()
            found.setdefault(name, []).append((dict(_LABEL.findall(labels or "")), float(value)))
    return found


@dataclass(frozen=True)
class Moment:
    """How far the workers were, and what had been used, at one time."""

    at_s: float
    records: float
    cpu_s: float
    broker_cpu_s: float


@dataclass(frozen=True)
class Pace:
    """How fast records were worked off, and what one of them cost."""

    per_s: float
    cpu_us: float
    broker_cpu_us: float


def pace(moments: Sequence[Moment]) -> Pace:
    """Between the first moment with records and the first with all of them: start-up is not in it.

    >>> pace([Moment(1, 0, 5, 0), Moment(2, 100, 6, 1), Moment(3, 300, 6.5, 2), Moment(4, 300, 6.6, 2)])
    Pace(per_s=200.0, cpu_us=2500.0, broker_cpu_us=5000.0)

    Raises:
        WorkerFailed: there was nothing between the two.
    """
    first = next(moment for moment in moments if moment.records)
    last = next(moment for moment in moments if moment.records >= moments[-1].records)
    records = last.records - first.records
    if not records:
        raise WorkerFailed("all records were worked off before the first look: more are needed to measure anything")
    return Pace(
        records / (last.at_s - first.at_s),
        (last.cpu_s - first.cpu_s) / records * 1e6,
        (last.broker_cpu_s - first.broker_cpu_s) / records * 1e6,
    )


def caught_up(workers: Sequence[Worker], records: int, metric: str = DETECTED) -> Pace:
    """Wait until a metric has counted so many records; by default those of the log that are committed.

    Raises:
        WorkerFailed: one of the workers ended, or none came on for long.
    """
    kafka = [pid for pid, name in children(os.getpid()).items() if name == "java"]
    moments: list[Moment] = []
    came_on_s = time.monotonic()
    while not moments or moments[-1].records < records:
        for one in workers:
            one.check()
        moments.append(
            Moment(
                time.monotonic(),
                sum(one.total(metric) for one in workers),
                sum(cpu_s(one.pid) for one in workers),
                sum(cpu_s(pid) for pid in kafka),
            )
        )
        if len(moments) == 1 or moments[-1].records > moments[-2].records:
            came_on_s = time.monotonic()
        elif time.monotonic() - came_on_s > _STALLED_AFTER_S:
            raise WorkerFailed(f"stalled at {moments[-1].records:.0f} of {records} records:\n{workers[0].log[-4000:]}")
        time.sleep(_pause_s(moments, records))
    return pace(moments)


def _pause_s(moments: Sequence[Moment], records: int) -> float:
    """Until the next look: half of the time that is left at this rate, so that the end is met closely by few looks.

    A look costs the worker milliseconds, which would be part of what is measured.
    """
    first, last = next((moment for moment in moments if moment.records), moments[-1]), moments[-1]
    done, took_s = last.records - first.records, last.at_s - first.at_s
    left_s = (records - last.records) * took_s / done if done else _LOOK_EVERY_S
    return min(_LOOK_EVERY_S, max(_LOOK_AGAIN_S, left_s / 2))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
