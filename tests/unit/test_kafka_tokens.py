"""Tokens of an OAuth 2.0 server: used for most of their life, and what is wrong is said without the secret."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from certificates import make_certificate
from http_receiver import Got, receiving

from schemas.secret import Secret
from streams.kafka_tokens import EndpointTokens, FileTokens, TokenError

SECRET = "pass-phrase-of-the-client"  # noqa: S105


def tokens(url: str, ca: Path | None = None, now_s: Callable[[], float] = lambda: 0.0) -> EndpointTokens:
    return EndpointTokens(url, "churn", Secret(SECRET, "env:SECRET"), "kafka", ca, now_s)


async def refusal(held: EndpointTokens) -> str:
    with pytest.raises(TokenError) as refused:
        await asyncio.to_thread(held.token)
    assert SECRET not in str(refused.value)
    return str(refused.value)


async def test_a_token_is_asked_for_anew_when_most_of_its_life_is_over() -> None:
    numbers = iter(range(9))
    now_s = [0.0]
    async with receiving(lambda _: web.json_response({"access_token": f"t{next(numbers)}", "expires_in": 100})) as server:
        held = tokens(server.url, now_s=lambda: now_s[0])
        got = []
        for now_s[0] in (0.0, 79.9, 80.0, 159.9):
            got.append(await asyncio.to_thread(held.token))
    assert got == ["t0", "t0", "t1", "t1"]


async def test_a_redirect_is_not_followed_since_the_secret_would_go_along() -> None:
    async with receiving(lambda _: web.json_response({"access_token": "stolen"})) as other:

        def elsewhere(_: Got) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": other.url})

        async with receiving(elsewhere) as server:
            said = await refusal(tokens(server.url))
    assert "it answers 302" in said
    assert other.got == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"<html>", "none of OAuth 2.0"),
        (b"[]", "none of OAuth 2.0"),
        (b'{"token": "x"}', "none of OAuth 2.0"),
        (b'{"access_token": "x", "expires_in": "soon"}', "none of OAuth 2.0"),
        (b'{"access_token": 5}', "not printable ASCII"),
        (b'{"access_token": "x\\u0001auth=Bearer y"}', "not printable ASCII"),
    ],
)
async def test_an_answer_without_a_token_is_told(answer: bytes, says: str) -> None:
    async with receiving(lambda _: web.Response(body=answer)) as server:
        assert says in await refusal(tokens(server.url))


async def test_a_client_that_is_refused_is_told_to_look_at_its_secret() -> None:
    async with receiving(lambda _: web.json_response({"error": "invalid_client"}, status=401)) as server:
        assert "answers 401; check client, secret and scope" in await refusal(tokens(server.url))


async def test_a_password_in_the_address_is_not_shown() -> None:
    async with receiving(lambda _: web.Response(status=500)) as server:
        said = await refusal(tokens(server.url.replace("//", "//user:hidden@")))
    assert "//***@" in said
    assert "hidden" not in said


async def test_the_certificates_of_kafka_are_good_for_the_endpoint_too(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    async with receiving(lambda _: web.json_response({"access_token": "t"}), tls=made.for_server()) as server:
        assert await asyncio.to_thread(tokens(server.url, made.certificate).token) == "t"
        assert "certificate verify failed" in await refusal(tokens(server.url))
    sent = base64.b64decode(server.got[0].headers["Authorization"].removeprefix("Basic "))
    assert sent == f"churn:{SECRET}".encode()


def test_a_failure_is_an_oserror_since_aiokafka_tries_again_after_those_alone() -> None:
    assert issubclass(TokenError, OSError)


def test_a_token_in_a_file_is_read_anew_and_told_when_it_is_missing(tmp_path: Path) -> None:
    held = FileTokens(tmp_path / "token")
    with pytest.raises(TokenError, match=r"token cannot be read: .*No such file"):
        held.token()
    for token in ("one", "two"):
        (tmp_path / "token").write_text(token + "\n")
        assert held.token() == token
    (tmp_path / "token").write_text("\n")
    with pytest.raises(TokenError, match="is empty"):
        held.token()
