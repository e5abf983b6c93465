"""Profiles of customers in Redis or Valkey: one hash for each, never overwritten by an older record."""

import itertools
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from sinks.base import Delivery, SinkError
from sinks.profiles import OPEN_ALERTS, Change, Removal, change_of

_KEY: Final = "churn:profile"
_RECORDS_AT_ONCE: Final = 1_000
_TIMEOUT_S: Final = 5.0

# The comparison and the writes are one step, for several processes may deliver at once after a rebalance.
# ARGV: sequence field, sequence, counter or "", number of removed fields, these, then names and values.
_APPLY: Final = """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and tonumber(held) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local grown = 0
local first_field = 5 + tonumber(ARGV[4])
for i = 5, first_field - 1 do
  grown = grown - redis.call('HDEL', KEYS[1], ARGV[i])
end
for i = first_field, #ARGV, 2 do
  grown = grown + redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
if ARGV[3] ~= '' then
  redis.call('HINCRBY', KEYS[1], ARGV[3], grown)
end
return 1
"""

# ARGV: the counter, an alert's field or "", and the other fields.
_REMOVE: Final = """
redis.call('HLEN', KEYS[1])  -- refuses what is no hash, and so not ours to delete
for i = 3, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
if ARGV[2] ~= '' and redis.call('HDEL', KEYS[1], ARGV[2]) == 1 then
  redis.call('HINCRBY', KEYS[1], ARGV[1], -1)
end
if redis.call('HLEN', KEYS[1]) > 1 or redis.call('HGET', KEYS[1], ARGV[1]) ~= '0' then
  return 0
end
return redis.call('DEL', KEYS[1])
"""


class RedisProfiles:
    """Writes the profile of a customer as the hash `churn:profile:<customer>`, or `churn:profile:<tenant>:<customer>`."""

    name = "redis"

    def __init__(self, url: str, tenant: str | None = None) -> None:
        self._prefix = f"{_KEY}:{tenant}:" if tenant else f"{_KEY}:"
        self._client = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._apply: Any = self._client.register_script(_APPLY)
        self._remove: Any = self._client.register_script(_REMOVE)

    def key(self, customer_id: str) -> str:
        """Of the customer's hash."""
        return self._prefix + customer_id

    async def deliver(self, records: Sequence[Delivery]) -> None:
        """Write a batch in one round trip for each thousand records.

        Raises:
            SinkError: Redis is down, full or starting, and the batch may be sent again; or a customer's key holds
                something else than a hash.
        """
        refused: dict[int, str] = {}
        changes = [(index, change) for index, record in enumerate(records) if (change := change_of(record)) is not None]
        for first in range(0, len(changes), _RECORDS_AT_ONCE):
            some = changes[first : first + _RECORDS_AT_ONCE]
            results = await self._write([change for _, change in some])
            for (index, change), result in zip(some, results, strict=True):
                if isinstance(result, ResponseError):
                    refused[index] = change.customer_id
        if refused:
            customers = sorted(set(refused.values()))
            raise SinkError(
                f"the keys of these customers hold no hash: {customers[:5]}", retryable=False, refused=tuple(refused)
            )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _write(self, changes: Sequence[Change | Removal]) -> list[Any]:
        """The results, of which only an answer of Redis about one key may be an error."""
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for change in changes:
                    script = self._apply if isinstance(change, Change) else self._remove
                    await script(keys=[self.key(change.customer_id)], args=_arguments(change), client=pipe)
                results: list[Any] = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise SinkError(f"Redis does not answer: {error!r}", retryable=True) from error
        for result in results:
            if isinstance(result, Exception) and not _is_about_the_key(result):
                raise SinkError(f"Redis refuses to write: {result!r}", retryable=True) from result
        return results


def _arguments(change: Change | Removal) -> list[str | int]:
    if isinstance(change, Removal):
        return [OPEN_ALERTS, change.alert or "", *change.fields]
    counter = OPEN_ALERTS if change.counts else ""
    fields = itertools.chain.from_iterable(change.fields.items())
    return [change.sequence_field, change.sequence, counter, len(change.removed), *change.removed, *fields]


def _is_about_the_key(error: Exception) -> bool:
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)
