"""Roles in one process: apps with consumer groups of their own, and the door; started and stopped together."""

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, cast

import structlog
from faust import App
from kafka.errors import KafkaError
from mode import Service

from streams.garbage import look_seldom
from streams.kafka_trouble import trouble
from streams.logs import configure_logging
from streams.metrics_server import serving
from streams.refusals import BrokerRefusedError
from streams.restore import LogGapError
from streams.rights import check_rights
from streams.routes_file import RoutesFileError
from streams.settings import Role, Settings, SettingsError, variable
from streams.sources import SourcesError, load_sources
from streams.topics import TopicsError, check_topics
from streams.tracing import tracing_of

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1

STOP_WITHIN_S: Final = 4.5
"""Longest that a worker takes from a signal, or a failure, to its end; whoever watches it may count on 5 s."""

# Imported when asked for: a process with the role `ingest` alone does not load River, for one.
_FACTORIES: Final[Mapping[str, tuple[str, str]]] = {
    "ingest": ("streams.ingest", "make_ingest_app"),
    "detect": ("streams.detect", "make_detect_app"),
    "learn": ("streams.learn", "make_learn_app"),
    "clock": ("streams.clock", "make_clock_app"),
    "deliver-redis": ("streams.deliver", "make_redis_app"),
    "deliver-archive": ("streams.deliver", "make_archive_app"),
    "deliver-dispatch": ("streams.dispatch", "make_dispatch_app"),
    "door": ("streams.door", "make_door"),
}

log = structlog.get_logger("churn.worker")


class Roles(Service):
    """What runs in a process, by role, or by the part of a role that has a group of its own.

    A crash of one is a crash of all: `wait_crashed` returns, `crash_reason` tells.
    """

    def __init__(self, services: dict[str, Service]) -> None:
        super().__init__()
        self.services = services

    @property
    def apps(self) -> dict[str, App]:
        """Those that are members of a consumer group."""
        return {part: service for part, service in self.services.items() if isinstance(service, App)}

    async def wait_crashed(self) -> None:
        """Return once a role has failed."""
        await self._crashed.wait()

    async def on_start(self) -> None:
        """Start all at once: each waits until its consumer group has given it partitions."""
        for app in self.apps.values():
            app.finalize()
        for service in self.services.values():
            service.beacon.reattach(self.beacon)
        await asyncio.gather(*(service.maybe_start() for service in self.services.values()))

    async def on_stop(self) -> None:
        """Stop all at once."""
        await asyncio.gather(*(service.stop() for service in self.services.values()), return_exceptions=True)


class StopLimit:
    """Ends the process when its stop takes too long, whatever it hangs on: a thread of its own asks nobody.

    Nothing is lost by it: what was not committed is done again by whoever takes over.
    """

    def __init__(self, limit_s: float = STOP_WITHIN_S) -> None:
        self._limit_s = limit_s
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """The stop begins now; later calls change nothing."""
        if self._timer is None:
            self._timer = threading.Timer(self._limit_s, self._cut_short)
            self._timer.daemon = True
            self._timer.start()

    def _cut_short(self) -> None:
        log.error(
            "worker.stop_cut_short", after_ms=int(self._limit_s * 1000), consequence="what was not committed is done again"
        )
        _end_process(EXIT_FAILED)


@contextlib.asynccontextmanager
async def running_roles(
    settings: Settings, roles: Sequence[Role], on_stop: Callable[[], None] = lambda: None
) -> AsyncIterator[Roles]:
    """Run roles in this loop for as long as the block lasts; they have their partitions when it begins.

    Args:
        settings: of the installation.
        roles: to run.
        on_stop: called before they are stopped, for whatever reason.

    Raises:
        TopicsError: a topic is missing or different.
        SettingsError: the port of the metrics cannot be had, or spans are wanted and cannot be made.
        Exception: whatever made a role fail, when the block ends.
    """
    tracing, sources = tracing_of(settings), load_sources(settings)
    await asyncio.to_thread(check_rights, settings, roles, sources)
    if "deliver" in roles and not settings.parts("deliver"):
        remedy = f"set {variable('redis_url')}, {variable('archive')} or {variable('routes')}"
        log.warning("deliver.no_sink", consequence="nobody is told, nothing is kept", remedy=remedy)
    await asyncio.to_thread(check_topics, settings, [source.topic for source in sources])
    running = Roles({part: _make(part, settings) for role in roles for part in settings.parts(role)})
    async with serving(settings, running.services):
        try:
            await running.start()
            yield running
        finally:
            on_stop()
            await running.stop()
            await tracing.flush()
    if running.crash_reason is not None:
        raise running.crash_reason


def run_worker(settings: Settings, roles: Sequence[Role] = ()) -> NoReturn:
    """Run roles until SIGTERM or SIGINT, and end the process: status 1 if something failed, which is logged.

    Args:
        settings: of the installation.
        roles: to run; the usual ones if none is named.
    """
    look_seldom()
    configure_logging(settings.log_level, settings.log_format)
    _end_process(_run(settings, roles or settings.usual_roles()))


def _run(settings: Settings, roles: Sequence[Role]) -> int:
    try:
        asyncio.run(_serve(settings, roles, StopLimit()))
    except (TopicsError, SourcesError, SettingsError, RoutesFileError, BrokerRefusedError, LogGapError) as unfit:
        for fault in str(unfit).splitlines():
            log.error("worker.cannot_start", reason=fault)  # noqa: TRY400 - the sentence says it all
        return EXIT_FAILED
    except KafkaError as error:
        said = str(error) or repr(error)
        reason = trouble(settings) if "Unable to bootstrap" in said else said
        log.error("worker.cannot_start", bootstrap=settings.bootstrap, reason=reason)  # noqa: TRY400
        return EXIT_FAILED
    except Exception:
        log.exception("worker.failed")
        return EXIT_FAILED
    return EXIT_OK


async def _serve(settings: Settings, roles: Sequence[Role], limit: StopLimit) -> None:
    loop, this = asyncio.get_running_loop(), cast("asyncio.Task[Any]", asyncio.current_task())

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: None)  # one is enough: a second would cut the stop itself short
        limit.begin()
        this.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        # As a cancellation, so that it also ends a start that waits for the broker.
        loop.add_signal_handler(number, stop)
    try:
        async with running_roles(settings, roles, limit.begin) as running:
            log.info("worker.ready", roles=",".join(roles))
            await running.wait_crashed()
            log.error("worker.crashed", reason=repr(running.crash_reason))
    except asyncio.CancelledError:
        log.info("worker.stopped")


def _end_process(status: int) -> NoReturn:
    """At once: Python would first wait for its threads, and take a second or more to free what the process held."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


def _make(part: str, settings: Settings) -> Service:
    module, name = _FACTORIES[part]
    factory: Callable[[Settings], Service] = getattr(importlib.import_module(module), name)
    return factory(settings)
