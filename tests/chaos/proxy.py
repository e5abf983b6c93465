"""A TCP proxy between workers and brokers, whose lines can be cut: reset, or silent as behind a dead switch."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final, Literal

Cut = Literal["reset", "silence"]
"""`reset`: connections are aborted, and new ones too. `silence`: bytes stay where they are, and go on when it is mended."""

_READ_BYTES: Final = 1 << 16


@dataclass
class Line:
    """One port, forwarded to another."""

    port: int
    target_port: int
    _cut: Cut | None = None
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Stop listening, and end every connection."""
        self._open.set()
        if self._server is not None:
            self._server.close()
        self._abort_all()

    def cut(self, how: Cut) -> None:
        """From now on nothing passes."""
        self._cut = how
        if how == "reset":
            self._abort_all()
        else:
            self._open.clear()

    def mend(self) -> None:
        """Everything passes again; after `silence` also what waited, as a network does that sends it once more."""
        self._cut = None
        self._open.set()

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._cut == "reset":
                return
            await self._open.wait()
            with contextlib.suppress(OSError):  # the broker is away: so is the line
                there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
                self._writers.add(back)
                await self._forward_both((reader, back), (there, writer))
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _forward_both(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Until either end closes."""
        tasks = [asyncio.ensure_future(self._forward(reader, writer)) for reader, writer in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for _, writer in ways:
                self._writers.discard(writer)
                writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
