"""Events of a file into a source topic: each partition in order, each record with its import's name and its number."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.structs import TopicPartition

from streams.import_progress import Advance
from streams.log_writer import LogWriter
from streams.routing import WATERMARK_HEADER, log_partition
from streams.settings import Settings
from streams.topic_tail import read_through, reader
from streams.topics import partition_count
from streams.transactions import Place, Row

IMPORT_HEADER: Final = "churn-import"
"""`<digest>/<number>`: the import that a record belongs to, and its number, from 0, in its partition."""

_EVENTS_AT_ONCE: Final = 5_000


class ImportRefused(RuntimeError):  # noqa: N818 - what happened to the file
    """The file is in order, but cannot be imported; the message says what to do."""


@dataclass(frozen=True, slots=True)
class NamedImport:
    """An import, named by what is imported."""

    digest: str

    def header(self, number: int) -> tuple[str, bytes]:
        """Of the record with this number."""
        return IMPORT_HEADER, f"{self.digest}/{number}".encode()

    def number(self, headers: Sequence[tuple[str, bytes]]) -> int | None:
        """The number of a record; None if it belongs to no import, or another one."""
        for name, value in headers:
            digest, _, number = value.decode(errors="replace").rpartition("/") if name == IMPORT_HEADER else ("", "", "")
            if digest == self.digest and number.isdecimal():
                return int(number)
        return None


async def send_events(
    settings: Settings,
    topic: str,
    records: Sequence[tuple[bytes, bytes]],
    last_ms: int | None,
    named: NamedImport,
    advance: Advance,
) -> int:
    """Write what is not there yet, and at the end of each partition a watermark; returns how many events were there.

    Args:
        settings: of the broker.
        topic: full name.
        records: keys and values, in the order of time.
        last_ms: of the last event; None: there is none, and no watermark is written.
        named: the import.
        advance: is told how far it is.

    Raises:
        ImportRefused: the topic does not exist.
        KafkaError: not all is written; the same import again goes on from there.
    """
    next_numbers = await _next_numbers(settings, topic, named)
    count, numbers, already = len(next_numbers), [0] * len(next_numbers), 0
    writer = LogWriter(settings)
    try:
        for first in range(0, len(records), _EVENTS_AT_ONCE):
            some = records[first : first + _EVENTS_AT_ONCE]
            rows: dict[Place, list[Row]] = {Place(topic, partition): [] for partition in range(count)}
            for key, value in some:
                partition = log_partition(key, count)
                number, numbers[partition] = numbers[partition], numbers[partition] + 1
                if number < next_numbers[partition]:
                    already += 1
                else:
                    rows[Place(topic, partition)].append(Row(key, value, [named.header(number)]))
            await writer.write(rows)
            advance(f"writing {topic}", len(some), len(records))
        if last_ms is not None:
            ended = {partition for partition in range(count) if next_numbers[partition] > numbers[partition]}
            mark = (WATERMARK_HEADER, str(last_ms).encode())
            await writer.write(
                {
                    Place(topic, partition): [Row(None, None, [mark, named.header(numbers[partition])])]
                    for partition in range(count)
                    if partition not in ended
                }
            )
    finally:
        await writer.close()
    return already


async def send_letters(settings: Settings, rows: Sequence[Row], named: NamedImport) -> None:
    """Write the dead letters that are not there yet.

    Raises:
        ImportRefused: the topic does not exist.
        KafkaError: not all is written; the same import again goes on from there.
    """
    topic = settings.topic("deadletters")
    there = (await _next_numbers(settings, topic, named))[0]
    numbered = [
        Row(row.key, row.value, [*row.headers, named.header(number)]) for number, row in enumerate(rows) if number >= there
    ]
    writer = LogWriter(settings)
    try:
        await writer.write({Place(topic, 0): numbered})
    finally:
        await writer.close()


async def _next_numbers(settings: Settings, topic: str, named: NamedImport) -> list[int]:
    """For each partition, the number after the last record of this import that is there."""
    count = await asyncio.to_thread(partition_count, settings, topic)
    if count is None:
        raise ImportRefused(f"the topic {topic} does not exist: `churnwatch topics` creates it")
    async with reader(settings) as consumer:
        return [await _next_number(consumer, TopicPartition(topic, partition), named) for partition in range(count)]


async def _next_number(consumer: Any, tp: TopicPartition, named: NamedImport) -> int:  # noqa: ANN401
    found = 0
    async for record in read_through(consumer, tp):
        number = named.number(record.headers)
        found = found if number is None else max(found, number + 1)
    return found
