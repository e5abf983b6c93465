"""An HTTP server on loopback that keeps what it got, and answers as a test tells it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class Got:
    """A request as it came."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    """Whatever the case of a name."""
    body: bytes
    request: web.Request


def taken(_: Got) -> web.StreamResponse:
    return web.Response(status=204)


@dataclass
class Receiver:
    """`answers` may be set anew at any time; an answer that raises breaks the connection."""

    answers: Callable[[Got], web.StreamResponse | Awaitable[web.StreamResponse]] = taken
    got: list[Got] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        got = Got(request.method, request.path_qs, request.headers.copy(), await request.read(), request)
        self.got.append(got)
        answer = self.answers(got)
        if isinstance(answer, web.StreamResponse):
            return answer
        return await answer


@asynccontextmanager
async def receiving(
    answers: Callable[[Got], web.StreamResponse | Awaitable[web.StreamResponse]] = taken,
    *,
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> AsyncIterator[Receiver]:
    """A server for as long as the block lasts, at `https://localhost:PORT/hook` with TLS, else `http://127.0.0.1:PORT/hook`."""
    receiver = Receiver(answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    bound = runner.addresses[0][1]
    receiver.url = f"https://localhost:{bound}/hook" if tls else f"http://127.0.0.1:{bound}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[str]:
    """A server that says these bytes to everybody and hangs up: its address."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
