"""Alerts by their id: in the topics, or in a file of records as `replay` prints them."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from aiokafka.structs import TopicPartition

from schemas.codec import decode_decision
from schemas.decisions import AlertRecord
from schemas.errors import ContractError
from streams.settings import Settings, Topic
from streams.topic_tail import read_through, reader

LEAST_PREFIX: Final = 8
"""So many first characters of an id stand for it, if no other begins so."""
_SHOWN_IDS: Final = 5


class AlertNotFound(LookupError):  # noqa: N818 - what became of the search
    """No alert has this id, or several ids begin so; the message says which."""


def in_file(path: Path, wanted: str) -> list[AlertRecord]:
    """The records of an alert, in order, from JSON lines.

    Args:
        path: alert records, one a line; records of other kinds are passed over.
        wanted: an id, or the beginning of one.

    Raises:
        AlertNotFound: none or several have it.
        ContractError: a line that names it is no record.
        OSError: the file cannot be read.
    """
    return chosen(_in_lines(path, wanted.encode()), wanted, str(path))


def all_in_file(path: Path) -> list[list[AlertRecord]]:
    """The records of every alert, in order, from JSON lines; alerts as they come.

    Raises:
        ContractError: a line is no record.
        OSError: the file cannot be read.
    """
    by_id: dict[str, list[AlertRecord]] = {}
    for record in _in_lines(path, b""):
        by_id.setdefault(record.alert_id, []).append(record)
    return [sorted(records, key=lambda record: record.sequence) for records in by_id.values()]


def in_topics(settings: Settings, wanted: str, topics: Sequence[Topic]) -> list[AlertRecord]:
    """The records of an alert that these topics still hold, in order.

    Raises:
        AlertNotFound: none or several have it, or the first topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    names = [settings.topic(name) for name in topics]
    return chosen(asyncio.run(_read(settings, wanted, names)), wanted, " and ".join(names))


def chosen(records: Iterable[AlertRecord], wanted: str, where: str) -> list[AlertRecord]:
    """Of these records those of the one alert that is meant, by sequence; an exact id goes before a longer one.

    Raises:
        AlertNotFound: none or several have it.
    """
    by_id: dict[str, dict[int, AlertRecord]] = {}
    for record in records:
        if record.alert_id == wanted or (len(wanted) >= LEAST_PREFIX and record.alert_id.startswith(wanted)):
            by_id.setdefault(record.alert_id, {})[record.sequence] = record
    if wanted not in by_id and len(by_id) > 1:
        shown = ", ".join(sorted(by_id)[:_SHOWN_IDS])
        raise AlertNotFound(f"{len(by_id)} alerts begin with {wanted}: {shown}{', ...' if len(by_id) > _SHOWN_IDS else ''}")
    if not by_id:
        short = f"; the beginning of an id needs at least {LEAST_PREFIX} characters" if len(wanted) < LEAST_PREFIX else ""
        raise AlertNotFound(f"there is no alert {wanted} in {where}{short}")
    of_one = by_id.get(wanted) or next(iter(by_id.values()))
    return [of_one[sequence] for sequence in sorted(of_one)]


async def _read(settings: Settings, wanted: str, names: Sequence[str]) -> list[AlertRecord]:
    """Every record whose key begins so and was not taken out again."""
    begins, found = wanted.encode(), dict[bytes, list[AlertRecord]]()
    async with reader(settings) as consumer:
        known = await consumer.topics()
        if names[0] not in known:
            raise AlertNotFound(f"the topic {names[0]} does not exist: `churnwatch topics` creates it")
        for topic in (name for name in names if name in known):
            for partition in range(settings.partitions):
                async for record in read_through(consumer, TopicPartition(topic, partition)):
                    key = record.key or b""
                    if not key.startswith(begins):
                        continue
                    if record.value is None:
                        found.pop(key, None)
                        continue
                    decision = decode_decision(record.value)
                    if isinstance(decision, AlertRecord):
                        found.setdefault(key, []).append(decision)
    return [record for records in found.values() for record in records]


def _in_lines(path: Path, named: bytes) -> Iterator[AlertRecord]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if named not in line:
                continue
            try:
                record = decode_decision(line)
            except ContractError as error:
                raise ContractError(error.code, f"{path}, line {number}: {error.message}") from None
            if isinstance(record, AlertRecord):
                yield record
