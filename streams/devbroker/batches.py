"""Record batches as bytes (Kafka's message format 2): cut, check, stamp, make.

A batch is a header of 61 bytes and the records, which may be compressed. Everything the broker has to know is in
the header, so records stay as the producer packed them; only a look-up by timestamp opens them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from streams.devbroker.errors import ErrorCode, Refused

_LENGTH_AT: Final = 8
_LEADER_EPOCH_AT: Final = 12
_MAGIC_AT: Final = 16
_CRC_AT: Final = 17
_CHECKED_FROM: Final = 21  # the checksum covers all that follows it
_MAX_TIMESTAMP_AT: Final = 35
_OVERHEAD: Final = 12  # base offset and length, which the length does not count
_HEADER_BYTES: Final = 61

_CHECKED_HEADER: Final = struct.Struct(">hiqqqhii")
_LOG_APPEND_TIME: Final = 0x08
_TRANSACTIONAL: Final = 0x10
_CONTROL: Final = 0x20


@dataclass(frozen=True, slots=True)
class Batch:
    """One record batch with the header fields a broker needs.

    `offsets` is how many offsets the batch spans: after compaction it may exceed the number of its records.
    """

    payload: bytes
    base_offset: int
    offsets: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    is_transactional: bool
    is_control: bool

    @property
    def next_offset(self) -> int:
        """The first offset after this batch."""
        return self.base_offset + self.offsets

    @property
    def is_idempotent(self) -> bool:
        """Whether its producer numbers its records, so that a repeated one can be told."""
        return self.producer_id >= 0 and not self.is_control

    def placed_at(self, base_offset: int, *, log_append_time_ms: int | None = None) -> "Batch":
        """The batch as it is stored: with its final offset and, where the topic wants it, the broker's time."""
        stored = bytearray(self.payload)
        struct.pack_into(">q", stored, 0, base_offset)
        struct.pack_into(">i", stored, _LEADER_EPOCH_AT, 0)
        if log_append_time_ms is not None:
            attributes = struct.unpack_from(">h", stored, _CHECKED_FROM)[0] | _LOG_APPEND_TIME
            struct.pack_into(">h", stored, _CHECKED_FROM, attributes)
            struct.pack_into(">q", stored, _MAX_TIMESTAMP_AT, log_append_time_ms)
            struct.pack_into(">I", stored, _CRC_AT, calc_crc32c(stored[_CHECKED_FROM:]))
        return _read_header(bytes(stored))

    def first_at_or_after(self, timestamp_ms: int) -> tuple[int, int] | None:
        """Offset and timestamp of the first record that is not older; None if all are."""
        opened = MemoryRecords(self.payload).next_batch()
        for record in opened:
            if record.timestamp >= timestamp_ms:
                return record.offset, record.timestamp
        return None


def split_batches(records: bytes) -> Iterator[Batch]:
    """Cut the records of a produce request into batches, each checked.

    Raises:
        Refused: cut short or damaged, or older than message format 2.
    """
    view = memoryview(records)
    while view:
        if len(view) < _MAGIC_AT + 1:
            raise Refused(ErrorCode.CORRUPT_MESSAGE, "the records end inside a batch header")
        size = struct.unpack_from(">i", view, _LENGTH_AT)[0] + _OVERHEAD
        if view[_MAGIC_AT] != 2:
            raise Refused(ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, f"message format {view[_MAGIC_AT]}, only 2 is stored")
        if not _HEADER_BYTES <= size <= len(view):
            raise Refused(ErrorCode.CORRUPT_MESSAGE, f"a batch of {size} bytes in {len(view)} bytes of records")
        payload = bytes(view[:size])
        if calc_crc32c(payload[_CHECKED_FROM:]) != struct.unpack_from(">I", payload, _CRC_AT)[0]:
            raise Refused(ErrorCode.CORRUPT_MESSAGE, "the checksum of a batch does not match")
        yield _read_header(payload)
        view = view[size:]


def control_batch(*, producer_id: int, producer_epoch: int, commit: bool, at_ms: int) -> Batch:
    """The marker that ends a transaction in one partition; not placed yet."""
    key = struct.pack(">hh", 0, int(commit))
    value = struct.pack(">hi", 0, 0)  # version, epoch of the coordinator
    body = b"".join((b"\0", _varint(0), _varint(0), _varint(len(key)), key, _varint(len(value)), value, _varint(0)))
    record = _varint(len(body)) + body
    header = _CHECKED_HEADER.pack(_TRANSACTIONAL | _CONTROL, 0, at_ms, at_ms, producer_id, producer_epoch, -1, 1)
    checked = header + record
    start = struct.pack(">qiibI", 0, len(checked) + _CHECKED_FROM - _OVERHEAD, 0, 2, calc_crc32c(checked))
    return _read_header(start + checked)


def _read_header(payload: bytes) -> Batch:
    attributes, last_delta, _, newest, producer, epoch, sequence, _ = _CHECKED_HEADER.unpack_from(payload, _CHECKED_FROM)
    return Batch(
        payload=payload,
        base_offset=struct.unpack_from(">q", payload, 0)[0],
        offsets=last_delta + 1,
        max_timestamp_ms=newest,
        producer_id=producer,
        producer_epoch=epoch,
        base_sequence=sequence,
        is_transactional=bool(attributes & _TRANSACTIONAL),
        is_control=bool(attributes & _CONTROL),
    )


def _varint(small: int) -> bytes:
    """A zigzag varint; the few lengths in a control record all fit one byte."""
    return bytes((small << 1,))
