"""A webhook from its first byte to its answer: each reason to refuse one, in the order in which they are looked at."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from schemas.cloud_events import KAFKA_CONTENT_TYPE, KAFKA_PREFIX
from streams.door_lane import Lane, NotWrittenError
from streams.door_limits import Space, TokenBucket
from streams.door_signatures import Delivery, Verifier
from streams.door_terms import DoorTerms
from streams.traces import TRACEPARENT
from streams.tracing import Tracing
from streams.transactions import Row
from streams.wallclock import now_ms

MAX_HEADER_BYTES: Final = 16_384
"""Of all headers that go with a record."""
UNKNOWN: Final = "(unknown)"
"""In place of a source that there is none of; no topic can be called that."""

_BODY_WITHIN_S: Final = 10.0
_COME_AGAIN_S: Final = 5
_FRAME_BYTES: Final = 128
_EVENT_PREFIX: Final = "ce-"
_AS_THEY_ARE: Final = frozenset({KAFKA_CONTENT_TYPE, TRACEPARENT})


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A webhook that is not taken."""

    def __init__(self, status: int, says: str, retry_after_s: int | None = None) -> None:
        super().__init__(says)
        self.status = status
        self.retry_after_s = retry_after_s

    def response(self) -> web.Response:
        """The answer to the sender."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        if self.status == 405:
            headers["Allow"] = "POST"
        return _json(self.status, {"error": str(self)}, headers)


@dataclass(frozen=True)
class Entrance:
    """Where the webhooks of one source come in."""

    terms: DoorTerms
    verifier: Verifier
    kept: tuple[str, ...]
    """Names of the headers that go with a record."""
    bucket: TokenBucket
    lane: Lane
    tracing: Tracing


async def take(request: web.Request, entrance: Entrance, space: Space) -> int:
    """Write a webhook to its topic; returns how many bytes it has once Kafka acknowledged it.

    What costs nothing is looked at before the body is read. A token is taken only for what is signed: who does not know
    the secret cannot use up the rate of who does.

    Raises:
        Refusal: it is not taken.
    """
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise Refusal(415, f"the Content-Encoding is {encoding}: send the body as it was signed")
    if entrance.lane.failing_since_s is not None:
        raise _kafka_does_not_answer()
    _check_rate(entrance.bucket.wait_s(time.monotonic()))
    spans = entrance.tracing.begin("door")
    reserved = _announced(request, entrance.terms.limit_bytes)
    if not space.enter(reserved):
        raise Refusal(503, "too much is under way: come again", 1)
    try:
        body = await _body(request, entrance.terms.limit_bytes)
        if fault := entrance.verifier.fault(Delivery(request.headers, request.query, body), now_ms()):
            raise Refusal(401, fault)
        if not entrance.bucket.take(time.monotonic()):
            _check_rate(max(1, entrance.bucket.wait_s(time.monotonic())))
        headers = kept_headers(request.headers, entrance.kept)
        await _write(entrance, body, headers)
        spans.add(headers, entrance.lane.topic)
        spans.end()
    finally:
        space.leave(reserved)
    return len(body)


def kept_headers(headers: Mapping[str, str], names: Sequence[str]) -> list[tuple[str, bytes]]:
    """What goes with a record: content type and trace, CloudEvents attributes as Kafka has them, and others behind `http-`.

    >>> kept_headers({"content-type": "text/plain", "ce-type": "a%20b", "x-topic": "paid", "x": ""}, ["X-Topic".lower()])
    [('content-type', b'text/plain'), ('ce_type', b'a b'), ('http-x-topic', b'paid')]

    Raises:
        Refusal: they are too long.
    """
    found: list[tuple[str, bytes]] = []
    for name, value in headers.items():
        plain = name.lower()
        if plain in _AS_THEY_ARE:
            found.append((plain, _bytes(value)))
        elif plain.startswith(_EVENT_PREFIX):
            found.append((KAFKA_PREFIX + plain.removeprefix(_EVENT_PREFIX), unquote_to_bytes(_bytes(value))))
        elif plain in names:
            found.append(("http-" + plain, _bytes(value)))
    if (size := sum(len(name) + len(value) for name, value in found)) > MAX_HEADER_BYTES:
        raise Refusal(400, f"the headers that go with the record have {size} bytes: at most {MAX_HEADER_BYTES} are taken")
    return found


def accepted() -> web.Response:
    """The answer to a webhook that is in its topic."""
    return _json(202, {"accepted": True})


async def _write(entrance: Entrance, body: bytes, headers: list[tuple[str, bytes]]) -> None:
    size_bytes = len(body) + sum(len(name) + len(value) for name, value in headers) + _FRAME_BYTES
    try:
        await entrance.lane.write(Row(None, body, headers), size_bytes)
    except NotWrittenError:
        raise _kafka_does_not_answer() from None


def _kafka_does_not_answer() -> Refusal:
    """Why is for the log: the sender is told nothing about our brokers."""
    return Refusal(503, "the record could not be stored: come again", _COME_AGAIN_S)


def _check_rate(wait_s: int) -> None:
    if wait_s:
        raise Refusal(429, "more come than this source takes: come again later", wait_s)


def _announced(request: web.Request, limit_bytes: int) -> int:
    """How much room a body may need: what its sender says, else as much as is allowed."""
    length = request.content_length
    if length is not None and length > limit_bytes:
        raise _too_large(limit_bytes)
    return limit_bytes if length is None else length


async def _body(request: web.Request, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit_bytes:
                    raise _too_large(limit_bytes)
                chunks.append(chunk)
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {_BODY_WITHIN_S:g} s") from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
        raise Refusal(400, "the body ended before its end, or cannot be read") from None
    if not size:
        raise Refusal(400, "the body is empty")
    return b"".join(chunks)


def _too_large(limit_bytes: int) -> Refusal:
    return Refusal(413, f"the body is too large: this source takes at most {limit_bytes} bytes")


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _json(status: int, plain: Mapping[str, object], headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=json.dumps(plain) + "\n", content_type="application/json", headers=headers)
