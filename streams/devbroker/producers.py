"""What one partition remembers of its idempotent producers: a batch sent twice is stored once.

Each record of a producer carries a sequence number that starts at 0 with every epoch. The next batch has to start
where the last one ended; one of the last five batches again is a retry, and is answered with its old offset.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from streams.devbroker.batches import Batch
from streams.devbroker.errors import ErrorCode, Refused

_SEQUENCE_LIMIT: Final = 2**31  # sequence numbers wrap here
_REMEMBERED: Final = 5  # a client has at most five requests in flight


@dataclass(frozen=True, slots=True)
class _Stored:
    first: int
    last: int
    base_offset: int


@dataclass(slots=True)
class _Producer:
    epoch: int
    batches: deque[_Stored] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class ProducerStates:
    """The producers seen by one partition."""

    def __init__(self) -> None:
        self._producers: dict[int, _Producer] = {}

    def duplicate_of(self, batch: Batch) -> int | None:
        """The offset at which this very batch is stored already; None if it is new, and may be appended.

        Raises:
            Refused: the producer was fenced by a newer one, or records before this batch are missing.
        """
        known = self._producers.get(batch.producer_id)
        if known is None:
            return None
        if batch.producer_epoch < known.epoch:
            raise Refused(ErrorCode.INVALID_PRODUCER_EPOCH, f"epoch {batch.producer_epoch}, now {known.epoch}")
        if batch.producer_epoch > known.epoch:
            expected = 0
        else:
            for stored in known.batches:
                if (stored.first, stored.last) == (batch.base_sequence, _last_sequence(batch)):
                    return stored.base_offset
            expected = (known.batches[-1].last + 1) % _SEQUENCE_LIMIT if known.batches else 0
        if batch.base_sequence != expected:
            raise Refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, f"sequence {batch.base_sequence}, expected {expected}")
        return None

    def stored(self, batch: Batch) -> None:
        """Note a batch that was appended at its final offset."""
        known = self._at_epoch(batch.producer_id, batch.producer_epoch)
        known.batches.append(_Stored(batch.base_sequence, _last_sequence(batch), batch.base_offset))

    def ended(self, producer_id: int, epoch: int) -> None:
        """Note the marker of a transaction. A marker of a newer epoch fences the producer here, too."""
        self._at_epoch(producer_id, epoch)

    def _at_epoch(self, producer_id: int, epoch: int) -> _Producer:
        known = self._producers.get(producer_id)
        if known is None or known.epoch < epoch:
            known = self._producers[producer_id] = _Producer(epoch)
        return known


def _last_sequence(batch: Batch) -> int:
    return (batch.base_sequence + batch.offsets - 1) % _SEQUENCE_LIMIT
