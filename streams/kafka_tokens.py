"""Tokens for OAUTHBEARER: out of a file that somebody renews, or of a token endpoint (client credentials)."""

import asyncio
import base64
import http.client
import json
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider as AsyncTokenProvider
from kafka.net.sasl.oauth import AbstractTokenProvider

from schemas.secret import Secret

_TIMEOUT_S: Final = 10.0
_RENEW_AT: Final = 0.8
"""Of its life: a token that is about to expire would be refused on its way."""
_USUAL_LIFE_S: Final = 300.0
_MOST_BYTES: Final = 1 << 20
_USER_INFO: Final = re.compile("//[^/]*@")


class TokenError(ConnectionError):
    """There is no token; the message says why, and shows none.

    An `OSError`, since aiokafka tries again after those alone: with any other, its task that follows the brokers would end
    unheard.
    """


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Whoever answers must not send our secret on to another host."""

    def redirect_request(self, *_args: Any) -> None:  # noqa: ANN401 - as the library
        """Not followed: the answer itself is then the error."""


class FileTokens:
    """A token that stands in a file; read anew each time, for it is renewed by somebody else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def token(self) -> str:
        """The one that is there now.

        Raises:
            TokenError: the file cannot be read, or is empty.
        """
        try:
            found = self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenError(f"the token in {self._path} cannot be read: {error}") from None
        if not found:
            raise TokenError(f"the file of the token, {self._path}, is empty")
        return found


class EndpointTokens:
    """Tokens of an OAuth 2.0 server by client credentials (RFC 6749, 4.4), each used for most of its life."""

    def __init__(
        self, url: str, client_id: str, secret: Secret, scope: str, ca: Path | None, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._client_id, self._secret, self._scope = client_id, secret, scope
        self._shown = _USER_INFO.sub("//***@", url)
        tls = ssl.create_default_context()
        if ca is not None:  # beside those of the system: the endpoint may be anybody's
            tls.load_verify_locations(ca)
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls), _NoRedirects())
        self._now_s = now_s
        self._lock = threading.Lock()
        self._held: tuple[str, float] | None = None

    def token(self) -> str:
        """One that is good for a while.

        Raises:
            TokenError: the server gives none.
        """
        with self._lock:
            if self._held is None or self._now_s() >= self._held[1]:
                token, life_s = _of_answer(self._asked(), self._shown)
                self._held = token, self._now_s() + life_s * _RENEW_AT
            return self._held[0]

    def _asked(self) -> bytes:
        form = {"grant_type": "client_credentials", **({"scope": self._scope} if self._scope else {})}
        basic = base64.b64encode(f"{_quoted(self._client_id)}:{_quoted(self._secret.reveal())}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - the settings allow http and https alone
            self._url, urllib.parse.urlencode(form).encode(), {"Authorization": f"Basic {basic}", "Accept": "application/json"}
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                return bytes(answer.read(_MOST_BYTES))
        except urllib.error.HTTPError as error:
            error.close()
            raise TokenError(f"{self._shown} gives no token: it answers {error.code}; check client, secret and scope") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise TokenError(f"{self._shown} gives no token: {error}") from None


Tokens = FileTokens | EndpointTokens


class ForKafkaPython(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
    """As kafka-python asks."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self._tokens = tokens

    def token(self) -> str:
        """The token for a new connection."""
        return self._tokens.token()


class ForAiokafka(AsyncTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """As aiokafka asks: a server that is slow must not stop the loop."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def token(self) -> str:
        """The token for a new connection."""
        return await asyncio.to_thread(self._tokens.token)


def _of_answer(answer: bytes, shown: str) -> tuple[str, float]:
    """The token, and for how many seconds it is good."""
    try:
        found: Mapping[str, Any] = json.loads(answer)
        token, life_s = found["access_token"], float(found.get("expires_in") or _USUAL_LIFE_S)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise TokenError(
            f"{shown} gives no token: its answer is none of OAuth 2.0, with `access_token` and `expires_in`"
        ) from None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise TokenError(f"{shown} gives no token: its `access_token` is not printable ASCII")
    return token, life_s


def _quoted(text: str) -> str:
    """As RFC 6749, 2.3.1 has it."""
    return urllib.parse.quote(text, safe="")
