"""Faults as they are done: to workers, brokers, the network and Redis; and the changes that an operator makes meanwhile."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from chaos.cluster import SIDES, Cluster, Valkey
from chaos.plan import DETECT, INGEST, JOINED, SPARE, SPLIT, Kind, Step
from chaos.workers import Worker, Workers

from streams.rules_command import publish
from streams.settings import Role, Settings
from streams.wallclock import now_ms

RULES: Final = Path(__file__).with_name("rules.yaml")
ROLES_OF: Final[dict[str, tuple[Role, ...]]] = {
    **dict.fromkeys((*DETECT, SPARE), ("detect",)),
    **dict.fromkeys(INGEST, ("ingest",)),
    JOINED: ("clock", "learn", "deliver"),
    "clock-1": ("clock",),
    "learn-1": ("learn",),
    "deliver-1": ("deliver",),
}
_SIDE_OF: Final = {name: SIDES[number % 2] for number, name in enumerate((*DETECT, *INGEST, JOINED, SPARE, *SPLIT))}


@dataclass(frozen=True)
class Fault:
    """A fault that was done; times are in milliseconds since the epoch."""

    kind: Kind
    target: str
    began_ms: int
    ended_ms: int
    """What was taken away is back, or was told to come back."""
    done: bool
    """False: there was nobody to do it to."""


@dataclass
class Scene:
    """Everything that faults are done to."""

    settings: Settings
    cluster: Cluster
    valkey: Valkey
    workers: Workers
    folder: Path
    faults: list[Fault] = field(default_factory=list)
    gave_up: int = 0
    """Brokers that ended by themselves on a full disk."""
    ended_ms: int = 0
    """When the last fault and the time after it were over."""
    _published: int = 1

    def start_workers(self) -> None:
        """Two of what can be split by partitions, one of the rest."""
        for name in (*DETECT, *INGEST, JOINED):
            self.start(name)

    def start(self, name: str) -> Worker:
        """Start a worker at its place in the network."""
        settings = self.settings.model_copy(update={"bootstrap": self.cluster.bootstrap_of(_SIDE_OF[name])})
        return self.workers.add(name, ROLES_OF[name], settings)

    async def do(self, step: Step) -> Fault:
        """Do a fault, and undo it."""
        began_ms = now_ms()
        done = await self._do(step)
        fault = Fault(step.kind, step.target, began_ms, now_ms(), done)
        self.faults.append(fault)
        return fault

    async def _do(self, step: Step) -> bool:
        match step.kind:
            case "kill" | "zombie":
                worker = self.workers.places[step.target]
                if not await worker.until_running():
                    return False
                await (self._kill(worker, step.lasts_s) if step.kind == "kill" else _stop_for(worker, step.lasts_s))
            case "broker kill":
                self.cluster.kill(int(step.target))
                await asyncio.sleep(step.lasts_s)
                await self.cluster.restart(int(step.target))
            case "disk full":
                self.gave_up += await self.cluster.fill_disk(int(step.target))
                await asyncio.sleep(step.lasts_s)
                await self.cluster.restart(int(step.target))
            case "side silent" | "side reset" | "broker cut":
                self._cut(step)
                await asyncio.sleep(step.lasts_s)
                self.cluster.mend()
            case "redis gone":
                self.valkey.stop()
                await asyncio.sleep(step.lasts_s)
                await asyncio.to_thread(self.valkey.start)
            case "new rules":
                await self._publish_next()
            case "roll" | "one more" | "one fewer" | "split" | "join":
                await self._change(step.kind)
        return True

    async def _kill(self, worker: Worker, away_s: float) -> None:
        worker.wanted = False
        await worker.kill()
        await asyncio.sleep(away_s)
        worker.wanted = True
        worker.start()

    def _cut(self, step: Step) -> None:
        if step.kind == "broker cut":
            self.cluster.cut("silence", number=int(step.target))
        else:
            self.cluster.cut("silence" if step.kind == "side silent" else "reset", side=step.target)

    async def _change(self, kind: Literal["roll", "one more", "one fewer", "split", "join"]) -> None:
        """What an operator does: new processes before old ones are told to end, but for those that are exchanged."""
        match kind:
            case "roll":
                for name in [worker.name for worker in self.workers.places.values() if worker.wanted]:
                    await self.workers.retire(name)
                    await self._started([name])
            case "one more":
                await self._started([SPARE])
            case "one fewer":
                await self.workers.retire(SPARE)
            case "split":
                await self._started(SPLIT)
                await self.workers.retire(JOINED)
            case "join":
                await self._started([JOINED])
                for name in SPLIT:
                    await self.workers.retire(name)

    async def _started(self, names: Sequence[str]) -> None:
        started = [self.start(name) for name in names]
        await asyncio.gather(*(worker.until_ready() for worker in started))

    async def _publish_next(self) -> None:
        """The same rules with other durations and one rule less or more, as a new version of the document and of each rule."""
        self._published += 1
        text = RULES.read_text(encoding="utf-8").replace("version: chaos-1", f"version: chaos-{self._published}")
        text = text.replace("for: PT12S", f"for: PT{12 - self._published % 4}S")
        if self._published % 2 == 0:
            text = "\n".join(line for line in text.splitlines() if "id: no-answer" not in line) + "\n"
        path = self.folder / f"rules-{self._published}.yaml"
        path.write_text(text, encoding="utf-8")
        await asyncio.to_thread(publish, path, self.settings, "chaos")


async def _stop_for(worker: Worker, seconds: float) -> None:
    """A process that does not run for longer than its session, and then goes on as if nothing had been."""
    worker.signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    worker.signal(signal.SIGCONT)
