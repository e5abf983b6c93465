"""`churnwatch export`: the log as canonical JSON lines, each with its partition and offset, for `replay`."""

import asyncio
from typing import IO, Final

import msgspec
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.codec import decode_record, encode
from schemas.errors import ContractError
from streams.settings import Settings
from streams.topic_tail import read_through, reader
from streams.topics import partition_count


class ExportRefused(RuntimeError):  # noqa: N818 - what happened to the log
    """The log cannot be exported; the message says what to do."""


def export_log(settings: Settings, out: IO[bytes]) -> int:
    """Write `churn.events` from its beginning to its end of now, partition after partition; returns how many records.

    A line is the record with `partition` and `offset`. A value that cannot be read has no line: the engine makes a dead
    letter of it and nothing else, so a replay says the same without it.

    Args:
        settings: of the installation.
        out: gets the lines.

    Raises:
        ExportRefused: the topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    return asyncio.run(_exported(settings, out))


async def _exported(settings: Settings, out: IO[bytes]) -> int:
    topic, count = settings.topic("events"), 0
    partitions = await asyncio.to_thread(partition_count, settings, topic)
    if partitions is None:
        raise ExportRefused(f"the topic {topic} does not exist: `churnwatch topics` creates it")
    async with reader(settings) as consumer:
        for partition in range(partitions):
            async for record in read_through(consumer, TopicPartition(topic, partition)):
                line = exported_line(record)
                if line is not None:
                    out.write(line)
                    count += 1
    return count


def exported_line(record: ConsumerRecord) -> bytes | None:
    """The line of a record; None if it cannot be read."""
    try:
        plain = msgspec.json.decode(encode(decode_record(record.value or b"")))
    except ContractError:
        return None
    return _encoder.encode({**plain, "partition": record.partition, "offset": record.offset}) + b"\n"


_encoder: Final = msgspec.json.Encoder()
