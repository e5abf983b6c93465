"""Which webhooks a door takes and what it answers to the others; in place of Kafka there is a list."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web
from detect_log import until
from multidict import CIMultiDict

from streams.cloud_events import binary_event
from streams.door import Door
from streams.door_lane import Lane, NotWrittenError
from streams.door_requests import MAX_HEADER_BYTES, UNKNOWN, Refusal, kept_headers
from streams.door_terms import DoorTerms
from streams.settings import load_settings
from streams.sources import Source
from streams.traces import traceparent_of
from streams.transactions import Row

GITHUB_BODY = b"Hello, World!"
GITHUB = {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}


class PaperLane(Lane):
    """Keeps what it is given, at once or when it is allowed to."""

    def __init__(self) -> None:
        super().__init__(load_settings(), "shop")
        self.rows: list[Row] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.fails = False

    async def write(self, row: Row, size_bytes: int) -> None:
        assert size_bytes > len(row.value or b"")
        await self.goes_on.wait()
        if self.fails:
            raise NotWrittenError("broker 3 at 10.0.0.7 does not answer")
        self.rows.append(row)


class Paper:
    """A door on a port of its own."""

    def __init__(self, door: Door, lane: PaperLane, port: int, client: ClientSession) -> None:
        self.door, self.lane, self.port, self.client = door, lane, port, client

    async def ask(self, path: str = "/sources/shop", method: str = "POST", **request: Any) -> tuple[int, str, dict[str, str]]:
        async with self.client.request(method, f"http://127.0.0.1:{self.port}{path}", **request) as answer:
            plain = await answer.json()
            return answer.status, plain.get("error", ""), dict(answer.headers)

    def counted(self, source: str, status: int) -> int:
        return self.door.counters.requests[source, status]


@asynccontextmanager
async def paper(terms: DoorTerms | None = None, **settings: Any) -> AsyncIterator[Paper]:
    sources = [Source("shop", "orders", door=terms or DoorTerms("none")), Source("web", "logins")]
    door, lane = Door(load_settings(**settings), sources), PaperLane()
    entrance = door._entrances["shop"]
    door._entrances["shop"] = entrance.__class__(**{**vars(entrance), "lane": lane})
    runner = door.runner()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as client:
        yield Paper(door, lane, runner.addresses[0][1], client)
    await runner.cleanup()


async def raw(door: Paper, head: bytes, *, ends: bool = True) -> bytes:
    """What is answered to bytes that no client library would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(head)
    if ends:
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def test_a_webhook_that_is_taken_is_answered_once_it_is_written() -> None:
    async with paper() as door:
        door.lane.goes_on.clear()
        asking = asyncio.create_task(door.ask(data=b"x"))
        await until(lambda: door.door.space.requests == 1)
        await asyncio.sleep(0.05)
        assert not asking.done()
        assert door.door.space.taken_bytes == 1
        door.lane.goes_on.set()
        assert (await asking)[0] == 202
        assert [row.value for row in door.lane.rows] == [b"x"]
        assert (door.door.space.requests, door.door.space.taken_bytes) == (0, 0)
        assert (door.counted("shop", 202), door.door.counters.taken_bytes["shop"]) == (1, 1)
        assert door.door.counters.taken_s["shop"] > 0.04


@pytest.mark.parametrize("path", ["/sources/nothing", "/sources/web", "/sources/", "/", "/sources/shop/more", "/metrics"])
async def test_a_source_that_has_no_door_is_not_found_and_all_of_them_are_one_label(path: str) -> None:
    async with paper() as door:
        assert (await door.ask(path, data=b"x"))[0] == 404
        assert door.counted(UNKNOWN, 404) == 1
        assert [source for source, _ in door.door.counters.requests] == [UNKNOWN]
    assert UNKNOWN.strip("()") != UNKNOWN, "a topic could be called that"


async def test_only_post_is_taken() -> None:
    async with paper() as door:
        status, says, headers = await door.ask(method="GET")
        assert (status, says, headers["Allow"]) == (405, "GET is not known here: POST is", "POST")


async def test_a_body_over_the_limit_is_refused_whether_its_length_is_announced_or_not() -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"12345"

    async with paper(DoorTerms("none", limit_bytes=10)) as door:
        assert (await door.ask(data=b"1234567890"))[0] == 202
        status, says, _ = await door.ask(data=b"12345678901")
        assert (status, says) == (413, "the body is too large: this source takes at most 10 bytes")
        assert (await door.ask(data=stream()))[0] == 413
        assert door.door.space.taken_bytes == 0


async def test_a_length_that_is_announced_is_refused_before_the_body_comes() -> None:
    async with paper(DoorTerms("none", limit_bytes=10)) as door:
        head = b"POST /sources/shop HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(head)
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 413 ")
        writer.close()
        await writer.wait_closed()


async def test_a_missing_or_wrong_signature_is_refused_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB", "It's a Secret to Everybody")
    async with paper(DoorTerms("github", None, "HUB")) as door:
        assert (await door.ask(data=GITHUB_BODY))[:2] == (
            401,
            "the header X-Hub-Signature-256 is missing: a signature is wanted",
        )
        assert (await door.ask(data=GITHUB_BODY + b"!", headers=GITHUB))[0] == 401
        assert door.lane.rows == []
        assert (await door.ask(data=GITHUB_BODY, headers=GITHUB | {"X-GitHub-Event": "push"}))[0] == 202
        assert ("http-x-github-event", b"push") in door.lane.rows[0].headers


async def test_more_than_the_rate_is_told_when_to_come_again() -> None:
    async with paper(DoorTerms("none", rate_per_s=0.1)) as door:
        assert (await door.ask(data=b"1"))[0] == 202
        status, _, headers = await door.ask(data=b"2")
        assert (status, headers["Retry-After"]) == (429, "10")
        assert len(door.lane.rows) == 1


async def test_who_does_not_know_the_secret_cannot_use_up_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB", "It's a Secret to Everybody")
    async with paper(DoorTerms("github", None, "HUB", rate_per_s=0.1)) as door:
        assert [(await door.ask(data=b"forged"))[0] for _ in range(3)] == [401] * 3
        assert (await door.ask(data=GITHUB_BODY, headers=GITHUB))[0] == 202


async def test_what_does_not_fit_into_memory_is_told_to_come_again() -> None:
    async with paper(door_max_bytes=1 << 20) as door:
        door.lane.goes_on.clear()
        asking = asyncio.create_task(door.ask(data=b"x" * 800_000))
        while not door.door.space.requests:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)
        status, says, headers = await door.ask(data=b"x" * 300_000)
        assert (status, says, headers["Retry-After"]) == (503, "too much is under way: come again", "1")
        assert (await asyncio.wait_for(raw_after_release(door), 10))[0] == 202
        assert (await asking)[0] == 202


async def raw_after_release(door: Paper) -> tuple[int, str, dict[str, str]]:
    door.lane.goes_on.set()
    return await door.ask(data=b"small")


async def test_a_failed_write_is_told_without_saying_anything_of_our_brokers() -> None:
    async with paper() as door:
        door.lane.fails = True
        status, says, headers = await door.ask(data=b"x")
        assert (status, headers["Retry-After"]) == (503, "5")
        assert "10.0.0.7" not in says


async def test_while_a_topic_cannot_be_written_nobody_waits_for_it() -> None:
    async with paper() as door:
        door.lane.goes_on.clear()
        door.lane.failing_since_s = time.monotonic()
        assert (await asyncio.wait_for(door.ask(data=b"x"), 5))[0] == 503


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"x", {"Content-Encoding": "gzip"}, 415),
        (b"x", {f"ce-{number}": "y" * 1_000 for number in range(17)}, 400),
        (b"\x00\xff", {}, 202),
    ],
)
async def test_what_cannot_be_a_record_is_refused_and_the_rest_is_for_ingest(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    async with paper() as door:
        assert (await door.ask(data=body, headers=headers))[0] == status
        assert len(door.lane.rows) == (status == 202)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /sources/shop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
        b"not HTTP at all\r\n\r\n",
        b"POST /sources/shop HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /sources/shop HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 10_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_400_and_fills_no_log(head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with paper() as door:
        assert (await raw(door, head, ends=False)).split()[1] == b"400"
        assert door.lane.rows == []
    assert [record for record in caplog.records if record.name == "churn.door.http"] == []


async def test_a_sender_that_goes_away_within_a_body_leaves_no_record_and_no_memory_behind() -> None:
    async with paper() as door:
        await raw(door, b"POST /sources/shop HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        while door.door.space.requests:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (door.lane.rows, door.door.space.taken_bytes) == ([], 0)
        assert (await door.ask(data=b"x"))[0] == 202


def test_headers_are_kept_by_name_whatever_their_case_and_no_others() -> None:
    headers = CIMultiDict({"X-Shopify-Topic": "orders/paid", "CE-Type": "%E2%82%AC", "Authorization": "secret", "Cookie": "s"})
    assert kept_headers(headers, ["x-shopify-topic"]) == [("http-x-shopify-topic", b"orders/paid"), ("ce_type", "€".encode())]


def test_the_trace_of_a_request_is_that_of_its_record() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    kept = kept_headers(CIMultiDict({"Traceparent": trace, "Tracestate": "a=b"}), [])
    assert kept == [("traceparent", trace.encode())]
    assert traceparent_of(kept) == trace.encode()


def test_an_event_in_the_headers_of_http_is_one_in_the_headers_of_kafka() -> None:
    sent = CIMultiDict(
        {"Ce-Specversion": "1.0", "ce-id": "7", "ce-source": "/shop%201", "ce-type": "paid", "Content-Type": "application/json"}
    )
    event = binary_event(b'{"order": 1}', kept_headers(sent, []))
    assert (event["id"], event["source"], event["data"]) == ("7", "/shop 1", {"order": 1})


def test_headers_that_would_make_a_record_too_large_are_refused() -> None:
    assert kept_headers({"ce-a": "x" * (MAX_HEADER_BYTES - 4)}, [])
    with pytest.raises(Refusal, match="16385 bytes"):
        kept_headers({"ce-a": "x" * (MAX_HEADER_BYTES - 3)}, [])


async def test_a_refusal_is_logged_once_a_minute_and_an_unknown_source_never(capsys: pytest.CaptureFixture[str]) -> None:
    async with paper(DoorTerms("none", limit_bytes=1)) as door:
        for path in ("/sources/shop", "/sources/shop", "/sources/other"):
            await door.ask(path, data=b"too long")
    assert capsys.readouterr().out.count("door.refused") == 1


def test_the_limits_of_the_answer_are_web_responses() -> None:
    response = Refusal(429, "later", 7).response()
    assert isinstance(response, web.Response)
    assert (response.status, response.headers["Retry-After"]) == (429, "7")
