"""How Redis or Valkey is reached: with TLS, as a user, and nobody sees the password."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from schemas.secret import Secret, hidden

_TIMEOUT_S: Final = 5.0
_USER_INFO: Final = re.compile(r"(?<=://)[^/\s]*@|(?<=[?&]password=)[^&\s]*")


@dataclass(frozen=True, slots=True)
class RedisTerms:
    """Where it is, and who we are there."""

    url: str = field(repr=False)
    """`redis://`, `rediss://` (TLS) or `unix://`; what it says of user and password goes before the fields."""
    username: str = ""
    password: Secret | None = None
    ca: Path | None = None
    """Certificates that a server's must be signed by, in PEM; None: those of the system."""

    def __str__(self) -> str:
        return without_password(self.url)

    def shown(self, error: Exception) -> str:
        """What an error says; a server may repeat the password, as one that does not know the command."""
        ours = [] if self.password is None else [self.password.reveal()]
        ours += [urlsplit(self.url).password or "", *parse_qs(urlsplit(self.url).query).get("password", [])]
        return hidden(str(error), ours)

    def client(self, **options: Any) -> "AsyncRedis":  # noqa: ANN401 - as the library
        """A client for an event loop. Nothing is connected yet."""
        return AsyncRedis.from_url(self.url, **{**self._options(), **options})

    def plain_client(self, **options: Any) -> "Redis":  # noqa: ANN401 - as the library
        """The same for a command, which waits for each answer."""
        return Redis.from_url(self.url, **{**self._options(), **options})

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
        if self.username:
            options["username"] = self.username
        if self.password is not None:
            options["password"] = self.password.reveal()
        if urlsplit(self.url).scheme == "rediss":
            options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
            if self.ca is not None:
                options["ssl_ca_certs"] = str(self.ca)
        return options


def without_password(url: str) -> str:
    """The address as it may be shown.

    >>> without_password("rediss://churn:hush@redis.example.com:6379/0")
    'rediss://***@redis.example.com:6379/0'
    """
    return _USER_INFO.sub(lambda found: "***@" if found[0].endswith("@") else "***", url)
