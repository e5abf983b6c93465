"""`churnwatch mapping check`: what a mapping makes of a file's rows or a topic's records, before anything depends on it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.codec import decode_record
from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from schemas.events import Event
from streams.mapped_rows import mapped_rows
from streams.mapping import load_mapping
from streams.mapping_findings import Findings
from streams.routing import Terms, route
from streams.settings import Settings
from streams.source_terms import SourceTerms, load_terms
from streams.sources import Source
from streams.topic_tail import read_through, reader
from streams.topics import partition_count

_REGISTRY_WAIT_S: Final = 20.0


class RegistrySilent(RuntimeError):  # noqa: N818 - what it is
    """The schema registry does not answer; the message says for how long."""


class TopicNotFound(LookupError):  # noqa: N818 - what was looked for
    """There is no such topic; the message says which."""


@dataclass(frozen=True, slots=True)
class Records:
    """Which records of a topic are looked at."""

    topic: str
    """Full name."""
    count: int
    """An equal share of it from each partition."""
    newest: bool = False
    """From the ends of the partitions, not from their beginnings."""


def check(path: Path) -> Findings:
    """What a mapping reads and makes.

    Raises:
        MappingError: with all faults.
        OSError: the file cannot be read.
    """
    return Findings(path, load_mapping(path))


def check_file(path: Path, table: Path, sample: int) -> Findings:
    """What a mapping makes of all rows of a file, as `import` would.

    Args:
        path: of the mapping.
        table: the file with rows.
        sample: how many rows are shown.

    Raises:
        MappingError, TableError: one of the files cannot be used.
        OSError: one of them cannot be read.
    """
    findings = check(path)
    with mapped_rows(table, findings.mapping) as file:
        findings.source = f"{table.name} ({file.reading})"
        for row, found in file.rows:
            findings.add(f"row {row.number}", row.values or _plain(row.raw), found, sample)
    return findings


def check_topic(path: Path, settings: Settings, records: Records, sample: int) -> Findings:
    """What a mapping makes of some records of a topic, as ingest would; no group is joined, and nothing is written.

    Args:
        path: of the mapping.
        settings: of the broker.
        records: which are looked at.
        sample: how many are shown.

    Raises:
        MappingError: with all faults.
        SourcesError: its records need a schema registry that the settings do not name.
        TopicNotFound: by this name.
        OSError: the mapping cannot be read.
        RegistrySilent: it does not answer.
        KafkaError: the broker does not answer.
    """
    findings = check(path)
    partitions = partition_count(settings, records.topic)
    if partitions is None:
        raise TopicNotFound(f"there is no topic {records.topic} on {settings.bootstrap}")
    terms = load_terms(settings, [Source(records.topic, feed="", mapping=path)])
    findings.source = f"the {'last' if records.newest else 'first'} records of {records.topic}"
    asyncio.run(_look(findings, settings, records, partitions, terms, sample))
    return findings


async def _look(
    findings: Findings, settings: Settings, records: Records, partitions: int, terms: SourceTerms, sample: int
) -> None:
    async with reader(settings) as consumer:
        for partition in range(partitions):
            async for record in _some(consumer, TopicPartition(records.topic, partition), records, partitions):
                place = f"{record.topic}/{record.partition}/{record.offset}"
                await _prepared(terms, record)
                of_topic = terms.by_topic[record.topic]
                findings.add(place, _before(record, of_topic), _routed(record, of_topic), sample)


async def _some(
    consumer: AIOKafkaConsumer, tp: TopicPartition, records: Records, partitions: int
) -> AsyncIterator[ConsumerRecord]:
    share = -(-records.count // partitions)
    start = 0
    if records.newest:
        start = (await consumer.end_offsets([tp]))[tp] - share
    taken = 0
    async for record in read_through(consumer, tp, start):
        yield record
        taken += 1
        if taken == share:
            return


async def _prepared(terms: SourceTerms, record: ConsumerRecord) -> None:
    loop = asyncio.get_running_loop()
    until_s = loop.time() + _REGISTRY_WAIT_S
    if not await terms.prepare([(record.topic, record)], lambda: loop.time() < until_s):
        raise RegistrySilent(f"the schema registry has not answered for {_REGISTRY_WAIT_S:.0f} s: ingest would wait for it")


def _before(record: ConsumerRecord, terms: Terms) -> object:
    """The row as the mapping sees it, which bytes with the frame of a registry do not show."""
    try:
        row = terms.decode(record.value, record.headers)
    except ContractError:
        row = None
    return _plain(record.value or b"") if row is None else row


def _routed(record: ConsumerRecord, terms: Terms) -> list[Event] | DeadLetter:
    found = route(record, terms)
    if isinstance(found, DeadLetter):
        return found
    return [event for written in found.records if isinstance(event := decode_record(written.value), Event)]


def _plain(raw: bytes) -> object:
    """What people can read of a record's bytes."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.hex()
