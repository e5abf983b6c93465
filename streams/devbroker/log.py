"""The log of one partition, in memory: nothing is ever deleted, compacted or written to disk."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from streams.devbroker.batches import Batch, control_batch
from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.producers import ProducerStates
from streams.devbroker.topic_configs import TopicConfig


@dataclass(frozen=True, slots=True)
class Appended:
    """Where records were stored. `log_append_time_ms` is None where the topic keeps the producer's timestamps."""

    base_offset: int
    log_append_time_ms: int | None


@dataclass(frozen=True, slots=True)
class AbortedTransaction:
    """A reader of committed records skips what the producer wrote in `[first_offset, marker_offset)`."""

    producer_id: int
    first_offset: int
    marker_offset: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Whole batches from a partition. The first may start before the offset asked for: the reader skips inside it."""

    records: bytes
    aborted: tuple[AbortedTransaction, ...]


class PartitionLog:
    """Batches in the order of their offsets, with what idempotence and transactions need to know of them."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._batches: list[Batch] = []
        self._base_offsets: list[int] = []
        self._producers = ProducerStates()
        self._open_transactions: dict[int, int] = {}  # producer id -> first offset
        self._aborted: list[AbortedTransaction] = []
        self._readers: set[asyncio.Event] = set()
        self.end_offset = 0

    @property
    def last_stable_offset(self) -> int:
        """Where readers of committed records have to stop: the first offset of the oldest open transaction."""
        return min(self._open_transactions.values(), default=self.end_offset)

    def readable_end(self, *, committed_only: bool) -> int:
        """The offset at which a reader stops."""
        return self.last_stable_offset if committed_only else self.end_offset

    def append(self, batches: Sequence[Batch], config: TopicConfig) -> Appended:
        """Store the batches of a produce request, all of them or none. A retry of a stored batch is not stored again.

        Raises:
            Refused: a batch is too large or too far in the future, or its producer is out of order or fenced.
        """
        now_ms = self._clock_ms()
        if not batches or (len(batches) > 1 and any(batch.is_idempotent for batch in batches)):
            raise Refused(ErrorCode.CORRUPT_MESSAGE, f"{len(batches)} batches in one request")
        for batch in batches:
            _check_limits(batch, config, now_ms)
        stamp_ms = now_ms if config.log_append_time else None
        if batches[0].is_idempotent:
            stored_at = self._producers.duplicate_of(batches[0])
            if stored_at is not None:
                return Appended(stored_at, stamp_ms)
        base_offset = self.end_offset
        for batch in batches:
            self._store(batch.placed_at(self.end_offset, log_append_time_ms=stamp_ms))
        self._wake_readers()
        return Appended(base_offset, stamp_ms)

    def end_transaction(self, producer_id: int, epoch: int, *, commit: bool) -> None:
        """Write the marker that commits or aborts what the producer wrote since its transaction began."""
        marker = control_batch(producer_id=producer_id, producer_epoch=epoch, commit=commit, at_ms=self._clock_ms())
        placed = marker.placed_at(self.end_offset)
        first_offset = self._open_transactions.pop(producer_id, None)
        if first_offset is not None and not commit:
            self._aborted.append(AbortedTransaction(producer_id, first_offset, placed.base_offset))
        self._producers.ended(producer_id, epoch)
        self._push(placed)
        self._wake_readers()

    def read(self, offset: int, max_bytes: int, *, committed_only: bool, at_least_one: bool = True) -> Slice:
        """Batches from the one that holds `offset`, up to `max_bytes`.

        Args:
            offset: between 0 and the end of the log.
            max_bytes: no more than this, but for the first batch.
            committed_only: stop at the last stable offset, and name the aborted transactions.
            at_least_one: return the first batch even if it alone exceeds `max_bytes`, so that a reader gets on.

        Raises:
            Refused: the offset is not in the log.
        """
        if not 0 <= offset <= self.end_offset:
            raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE, f"offset {offset} of {self.end_offset}")
        first = last = max(0, bisect_right(self._base_offsets, offset) - 1)
        limit = self.readable_end(committed_only=committed_only)
        size = 0
        while last < len(self._batches) and max(offset, self._base_offsets[last]) < limit:
            size += len(self._batches[last].payload)
            if size > max_bytes and not (at_least_one and last == first):
                break
            last += 1
        found = self._batches[first:last]
        aborted = self._aborted_between(offset, found[-1].next_offset) if committed_only and found else ()
        return Slice(b"".join(batch.payload for batch in found), aborted)

    def offset_for_time(self, timestamp_ms: int) -> tuple[int, int] | None:
        """Offset and timestamp of the first record that is not older; None if all are.

        Timestamps need not ascend: as in Kafka, the first batch that holds such a record decides.
        """
        for batch in self._batches:
            if batch.max_timestamp_ms >= timestamp_ms:
                return batch.first_at_or_after(timestamp_ms)
        return None

    def newest_record(self) -> tuple[int, int] | None:
        """Offset and timestamp of the record with the highest timestamp; None if the log is empty."""
        newest = max(self._batches, key=lambda batch: batch.max_timestamp_ms, default=None)
        return newest.first_at_or_after(newest.max_timestamp_ms) if newest else None

    @contextmanager
    def waking(self, reader: asyncio.Event) -> Iterator[None]:
        """Set the event whenever something is appended."""
        self._readers.add(reader)
        try:
            yield
        finally:
            self._readers.discard(reader)

    def _aborted_between(self, start: int, stop: int) -> tuple[AbortedTransaction, ...]:
        # Markers ascend, so those before `start` are cut off at once.
        candidates = self._aborted[bisect_left(self._aborted, start, key=lambda aborted: aborted.marker_offset) :]
        return tuple(aborted for aborted in candidates if aborted.first_offset < stop)

    def _store(self, batch: Batch) -> None:
        self._push(batch)
        if batch.is_idempotent:
            self._producers.stored(batch)
            if batch.is_transactional:
                self._open_transactions.setdefault(batch.producer_id, batch.base_offset)

    def _push(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._base_offsets.append(batch.base_offset)
        self.end_offset = batch.next_offset

    def _wake_readers(self) -> None:
        for reader in self._readers:
            reader.set()


def _check_limits(batch: Batch, config: TopicConfig, now_ms: int) -> None:
    if batch.is_control:
        raise Refused(ErrorCode.INVALID_REQUEST, "only the broker writes control batches")
    if len(batch.payload) > config.max_message_bytes:
        raise Refused(
            ErrorCode.MESSAGE_TOO_LARGE, f"a batch of {len(batch.payload)} bytes, allowed are {config.max_message_bytes}"
        )
    ahead_ms = batch.max_timestamp_ms - now_ms
    if not config.log_append_time and ahead_ms > config.timestamp_after_max_ms:
        raise Refused(ErrorCode.INVALID_TIMESTAMP, f"{ahead_ms} ms in the future")
