"""How sinks call over HTTP, against servers on real sockets: what was taken, what is tried again, what is never called."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from certificates import make_certificate
from http_receiver import Got, receiving, saying
from kafka_server import free_ports

from schemas.secret import Secret
from sinks.base import SinkError
from sinks.http_calls import Answer, CallTerms, HttpCaller, retry_after_s, url_fault

LOCAL = ("127.0.0.1", "localhost")


def terms(url: str, **more: Any) -> CallTerms:
    return CallTerms(Secret(url), **{"allow": LOCAL, "timeout_s": 5.0, **more})


async def post(url: str, **more: Any) -> Answer:
    caller = HttpCaller(terms(url, **more))
    try:
        return await caller.post(b"{}", {"Content-Type": "application/json"})
    finally:
        await caller.close()


async def failed(url: str, **more: Any) -> SinkError:
    with pytest.raises(SinkError) as caught:
        await post(url, **more)
    return caught.value


def status(code: int, text: str = "", **headers: str) -> Callable[[Got], web.StreamResponse]:
    return lambda _: web.Response(status=code, text=text, headers=headers)


async def test_a_post_carries_body_headers_query_and_credentials() -> None:
    async with receiving(status(201, "thanks")) as receiver:
        caller = HttpCaller(terms(receiver.url + "?key=1", authorization=Secret("Bearer t0ken")))
        answers = [await caller.post(b"body", {"X-One": "1"}, {"sign": "a+b/c="}) for _ in range(2)]
        await caller.close()

    assert answers == [Answer(201, "thanks")] * 2
    got = receiver.got[0]
    assert (got.method, got.path, got.body) == ("POST", "/hook?key=1&sign=a%2Bb/c%3D", b"body")
    assert (got.headers["X-One"], got.headers["Authorization"]) == ("1", "Bearer t0ken")


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_who_is_busy_or_broken_is_asked_again(code: int) -> None:
    async with receiving(status(code, "not now", **{"Retry-After": "7"})) as receiver:
        error = await failed(receiver.url)

    assert (error.retryable, error.refused, error.retry_after_s) == (True, (), 7.0)
    assert f"answers {code} (not now)" in str(error)


@pytest.mark.parametrize("code", [400, 409, 410, 413, 415, 422, 451])
async def test_what_is_refused_is_refused_for_good(code: int) -> None:
    async with receiving(status(code, "no field x")) as receiver:
        error = await failed(receiver.url)

    assert (error.retryable, error.refused) == (False, (0,))
    assert f"answers {code} (no field x): it will never take this" in str(error)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(401, "check the secrets"), (403, "check the secrets"), (407, "check the secrets"), (404, "`url`"), (405, "`url`")],
)
async def test_what_an_operator_mends_is_kept_until_then(code: int, remedy: str) -> None:
    async with receiving(status(code)) as receiver:
        error = await failed(receiver.url)

    assert error.retryable
    assert remedy in str(error)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_said(code: int) -> None:
    # Its path may be a password, so it is not shown.
    async with receiving(status(code, Location="http://169.254.169.254/latest/secret?a=b")) as receiver:
        error = await failed(receiver.url)

    assert error.retryable
    assert "it redirects to http://169.254.169.254, which is not followed" in str(error)
    assert "secret" not in str(error).replace("secrets", "")
    assert len(receiver.got) == 1


@pytest.mark.parametrize(("location", "said"), [("/other", "another path of the same host"), ("http://[", "no address")])
async def test_a_redirect_to_nowhere_in_particular(location: str, said: str) -> None:
    async with receiving(status(302, Location=location)) as receiver:
        assert said in str(await failed(receiver.url))


async def test_one_who_does_not_answer_is_given_up_in_time() -> None:
    async def slow(_: Got) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async with receiving(slow) as receiver:
        error = await failed(receiver.url, timeout_s=0.2)

    assert error.retryable
    assert "no answer within 0.2 s" in str(error)


async def test_one_who_answers_drop_by_drop_is_given_up_in_time() -> None:
    async def dripping(got: Got) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(got.request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.05)

    async with receiving(dripping) as receiver:
        error = await failed(receiver.url, timeout_s=0.3)

    assert error.retryable
    assert "no answer within 0.3 s" in str(error)


async def test_of_a_long_answer_only_the_beginning_is_read() -> None:
    async with receiving(status(200, "x" * 1_000_000)) as receiver:
        assert len((await post(receiver.url)).text) == 16_384
        receiver.answers = status(500, "x" * 1_000_000)
        assert len(str(await failed(receiver.url))) < 400


async def test_what_the_other_side_says_stays_on_one_line() -> None:
    async with receiving(status(500, "a\n\r\x1b[31m  b\u2028c")) as receiver:
        assert "(a [31m b c)" in str(await failed(receiver.url))


async def test_nobody_there() -> None:
    (port,) = free_ports(1)
    error = await failed(f"http://127.0.0.1:{port}/")
    assert error.retryable
    assert "no connection" in str(error)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", b"SSH-2.0-hello\r\n\r\n"])
async def test_one_who_does_not_speak_http_or_hangs_up(answer: bytes) -> None:
    async with saying(answer) as url:
        error = await failed(url)
    assert error.retryable
    assert str(error).startswith(url.removesuffix("/hook"))


async def test_a_name_that_leads_nowhere() -> None:
    error = await failed("https://receiver.invalid/", allow=())
    assert error.retryable
    assert "its name leads nowhere" in str(error)


@pytest.mark.parametrize(
    ("host", "said"),
    [("127.1", "its address is none"), ("2130706433", "its address is none"), ("0x7f000001", "not a public one")],
)
async def test_numbers_that_only_some_take_for_an_address_are_not_called(host: str, said: str) -> None:
    assert said in str(await failed(f"https://{host}/", allow=()))


# --- TLS


async def test_a_certificate_of_the_own_authority_is_trusted(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    async with receiving(tls=made.for_server()) as receiver:
        assert (await post(receiver.url, ca=made.certificate)).status == 204
        error = await failed(receiver.url)
    assert "its certificate is not to be trusted: self-signed certificate" in str(error)
    assert error.retryable


async def test_a_certificate_that_has_expired_is_named_as_such(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, days=-1)
    async with receiving(tls=made.for_server()) as receiver:
        error = await failed(receiver.url, ca=made.certificate)
    assert "its certificate is not to be trusted: certificate has expired" in str(error)
    assert error.retryable


async def test_a_certificate_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, names="DNS:erp.example.com")
    async with receiving(tls=made.for_server()) as receiver:
        error = await failed(receiver.url, ca=made.certificate)
    assert "Hostname mismatch" in str(error)


async def test_no_tls_where_it_is_wanted() -> None:
    async with receiving() as receiver:
        error = await failed(receiver.url.replace("http:", "https:"))
    assert error.retryable
    assert "no TLS with it" in str(error)


def test_certificates_that_cannot_be_read_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(ValueError, match="it holds no certificate in PEM"):
        HttpCaller(terms("https://localhost/", ca=tmp_path / "ca.pem"))
    with pytest.raises(ValueError, match="No such file"):
        HttpCaller(terms("https://localhost/", ca=tmp_path / "none.pem"))


# --- Where it may call


async def test_a_name_that_leads_to_this_machine_is_not_called() -> None:
    async with receiving() as receiver:
        port = receiver.url.split(":")[2]
        error = await failed(f"https://localhost:{port}", allow=())
    assert "which is not a public one" in str(error)
    assert error.retryable
    assert receiver.got == []


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "10.0.0.1"])
async def test_a_private_address_in_the_url_is_not_called_either(host: str) -> None:
    assert "which is not a public one" in str(await failed(f"https://{host}:1/", allow=()))


async def test_the_environment_sends_nothing_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await post(receiver.url)
    assert (len(receiver.got), proxy.got) == (1, [])


@pytest.mark.parametrize(
    ("url", "allow", "fault"),
    [
        ("https://erp.example.com/hook", (), None),
        ("https://ERP.example.com:8443/hook?a=b", ("erp.example.com",), None),
        ("http://alertmanager:9093", ("alertmanager",), None),
        ("http://[::1]:9093", ("::1",), None),
        ("http://erp.example.com/hook", (), "open to everybody on the way"),
        ("https://erp.example.org/", ("erp.example.com", "b"), "erp.example.org is not under `allow`: erp.example.com, b"),
        ("https://ann:pa55@erp.example.com/", (), "`authorization` has them"),
        ("ftp://erp.example.com/", (), "it is no address"),
        ("erp.example.com", (), "it is no address"),
        ("https://", (), "it is no address"),
        ("https://bücher.example.com/", ("bücher.example.com",), None),
        ("https://a..example.com/", (), "it is no address"),
        (f"https://{'a' * 64}.example.com/", (), "it is no address"),
        ("https://xn--a.example.com/", (), "it is no address"),
        ("https://*.example.com/", (), "it is no address"),
        ("https://erp.example.com:0/", (), "it is no address"),
        ("https://erp.example.com:99999/", (), "it is no address"),
        ("", (), "it is no address"),
    ],
)
def test_addresses_that_may_be_written(url: str, allow: tuple[str, ...], fault: str | None) -> None:
    found = url_fault(url, allow)
    assert found is None if fault is None else found is not None and fault in found
    assert "pa55" not in (found or "")


def test_terms_do_not_show_their_secrets() -> None:
    shown = repr(CallTerms(Secret("https://hooks.example.com/T0/B0/pa55"), authorization=Secret("Bearer t0ken")))
    assert "pa55" not in shown
    assert "t0ken" not in shown


# --- Retry-After

NOON = "Fri, 06 Feb 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "86400"}, 3600.0),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "soon", "Date": NOON}, None),
        ({"Retry-After": "Fri, 06 Feb 2026 12:00:30 GMT", "Date": NOON}, 30.0),
        ({"Retry-After": "Fri, 06 Feb 2026 11:00:00 GMT", "Date": NOON}, 0.0),
        ({"Retry-After": "Fri, 06 Feb 2026 12:00:30 GMT"}, None),
        ({"Retry-After": "Fri, 06 Feb 2026 12:00:30 -0000", "Date": NOON}, None),
    ],
)
def test_how_long_the_other_side_asks_us_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
