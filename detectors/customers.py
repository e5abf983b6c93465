"""The customers of a partition: all of them as bytes, and those that were looked at lately as structs too.

Most customers of most partitions are idle, so they are kept small. The bytes are those of the state topic, made when
changes are taken; so it costs nothing to put somebody to rest.
"""

import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from detectors.census import Census, Counts
from detectors.customer_record import PREFIX, CustomerCodec, customer_key, wakes_in
from detectors.state import Customer, Wakes
from detectors.state_error import StateError
from detectors.state_frame import check

MAX_BUSY: Final = 20_000
"""How many may be structs, some 8 kB each; of more, those that have not changed for longest are put to rest."""

_NOTHING: Final[Mapping[int, int]] = {}


class Customers:
    """All customers of one partition, by id; at most `max_busy` of them are structs, once changes were taken."""

    def __init__(self, max_busy: int = MAX_BUSY) -> None:
        self._max_busy = max_busy
        self._packed: dict[str, bytes] = {}  # as they were loaded, or last taken; of a new customer nothing yet
        self._busy: dict[str, Customer] = {}  # who has not changed for longest comes first
        self._changed: dict[str, None] = {}  # in the order of their first change: a set has no order to rely on
        self._codec = CustomerCodec()
        self._census = Census({})

    def counted_in(self, counts: Counts | None) -> Counts:
        """Keep counts up to date from now on; None: count everybody who is here."""
        known = {} if counts is None else counts
        self._census = Census(known)
        for customer_id, value in self._packed.items() if counts is None else ():
            self._census.packed(self._codec.unpack(customer_id, value))
            self._census.rests(customer_id)
        return known

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take in a state record; None is a tombstone.

        Raises:
            StateError: it is damaged, or of a newer release.
        """
        if value is not None:
            check(key, value)
        try:
            customer_id = sys.intern(key[len(PREFIX) :].decode())  # one text, wherever it stands
        except UnicodeDecodeError as error:
            raise StateError(key, f"has a key that is not UTF-8: {error}") from error
        if value is None:
            self._packed.pop(customer_id, None)
        else:
            self._packed[customer_id] = value

    def wakes(self) -> Iterator[tuple[str, Wakes]]:
        """What a restore needs of each customer that was loaded, without decoding the rest.

        Raises:
            StateError: somebody's cannot be read.
        """
        for customer_id, value in self._packed.items():
            yield customer_id, wakes_in(customer_id, value)

    def find(self, customer_id: str) -> Customer | None:
        """The customer, to look at only.

        Raises:
            StateError: the record of the customer cannot be read.
        """
        known = self._busy.get(customer_id)
        if known is None and (value := self._packed.get(customer_id)) is not None:
            known = self._codec.unpack(sys.intern(customer_id), value)
            self._busy[known.id] = known
            self._census.found(known)
        return known

    def change(self, customer_id: str, first_ms: int | None = None) -> Customer:
        """The customer, to change; a new one that was first seen at `first_ms` if it is not known.

        Raises:
            KeyError: not known, and no `first_ms`.
            StateError: the record of the customer cannot be read.
        """
        known = self.find(customer_id)
        if known is None:
            if first_ms is None:
                raise KeyError(customer_id)
            known = Customer({}, None, id=sys.intern(customer_id), first_ms=first_ms)
            self._busy[known.id] = known
        self._changed[known.id] = None
        return known

    def changing(self, found: Customer) -> None:
        """One that `find` has found, and that is changed now."""
        self._changed[found.id] = None

    def drop(self, customer_id: str) -> None:
        """Forget a customer whom `find` has found."""
        self._census.dropped(customer_id)
        self._packed.pop(customer_id, None)
        self._busy.pop(customer_id, None)
        self._changed[customer_id] = None

    def ids(self) -> list[str]:
        """All customers, sorted."""
        return sorted(self._packed.keys() | self._busy.keys())

    def wakes_of(self, customer_id: str) -> Mapping[int, int]:
        """The wake-ups of a customer, none if there is no such customer."""
        known = self._busy.get(customer_id)
        if known is not None:
            return known.wakes
        value = self._packed.get(customer_id)
        return _NOTHING if value is None else wakes_in(customer_id, value).wakes

    def make_room(self) -> None:
        """Put customers to rest while one record changes many; to be called where nobody holds on to a customer."""
        if len(self._busy) > 2 * self._max_busy:
            for known in self._least_busy():
                if known.id in self._changed:
                    self._pack(known)
                self._census.rests(known.id)

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """The records of all customers that changed since the last call."""
        changes: list[tuple[bytes, bytes | None]] = []
        for customer_id in self._changed:
            known = self._busy.pop(customer_id, None)
            if known is not None:
                self._busy[customer_id] = known
                self._pack(known)
            changes.append((customer_key(customer_id), self._packed.get(customer_id)))
        self._changed.clear()
        for known in self._least_busy():
            self._census.rests(known.id)
        return changes

    def _least_busy(self) -> list[Customer]:
        """Those above the limit, who are structs no more."""
        return [self._busy.pop(name) for name in list(islice(self._busy, max(0, len(self._busy) - self._max_busy)))]

    def _pack(self, customer: Customer) -> None:
        self._census.packed(customer)
        self._packed[customer.id] = self._codec.pack(customer)
