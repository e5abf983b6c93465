"""What a link in a message leads to: a page that shows the alert, and does nothing until somebody presses its button."""

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web
from aiokafka.errors import KafkaError
from jinja2 import Environment

from detectors.told import OPEN_STATES
from schemas.decisions import AlertRecord
from schemas.events import Verdict
from schemas.instants import DAY_MS
from sinks.base import Action, Language
from sinks.messages import ACTIONS
from sinks.routes import LinkTerms, Routes
from streams.actions import ActionRefused, Desk
from streams.alert_lookup import AlertNotFound, in_topics
from streams.door_limits import TokenBucket
from streams.links import Grant, LinkExpired, LinkForged, grant_in
from streams.settings import Settings
from streams.wallclock import now_ms
from streams.words import UTC, Words, words_of

_PAGE: Final = Environment(autoescape=True, trim_blocks=True).from_string(
    Path(__file__).with_name("alert_page.j2").read_text(encoding="utf-8")
)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
_PER_S: Final = 5.0
"""Pages in a second: each looks through the topic of alerts."""
_NAMESPACE: Final = uuid.UUID("0d7a4f6e-51b1-5e0c-8a2e-6b8f4d0c9e13")
_SNOOZES_MS: Final[Mapping[Action, int]] = {"snooze_1d": DAY_MS, "snooze_7d": 7 * DAY_MS}
_VERDICTS: Final[Mapping[Action, Verdict]] = {"false_alarm": "false_alarm", "saved": "saved"}
_SAID: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "forged": "This link is not one of ours.",
        "expired": "This link has expired.",
        "unknown": "This alert is not known any more.",
        "busy": "Too many at once: try again in a moment.",
        "away": "This cannot be done now: try again in a moment.",
        "over": "This alert is over.",
        "done": "Done: {action}.",
        "state": "Now: {state}, since {at}.",
    },
    "zh": {
        "forged": "此链接无效。",
        "expired": "此链接已过期。",
        "unknown": "此告警已不存在。",
        "busy": "请求过多，请稍后再试。",
        "away": "暂时无法处理，请稍后再试。",
        "over": "此告警已结束。",
        "done": "已完成：{action}。",
        "state": "当前状态：{state}，自{at}起。",
    },
}

log = structlog.get_logger("churn.door")


class _Reader(NamedTuple):
    """Who reads the page."""

    language: Language
    zone: ZoneInfo

    def says(self, code: str, **values: str) -> str:
        return _SAID[self.language][code].format(**values)


_STRANGER: Final = _Reader("en", UTC)


class AlertPages:
    """Answers `GET` with what the alert is, and `POST` by doing what the link allows; the same link again changes nothing."""

    def __init__(self, settings: Settings, routes: Routes, terms: LinkTerms) -> None:
        self._settings = settings
        self._routes = routes
        self._terms = terms
        self._bucket = TokenBucket(_PER_S, time.monotonic())

    async def answer(self, request: web.Request) -> web.Response:
        """The page."""
        token = request.match_info["token"]
        try:
            grant = grant_in(self._terms, token, now_ms())
        except LinkForged:
            return _page(_STRANGER, 403, _STRANGER.says("forged"))
        except LinkExpired:
            return _page(_STRANGER, 410, _STRANGER.says("expired"))
        reader = self._reader(grant.recipient)
        if not self._bucket.take(time.monotonic()):
            return _page(reader, 429, reader.says("busy"))
        try:
            return await self._granted(request, grant, token, reader)
        except AlertNotFound:
            return _page(reader, 404, reader.says("unknown"))
        except KafkaError as error:
            log.warning("door.alert_not_looked_up", reason=repr(error))
            return _page(reader, 503, reader.says("away"))

    async def _granted(self, request: web.Request, grant: Grant, token: str, reader: _Reader) -> web.Response:
        records = await asyncio.to_thread(in_topics, self._settings, grant.alert_id, ("alerts",))
        words = words_of(reader.language, reader.zone)
        action = ACTIONS[reader.language][grant.action]
        if request.method == "POST" and grant.action != "show":
            try:
                await asyncio.to_thread(self._act, grant, token)
            except ActionRefused:
                return self._shown(reader, records, words, 409, reader.says("over"))
            log.info("door.acted", action=grant.action, recipient=grant.recipient)
            return self._shown(reader, records, words, 200, reader.says("done", action=action))
        is_over = records[-1].state not in OPEN_STATES and grant.action not in _VERDICTS
        if grant.action == "show" or is_over:
            return self._shown(reader, records, words, 200, *([reader.says("over")] if is_over else []))
        return self._shown(reader, records, words, 200, button=action)

    def _act(self, grant: Grant, token: str) -> None:
        """The id of the event is that of the link: the engine knows what it has seen."""
        desk = Desk(self._settings, grant.recipient, identity=str(uuid.uuid5(_NAMESPACE, token)))
        if grant.action == "ack":
            desk.ack(grant.alert_id)
        elif grant.action in _SNOOZES_MS:
            desk.snooze(grant.alert_id, for_ms=_SNOOZES_MS[grant.action])
        else:
            desk.judge(grant.alert_id, _VERDICTS[grant.action])

    def _shown(
        self, reader: _Reader, records: Sequence[AlertRecord], words: Words, status: int, *first: str, button: str = ""
    ) -> web.Response:
        opened = next((record for record in reversed(records) if record.because), records[-1])
        last = records[-1]
        state = reader.says("state", state=words.said(last), at=words.minute(last.at_ms))
        title = f"{last.customer_id}: {last.rule.partition('@')[0]}"
        return _page(reader, status, title, *first, *words.clauses_of(opened), state, last.next_action or "", button=button)

    def _reader(self, recipient: str) -> _Reader:
        known = self._routes.recipients.get(recipient)
        return _STRANGER if known is None else _Reader(known.language, known.zone)


def _page(reader: _Reader, status: int, title: str, *lines: str, button: str = "") -> web.Response:
    text = _PAGE.render(language=reader.language, title=title, lines=[line for line in lines if line], button=button)
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)
