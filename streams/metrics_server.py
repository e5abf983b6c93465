"""The port of a worker: `/metrics` for Prometheus, `/readyz` and `/healthz` for whoever supervises it, `/version`."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from mode import Service
from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app

from streams.metrics import RoleCollector
from streams.readiness import readiness
from streams.settings import Settings, SettingsError, variable
from streams.version import version_json

_LOOP_ANSWERS_WITHIN_S: Final = 5.0

Page = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    """A slow scrape does not keep a probe waiting."""

    daemon_threads = True


class _Silent(WSGIRequestHandler):
    """Probes come every few seconds: they are not logged."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as in the base class
        pass


@contextlib.asynccontextmanager
async def serving(settings: Settings, services: Mapping[str, Service]) -> AsyncIterator[int]:
    """Serve the port for as long as the block lasts; yields its number, 0 if the settings want none.

    Raises:
        SettingsError: the port cannot be had.
    """
    if not settings.metrics_port:
        yield 0
        return
    try:
        server = make_server("", settings.metrics_port, _pages(services, asyncio.get_running_loop()), _Server, _Silent)
    except OSError as error:
        raise SettingsError(f"{variable('metrics_port')}={settings.metrics_port}: the port cannot be had: {error}") from None
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        await asyncio.to_thread(server.shutdown)  # in a thread, since a scrape may be waiting for this loop
        server.server_close()
        thread.join()


def _pages(services: Mapping[str, Service], loop: asyncio.AbstractEventLoop) -> Page:
    registry = CollectorRegistry()
    registry.register(RoleCollector(services, loop))
    ProcessCollector(registry=registry)
    pages: dict[str, Page] = {
        "/metrics": make_wsgi_app(registry),
        "/readyz": lambda _request, respond: _answer(respond, *readiness(services)),
        "/version": lambda _request, respond: _answer(respond, True, version_json()),
        "/healthz": lambda _request, respond: _answer(respond, *_health(loop)),
    }

    def page(request: WSGIEnvironment, respond: StartResponse) -> Iterable[bytes]:
        wanted = pages.get(request["PATH_INFO"])
        if wanted is None:
            respond("404 Not Found", [("Content-Type", "text/plain")])
            return [f"there is {', '.join(pages)}\n".encode()]
        return wanted(request, respond)

    return page


def _answer(respond: StartResponse, good: bool, body: bytes) -> list[bytes]:  # noqa: FBT001 - of two functions alike
    respond("200 OK" if good else "503 Service Unavailable", [("Content-Type", "application/json")])
    return [body]


def _health(loop: asyncio.AbstractEventLoop) -> tuple[bool, bytes]:
    """Whether the loop that does all the work still turns: a worker that waits for its broker is healthy."""
    asked = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop)
    try:
        asked.result(_LOOP_ANSWERS_WITHIN_S)
    except TimeoutError:
        asked.cancel()
        return False, b'{"healthy":false,"says":"the event loop has not turned for 5 seconds"}'
    return True, b'{"healthy":true}'
