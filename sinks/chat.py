"""Messages to a room: one sink, four vendors, each with a format, a signature and failures of its own."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import orjson

from schemas.secret import Secret
from sinks.base import Delivery, Notice, SinkError
from sinks.http_calls import CallTerms, HttpCaller
from sinks.media import MARKDOWN, SHORT_MARKDOWN, SLACK, Medium
from sinks.messages import Messages, Text

Vendor = Literal["slack", "feishu", "dingtalk", "wecom"]

_SECTION: Final = 2_900
"""Slack takes 3000 characters in a block."""
_AGAIN_AFTER_S: Final = 60.0
"""Who sends too much is refused for the rest of a minute."""


@dataclass(frozen=True, slots=True)
class ChatTerms:
    """What a room is made of."""

    vendor: Vendor
    call: CallTerms
    secret: Secret | None = None
    """Signs, where the vendor has that switched on: Feishu and DingTalk."""


class Post(NamedTuple):
    """What is posted."""

    body: Mapping[str, Any]
    query: Mapping[str, str] = {}


class _Format(NamedTuple):
    medium: Medium
    write: Callable[[Text, str | None, int], Post]
    """Of the text, the secret, and the time in milliseconds."""
    code: str
    """The field of the answer that is 0 if all is well; empty: the status says it all."""
    too_much: frozenset[int]
    """Codes that mean: later."""
    to_be_mended: frozenset[int]
    """Codes that mean: the address, the secret or a setting of the robot is wrong."""


class ChatSink:
    """Posts notices, one by one; what is for machines is passed over.

    Rooms are not idempotent: who delivers sees to it that a notice is sent once.
    """

    def __init__(self, name: str, terms: ChatTerms, messages: Messages, now_ms: Callable[[], int]) -> None:
        """Raises ValueError for an address that may not be called."""
        self.name = name
        self._format = FORMATS[terms.vendor]
        self._caller = HttpCaller(terms.call)
        self._secret = terms.secret
        self.messages = messages
        self._now_ms = now_ms

    async def deliver(self, records: Sequence[Delivery]) -> None:
        """Post a batch.

        Raises:
            SinkError: from a record on the batch may be sent again; or some will never be taken, and the others were.
        """
        refused: dict[int, str] = {}
        for index, record in enumerate(records):
            if not isinstance(record, Notice):
                continue
            try:
                await self._post(record)
            except SinkError as error:
                if error.retryable:
                    raise
                refused[index] = str(error)
        if refused:
            raise SinkError(next(iter(refused.values())), retryable=False, refused=tuple(refused))

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    async def _post(self, notice: Notice) -> None:
        text = self.messages.text(notice, self._format.medium)
        post = self._format.write(text, None if self._secret is None else self._secret.reveal(), self._now_ms())
        try:
            answer = await self._caller.post(orjson.dumps(post.body), {"Content-Type": "application/json"}, post.query)
        except SinkError as error:
            # Feishu answers 400 to who sends too much, and says only in the body that this is why.
            if not error.retryable and any(f":{code}," in str(error) for code in self._format.too_much):
                raise SinkError(str(error), retryable=True, retry_after_s=_AGAIN_AFTER_S) from None
            raise
        if self._format.code:
            self._look_at(answer.text)

    def _look_at(self, answer: str) -> None:
        """These vendors answer 200 whatever happened, and say in the body what did."""
        origin = self._caller.origin
        try:
            found = orjson.loads(answer)
            code = int(found[self._format.code])
            says = str(found.get("errmsg") or found.get("msg") or "")
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            raise SinkError(f"{origin} answers what this vendor never does; check the address", retryable=True) from None
        if code == 0:
            return
        said = self._caller.without_secrets(says)[:200]
        if code in self._format.too_much:
            raise SinkError(f"{origin}: too many messages ({code} {said})", retryable=True, retry_after_s=_AGAIN_AFTER_S)
        if code in self._format.to_be_mended:
            raise SinkError(f"{origin} refuses us ({code} {said}): check the address, the secret, the robot", retryable=True)
        raise SinkError(f"{origin} will never take this ({code} {said})", retryable=False, refused=(0,))


def slack(text: Text, secret: str | None, now_ms: int) -> Post:  # noqa: ARG001 - the address is the secret
    """An incoming webhook: blocks, and a text for the notification."""
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": part}} for part in _parts(f"*{text.title}*\n{text.body}")]
    return Post({"text": text.title, "blocks": blocks})


def feishu(text: Text, secret: str | None, now_ms: int) -> Post:
    """A custom robot: a card. The signature is over nothing, with time and secret as its key."""
    card = {
        "header": {"title": {"tag": "plain_text", "content": text.title}},
        "elements": [{"tag": "markdown", "content": text.body}],
    }
    body: dict[str, Any] = {"msg_type": "interactive", "card": card}
    if secret is not None:
        timestamp = str(now_ms // 1000)
        body |= {"timestamp": timestamp, "sign": _signed(f"{timestamp}\n{secret}".encode(), b"")}
    return Post(body)


def dingtalk(text: Text, secret: str | None, now_ms: int) -> Post:
    """A custom robot: markdown, in which one line break is none. The signature stands in the address."""
    body = {"msgtype": "markdown", "markdown": {"title": text.title, "text": f"### {text.title}\n\n" + _double(text.body)}}
    if secret is None:
        return Post(body)
    timestamp = str(now_ms)
    return Post(body, {"timestamp": timestamp, "sign": _signed(secret.encode(), f"{timestamp}\n{secret}".encode())})


def wecom(text: Text, secret: str | None, now_ms: int) -> Post:  # noqa: ARG001 - the key stands in the address
    """A robot of a group: markdown of at most 4096 bytes."""
    return Post({"msgtype": "markdown", "markdown": {"content": f"{text.title}\n{text.body}"}})


def _signed(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _double(text: str) -> str:
    return text.replace("\n", "\n\n")


def _parts(text: str) -> list[str]:
    """Whole lines, as many as fit into a block."""
    parts = [""]
    for line in (whole[:_SECTION] for whole in text.split("\n")):
        if parts[-1] and len(parts[-1]) + len(line) + 1 > _SECTION:
            parts.append("")
        parts[-1] += ("\n" if parts[-1] else "") + line
    return parts


FORMATS: Final[Mapping[Vendor, _Format]] = {
    "slack": _Format(SLACK, slack, "", frozenset(), frozenset()),
    # 11232: too frequent; 19021: signature or time, 19022: address not allowed, 19024: keyword missing, 19001: bot gone
    "feishu": _Format(MARKDOWN, feishu, "code", frozenset({11232}), frozenset({19001, 19021, 19022, 19024})),
    # 130101: too frequent; 310000: signature, keyword or address; 300001, 300005: token
    "dingtalk": _Format(MARKDOWN, dingtalk, "errcode", frozenset({130101, -1}), frozenset({310000, 300001, 300005})),
    # 45009: too frequent, -1: busy; 93000 and 93008: the key is wrong, or the robot gone
    "wecom": _Format(SHORT_MARKDOWN, wecom, "errcode", frozenset({45009, -1}), frozenset({93000, 93008})),
}
