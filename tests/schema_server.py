"""A schema registry as far as readers of records need one, which can be down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


class Registry:
    """Answers as the one of Confluent does; while it is `down`, with errors."""

    def __init__(self) -> None:
        self.schemas: dict[int, dict[str, Any]] = {}
        self.down = False
        self.asked: list[int] = []
        self.asked_twice = asyncio.Event()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its address, while it runs."""
        app = web.Application()
        app.router.add_get("/schemas/ids/{id}", self.answer)
        async with TestServer(app) as server:
            yield str(server.make_url("/")).rstrip("/")

    async def answer(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        self.asked.append(number)
        if len(self.asked) == 2:
            self.asked_twice.set()
        if self.down:
            return web.json_response({"error_code": 50003, "message": "the leader is not known"}, status=503)
        if number not in self.schemas:
            return web.json_response({"error_code": 40403, "message": "Schema not found"}, status=404)
        return web.json_response(self.schemas[number])


def framed(number: int, payload: bytes) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + payload
