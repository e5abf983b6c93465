"""Roles in one process: each an app with its own consumer group, started and stopped together."""

import asyncio
import contextlib
import importlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, cast

import structlog
from faust import App
from kafka.errors import KafkaError
from mode import Service

from streams.logs import configure_logging
from streams.metrics_server import serving
from streams.refusals import BrokerRefusedError
from streams.restore import LogGapError
from streams.rights import check_rights
from streams.settings import ROLES, Role, Settings, SettingsError
from streams.sources import SourcesError, load_sources
from streams.topics import TopicsError, check_topics

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1

# Imported when asked for: a process with the role `ingest` alone does not load River, for one.
_FACTORIES: Final[Mapping[Role, tuple[str, str]]] = {
    "ingest": ("streams.ingest", "make_ingest_app"),
    "detect": ("streams.detect", "make_detect_app"),
    "learn": ("streams.learn", "make_learn_app"),
    "clock": ("streams.clock", "make_clock_app"),
    "deliver": ("streams.deliver", "make_deliver_app"),
}

log = structlog.get_logger("churn.worker")


class Roles(Service):
    """The apps of a process. A crash of one is a crash of all: `wait_crashed` returns, `crash_reason` tells."""

    def __init__(self, apps: dict[Role, App]) -> None:
        super().__init__()
        self.apps = apps

    async def wait_crashed(self) -> None:
        """Return once a role has failed."""
        await self._crashed.wait()

    async def on_start(self) -> None:
        """Start all at once: each waits until its consumer group has given it partitions."""
        for app in self.apps.values():
            app.finalize()
            app.beacon.reattach(self.beacon)
        await asyncio.gather(*(app.maybe_start() for app in self.apps.values()))

    async def on_stop(self) -> None:
        """Stop all at once."""
        await asyncio.gather(*(app.stop() for app in self.apps.values()), return_exceptions=True)


@contextlib.asynccontextmanager
async def running_roles(settings: Settings, roles: Sequence[Role] = ROLES) -> AsyncIterator[Roles]:
    """Run roles in this loop for as long as the block lasts; they have their partitions when it begins.

    Raises:
        TopicsError: a topic is missing or different.
        SettingsError: the port of the metrics cannot be had.
        Exception: whatever made a role fail, when the block ends.
    """
    sources = [source.topic for source in load_sources(settings)]
    await asyncio.to_thread(check_rights, settings, roles, sources)
    await asyncio.to_thread(check_topics, settings, sources)
    running = Roles({role: _make_app(role, settings) for role in roles})
    async with serving(settings, running.apps):
        try:
            await running.start()
            yield running
        finally:
            await running.stop()
    if running.crash_reason is not None:
        raise running.crash_reason


def run_worker(settings: Settings, roles: Sequence[Role] = ROLES) -> int:
    """Run roles until SIGTERM or SIGINT; returns the exit status, 1 if something failed, which is logged."""
    configure_logging(settings.log_level)
    try:
        asyncio.run(_serve(settings, roles))
    except (TopicsError, SourcesError, SettingsError, BrokerRefusedError, LogGapError) as unfit:
        for fault in str(unfit).splitlines():
            log.error("worker.cannot_start", reason=fault)  # noqa: TRY400 - the sentence says it all
        return EXIT_FAILED
    except KafkaError as error:
        log.error("worker.cannot_start", bootstrap=settings.bootstrap, reason=str(error) or repr(error))  # noqa: TRY400
        return EXIT_FAILED
    except Exception:
        log.exception("worker.failed")
        return EXIT_FAILED
    return EXIT_OK


async def _serve(settings: Settings, roles: Sequence[Role]) -> None:
    loop, this = asyncio.get_running_loop(), cast("asyncio.Task[Any]", asyncio.current_task())
    for number in (signal.SIGTERM, signal.SIGINT):
        # As a cancellation, so that it also ends a start that waits for the broker.
        loop.add_signal_handler(number, this.cancel)
    try:
        async with running_roles(settings, roles) as running:
            log.info("worker.ready", roles=",".join(roles))
            await running.wait_crashed()
            log.error("worker.crashed", reason=repr(running.crash_reason))
    except asyncio.CancelledError:
        log.info("worker.stopped")


def _make_app(role: Role, settings: Settings) -> App:
    module, name = _FACTORIES[role]
    factory: Callable[[Settings], App] = getattr(importlib.import_module(module), name)
    return factory(settings)
