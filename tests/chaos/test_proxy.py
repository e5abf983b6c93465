"""A line that is cut: aborted, or silent and late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from chaos.proxy import Line
from kafka_server import free_ports


@asynccontextmanager
async def echo_behind_a_line() -> AsyncIterator[Line]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    port, target_port = free_ports(2)
    line = Line(port, target_port)
    async with await asyncio.start_server(echo, "127.0.0.1", target_port):
        await line.start()
        yield line
        await line.close()


async def test_what_is_sent_comes_through_and_back() -> None:
    async with echo_behind_a_line() as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(b"hello")

        assert await reader.readexactly(5) == b"hello"
        writer.close()


async def test_a_silent_line_keeps_what_is_sent_and_delivers_it_when_it_is_mended() -> None:
    async with echo_behind_a_line() as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        line.cut("silence")
        writer.write(b"late")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(4), 0.2)
        line.mend()

        assert await reader.readexactly(4) == b"late"
        writer.close()


async def test_a_silent_line_takes_connections_and_says_nothing() -> None:
    async with echo_behind_a_line() as line:
        line.cut("silence")
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(b"new")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(3), 0.2)
        line.mend()

        assert await reader.readexactly(3) == b"new"
        writer.close()


async def test_a_reset_line_ends_the_connections_that_there_are_and_those_to_come() -> None:
    async with echo_behind_a_line() as line:
        old, old_writer = await asyncio.open_connection("127.0.0.1", line.port)
        old_writer.write(b"x")
        await old.readexactly(1)
        line.cut("reset")
        new, new_writer = await asyncio.open_connection("127.0.0.1", line.port)

        for reader, writer in ((old, old_writer), (new, new_writer)):
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()
