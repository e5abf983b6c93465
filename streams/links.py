"""Signed addresses in messages: who has one may do one thing with one alert, for some days. Pure: it is told the time."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, get_args

import orjson

from detectors.told import OPEN_STATES
from schemas.decisions import CLOSED_STATES, AlertRecord
from sinks.base import Action
from sinks.routes import LinkTerms

_VERSION: Final = 1
_LONGEST: Final = 1_024
_OF_OPEN: Final[tuple[Action, ...]] = ("ack", "snooze_1d", "snooze_7d", "false_alarm", "saved")
_OF_OVER: Final[tuple[Action, ...]] = ("false_alarm", "saved")


class Grant(NamedTuple):
    """What a link allows."""

    alert_id: str
    action: Action
    recipient: str
    """Who does it, in the name of the file of routes."""
    expires_ms: int


class LinkForged(ValueError):  # noqa: N818 - what is wrong with it
    """Nobody here has signed it."""


class LinkExpired(ValueError):  # noqa: N818 - what is wrong with it
    """It was good once."""


def links_for(terms: LinkTerms, alert: AlertRecord, recipient: str, now_ms: int) -> Mapping[Action, str]:
    """The addresses for whoever is told of an alert; none where there is nothing to be done.

    Args:
        terms: of the file of routes.
        alert: as it is told.
        recipient: who may act.
        now_ms: from when on they are good.
    """
    if alert.customer_id is None:
        return {}
    actions = _OF_OVER if alert.state in CLOSED_STATES else _OF_OPEN if alert.state in OPEN_STATES else ()
    expires_ms = now_ms + terms.valid_ms
    return {
        action: f"{terms.url}/alerts/{signed(terms, Grant(alert.alert_id, action, recipient, expires_ms))}"
        for action in actions
    }


def signed(terms: LinkTerms, grant: Grant) -> str:
    """A grant as the last part of an address."""
    content = orjson.dumps([_VERSION, *grant])
    return f"{_text(content)}.{_text(_signature(terms.secrets[0].reveal(), content))}"


def grant_in(terms: LinkTerms, token: str, now_ms: int) -> Grant:
    """What a token allows now.

    Raises:
        LinkForged: it is not as one of us signed it.
        LinkExpired: it is, and too old.
    """
    try:
        content, signature = (_bytes(part) for part in token.split("."))
    except ValueError:
        raise LinkForged("it is no link of ours") from None
    # All of them, so that the time it takes says nothing.
    equal = sum(hmac.compare_digest(_signature(secret.reveal(), content), signature) for secret in terms.secrets)
    if len(token) > _LONGEST or not equal:
        raise LinkForged("it is no link of ours")
    grant = _grant(orjson.loads(content))
    if grant.expires_ms <= now_ms:
        raise LinkExpired("it was good for some days, which are over")
    return grant


def _grant(found: Any) -> Grant:  # noqa: ANN401 - JSON that we signed
    version, alert_id, action, recipient, expires_ms = found
    if version != _VERSION or action not in get_args(Action):
        raise LinkForged("it is a link of another release")
    return Grant(alert_id, action, recipient, expires_ms)


def _signature(secret: str, content: bytes) -> bytes:
    return hmac.digest(secret.encode(), b"churnwatch link\n" + content, hashlib.sha256)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Only what `_text` writes: other texts of the same bytes are refused."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("no base64") from None
    if _text(raw) != text:
        raise ValueError("not as it was written")
    return raw
