"""Sinks for people against servers that behave as the vendors' do, and against a mail server."""

import asyncio
import base64
import hashlib
import hmac
import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiosmtpd.smtp import Envelope, Session
from alert_records import alert
from certificates import make_certificate
from http_receiver import Got, receiving
from mail_server import mail_server

from schemas.secret import Secret
from sinks.base import Item, Notice, SinkError
from sinks.chat import ChatSink, ChatTerms, Vendor
from sinks.email import EmailSink, EmailTerms
from sinks.http_calls import CallTerms
from sinks.messages import Messages

NOW_MS = 1_700_000_000_123
FINE = {
    "slack": "ok",
    "feishu": '{"code":0,"msg":"success"}',
    "dingtalk": '{"errcode":0,"errmsg":"ok"}',
    "wecom": '{"errcode":0}',
}
VENDORS: list[Vendor] = ["slack", "feishu", "dingtalk", "wecom"]


def notice(sequence: int = 1, customer: str = "ann <!channel>", address: str = "lena@example.com") -> Notice:
    record = msgspec.structs.replace(alert("opened"), sequence=sequence, customer_id=customer)
    item = Item(record, "silent for 90 days", ("silent for 90 days",), "", {"ack": "https://churn.example.com/alerts/t"})
    return Notice(f"a/{sequence}", "alert", "lena", address, "en", "UTC", (item,))


def chat(vendor: Vendor, url: str, secret: str | None = None) -> ChatSink:
    call = CallTerms(Secret(url), ("127.0.0.1",), timeout_s=2.0)
    return ChatSink("room", ChatTerms(vendor, call, None if secret is None else Secret(secret)), Messages(), lambda: NOW_MS)


def saying(text: str, status: int = 200, **headers: str) -> Any:
    return lambda _: web.Response(text=text, status=status, headers=headers)


def posted(got: Got) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(got.body)
    return found


@pytest.mark.parametrize("vendor", VENDORS)
async def test_each_vendor_gets_its_own_format(vendor: Vendor) -> None:
    async with receiving(saying(FINE[vendor])) as room:
        sink = chat(vendor, room.url)
        await sink.deliver([notice(), alert("opened")])  # what is for machines is passed over
        await sink.close()

    (got,) = room.got
    body = posted(got)
    match vendor:
        case "slack":
            assert body["text"] == "[high] ann &lt;!channel&gt;: r, opened"
            said = body["blocks"][0]["text"]
            assert said["type"] == "mrkdwn"
            assert "<https://churn.example.com/alerts/t|I take care of it>" in said["text"]
        case "feishu":
            assert body["msg_type"] == "interactive"
            assert body["card"]["header"]["title"]["content"].startswith("[high] ann")
            assert "[I take care of it](https://churn.example.com/alerts/t)" in body["card"]["elements"][0]["content"]
        case "dingtalk":
            assert body["msgtype"] == "markdown"
            assert body["markdown"]["title"].startswith("[high] ann")
            assert "silent for 90 days\n\n" in body["markdown"]["text"]
        case "wecom":
            assert body["msgtype"] == "markdown"
            assert body["markdown"]["content"].startswith("[high] ann")


async def test_feishu_is_signed_over_nothing_with_time_and_secret_as_the_key() -> None:
    async with receiving(saying(FINE["feishu"])) as room:
        await chat("feishu", room.url, "s3cret").deliver([notice()])

    body = posted(room.got[0])
    assert body["timestamp"] == "1700000000"
    assert body["sign"] == base64.b64encode(hmac.new(b"1700000000\ns3cret", b"", hashlib.sha256).digest()).decode()


async def test_dingtalk_is_signed_in_its_address() -> None:
    async with receiving(saying(FINE["dingtalk"])) as room:
        await chat("dingtalk", f"{room.url}?access_token=abc", "s3cret").deliver([notice()])

    query = room.got[0].request.query
    wanted = hmac.new(b"s3cret", b"1700000000123\ns3cret", hashlib.sha256).digest()
    assert dict(query) == {
        "access_token": "abc",
        "timestamp": "1700000000123",
        "sign": base64.b64encode(wanted).decode(),
    }


@pytest.mark.parametrize(
    ("vendor", "text", "status", "retryable", "says"),
    [
        ("slack", "invalid_payload", 400, False, "invalid_payload"),
        ("slack", "no_service", 404, True, "check its `url`"),
        ("slack", "invalid_token", 403, True, "credentials"),
        ("feishu", '{"code":19021,"msg":"sign match fail"}', 200, True, "19021 sign match fail"),
        ("feishu", '{"code":11232,"msg":"frequency limited"}', 200, True, "too many messages"),
        ("feishu", '{"code":11232,"msg":"frequency limited"}', 400, True, "11232"),
        ("feishu", '{"code":9499,"msg":"Bad Request"}', 200, False, "will never take this"),
        ("dingtalk", '{"errcode":310000,"errmsg":"sign not match"}', 200, True, "check the address, the secret"),
        ("dingtalk", '{"errcode":130101,"errmsg":"send too fast"}', 200, True, "too many messages"),
        ("wecom", '{"errcode":45009,"errmsg":"api freq out of limit"}', 200, True, "too many messages"),
        ("wecom", '{"errcode":93000,"errmsg":"invalid webhook url"}', 200, True, "check the address"),
        ("wecom", '{"errcode":40058,"errmsg":"content too long"}', 200, False, "will never take this"),
        ("wecom", "<html>a proxy's page</html>", 200, True, "answers what this vendor never does"),
    ],
)
async def test_what_a_vendor_answers_is_understood(
    vendor: Vendor,
    text: str,
    status: int,
    retryable: bool,  # noqa: FBT001 - a parameter of pytest
    says: str,
) -> None:
    async with receiving(saying(text, status)) as room:
        sink = chat(vendor, room.url)
        with pytest.raises(SinkError, match=says) as failed:
            await sink.deliver([notice()])
        await sink.close()

    assert failed.value.retryable == retryable
    assert failed.value.refused == (() if retryable else (0,))
    if "too many" in says or "11232" in says:
        assert failed.value.retry_after_s == 60
    assert "/hook" not in str(failed.value)  # the path is the password


async def test_a_notice_that_is_refused_does_not_hold_up_the_next() -> None:
    def answer(got: Got) -> web.Response:
        return web.Response(text='{"errcode":40058}' if b"bad" in got.body else FINE["wecom"])

    async with receiving(answer) as room:
        with pytest.raises(SinkError) as failed:
            await chat("wecom", room.url).deliver([notice(1), notice(2, customer="bad"), notice(3)])

    assert failed.value.refused == (1,)
    assert len(room.got) == 3


# --- mail


class Postbox:
    """Takes mail as it is told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = "250 taken"
        self.delay_s = 0.0

    async def handle_RCPT(self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: Any) -> str:  # noqa: N802
        await asyncio.sleep(self.delay_s)
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content or b"", policy=policy.default))  # type: ignore[arg-type]
        return "250 taken"


def mail(port: int, **fields: Any) -> EmailSink:
    terms = EmailTerms("localhost", port, "churnwatch <churn@example.com>", timeout_s=3.0, **fields)
    return EmailSink("mail", terms, Messages(), lambda: NOW_MS)


async def test_a_mail_has_text_and_html_a_thread_and_an_id_that_is_the_notice() -> None:
    box = Postbox()
    async with mail_server(box) as port:
        sink = mail(port, plain_allowed=True)
        await sink.deliver([notice(1), notice(2), notice(1)])

    first, second, again = box.mails
    assert first["To"] == "lena@example.com"
    assert first["Subject"] == "[high] ann <!channel>: r, opened"
    assert first["Message-ID"] == again["Message-ID"] != second["Message-ID"]
    assert first["References"] == second["References"]
    assert first["Auto-Submitted"] == "auto-generated"
    plain, marked_up = first.get_body(("plain",)), first.get_body(("html",))
    assert plain is not None
    assert marked_up is not None
    assert "silent for 90 days" in plain.get_content()
    assert '<a href="https://churn.example.com/alerts/t">' in marked_up.get_content()
    assert "<!channel>" not in marked_up.get_content()


async def test_mail_goes_over_tls_and_with_a_password(tmp_path: Path) -> None:
    certificate, box = make_certificate(tmp_path), Postbox()
    async with mail_server(box, certificate.for_server(), auth=True) as port:
        await mail(port, ca=certificate.certificate, user="churn", password=Secret("s3cret")).deliver([notice()])
        with pytest.raises(SinkError, match="user and password") as failed:
            await mail(port, ca=certificate.certificate, user="churn", password=Secret("wrong")).deliver([notice()])
        with pytest.raises(SinkError, match="not to be trusted") as unknown:
            await mail(port, user="churn", password=Secret("s3cret")).deliver([notice()])

    assert failed.value.retryable
    assert unknown.value.retryable
    assert "s3cret" not in str(failed.value) + str(unknown.value)
    assert len(box.mails) == 1


async def test_nothing_is_said_to_a_server_without_tls_unless_that_is_meant() -> None:
    box = Postbox()
    async with mail_server(box) as port:
        with pytest.raises(SinkError, match="offers no TLS") as failed:
            await mail(port).deliver([notice()])

    assert failed.value.retryable
    assert box.mails == []


@pytest.mark.parametrize(("answer", "retryable"), [("450 later", True), ("550 no such user", False)])
async def test_a_recipient_who_is_refused_for_good_is_put_aside_one_for_now_is_kept(
    answer: str,
    retryable: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    box = Postbox()
    box.answer = answer
    async with mail_server(box) as port:
        with pytest.raises(SinkError, match=answer[:3]) as failed:
            await mail(port, plain_allowed=True).deliver([notice()])

    assert failed.value.retryable == retryable


async def test_a_server_that_is_slow_or_away_may_be_tried_again() -> None:
    box = Postbox()
    box.delay_s = 20.0
    async with mail_server(box) as port:
        terms = EmailTerms("localhost", port, "churn@example.com", plain_allowed=True, timeout_s=0.3)
        with pytest.raises(SinkError) as slow:
            await EmailSink("mail", terms, Messages(), lambda: NOW_MS).deliver([notice()])
    with pytest.raises(SinkError) as away:
        await mail(port).deliver([notice()])

    assert slow.value.retryable
    assert away.value.retryable


async def test_a_name_cannot_add_a_header() -> None:
    box = Postbox()
    async with mail_server(box) as port:
        await mail(port, plain_allowed=True).deliver([notice(customer="ann\r\nBcc: everybody@example.com")])

    assert box.mails[0]["Bcc"] is None
    assert "ann Bcc: everybody" in box.mails[0]["Subject"]
