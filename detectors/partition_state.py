"""What is remembered in a partition, and how it is written down: the records of `churn.state`.

`c/<customer_id>` is a customer, `x/<customer_id>/<at_ms>` a pending example, `e/<hash>` an erasure, `p/document/...` a
document in force, and `p/head` the partition itself. Each value has a format and a checksum (`state_frame`). Timers and
looks are derived, never stored.
"""

from typing import Final

import msgspec

from detectors import customer_record as customer_records
from detectors import documents as document_records
from detectors import erasure
from detectors import pending as pending_examples
from detectors.customers import MAX_BUSY, Customers
from detectors.documents import Documents
from detectors.erasure import Erased
from detectors.looks import Looks
from detectors.marks import Marks
from detectors.pending import PendingExamples
from detectors.state import Head
from detectors.state_error import StateError
from detectors.state_frame import opened, sealed
from detectors.tally import Tally
from detectors.timers import Timers

ENGINE_VERSION: Final = 4
"""Raised when the same log would give other decisions; it stands in every alert and in the state."""

HEAD_KEY: Final = b"p/head"
_head_decoder: Final = msgspec.msgpack.Decoder(Head)
_encoder: Final = msgspec.msgpack.Encoder()


class PartitionState:
    """Everything of one partition."""

    def __init__(self, max_busy: int = MAX_BUSY) -> None:
        self.head = Head(engine=ENGINE_VERSION)
        self.marks = Marks(self.head)
        self.customers = Customers(max_busy)
        self.documents = Documents()
        self.pending = PendingExamples()
        self.erased = Erased()
        self.timers = Timers(self.customers.wakes_of)
        self.looks = Looks()
        self.tally = Tally()
        self._is_new = True
        self._has_head = False
        self._count()

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take in one record; the later one of a key wins, None is a tombstone.

        Raises:
            StateError: it cannot be read, or a newer release wrote it.
        """
        if key.startswith(customer_records.PREFIX):
            self.customers.load(key, value)
        elif key.startswith(pending_examples.PREFIX):
            self.pending.load(key, value)
        elif value is None:
            raise StateError(key, "is a tombstone, and none is ever written there")
        elif key == HEAD_KEY:
            self._load_head(value)
        elif key.startswith(erasure.PREFIX):
            self.erased.load(key, value)
        elif key.startswith(document_records.PREFIX):
            self.documents.load(key, value)
        else:
            raise StateError(key, "is of a kind that this release does not know")
        self._is_new = False

    def loaded(self) -> None:
        """All records are here.

        Raises:
            StateError: the partition's own is not.
        """
        if not self._is_new and not self._has_head:
            raise StateError(HEAD_KEY, "is missing, although other records are there")
        self.head.engine = ENGINE_VERSION
        self.marks = Marks(self.head)
        self._count()

    def _count(self) -> None:
        self.head.census = self.customers.counted_in({} if self._is_new else self.head.census)

    def _load_head(self, value: bytes) -> None:
        try:
            self.head = _head_decoder.decode(opened(HEAD_KEY, value))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StateError(HEAD_KEY, f"cannot be read: {error}") from error
        if self.head.engine > ENGINE_VERSION:
            raise StateError(
                HEAD_KEY, f"is of version {self.head.engine} of the engine, and this release has version {ENGINE_VERSION}"
            )
        self._has_head = True

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """Records since the last call, the partition's own last; none if nothing but the position changed."""
        changes = self.documents.take_changes() + self.customers.take_changes()
        changes += self.pending.take_changes() + self.erased.take_changes()
        return [*changes, self.head_change()] if changes else []

    def head_change(self) -> tuple[bytes, bytes]:
        """The partition's own record: position, marks, and what it has seen of its sources."""
        return HEAD_KEY, sealed(HEAD_KEY, _encoder.encode(self.head))
