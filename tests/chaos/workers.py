"""Workers as an operator runs them: processes of the real command, started again when they end by themselves."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streams.settings import Role, Settings, variable

_COMMAND: Final = Path(sys.executable).with_name("churnwatch")
_RESTART_AFTER_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.2
_TRIES: Final = 25
_READY_WITHIN_S: Final = 60.0
_EXIT_WITHIN_S: Final = 20.0
_FIELD: Final = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


@dataclass(frozen=True)
class Exit:
    """How a worker ended after SIGTERM."""

    name: str
    seconds: float
    status: int


@dataclass
class Worker:
    """One place in the deployment: a name, its roles, and the process that runs there now."""

    name: str
    roles: Sequence[Role]
    settings: Settings
    folder: Path
    wanted: bool = True
    """Whether it is to run; if not, nobody starts it again."""
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.poll() is None

    @property
    def has_ended(self) -> bool:
        """Whether it is to run and does not."""
        return self.wanted and not self.is_running

    @property
    def log(self) -> Path:
        """Of the process that was started last."""
        return self.folder / f"{self.name}.{self.starts}.log"

    def start(self) -> None:
        """Start a process."""
        self.starts += 1
        values = {variable(name): str(value) for name, value in self.settings.model_dump().items() if value is not None}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CHURN_")} | values
        roles = [word for role in self.roles for word in ("--role", role)]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                ["nice", "-n", "5", str(_COMMAND), "worker", *roles],  # the brokers go first, as on machines of their own
                env=environment | {"TMPDIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if there is somebody to get it."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def kill(self) -> None:
        """End it as a crash does."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            await asyncio.to_thread(self.process.wait)

    async def terminate(self) -> Exit:
        """Ask it to end; killed when it does not."""
        assert self.process is not None
        began_s = time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            status = await asyncio.to_thread(self.process.wait, _EXIT_WITHIN_S)
        except subprocess.TimeoutExpired:
            await self.kill()
            status = self.process.returncode
        return Exit(self.name, time.monotonic() - began_s, status)

    async def until_running(self) -> bool:
        """Wait until somebody has started what ended by itself; false if nobody does."""
        for _ in range(_TRIES):
            if self.is_running:
                return True
            await asyncio.sleep(_LOOK_EVERY_S)
        return False

    async def until_ready(self) -> bool:
        """Wait until it has its partitions; false if it ended or took too long."""
        deadline_s = time.monotonic() + _READY_WITHIN_S
        while b"worker.ready" not in self.log.read_bytes():
            if not self.is_running or time.monotonic() > deadline_s:
                return False
            await asyncio.sleep(_LOOK_EVERY_S)
        return True


@dataclass
class Workers:
    """All places, by name."""

    folder: Path
    places: dict[str, Worker] = field(default_factory=dict)
    ended: list[tuple[str, int]] = field(default_factory=list)
    """Names and statuses of those that ended without being asked to."""
    exits: list[Exit] = field(default_factory=list)
    """What became of SIGTERM."""

    def add(self, name: str, roles: Sequence[Role], settings: Settings) -> Worker:
        """A new place, and a process in it."""
        before = self.places.get(name)
        worker = self.places[name] = Worker(name, tuple(roles), settings, self.folder, starts=before.starts if before else 0)
        worker.start()
        return worker

    async def retire(self, name: str) -> None:
        """Ask a worker to end, and start none in its place."""
        worker = self.places[name]
        worker.wanted = False
        await worker.until_ready()  # a process that only begins dies of the signal: nothing was stopped
        if worker.is_running:
            self.exits.append(await worker.terminate())

    async def supervise(self) -> None:
        """Start again what ended by itself, as any supervisor does, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for worker in [worker for worker in self.places.values() if worker.has_ended]:
                assert worker.process is not None
                self.ended.append((worker.name, worker.process.returncode))
                await asyncio.sleep(_RESTART_AFTER_S)
                if worker.has_ended:  # still: somebody may have sent it away meanwhile
                    worker.start()

    def with_role(self, role: Role) -> list[Worker]:
        """The workers that are to run and have a role."""
        return [worker for worker in self.places.values() if worker.wanted and role in worker.roles]

    async def kill_all(self) -> None:
        """Leave no process behind."""
        for worker in self.places.values():
            worker.wanted = False
            await worker.kill()

    def logged(self, *events: str) -> Iterator[tuple[str, dict[str, str]]]:
        """The fields of what all workers logged of some events, with the worker's name; each worker's in order."""
        for path in sorted(self.folder.glob("*.log"), key=lambda path: path.stat().st_mtime):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                fields = dict(_FIELD.findall(line))
                if fields.get("event") in events:
                    yield path.name.split(".")[0], fields
