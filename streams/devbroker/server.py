"""The development broker: connections, frames, and the clock tick that groups and transactions live by."""

import asyncio
import contextlib
import logging
import secrets
import struct
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

from kafka.protocol.api_header import RequestHeader
from kafka.protocol.api_message import ApiMessage
from kafka.protocol.metadata.api_versions import ApiVersionsRequest, ApiVersionsResponse

from streams.devbroker.errors import ErrorCode
from streams.devbroker.groups import GroupRegistry
from streams.devbroker.handlers_admin import AdminHandlers
from streams.devbroker.handlers_cluster import ClusterHandlers
from streams.devbroker.handlers_configs import ConfigHandlers
from streams.devbroker.handlers_groups import GroupHandlers
from streams.devbroker.handlers_records import RecordHandlers
from streams.devbroker.handlers_transactions import TransactionHandlers
from streams.devbroker.members import Client
from streams.devbroker.routes import Call, Route
from streams.devbroker.topics import TopicStore
from streams.devbroker.transactions import TransactionCoordinator
from streams.wallclock import now_ms

log = logging.getLogger("churn.devbroker")

_MAX_FRAME_BYTES: Final = 100 * 1024 * 1024
_TICK_S: Final = 0.05
_INITIAL_DELAY_S: Final = 0.1  # lets consumers that start together join one generation
_BAD_FRAME: Final = "a frame that cannot be served"


class _BadFrame(Exception):  # noqa: N818 - a client's mistake
    """A frame that is no request this broker knows. The connection is beyond repair."""


class DevBroker:
    """A Kafka broker of one node, in memory, for development and tests.

    It speaks the protocol well enough for idempotent and transactional producers, consumer groups of the classic
    protocol and the usual administration. It has no disk, no retention, no compaction, no replicas, no TLS or SASL.

    Args:
        host: where to listen, and what clients are told to connect to.
        port: 0 lets the operating system choose one.
        default_partitions: how many partitions a topic gets that does not say.
        auto_create: whether asking for a topic creates it.
        clock_ms: the time for LogAppendTime and transaction markers.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        default_partitions: int = 4,
        auto_create: bool = True,  # noqa: FBT001 - part of the interface
        *,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._host = host
        self._port = port
        self._topics = TopicStore(default_partitions=default_partitions, clock_ms=clock_ms)
        self._groups = GroupRegistry(initial_delay_s=_INITIAL_DELAY_S)
        self._transactions = TransactionCoordinator(self._topics, self._groups)
        self._cluster = ClusterHandlers(self._topics, cluster_id=secrets.token_urlsafe(16), host=host, auto_create=auto_create)
        self._routes = {route.api_key: route for route in self._all_routes(auto_create=auto_create)}
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def bootstrap(self) -> str:
        """Where clients connect to: `host:port`. Only after `start` is the port the real one."""
        return f"{self._host}:{self._cluster.port}"

    async def start(self) -> None:
        """Listen. Clients may connect once this returns."""
        self._server = await asyncio.start_server(self._accept, self._host, self._port, limit=1 << 20)
        self._cluster.port = self._server.sockets[0].getsockname()[1]
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Close all connections and forget everything. Requests that wait are not answered."""
        if self._server is None or self._ticker is None:
            return
        self._server.close()
        self._ticker.cancel()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(self._ticker, *self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = self._ticker = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _all_routes(self, *, auto_create: bool) -> Iterable[Route]:
        shown = {
            "auto.create.topics.enable": str(auto_create).lower(),
            "num.partitions": str(self._topics.default_partitions),
        }
        yield Route(ApiVersionsRequest, 0, 4, self._api_versions)
        yield from self._cluster.routes()
        yield from RecordHandlers(self._topics, self._transactions).routes()
        yield from GroupHandlers(self._topics, self._groups).routes()
        yield from TransactionHandlers(self._topics, self._groups, self._transactions).routes()
        yield from AdminHandlers(self._topics, self._groups).routes()
        yield from ConfigHandlers(self._topics, shown).routes()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            now_s = time.monotonic()
            self._transactions.tick(now_s)
            for group in self._groups:
                group.tick(now_s)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        if connection is None:
            return
        self._connections.add(connection)
        peer = writer.get_extra_info("peername") or ("unknown", 0)
        try:
            await self._converse(reader, writer, str(peer[0]))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # The client went, or the broker is stopping. Raised further, asyncio would log it as an error.
            log.debug("connection of %s:%s is over", peer[0], peer[1])
        except _BadFrame as bad:
            log.warning("connection of %s:%s closed: %s", peer[0], peer[1], bad)
        finally:
            self._connections.discard(connection)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        # One request at a time, as in Kafka: what a client sends on one connection takes effect in that order.
        while True:
            size = struct.unpack(">i", await reader.readexactly(4))[0]
            if not 8 <= size <= _MAX_FRAME_BYTES:
                raise _BadFrame(f"a frame of {size} bytes")
            answer = await self._answer(await reader.readexactly(size), host)
            if answer is not None:
                writer.write(answer)
                await writer.drain()

    async def _answer(self, frame: bytes, host: str) -> bytes | None:
        api_key, version, correlation_id = struct.unpack_from(">hhi", frame)
        route = self._routes.get(api_key)
        if route is None:
            raise _BadFrame(f"API {api_key} is not served")
        if not route.min_version <= version <= route.max_version:
            if route.request is not ApiVersionsRequest:
                raise _BadFrame(f"version {version} of API {api_key} is not served")
            # The one answer that any client can read, whatever version it asked for.
            return _framed(self._versions_served(ErrorCode.UNSUPPORTED_VERSION), 0, correlation_id)
        request = _decoded(route, version, frame)
        header: RequestHeader = request.header
        response = await route.handle(request, Call(version, Client(header.client_id or "", host)))
        return None if response is None else _framed(response, version, correlation_id)

    async def _api_versions(self, _request: ApiVersionsRequest, _call: Call) -> ApiVersionsResponse:
        return self._versions_served(ErrorCode.NONE)

    def _versions_served(self, code: ErrorCode) -> ApiVersionsResponse:
        served = [
            ApiVersionsResponse.ApiVersion(api_key=key, min_version=route.min_version, max_version=route.max_version)
            for key, route in sorted(self._routes.items())
        ]
        return ApiVersionsResponse(error_code=code, api_keys=served, throttle_time_ms=0)


def _decoded(route: Route, version: int, frame: bytes) -> ApiMessage:
    try:
        return route.request.decode(frame, version=version, header=True)
    except Exception as error:
        raise _BadFrame(f"version {version} of API {route.api_key} cannot be decoded: {error!r}") from error


def _framed(response: ApiMessage, version: int, correlation_id: int) -> bytes:
    response.API_VERSION = version
    response.with_header(correlation_id=correlation_id)
    return bytes(response.encode(header=True, framed=True))
