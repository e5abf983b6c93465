"""The customers of a partition: structs while somebody looks at them, else bytes.

Most customers of most partitions are idle, so they are kept small: what is alike in all of them is written down once.
"""

import sys
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

import msgspec

from detectors.state import Customer, Wakes

PREFIX: Final = b"c/"
MAX_BUSY: Final = 20_000
"""Above this, those that were looked at first are put to rest once their changes were taken."""
_AT_A_TIME: Final = 500
"""Of the customers that were loaded, how many are put to rest each time that changes are taken: a restore is quick, and
what it loaded is small some minutes later."""
_PATTERN_SIZE: Final = 4096
_WINDOW_BITS: Final = 12
"""The window of the compression: as large as a pattern; a larger one would only cost time."""

_NOTHING: Final[Mapping[int, int]] = {}
_decoder: Final = msgspec.msgpack.Decoder(Customer)
_wakes_decoder: Final = msgspec.msgpack.Decoder(Wakes)
_encoder: Final = msgspec.msgpack.Encoder()


class Customers:
    """All customers of one partition, by id."""

    def __init__(self) -> None:
        self._busy: dict[str, Customer] = {}
        self._idle: dict[str, bytes] = {}
        self._loaded: dict[str, bytes] = {}  # as they stand in the state topic, and nobody has looked yet
        self._changed: dict[str, None] = {}  # in the order of their first change: a set has no order to rely on
        self._patterns: list[bytes] = []
        self._rested = 0

    def load(self, customer_id: str, value: bytes | None) -> None:
        """Take in a state record; None is a tombstone."""
        if value is None:
            self._loaded.pop(customer_id, None)
        else:
            self._loaded[customer_id] = value

    def wakes(self) -> Iterator[tuple[str, Wakes]]:
        """What a restore needs of each customer that was loaded, without decoding the rest."""
        for customer_id, value in self._loaded.items():
            yield customer_id, _wakes_decoder.decode(value)

    def find(self, customer_id: str) -> Customer | None:
        """The customer, to look at only."""
        known = self._busy.get(customer_id)
        if known is None and (value := self._bytes_of(customer_id)) is not None:
            known = _decoder.decode(value)
            known.id = sys.intern(customer_id)  # one text, wherever it stands
            self._forget_bytes(customer_id)
            self._busy[known.id] = known
        return known

    def change(self, customer_id: str, first_ms: int | None = None) -> Customer:
        """The customer, to change; a new one that was first seen at `first_ms` if it is not known.

        Raises:
            KeyError: not known, and no `first_ms`.
        """
        known = self.find(customer_id)
        if known is None:
            if first_ms is None:
                raise KeyError(customer_id)
            known = Customer({}, None, id=sys.intern(customer_id), first_ms=first_ms)
            self._busy[known.id] = known
        self._changed[known.id] = None
        return known

    def drop(self, customer_id: str) -> None:
        """Forget a customer."""
        self._forget_bytes(customer_id)
        self._busy.pop(customer_id, None)
        self._changed[customer_id] = None

    def ids(self) -> list[str]:
        """All customers, sorted."""
        return sorted(self._idle.keys() | self._busy.keys() | self._loaded.keys())

    def wakes_of(self, customer_id: str) -> Mapping[int, int]:
        """The wake-ups of a customer, none if there is no such customer."""
        known = self._busy.get(customer_id)
        if known is not None:
            return known.wakes
        value = self._bytes_of(customer_id)
        return _NOTHING if value is None else _wakes_decoder.decode(value).wakes

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """The records of all customers that changed since the last call."""
        changes: list[tuple[bytes, bytes | None]] = []
        for customer_id in self._changed:
            known = self._busy.get(customer_id)
            changes.append((PREFIX + customer_id.encode(), None if known is None else _encoder.encode(known)))
        self._changed.clear()
        for customer_id in list(islice(self._busy, max(0, len(self._busy) - MAX_BUSY))):
            self._rest(customer_id, _encoder.encode(self._busy.pop(customer_id)))
        for _ in range(min(_AT_A_TIME, len(self._loaded))):
            self._rest(*self._loaded.popitem())
        return changes

    def _bytes_of(self, customer_id: str) -> bytes | None:
        packed = self._idle.get(customer_id)
        return self._loaded.get(customer_id) if packed is None else self._unpacked(packed)

    def _forget_bytes(self, customer_id: str) -> None:
        self._idle.pop(customer_id, None)
        self._loaded.pop(customer_id, None)

    def _rest(self, customer_id: str, value: bytes) -> None:
        """Keep a customer as bytes: the number of a pattern, and what is not in common with it.

        A pattern is some customers in a row. As customers come to be known better, so do the patterns: there is another
        one at every tenfold number of rests, and those who wake are put to rest by the latest.
        """
        self._rested += 1
        if self._rested >= 10 ** len(self._patterns):
            self._patterns.append((b"".join(self._patterns[-1:]) + value)[-_PATTERN_SIZE:])
        number = len(self._patterns) - 1
        packer = zlib.compressobj(1, wbits=-_WINDOW_BITS, memLevel=5, zdict=self._patterns[number])
        self._idle[sys.intern(customer_id)] = bytes([number]) + packer.compress(value) + packer.flush()

    def _unpacked(self, packed: bytes) -> bytes:
        unpacker = zlib.decompressobj(wbits=-_WINDOW_BITS, zdict=self._patterns[packed[0]])
        return unpacker.decompress(packed[1:])
