"""Making the read model anew, from all that the topics hold, while readers go on reading.

From `begin` on nobody else writes: every other run is told that it is gone, and waits. Profiles are written over in
place; the lists are made under other names, and take the place of the old ones at the end, in one step.
"""

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from sinks import redis_scripts as scripts
from sinks.base import Delivery, SinkError
from sinks.profiles import RISK_SEQUENCE, SEQUENCE_OF_ALERT, STAGE_SEQUENCE, Change, Removal, change_of, removal_of
from sinks.redis_client import RedisTerms
from sinks.redis_layout import PREFIX, VERSION
from sinks.redis_store import RedisStore
from sinks.stores import Partition

ALIVE_FOR_S: Final = 30
"""Without a sign of life for so long a rebuild is given up, and deliver goes on: it reads everything itself."""
_SCANNED_AT_ONCE: Final = 1_000

Subject = int
"""A hash of what has a number: the alert, the risk or the stage of a customer. So a million customers fit in memory."""


class RedisRebuild:
    """One rebuild: `begin`, `write` everything in the order of each partition, `sweep`, `finish`."""

    def __init__(self, terms: RedisTerms, prefix: str = PREFIX) -> None:
        self._store = RedisStore(terms, prefix)
        self._run = secrets.token_hex(8)
        self._known: dict[Subject, int] = {}
        """The number of the last record of each subject that was written."""
        self._lost: set[Subject] = set()
        """What a sweep took out, and has to be written once more."""
        self._client: Any = self._store.client
        keys = self._store.keys
        self._keys = [keys.layout, keys.rebuilding]

    async def begin(self) -> None:
        """Shut the others out.

        Raises:
            SinkError: somebody else is at it, or Redis does not answer.
        """
        await self._eval(scripts.BEGIN_REBUILD, self._keys, VERSION, self._run, ALIVE_FOR_S)
        self._store.run, self._store.lists, self._store.writes_again = self._run, self._store.keys.new_lists, True
        for key in await self._list_keys(self._store.lists.patterns()):
            await self._client.unlink(key)

    async def still_alive(self) -> None:
        """To be said more often than every `ALIVE_FOR_S`.

        Raises:
            StoreMoved: it was not, and deliver has gone on.
        """
        await self._eval(scripts.ALIVE, self._keys, self._run, ALIVE_FOR_S)

    async def write(self, records: Sequence[Delivery]) -> int:
        """Write some records; how many were refused, since a key holds something else.

        Raises:
            StoreMoved: Redis was emptied, or the rebuild given up.
            SinkError: Redis does not take them.
        """
        for change in map(change_of, records):
            match change:
                case Change():
                    self._known[_subject(change.customer_id, change.sequence_field)] = change.sequence
                case Removal():
                    self._known.pop(_subject(change.customer_id, change.fields[0]), None)
                case None:
                    pass
        try:
            await self._store.deliver(records)
        except SinkError as error:
            if error.retryable:
                raise
            return len(error.refused)
        return 0

    async def sweep(self) -> AsyncIterator[tuple[int, list[Removal]]]:
        """Take out what the topics do not say. Yields how many profiles were looked at, and what was taken out.

        What had a number other than that of the last record, as after topics were deleted and made again, is taken out
        too, and has to be written once more: `is_to_be_written_again`.
        """
        profiles = self._store.keys.profiles
        async for customers in self._scanned(profiles):
            removals = [removal for customer_id in customers for removal in self._wrong(customer_id, customers[customer_id])]
            await self._store.write(removals)
            yield len(customers), removals

    def is_to_be_written_again(self, record: Delivery) -> bool:
        """Whether a sweep took out what this record had been about."""
        change = change_of(record)
        if change is None:
            return False
        field = change.sequence_field if isinstance(change, Change) else change.fields[0]
        return _subject(change.customer_id, field) in self._lost

    @property
    def has_lost(self) -> bool:
        """Whether anything is to be written again."""
        return bool(self._lost)

    async def finish(self, positions: Mapping[Partition, int]) -> None:
        """Put the new lists in place of the old, and let the others go on from these positions.

        Raises:
            StoreMoved: the rebuild was given up.
            SinkError: Redis does not answer.
        """
        keys, new = self._store.keys, self._store.lists
        made, old = await self._list_keys(new.patterns()), await self._list_keys(keys.lists.patterns())
        renamed = [word for key in made for word in (key, keys.prefix + key.removeprefix(new.prefix))]
        places = [word for place in positions.items() for word in place]
        await self._eval(scripts.FINISH, self._keys, self._run, len(old), *old, len(made), *renamed, *places)

    async def close(self) -> None:
        """Let go; what was not finished is given up at once."""
        try:
            await self._eval(scripts.GIVE_UP, [self._store.keys.rebuilding], self._run)
        finally:
            await self._store.close()

    def _wrong(self, customer_id: str, numbers: Mapping[str, int]) -> Iterator[Removal]:
        for field, number in numbers.items():
            subject = _subject(customer_id, field)
            known = self._known.get(subject)
            if known == number:
                continue
            if known is not None:
                self._lost.add(subject)
            if field == RISK_SEQUENCE:
                yield removal_of(customer_id, "risk")
            elif field == STAGE_SEQUENCE:
                yield removal_of(customer_id, "stage")
            elif field.startswith(SEQUENCE_OF_ALERT):
                yield removal_of(customer_id, "alert", field.removeprefix(SEQUENCE_OF_ALERT))

    async def _scanned(self, prefix: str) -> AsyncIterator[dict[str, dict[str, int]]]:
        """The numbers in the profiles, by customer, some at a time."""
        cursor = 0
        while True:
            cursor, keys = await self._client.scan(cursor, match=f"{prefix}*", count=_SCANNED_AT_ONCE)
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.eval(scripts.SEQUENCES, 1, key)
                answers = await pipe.execute(raise_on_error=False)
            yield {
                key.decode().removeprefix(prefix): _numbers(answer)
                for key, answer in zip(keys, answers, strict=True)
                if not isinstance(answer, ResponseError)  # no hash: not ours
            }
            if not cursor:
                return

    async def _list_keys(self, patterns: Sequence[str]) -> list[str]:
        """Those that there are."""
        found = [key for key in patterns if "*" not in key and await self._client.exists(key)]
        for pattern in patterns:
            if "*" in pattern:
                found += [key.decode() async for key in self._client.scan_iter(pattern, count=_SCANNED_AT_ONCE)]
        return found

    async def _eval(self, script: str, keys: Sequence[str], *arguments: Any) -> None:  # noqa: ANN401
        try:
            await self._client.eval(script, len(keys), *keys, *arguments)
        except (RedisError, OSError) as error:
            raise self._store.explained(error) from error


def _subject(customer_id: str, field: str) -> Subject:
    return hash((customer_id, field))


def _numbers(answer: Sequence[bytes]) -> dict[str, int]:
    return {field.decode(): int(number) for field, number in zip(answer[::2], answer[1::2], strict=True)}
