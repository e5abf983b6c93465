"""The development broker as a server: frames, connections, and how it stops."""

import asyncio
import json
import logging
import signal
import struct
import sys

import pytest
from kafka.protocol.consumer.fetch import FetchRequest
from kafka.protocol.metadata.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kafka.protocol.metadata.metadata import MetadataRequest, MetadataResponse

from streams.devbroker.server import DevBroker

PROCESS = (sys.executable, "-m", "streams.devbroker.process", "--port", "0")


class Connection:
    """A client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, broker: DevBroker) -> "Connection":
        host, port = broker.bootstrap.split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def answer_to(self, frame: bytes) -> bytes:
        """The answer without its length; nothing if the broker closes the connection."""
        self.writer.write(frame)
        try:
            size = struct.unpack(">i", await self.reader.readexactly(4))[0]
            return await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return b""


def framed(request: ApiVersionsRequest | FetchRequest | MetadataRequest) -> bytes:
    request.with_header(correlation_id=7, client_id="test")
    return bytes(request.encode(header=True, framed=True))


def raw(api_key: int, version: int, body: bytes) -> bytes:
    frame = struct.pack(">hhi", api_key, version, 7) + body
    return struct.pack(">i", len(frame)) + frame


@pytest.mark.parametrize(
    "frame",
    [
        raw(999, 0, b""),
        raw(1, 99, b"\0" * 40),
        raw(3, 1, b"\xff" * 3),
        struct.pack(">i", -5),
        struct.pack(">i", 2**30),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["unknown api", "unknown version", "cut short", "negative size", "huge size", "another protocol"],
)
async def test_a_frame_that_makes_no_sense_closes_its_connection_with_one_line(
    frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with DevBroker() as broker:
        good, bad = await Connection.to(broker), await Connection.to(broker)
        assert await bad.answer_to(frame) == b""
        assert await good.answer_to(framed(ApiVersionsRequest(version=0)))
    assert [(each.name, each.levelname) for each in caplog.records if each.levelno >= logging.WARNING] == [
        ("churn.devbroker", "WARNING")
    ]


async def test_a_client_from_the_future_is_told_which_versions_are_served() -> None:
    async with DevBroker() as broker:
        connection = await Connection.to(broker)
        answer = ApiVersionsResponse.decode(await connection.answer_to(raw(18, 99, b"\0")), version=0, header=True)
    assert answer.error_code == 35
    assert {entry.api_key for entry in answer.api_keys} >= {0, 1, 3, 18}


@pytest.mark.parametrize(("auto_create", "code", "partitions"), [(True, 0, 6), (False, 3, 0)])
async def test_asking_for_a_missing_topic_creates_it_if_that_is_wanted(
    *, auto_create: bool, code: int, partitions: int
) -> None:
    async with DevBroker(default_partitions=6, auto_create=auto_create) as broker:
        connection = await Connection.to(broker)
        wanted = [MetadataRequest.MetadataRequestTopic(name="topic")]
        request = MetadataRequest(topics=wanted, allow_auto_topic_creation=True, version=5)
        answer = MetadataResponse.decode(await connection.answer_to(framed(request)), version=5, header=True)
    assert [(topic.error_code, len(topic.partitions)) for topic in answer.topics] == [(code, partitions)]


async def test_stopping_ends_a_fetch_that_waits_and_leaves_no_task_behind(caplog: pytest.LogCaptureFixture) -> None:
    before = asyncio.all_tasks()
    broker = DevBroker()
    await broker.start()
    connection = await Connection.to(broker)
    request = FetchRequest(max_wait_ms=600_000, min_bytes=1, max_bytes=1000, isolation_level=0, topics=[], version=4)
    waiting = asyncio.create_task(connection.answer_to(framed(request)))
    await asyncio.sleep(0.05)
    await broker.stop()
    assert await waiting == b""
    assert asyncio.all_tasks() == before
    assert not caplog.records


async def test_a_client_that_goes_away_is_no_event(caplog: pytest.LogCaptureFixture) -> None:
    async with DevBroker() as broker:
        connection = await Connection.to(broker)
        connection.writer.write(b"\0\0")
        connection.writer.transport.abort()
        await asyncio.sleep(0.05)
    assert not caplog.records


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_says_where_it_listens_and_ends_in_peace_on(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(*PROCESS, stdout=-1, stderr=-1)
    assert process.stdout is not None
    announced = json.loads(await process.stdout.readline())
    assert announced["bootstrap"].startswith("127.0.0.1:")
    process.send_signal(number)
    assert await process.communicate() == (b"", b"")
    assert process.returncode == 0


async def test_the_process_ends_with_its_standard_input() -> None:
    process = await asyncio.create_subprocess_exec(*PROCESS, "--die-with-stdin", stdin=-1, stdout=-1, stderr=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    process.stdin.close()
    assert await process.communicate() == (b"", b"")
    assert process.returncode == 0
