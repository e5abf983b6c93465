"""How sinks call over HTTP: to one address, no further than is allowed, and with failures in the words of an operator."""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
from yarl import URL

from schemas.secret import Secret, hidden
from sinks.addresses import is_public
from sinks.base import SinkError

USUAL_TIMEOUT_S: Final = 10.0
_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
"""As it is looked up: what is no ASCII stands in Punycode."""
_READ_AT_MOST: Final = 16_384
_SHOWN_AT_MOST: Final = 200
_CONNECTIONS: Final = 16
_LONGEST_WAIT_S: Final = 3_600.0
_LEAST_SECRET: Final = 8
"""Letters of a part of an address that may be what makes it secret."""
_BUSY: Final = frozenset({408, 425, 429})
_CREDENTIALS: Final = frozenset({401, 403, 407})
_WRONG_ADDRESS: Final = frozenset({404, 405})


@dataclass(frozen=True, slots=True)
class CallTerms:
    """Where a sink calls, and how far it may go."""

    url: Secret
    """Of many receivers it is their password."""
    allow: tuple[str, ...] = ()
    """Hosts that may have private addresses and be called without TLS. If there are any, others are not called at all."""
    ca: Path | None = None
    """Certificates in PEM that are trusted instead of the system's."""
    timeout_s: float = USUAL_TIMEOUT_S
    """Of a whole call."""
    authorization: Secret | None = None
    """The header of this name, e.g. `Bearer ...`; None: none is sent."""


class Answer(NamedTuple):
    """What came back with a status of 200 to 299."""

    status: int
    text: str
    """The first 16 KiB of the body."""


class HttpCaller:
    """Posts to one address. Redirects are not followed, and neither proxies nor cookies nor netrc are used.

    Whether an address may be called is asked when the connection is made, of the address that it is made to: what a name
    led to before does not count.
    """

    def __init__(self, terms: CallTerms) -> None:
        """Raises ValueError for an address that may not be called, or certificates that cannot be read."""
        if fault := url_fault(terms.url.reveal(), terms.allow):
            raise ValueError(fault)
        self._url = URL(terms.url.reveal())
        self._terms = terms
        self._tls = tls_context(terms.ca)
        self._is_allowed = str(self._url.host) in terms.allow
        self._session: aiohttp.ClientSession | None = None
        self.origin: Final = str(self._url.origin())
        """Scheme, host and port: all of the address that may be shown."""
        self._secrets = tuple(_secrets_of(terms))

    async def post(self, body: bytes, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> Answer:
        """Post once; the parameters of `query` are added to the address.

        Raises:
            SinkError: nothing came back, or another status. `refused` is the one index 0 if the same body will never be
                taken; what is for an operator to mend, such as credentials and the address, is retryable.
        """
        if self._session is None:
            self._session = self._new_session()
        url = self._url.update_query(query) if query else self._url
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                answer = Answer(response.status, await _head_of(response))
                if not 200 <= answer.status < 300:
                    raise _refusal(self.origin, answer.status, self.without_secrets(answer.text), response.headers)
                return answer
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise SinkError(f"{self.origin}: {_said(error, self._terms.timeout_s)}", retryable=True) from None

    def without_secrets(self, text: str) -> str:
        """What came back, as it may be shown: who answers may repeat what it was asked."""
        return hidden(text, self._secrets)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _new_session(self) -> aiohttp.ClientSession:
        """In the running loop, which there is none of when the sink is made."""
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=_CONNECTIONS, socket_factory=self._socket)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._terms.timeout_s),
            headers={"User-Agent": "churnwatch", "Accept-Encoding": "identity", **self._credentials()},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    def _credentials(self) -> dict[str, str]:
        secret = self._terms.authorization
        return {} if secret is None else {"Authorization": secret.reveal()}

    def _socket(self, address: Any) -> socket.socket:  # noqa: ANN401 - a tuple as of getaddrinfo
        family, kind, protocol, _, place = address
        if not self._is_allowed and not is_public(place[0]):
            raise PermissionError(
                f"{self._url.host} has the address {place[0]}, which is not a public one; "
                "if that is meant, name the host under `allow`"
            )
        return socket.socket(family=family, type=kind, proto=protocol)


def host_of(url: str) -> str | None:
    """The host of an address, as `allow` names it; None: it is no address that can be called."""
    try:
        found = URL(url)
        if found.scheme not in {"https", "http"} or not found.port:
            return None
        return found.host if _HOST.fullmatch(found.raw_host or "") or _is_address(found.host or "") else None
    except ValueError:  # UnicodeError is one
        return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def url_fault(url: str, allow: tuple[str, ...]) -> str | None:
    """What is wrong with an address, without showing it; None if it may be called."""
    host = host_of(url)
    if not host:
        return "it is no address: https://host/path is wanted"
    found = URL(url)
    if found.user is not None or found.password is not None:
        return "user and password do not belong in an address: `authorization` has them"
    if allow and host not in allow:
        return f"the host {host} is not under `allow`: {', '.join(allow)}"
    if found.scheme == "http" and host not in allow:
        return f"http:// is open to everybody on the way: use https://, or name {host} under `allow`"
    return None


def tls_context(ca: Path | None) -> ssl.SSLContext:
    """Which certificates are trusted: the system's, or those of a file instead.

    Raises:
        ValueError: the file cannot be read, or holds none.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # SSLError is one
        reason = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"the certificates of {ca} cannot be read: {reason}") from None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What the header asks for, seconds or an instant, at most an hour; None: nothing that can be read.

    An instant is compared with that of the answer itself, so that nobody's clock has to be right.
    """
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), _LONGEST_WAIT_S)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return None
    return min(max(wait.total_seconds(), 0.0), _LONGEST_WAIT_S)


def _secrets_of(terms: CallTerms) -> Iterator[str]:
    """What an answer may not show if it repeats the request: the header, with and without its scheme, and the address."""
    if terms.authorization is not None:
        header = terms.authorization.reveal()
        yield from (header, header.rpartition(" ")[2])
    if terms.url.stands_in:
        url = URL(terms.url.reveal())
        parts = (str(url), url.path_qs, *url.parts, *url.query.values())
        yield from (part for part in parts if len(part) >= _LEAST_SECRET)


async def _head_of(response: aiohttp.ClientResponse) -> str:
    """As much of the body as is of use; a connection with more in it is not used again."""
    body = bytearray()
    while len(body) < _READ_AT_MOST and (more := await response.content.read(_READ_AT_MOST - len(body))):
        body += more
    return body.decode(errors="replace")


def _refusal(origin: str, status: int, text: str, headers: Mapping[str, str]) -> SinkError:
    said = f"{origin} answers {status}" + (f" ({shown})" if (shown := _shown(text)) else "")
    if status >= 500 or status in _BUSY:
        return SinkError(said, retryable=True, retry_after_s=retry_after_s(headers))
    if status in _CREDENTIALS:
        return SinkError(f"{said}: it does not take our credentials; check the secrets of this sink", retryable=True)
    if status in _WRONG_ADDRESS:
        return SinkError(f"{said}: nobody takes posts at this address; check its `url`", retryable=True)
    if 300 <= status < 400:
        where = _pointed_to(headers.get("Location", ""))
        return SinkError(f"{said}: it redirects {where}, which is not followed; put the right address in `url`", retryable=True)
    return SinkError(f"{said}: it will never take this", retryable=False, refused=(0,))


def _pointed_to(location: str) -> str:
    """Where to, without the path: that of many webhooks is their password."""
    try:
        found = URL(location)
        return f"to {found.origin()}" if found.is_absolute() else "to another path of the same host"
    except ValueError:
        return "to what is no address"


def _shown(text: str) -> str:
    """What the other side says, on one line and not at length."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _SHOWN_AT_MOST])
    line = " ".join(line.split())
    return line if len(line) <= _SHOWN_AT_MOST else line[:_SHOWN_AT_MOST] + "..."


def _said(error: Exception, timeout_s: float) -> str:
    """Not the error's own text where that could hold the address."""
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as refused):
            said = f"its certificate is not to be trusted: {refused.verify_message}"
        case aiohttp.ClientConnectorSSLError():
            said = f"no TLS with it: {_reason(error.os_error)}"
        case aiohttp.ClientConnectorDNSError():
            said = f"its name leads nowhere: {_reason(error.os_error)}"
        case aiohttp.ClientConnectorError():
            said = f"no connection: {_reason(error.os_error)}"
        case aiohttp.InvalidURL():
            said = "its address is none"
        case asyncio.TimeoutError():
            said = f"no answer within {timeout_s:g} s"
        case aiohttp.ServerDisconnectedError():
            said = "it hung up without an answer"
        case aiohttp.ClientPayloadError() | aiohttp.ClientOSError() | OSError():
            said = "the connection broke"
        case _:
            said = f"what it answers is no HTTP ({type(error).__name__})"
    return said


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
