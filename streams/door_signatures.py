"""How senders prove who they are: one scheme for each vendor, as its documentation describes it. Pure functions."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas import standard_webhooks
from schemas.errors import ContractError
from schemas.instants import parse_instant
from streams.door_terms import DoorTerms, Signature

_MAX_SECONDS_DIGITS: Final = 12


@dataclass(frozen=True)
class Delivery:
    """What of a request may be signed."""

    headers: Mapping[str, str]
    """Looked up whatever the case of a name."""
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Scheme:
    """How a vendor signs."""

    header: str
    """Where the signature stands."""
    digests: Callable[[str], list[bytes]]
    """Those that a header holds; what cannot be read is none of them."""
    digest: Callable[[bytes, Delivery], bytes]
    """What a secret makes of a delivery."""
    signed_ms: Callable[[Delivery], int | None] | None = None
    """The time that is signed too; None if it cannot be read, or is not signed."""
    key: Callable[[str], bytes] = str.encode
    """The bytes of a secret as it is written; raises ValueError if it cannot be one."""
    goes_along: tuple[str, ...] = ()
    """Headers that say what a body is, and go with its record."""


class Verifier:
    """Checks deliveries against the secrets of a source."""

    def __init__(self, terms: DoorTerms, secrets: Sequence[str]) -> None:
        """Raises ValueError for a secret that is not as the scheme wants it; the message does not show it."""
        self._scheme = scheme_of(terms)
        self._tolerance_ms = round(terms.tolerance_s * 1000)
        self._keys = [self._scheme.key(secret) for secret in secrets] if self._scheme is not None else []

    def fault(self, delivery: Delivery, now_ms: int) -> str | None:
        """Why a delivery is not believed; None if it is."""
        scheme = self._scheme
        if scheme is None:
            return None
        text = delivery.headers.get(scheme.header)
        if text is None:
            return f"the header {scheme.header} is missing: a signature is wanted"
        if not self._is_ours(scheme, scheme.digests(text), delivery):
            return f"the signature in {scheme.header} is wrong: the secret is another, or the body was changed on the way"
        # Only after the signature: nobody else is told anything about our clock.
        return None if scheme.signed_ms is None else self._time_fault(scheme.signed_ms(delivery), now_ms)

    def _time_fault(self, signed_ms: int | None, now_ms: int) -> str | None:
        """Who has overheard a delivery cannot send it again later."""
        if signed_ms is None:
            return "the time that was signed cannot be read"
        if abs(now_ms - signed_ms) > self._tolerance_ms:
            return f"the signature is of another time: at most {self._tolerance_ms // 1000} s apart are allowed"
        return None

    def _is_ours(self, scheme: Scheme, given: Sequence[bytes], delivery: Delivery) -> bool:
        """Every secret is tried, whichever fits: how long it takes tells nothing."""
        found = False
        for key in self._keys:
            wanted = scheme.digest(key, delivery)
            for digest in given:
                found |= hmac.compare_digest(wanted, digest)
        return found


def scheme_of(terms: DoorTerms) -> Scheme | None:
    """The scheme that a source asks for; None if it takes everything."""
    if terms.signature == "none":
        return None
    if terms.signature == "hmac-sha256":
        return Scheme(terms.header, _hex_or_base64, _of_body("sha256"))
    return _SCHEMES[terms.signature]


def _of_body(algorithm: str) -> Callable[[bytes, Delivery], bytes]:
    return lambda key, delivery: hmac.digest(key, delivery.body, algorithm)


def _zendesk(key: bytes, delivery: Delivery) -> bytes:
    stamp = delivery.headers.get(_ZENDESK_TIME, "")
    return hmac.digest(key, _bytes(stamp) + delivery.body, "sha256")


def _standard(key: bytes, delivery: Delivery) -> bytes:
    webhook_id = _bytes(delivery.headers.get(standard_webhooks.ID_HEADER, ""))
    timestamp = _bytes(delivery.headers.get(standard_webhooks.TIMESTAMP_HEADER, ""))
    return standard_webhooks.digest(key, webhook_id, timestamp, delivery.body)


def _jiandaoyun(key: bytes, delivery: Delivery) -> bytes:
    nonce, stamp = (_bytes(delivery.query.get(name, "")) for name in ("nonce", "timestamp"))
    return hashlib.sha1(b":".join([nonce, delivery.body, key, stamp])).digest()  # noqa: S324 - the vendor's choice


def _bytes(text: str) -> bytes:
    """As it came over the wire: what was no UTF-8 is kept by aiohttp as surrogates."""
    return text.encode("utf-8", "surrogateescape")


def _hex(text: str) -> list[bytes]:
    r"""Behind the name of the algorithm, if that is given.

    >>> _hex("sha256=00ff"), _hex("00FF"), _hex("no")
    ([b'\x00\xff'], [b'\x00\xff'], [])
    """
    try:
        return [bytes.fromhex(text.rpartition("=")[2].strip())]
    except ValueError:
        return []


def _base64(text: str) -> list[bytes]:
    try:
        return [base64.b64decode(text.strip(), validate=True)]
    except (binascii.Error, ValueError):
        return []


def _hex_or_base64(text: str) -> list[bytes]:
    plain = text.strip().removeprefix("sha256=")
    return [*_hex(plain), *_base64(plain)]


def _versioned(text: str) -> list[bytes]:
    r"""Several with blanks between, of which those of version 1 are made with a shared secret.

    >>> _versioned("v1,AAE= v1a,AAI= v1,AAM=")
    [b'\x00\x01', b'\x00\x03']
    """
    ours = f"{standard_webhooks.SHARED_SECRET},"
    return [digest for word in text.split() if word.startswith(ours) for digest in _base64(word.removeprefix(ours))]


def _header_seconds(name: str) -> Callable[[Delivery], int | None]:
    return lambda delivery: _seconds(delivery.headers.get(name, ""))


def _seconds(text: str) -> int | None:
    return int(text) * 1000 if text.isascii() and text.isdigit() and len(text) <= _MAX_SECONDS_DIGITS else None


def _zendesk_ms(delivery: Delivery) -> int | None:
    try:
        return parse_instant(delivery.headers.get(_ZENDESK_TIME, ""))
    except ContractError:
        return None


_ZENDESK_TIME: Final = "X-Zendesk-Webhook-Signature-Timestamp"
_SCHEMES: Final[Mapping[Signature, Scheme]] = {
    "shopify": Scheme(
        "X-Shopify-Hmac-Sha256",
        _base64,
        _of_body("sha256"),
        goes_along=tuple(
            f"X-Shopify-{name}" for name in ("Topic", "Shop-Domain", "Webhook-Id", "Event-Id", "Triggered-At", "API-Version")
        ),
    ),
    "zendesk": Scheme(
        "X-Zendesk-Webhook-Signature",
        _base64,
        _zendesk,
        _zendesk_ms,
        goes_along=("X-Zendesk-Account-Id", "X-Zendesk-Webhook-Id", "X-Zendesk-Webhook-Invocation-Id"),
    ),
    "segment": Scheme("X-Signature", _hex, _of_body("sha1")),
    "jiandaoyun": Scheme(
        "X-JDY-Signature",
        _hex,
        _jiandaoyun,
        lambda delivery: _seconds(delivery.query.get("timestamp", "")),
        goes_along=("X-JDY-DeliverId",),
    ),
    "github": Scheme(
        "X-Hub-Signature-256",
        _hex,
        _of_body("sha256"),
        goes_along=("X-GitHub-Event", "X-GitHub-Delivery", "X-GitHub-Hook-ID"),
    ),
    "standard-webhooks": Scheme(
        standard_webhooks.SIGNATURE_HEADER,
        _versioned,
        _standard,
        _header_seconds(standard_webhooks.TIMESTAMP_HEADER),
        standard_webhooks.key_of,
        goes_along=(standard_webhooks.ID_HEADER, standard_webhooks.TIMESTAMP_HEADER),
    ),
}
