"""One run: cluster, workers, load, faults one after the other, the end, and what the oracle says."""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chaos.cluster import running_cluster, running_valkey
from chaos.comparison import Verdict
from chaos.drain import drain
from chaos.faults import RULES, Scene
from chaos.learning import verdict_on_models
from chaos.load import Load, Sent, reviewed_soon
from chaos.oracle import Found, expected_of, log_gaps, verdicts_on_detect, verdicts_on_ingest
from chaos.plan import Step
from chaos.profiles import verdict_on_profiles
from chaos.report import Report, stalls_of
from chaos.watch import Watch
from chaos.workers import Workers

from streams.model_store import STATE_KEY
from streams.rules_command import publish
from streams.settings import Settings, load_settings
from streams.topics import ensure_topics
from streams.wallclock import now_ms

_WARM_UP_S: Final = 60.0
_QUIET_S: Final = 3.0
_MATURE_S: Final = 30.0
"""Of the end of a run, in which no review would become an example any more."""


@dataclass(frozen=True)
class Options:
    """What may be chosen of a run."""

    seed: int
    rate: float
    """Source records a second."""
    customers: int
    folder: Path | None = None
    """Where the logs of workers stay; None: they go."""


async def run(plan: Sequence[Step], options: Options) -> Report:
    """Run a plan.

    Raises:
        KafkaUnavailable: no Java, or no Maven.
        NotDrainedError: something was not worked off at the end.
    """
    began_s = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="churnwatch-chaos-")))
        folder.mkdir(parents=True, exist_ok=True)
        cluster = await stack.enter_async_context(running_cluster())
        valkey = stack.enter_context(running_valkey())
        settings = _settings(cluster.bootstrap, valkey.url)
        await asyncio.to_thread(ensure_topics, settings)
        await asyncio.to_thread(publish, RULES, settings, "chaos")
        workers, watch = Workers(folder), Watch(settings)
        stack.push_async_callback(workers.kill_all)
        scene = Scene(settings, cluster, valkey, workers, folder)
        lasts_ms = int(1000 * (sum(step.lasts_s + step.pause_s for step in plan) + _MATURE_S))
        customers = reviewed_soon(options.customers, now_ms(), lasts_ms)
        load = Load(settings, rate=options.rate, seed=options.seed, customers=customers, alerts=watch.open_alerts)
        found = await _under_faults(scene, watch, load, plan)
        _say("the oracle reads")
        verdicts = await asyncio.to_thread(_judged, settings, load.sent, found, valkey.url)
        return _report(time.monotonic() - began_s, scene, watch, load.sent, found, verdicts)


async def _under_faults(scene: Scene, watch: Watch, load: Load, plan: Sequence[Step]) -> Found:
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch.run())
        scene.start_workers()
        supervising = tasks.create_task(scene.workers.supervise())
        loading = tasks.create_task(load.run())
        await _do_all(scene, watch, plan)
        load.stop()
        await loading
        _say("the load has ended; everything is worked off now")
        found = await drain(scene, watch)
        supervising.cancel()
        watching.cancel()
    return found


def _judged(settings: Settings, sent: Sent, found: Found, redis_url: str) -> list[Verdict]:
    expected = [
        expected_of(settings, partition, [row.value for row in found.of(settings, "events", partition)])
        for partition in range(settings.partitions)
    ]
    return [
        log_gaps(settings, found),
        *verdicts_on_ingest(settings, sent, found),
        *verdicts_on_detect(settings, expected, found),
        verdict_on_models(settings, found),
        verdict_on_profiles(settings, redis_url, found),
    ]


async def _do_all(scene: Scene, watch: Watch, plan: Sequence[Step]) -> None:
    if not await watch.until_all_partitions_commit(_WARM_UP_S):
        raise AssertionError(f"not every partition has committed something after {_WARM_UP_S:g} s")
    await asyncio.sleep(_QUIET_S)
    for number, step in enumerate(plan, start=1):
        _say(f"{number}/{len(plan)} {step.kind} {step.target}")
        await scene.do(step)
        await asyncio.sleep(step.pause_s)
    scene.ended_ms = now_ms()


def _settings(bootstrap: str, redis_url: str) -> Settings:
    return load_settings(
        bootstrap=bootstrap,
        prefix="chaos.",
        source_prefix="chaos-",
        sources=None,
        partitions=4,
        replication=3,
        redis_url=redis_url,
        metrics_port=0,
        clock="broker",
        tick_ms=500,
        heartbeat_ms=500,
        min_transaction_gap_ms=50,
        position_interval_ms=2_000,
        learn_snapshot_examples=20,
        learn_min_examples=40,
        learn_min_rarer_examples=5,
        session_timeout_s=6,
        log_level="info",
    )


def _report(seconds: float, scene: Scene, watch: Watch, sent: Sent, found: Found, verdicts: list[Verdict]) -> Report:
    settings, workers = scene.settings, scene.workers
    lines = workers.logged("partition.taken_over", "partition.lost", "partition.sought_back")
    events = Counter(fields["event"] for _, fields in lines)
    numbers = range(settings.partitions)
    return Report(
        seconds=seconds,
        source_records=len(sent.events) + len(sent.broken),
        not_acknowledged=sent.unknown,
        log_records=sum(len(found.of(settings, "events", number)) for number in numbers),
        alert_records=sum(len(found.of(settings, "alerts", number)) for number in numbers),
        examples=len(found.of(settings, "examples")),
        models=sum(row.key == STATE_KEY for row in found.of(settings, "models")),
        faults=dict(Counter(fault.kind for fault in scene.faults if fault.done)),
        spared=sum(not fault.done for fault in scene.faults),
        gave_up=scene.gave_up,
        ended=dict(Counter(name for name, _ in workers.ended)),
        reasons=dict(Counter(fields["reason"] for _, fields in workers.logged("worker.crashed", "worker.cannot_start"))),
        seeks_back=events["partition.sought_back"],
        lost_partitions=events["partition.lost"],
        take_overs=events["partition.taken_over"],
        stalls=stalls_of(scene.faults, scene.ended_ms, watch, workers),
        exits=workers.exits,
        verdicts=verdicts,
    )


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201 - progress
