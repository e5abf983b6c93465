"""One run: a worker that stands ready, a backlog, and the time until a reader of committed records sees its last alert."""

import contextlib
import secrets
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from benchmarks.machine import cpu_s
from benchmarks.mix import Line
from benchmarks.peers.feed import BEGINS_MS, PARTITIONS, Alert, Feed
from benchmarks.peers.tools import Choice, Churnwatch, Tool, environment
from benchmarks.topics_filled import fill
from benchmarks.workers import WorkerFailed
from kafka.admin import KafkaAdminClient

from schemas.codec import encode
from schemas.control import RulesPublished
from streams.rules_file import load_rules
from streams.settings import load_settings
from streams.topics import ensure_topics

_READY_TIMEOUT_S: Final = 120.0
_WORK_TIMEOUT_S: Final = 180.0
_STOP_TIMEOUT_S: Final = 15.0
_SETTLE_S: Final = 1.0
_POLL_MS: Final = 100
_RULES: Final = Path(__file__).parent / "rules.yaml"


class WrongOutput(AssertionError):  # noqa: N818 - what a run is found to have
    """A tool did not do the job: its alerts are not those that the feed leads to."""


@dataclass(frozen=True)
class Measured:
    """What one run cost."""

    events: int
    wall_s: float
    cpu_s: float

    @property
    def events_per_s(self) -> float:
        return self.events / self.wall_s

    @property
    def cpu_us_per_event(self) -> float:
        return self.cpu_s / self.events * 1e6


async def measure(tool: Tool, choice: Choice, feed: Feed, bootstrap: str) -> Measured:
    """Run a tool over a feed once, on topics of its own.

    The worker starts with the warm-up alone. Once that is done it is stopped (SIGSTOP) while the rest is written, so
    that the whole backlog is there when it goes on, which is when the clock starts: neither a start, nor a consumer
    group that forms, nor our writing is in the figure. The clock stops when a reader of committed records has seen the
    last alert of every partition, to which the last record of the partition leads. What a tool commits together, state
    and offsets, is committed by then.

    Raises:
        WrongOutput: not exactly the alerts that the feed leads to.
        WorkerFailed: the worker ended by itself, or was not done in time; with the end of what it printed.
    """
    run = f"peers-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="churnwatch-peers-") as name, _topics(tool, run, bootstrap):
        directory = Path(name)
        await fill(bootstrap, {f"{run}.events": _before(tool)})
        await fill(bootstrap, {f"{run}.events": feed.warm_up})
        told = environment(choice, run=run, bootstrap=bootstrap, directory=directory)
        with _started(tool, told, directory / "output") as worker:
            async with _reading(bootstrap, f"{run}.alerts") as reader:
                await reader.until(feed.warm_ends, worker, _READY_TIMEOUT_S)
                worker.send(signal.SIGSTOP)
                await fill(bootstrap, {f"{run}.events": feed.measured})
                cpu_s, began_s = worker.cpu_s(), time.perf_counter()
                worker.send(signal.SIGCONT)
                await reader.until(feed.ends, worker, _WORK_TIMEOUT_S)
                took = Measured(feed.events, time.perf_counter() - began_s, worker.cpu_s() - cpu_s)
                await reader.read_on(_SETTLE_S)
                _check(tool, reader.alerts(), feed.alerts)
    return took


class Worker:
    """The process of a tool."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self._process = process
        self._output = output

    def send(self, number: signal.Signals) -> None:
        """A signal; nothing if it has ended."""
        self._process.send_signal(number)

    def cpu_s(self) -> float:
        """Processor time of all of its threads, user and system."""
        return cpu_s(self._process.pid)

    def check(self, deadline_s: float) -> None:
        """Raise `WorkerFailed` if it has ended, or if it is too late."""
        late = time.perf_counter() > deadline_s
        if late or self._process.poll() is not None:
            what = "is not done in time" if late else f"ended with status {self._process.returncode}"
            raise WorkerFailed(f"the worker {what}:\n{self._output.read_text(errors='replace')[-4000:]}")


@contextlib.contextmanager
def _started(tool: Tool, told: dict[str, str], output: Path) -> Iterator[Worker]:
    with (
        output.open("wb") as log,
        subprocess.Popen(tool.command(), env=told, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
    ):
        try:
            yield Worker(process, output)
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


class AlertReader:
    """Reads committed alerts."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._records: list[Any] = []
        self._seen: set[str] = set()

    async def until(self, customers: frozenset[str], worker: Worker, timeout_s: float) -> None:
        """Read until each of them has an alert."""
        deadline_s = time.perf_counter() + timeout_s
        ends = {b'"%s"' % customer.encode(): customer for customer in customers}
        while not customers <= self._seen:
            for record in await self._poll():
                self._seen.update(customer for quoted, customer in ends.items() if quoted in record.value)
            worker.check(deadline_s)

    async def read_on(self, for_s: float) -> None:
        """Read what comes, although nothing should."""
        until_s = time.perf_counter() + for_s
        while time.perf_counter() < until_s:
            await self._poll()

    def alerts(self) -> Counter[Alert]:
        """What was read."""
        found: Counter[Alert] = Counter()
        for record in self._records:
            alert = orjson.loads(record.value)
            evidence = (one if isinstance(one, str) else one["id"] for one in alert["evidence"])
            found[alert["customer_id"], alert["at_ms"], tuple(evidence)] += alert["state"] == "opened"
        return found

    async def _poll(self) -> list[Any]:
        fetched = [record for some in (await self._consumer.getmany(timeout_ms=_POLL_MS)).values() for record in some]
        self._records += fetched
        return fetched


@contextlib.asynccontextmanager
async def _reading(bootstrap: str, topic: str) -> AsyncIterator[AlertReader]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest", enable_auto_commit=False
    )
    async with consumer:
        consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
        yield AlertReader(consumer)


@contextlib.contextmanager
def _topics(tool: Tool, run: str, bootstrap: str) -> Iterator[None]:
    """The topics of a run, and those that the tool makes itself, gone afterwards."""
    admin = KafkaAdminClient(bootstrap_servers=[bootstrap])
    try:
        if isinstance(tool, Churnwatch):
            ensure_topics(load_settings(bootstrap=bootstrap, prefix=f"{run}.", source_prefix=f"{run}-", partitions=PARTITIONS))
        else:
            made = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": {"retention.ms": "-1"}}
            admin.create_topics({f"{run}.{name}": made for name in ("events", "alerts")}, wait_for_metadata=True)
        yield
    finally:
        admin.delete_topics([name for name in admin.list_topics() if run in name])
        admin.close()


def _before(tool: Tool) -> list[list[Line]]:
    """What stands in each partition before the first event: for churnwatch the rules, as the clock writes them there."""
    if not isinstance(tool, Churnwatch):
        return []
    rules = load_rules(_RULES)
    record = RulesPublished(at_ms=BEGINS_MS, version=rules.version, revision=1, document=rules)
    return [[(b"rules", encode(record))] for _ in range(PARTITIONS)]


def _check(tool: Tool, found: Counter[Alert], expected: Counter[Alert]) -> None:
    if found == expected:
        return
    missing, surplus = expected - found, found - expected
    some = [*missing.keys(), *surplus.keys()][:3]
    raise WrongOutput(f"{tool.name}: {missing.total()} alerts missing, {surplus.total()} too many, like {some}")
