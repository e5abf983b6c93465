"""The read model in Redis or Valkey: profiles of customers, lists of who is at risk and of open alerts, the last alerts."""

import itertools
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from sinks import redis_scripts as scripts
from sinks.base import Delivery, Forgotten, SinkError
from sinks.profiles import LATEST, OPEN_ALERTS, Change, Listed, Ranked, Removal, alert_field, change_of
from sinks.redis_client import RedisTerms
from sinks.redis_layout import PREFIX, VERSION, Keys, Lists
from sinks.stores import Partition, StoreMoved, Told

_RECORDS_AT_ONCE: Final = 1_000


class RedisStore:
    """Writes one database, or what has a prefix there, which nothing else writes.

    Args:
        terms: how it is reached.
        prefix: of all keys.
    """

    name = "redis"

    def __init__(self, terms: RedisTerms, prefix: str = PREFIX) -> None:
        self.keys = Keys(prefix)
        self.terms = terms
        self.client: Any = terms.client()
        self.run: str | None = None
        """What everything is written under; None: the layout has to be opened."""
        self.lists: Lists = self.keys.lists
        self.writes_again = False
        """Whether a record that is held already is written once more: for lists that are made anew."""
        self._positions: dict[Partition, int] = {}
        self._scripts: dict[type, Any] = {
            kind: self.client.register_script(text)
            for kind, text in ((Ranked, scripts.RISK), (Listed, scripts.ALERT), (type(None), scripts.STAGE))
        }
        self._remove: Any = self.client.register_script(scripts.REMOVE)
        self._open: Any = self.client.register_script(scripts.OPEN)
        self._advance: Any = self.client.register_script(scripts.ADVANCE)

    # -- as a store

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Where to go on reading, as Redis itself says: 0 for all after it was emptied."""
        arguments = [VERSION, secrets.token_hex(8), *partitions]
        run, *offsets = await self._call(self._open, [self.keys.layout, self.keys.rebuilding], arguments)
        self.run = run.decode()
        self._positions = {partition: int(offset) for partition, offset in zip(partitions, offsets, strict=True)}
        return dict(self._positions)

    async def take(self, told: Sequence[Told]) -> None:
        """Write a batch; see `deliver`."""
        await self.deliver([one.record for one in told])

    async def advance(self, reached: Mapping[Partition, int]) -> Mapping[Partition, int]:
        """Keep the positions, if they are still those that we left."""
        arguments: list[Any] = [self.run]
        for partition, offset in reached.items():
            arguments += [partition, self._positions.get(partition, 0), offset]
        await self._call(self._advance, [self.keys.layout], arguments)
        self._positions.update(reached)
        return dict(self._positions)

    async def tend(self) -> Mapping[Partition, int]:
        """See whether everything is still there, also while nothing comes."""
        return await self.advance(dict(self._positions))

    # -- as a sink

    async def deliver(self, records: Sequence[Delivery]) -> None:
        """Write a batch, in one round trip for each thousand records.

        Raises:
            StoreMoved: everything is gone, or somebody makes it anew.
            SinkError: Redis is down, full or starting, and the batch may be sent again; or a customer's key holds
                something else than a hash.
        """
        if self.run is None:
            raise StoreMoved(f"{self.terms}: its positions have to be asked for before anything is written")
        refused: dict[int, str] = {}
        changes = [(index, change) for index, record in enumerate(records) if (change := change_of(record)) is not None]
        for first in range(0, len(changes), _RECORDS_AT_ONCE):
            some = changes[first : first + _RECORDS_AT_ONCE]
            results = await self.write([change for _, change in some])
            for (index, change), result in zip(some, results, strict=True):
                if isinstance(result, ResponseError):
                    refused[index] = change.customer_id
        await self._forget_latest({record.alert_id for record in records if isinstance(record, Forgotten)} - {""})
        if refused:
            customers = sorted(set(refused.values()))
            raise SinkError(
                f"the keys of these customers hold no hash: {customers[:5]}", retryable=False, refused=tuple(refused)
            )

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    async def write(self, changes: Sequence[Change | Removal]) -> list[Any]:
        """The answers to each, of which only one about a key that holds no hash may be an error."""
        try:
            async with self.client.pipeline(transaction=False) as pipe:
                for change in changes:
                    script = self._scripts[type(change.lists)] if isinstance(change, Change) else self._remove
                    keys = [self.keys.layout, self.keys.profile(change.customer_id)]
                    await script(keys=keys, args=[self.run, *self._arguments(change)], client=pipe)
                results: list[Any] = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise self.explained(error) from error
        for result in results:
            if isinstance(result, Exception) and "WRONGTYPE" not in str(result):
                raise self.explained(result) from result
        return results

    def _arguments(self, change: Change | Removal) -> list[Any]:
        lists = self.lists.prefix
        if isinstance(change, Removal):
            field = alert_field(change.alert_id) if change.alert_id else ""
            return [lists, change.customer_id, change.what, OPEN_ALERTS, change.alert_id, field, *change.fields]
        common: list[Any] = [lists, change.customer_id, int(self.writes_again), change.sequence_field, change.sequence]
        fields: list[Any] = [len(change.removed), *change.removed, *itertools.chain.from_iterable(change.fields.items())]
        match change.lists:
            case Listed() as alert:
                about: list[Any] = [
                    alert.alert_id,
                    alert_field(alert.alert_id),
                    int(alert.is_open),
                    alert.due_ms,
                    alert.severity,
                ]
                return [*common, *about, alert.owner or "", alert.record, OPEN_ALERTS, LATEST]
            case Ranked(rank, probability, owner):
                return [*common, rank, "" if probability is None else probability, owner or "", *fields]
            case None:
                return [*common, *fields]

    async def _forget_latest(self, alert_ids: Collection[str]) -> None:
        """Take records of alerts out of the stream, which has no index."""
        if not alert_ids:
            return
        try:
            entries = await self.client.xrange(self.lists.latest)
            gone = [entry for entry, fields in entries if fields[b"alert_id"].decode() in alert_ids]
            if gone:
                await self.client.xdel(self.lists.latest, *gone)
        except (RedisError, OSError) as error:
            raise self.explained(error) from error

    async def _call(self, script: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:  # noqa: ANN401
        try:
            return await script(keys=keys, args=arguments)
        except (RedisError, OSError) as error:
            raise self.explained(error) from error

    def explained(self, error: Exception) -> SinkError:
        """What an error of the library means."""
        says = self.terms.shown(error)
        if says.startswith(scripts.GONE):
            self.run = None
            return StoreMoved(f"{self.terms}: {says.removeprefix(scripts.GONE).strip()}")
        if says.startswith(scripts.LAYOUT):
            found = says.removeprefix(scripts.LAYOUT).strip()
            return SinkError(
                f"{self.terms} has keys of layout {found}, and this release writes {VERSION}: run the release that wrote them, "
                "or have them made anew with `churnwatch rebuild redis`",
                retryable=True,
            )
        if says.startswith(scripts.REBUILDING):
            return SinkError(f"{self.terms} is being made anew by `churnwatch rebuild redis`: it is waited for", retryable=True)
        if isinstance(error, OutOfMemoryError):
            return SinkError(f"{self.terms} is full: raise its maxmemory; records wait until then", retryable=True)
        if isinstance(error, ResponseError):
            return SinkError(f"{self.terms} refuses: {says}", retryable=True)
        return SinkError(f"{self.terms} does not answer: {says or type(error).__name__}", retryable=True)
