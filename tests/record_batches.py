"""Record batches as a producer would send them, for tests of the development broker."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streams.devbroker.batches import Batch, split_batches


@dataclass(frozen=True)
class Producer:
    """Who sends; the default is a producer without idempotence."""

    producer_id: int = -1
    epoch: int = -1


def packed(
    values: Sequence[bytes],
    *,
    by: Producer = Producer(),
    sequence: int = -1,
    transactional: bool = False,
    timestamps_ms: Sequence[int] | None = None,
    codec: int = 0,
) -> bytes:
    """One batch with these values, in the bytes of a produce request."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=transactional,
        producer_id=by.producer_id,
        producer_epoch=by.epoch,
        base_sequence=sequence,
        batch_size=1 << 20,
    )
    for offset, value in enumerate(values):
        timestamp_ms = timestamps_ms[offset] if timestamps_ms else 0
        builder.append(offset, timestamp=timestamp_ms, key=None, value=value, headers=[])
    return bytes(builder.build())


def sent(
    values: Sequence[bytes],
    *,
    by: Producer = Producer(),
    sequence: int = -1,
    transactional: bool = False,
    timestamps_ms: Sequence[int] | None = None,
) -> list[Batch]:
    """The same, as the broker has it when it appends."""
    records = packed(values, by=by, sequence=sequence, transactional=transactional, timestamps_ms=timestamps_ms)
    return list(split_batches(records))


def unpacked(records: bytes) -> list[tuple[int, bytes | None]]:
    """Offset and value of each record in fetched bytes, markers of transactions left out."""
    found = []
    batches = MemoryRecords(records)
    while batches.has_next():
        batch = batches.next_batch()
        assert batch.validate_crc()
        if not batch.is_control_batch:
            found += [(record.offset, record.value) for record in batch]
    return found
