"""The customers of a partition: bytes until somebody looks, encoded again when their changes are taken."""

from collections.abc import Iterator
from typing import Final

import msgspec

from detectors.state import Customer, Wakes

PREFIX: Final = b"c/"
_MAX_DECODED: Final = 50_000
"""Above this, decoded customers are forgotten once their changes were taken."""

_decoder: Final = msgspec.msgpack.Decoder(Customer)
_wakes_decoder: Final = msgspec.msgpack.Decoder(Wakes)
_encoder: Final = msgspec.msgpack.Encoder()


class Customers:
    """All customers of one partition, by id."""

    def __init__(self) -> None:
        self._encoded: dict[str, bytes] = {}
        self._decoded: dict[str, Customer] = {}
        self._changed: dict[str, None] = {}  # in the order of their first change: a set has no order to rely on

    def load(self, customer_id: str, value: bytes | None) -> None:
        """Take in a state record; None is a tombstone."""
        if value is None:
            self._encoded.pop(customer_id, None)
        else:
            self._encoded[customer_id] = value

    def find(self, customer_id: str) -> Customer | None:
        """The customer, to look at only."""
        known = self._decoded.get(customer_id)
        if known is None and (value := self._encoded.get(customer_id)) is not None:
            known = self._decoded[customer_id] = _decoder.decode(value)
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
            known = self._decoded[customer_id] = Customer({}, touched=False, id=customer_id, first_ms=first_ms)
        self._changed[customer_id] = None
        return known

    def drop(self, customer_id: str) -> None:
        """Forget a customer."""
        self._encoded.pop(customer_id, None)
        self._decoded.pop(customer_id, None)
        self._changed[customer_id] = None

    def ids(self) -> list[str]:
        """All customers, sorted."""
        return sorted(self._encoded.keys() | self._decoded.keys())

    def wakes(self) -> Iterator[tuple[str, Wakes]]:
        """What a restore needs of each customer, without decoding the rest."""
        for customer_id, value in self._encoded.items():
            yield customer_id, _wakes_decoder.decode(value)

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """The records of all customers that changed since the last call."""
        changes: list[tuple[bytes, bytes | None]] = []
        for customer_id in self._changed:
            known = self._decoded.get(customer_id)
            if known is not None:
                self._encoded[customer_id] = _encoder.encode(known)
            changes.append((PREFIX + customer_id.encode(), self._encoded.get(customer_id)))
        self._changed.clear()
        if len(self._decoded) > _MAX_DECODED:
            self._decoded.clear()
        return changes
