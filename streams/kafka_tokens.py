"""Tokens for OAUTHBEARER: out of a file that somebody renews, or of a token endpoint (client credentials)."""

import asyncio
import base64
import http.client
import json
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


class TokenError(RuntimeError):
    """There is no token; the message says why, and shows none."""


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
        self._tls = ssl.create_default_context(cafile=ca)
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
                found = self._asked()
                life_s = float(found.get("expires_in") or _USUAL_LIFE_S)
                self._held = str(found["access_token"]), self._now_s() + life_s * _RENEW_AT
            return self._held[0]

    def _asked(self) -> Mapping[str, Any]:
        form = {"grant_type": "client_credentials", **({"scope": self._scope} if self._scope else {})}
        basic = base64.b64encode(f"{_quoted(self._client_id)}:{_quoted(self._secret.reveal())}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - the settings allow http and https alone
            self._url, urllib.parse.urlencode(form).encode(), {"Authorization": f"Basic {basic}", "Accept": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self._tls) as answer:  # noqa: S310 - as above
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise TokenError(f"{self._url} gives no token: it answers {error.code}; check client, secret and scope") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise TokenError(f"{self._url} gives no token: {error}") from None
        if not isinstance(found, dict) or not isinstance(found.get("access_token"), str):
            raise TokenError(f"{self._url} gives no token: there is no `access_token` in its answer")
        return found


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


def _quoted(text: str) -> str:
    """As RFC 6749, 2.3.1 has it."""
    return urllib.parse.quote(text, safe="")
