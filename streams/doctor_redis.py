"""What `churnwatch doctor` says of Redis."""

from collections.abc import Iterator
from typing import Any, Final

from redis.exceptions import RedisError

from sinks.redis_client import RedisTerms
from sinks.redis_layout import VERSION, Keys
from streams.finding import Finding
from streams.redis_terms import redis_terms
from streams.settings import Settings, SettingsError

_TIMEOUT_S: Final = 3.0


def redis_findings(settings: Settings) -> Iterator[Finding]:
    """Whether it answers, keeps everything, and has keys that this release writes."""
    if not settings.redis_url:
        yield _good("CHURN_REDIS_URL is not set: there is no read model")
        return
    try:
        terms = redis_terms(settings)
    except SettingsError as fault:
        yield _bad(str(fault))
        return
    client: Any = terms.plain_client(socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
    try:
        yield from _of_server(terms, client)
    except (RedisError, OSError) as error:
        yield _bad(f"{terms} does not answer ({terms.shown(error)}): start Redis or Valkey, or set CHURN_REDIS_URL")
    finally:
        client.close()


def _of_server(terms: RedisTerms, client: Any) -> Iterator[Finding]:  # noqa: ANN401 - as the library
    info, held = client.info(), client.hget(Keys().layout, "version")
    yield _good(f"{terms} answers, version {info.get('redis_version', 'unknown')}")
    policy, limit = info.get("maxmemory_policy", "noeviction"), info.get("maxmemory", 0)
    if limit and policy != "noeviction":
        yield _bad(f"{terms} throws keys away when it is full ({policy}): set its maxmemory-policy to noeviction")
    if held is not None and held.decode() != VERSION:
        says = f"{terms} has keys of layout {held.decode()}, and this release writes {VERSION}: `churnwatch rebuild redis`"
        yield _bad(says)


def _good(says: str) -> Finding:
    return Finding("redis", good=True, says=says)


def _bad(says: str) -> Finding:
    return Finding("redis", good=False, says=says)
