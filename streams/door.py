"""The role `door`: webhooks over HTTP into source topics. It answers 202 when Kafka has acknowledged the record."""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from mode import Service

from sinks.routes import Routes
from streams.alert_pages import AlertPages
from streams.door_lane import Lane
from streams.door_limits import Space, TokenBucket
from streams.door_requests import UNKNOWN, Entrance, Refusal, accepted, take
from streams.door_signatures import Verifier, scheme_of
from streams.door_terms import DoorTerms
from streams.readiness import Obstacle
from streams.routes_file import routes_of
from streams.secret_values import SecretName, read_secrets
from streams.settings import Settings, SettingsError, variable
from streams.sources import Source, SourcesError, load_sources
from streams.tracing import tracing_of

_FINISH_WITHIN_S: Final = 2.0
"""For what was accepted when a stop begins; with what the producers take, it is less than a worker has for its stop."""
_CUT_OFF_S: Final = 1.25
"""aiohttp waits for so long, and as long again, before it cuts connections off: a little longer than the above."""
_TELL_AGAIN_S: Final = 60.0
_BACKLOG: Final = 1_024

PAGES: Final = "(alerts)"
"""In metrics: what links in messages lead to."""

Answer = Callable[[web.Request], Awaitable[web.Response]]

log = structlog.get_logger("churn.door")


@dataclass
class DoorCounters:
    """What the door has done since the process started; only ever added to."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By source and status of the answer."""
    taken_bytes: Counter[str] = field(default_factory=Counter)
    """Of bodies that were acknowledged, by source."""
    taken_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """From the headers of such a request to its acknowledgement, all of them together, by source."""


def make_door(settings: Settings) -> "Door":
    """The role `door`.

    Raises:
        SettingsError: it has no port.
        SourcesError: no source has a door, or its secrets are not there; the message has one line for each fault.
        RoutesFileError: the file of routes has faults.
    """
    if not settings.door_port:
        raise SettingsError(f"{variable('door_port')}=0: the role door needs a port to listen on")
    return Door(settings, load_sources(settings), routes_of(settings))


class Door(Service):
    """One entrance for each source with a section `door`: `POST /sources/TOPIC`; and what links in messages lead to."""

    def __init__(self, settings: Settings, sources: Sequence[Source], routes: Routes | None = None) -> None:
        super().__init__()
        self.counters = DoorCounters()
        self.space = Space(settings.door_max_bytes)
        self.port = 0
        """That it listens on; 0 while it does not."""
        self._settings = settings
        links = None if routes is None else routes.links
        self._pages = None if routes is None or links is None else AlertPages(settings, routes, links)
        self._entrances = _entrances(settings, sources, may_be_none=self._pages is not None)
        self._runner: web.AppRunner | None = None
        self._told_s: dict[tuple[str, int], float] = {}

    def obstacles(self) -> list[Obstacle]:
        """Why webhooks cannot be taken, as far as that is so."""
        found = [] if self.port else [Obstacle("door", "not_listening", "the door does not listen (yet, or any more)")]
        for topic, entrance in self._entrances.items():
            if (since_s := entrance.lane.failing_since_s) is not None and self.port:
                says = f"{topic} cannot be written: {entrance.lane.trouble}"
                found.append(Obstacle("door", "not_written", says, for_s=time.monotonic() - since_s))
        return found

    async def on_start(self) -> None:
        """Reach the topics, then listen: whoever can connect can be served."""
        await asyncio.gather(*(entrance.lane.open() for entrance in self._entrances.values()))
        for entrance in self._entrances.values():
            self.add_future(entrance.lane.run())
        runner = self._runner = self.runner()
        await runner.setup()
        settings = self._settings
        try:
            await web.TCPSite(runner, settings.door_host or None, settings.door_port, backlog=_BACKLOG).start()
        except OSError as error:
            where = f"{variable('door_host')}={settings.door_host}, {variable('door_port')}={settings.door_port}"
            raise SettingsError(f"{where}: it cannot be listened there: {error}") from None
        self.port = settings.door_port
        log.info("door.listens", port=self.port, sources=",".join(self._entrances))

    async def on_stop(self) -> None:
        """Accept nothing more, and finish what was accepted, or tell its senders that it is not."""
        self.port = 0
        if self._runner is not None:
            giving_up = asyncio.get_running_loop().call_later(_FINISH_WITHIN_S, self._refuse_the_rest)
            await self._runner.cleanup()
            giving_up.cancel()

    async def on_shutdown(self) -> None:
        """After the lanes have ended."""
        await asyncio.gather(*(entrance.lane.close() for entrance in self._entrances.values()))

    def _refuse_the_rest(self) -> None:
        for entrance in self._entrances.values():
            entrance.lane.refuse("the door is closing")

    def runner(self) -> web.AppRunner:
        """What answers requests; where it listens is another's to say."""
        application = web.Application()
        application.router.add_route("*", "/sources/{name}", self._counted(self._take))
        if self._pages is not None:
            application.router.add_get("/alerts/{token}", self._paged(self._pages.answer))
            application.router.add_post("/alerts/{token}", self._paged(self._pages.answer))
        application.router.add_route("*", "/{path:.*}", self._counted(_nowhere))
        return web.AppRunner(
            application,
            access_log=None,
            logger=_logger(),
            auto_decompress=False,
            shutdown_timeout=_CUT_OFF_S,
        )

    def _paged(
        self, answer: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def page(request: web.Request) -> web.Response:
            response = await answer(request)
            self.counters.requests[PAGES, response.status] += 1
            return response

        return page

    def _counted(self, handle: Callable[[web.Request], Awaitable[int]]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            name = request.match_info.get("name", "")
            source = name if name in self._entrances else UNKNOWN
            begin_s = time.monotonic()
            try:
                size_bytes = await handle(request)
            except Refusal as refusal:
                self.counters.requests[source, refusal.status] += 1
                self._tell(source, refusal)
                return refusal.response()
            except Exception:
                self.counters.requests[source, 500] += 1
                raise
            self.counters.taken_s[source] += time.monotonic() - begin_s
            self.counters.taken_bytes[source] += size_bytes
            self.counters.requests[source, 202] += 1
            return accepted()

        return answer

    async def _take(self, request: web.Request) -> int:
        entrance = self._entrances.get(request.match_info["name"])
        if entrance is None:
            raise Refusal(404, "there is no such source, or it has no door")
        if request.method != "POST":
            raise Refusal(405, f"{request.method} is not known here: POST is")
        return await take(request, entrance, self.space)

    def _tell(self, source: str, refusal: Refusal) -> None:
        """A wrong secret or a limit that is too low is for us to mend; how often it happens is in the metrics."""
        now_s, key = time.monotonic(), (source, refusal.status)
        if source != UNKNOWN and now_s >= self._told_s.get(key, now_s):
            self._told_s[key] = now_s + _TELL_AGAIN_S
            log.warning("door.refused", source=source, status=refusal.status, reason=str(refusal))


async def _nowhere(_request: web.Request) -> int:
    raise Refusal(404, "webhooks go to /sources/TOPIC")


def _entrances(settings: Settings, sources: Sequence[Source], *, may_be_none: bool) -> dict[str, Entrance]:
    faults: list[str] = []
    found: dict[str, Entrance] = {}
    for source in sources:
        if source.door is None:
            continue
        try:
            found[source.topic] = _entrance(settings, source.topic, source.door)
        except ValueError as error:
            faults.append(f"the door of {source.topic}: {error}")
    if not found and not faults and not may_be_none:
        faults.append(
            f"no source has a door: give one a section `door` in the file that {variable('sources')} names; "
            f"or `links` in that of {variable('routes')}"
        )
    if faults:
        raise SourcesError("\n".join(faults))
    return found


def _entrance(settings: Settings, topic: str, terms: DoorTerms) -> Entrance:
    if terms.signature == "none":
        log.warning("door.unsigned", source=topic, consequence="whoever reaches the port can write to it")
    scheme = scheme_of(terms)
    return Entrance(
        terms=terms,
        verifier=Verifier(terms, secrets_of(terms)),
        kept=tuple(name.lower() for name in (*(scheme.goes_along if scheme else ()), *terms.headers)),
        bucket=TokenBucket(terms.rate_per_s, time.monotonic()),
        lane=Lane(settings, topic),
        tracing=tracing_of(settings),
    )


def secrets_of(terms: DoorTerms) -> list[str]:
    """The secrets of a source, one a line; none if it wants no signature.

    Raises:
        SecretError: there are none, or their file cannot be read.
    """
    if terms.signature == "none":
        return []
    stands_in = SecretName("file", str(terms.secret_file)) if terms.secret_file else SecretName("env", terms.secret_env)
    return [secret.reveal() for secret in read_secrets(stands_in)]


def _logger() -> logging.Logger:
    """Anybody can send what is no HTTP: it is answered 400, and fills no log."""
    logger = logging.getLogger("churn.door.http")
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
