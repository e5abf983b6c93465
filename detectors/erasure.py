"""Who was erased: a keyed hash of the id and an instant, so that older events do not bring the customer back.

The hash is a pseudonym, not a secret: its key is the same everywhere, for the engine knows nothing that is not in the
log. Whoever has both the state and a list of ids can find out which of them were erased.
"""

from hashlib import blake2b
from typing import Final

from detectors.identity import NAMESPACE
from detectors.state_error import StateError
from detectors.state_frame import opened, sealed

PREFIX: Final = b"e/"


class Erased:
    """The erased customers of one partition."""

    def __init__(self) -> None:
        self._until_ms: dict[str, int] = {}
        self._changed: dict[str, None] = {}

    def load(self, key: bytes, value: bytes) -> None:
        """Take in a state record.

        Raises:
            StateError: it cannot be read.
        """
        content = opened(key, value)
        try:
            self._until_ms[key.removeprefix(PREFIX).decode()] = int(content)
        except ValueError as error:  # also what is no UTF-8
            raise StateError(key, f"cannot be read: {error}") from error

    def add(self, customer_hash: str, at_ms: int) -> bool:
        """Events up to an instant are not wanted any more; False if that is known."""
        if self._until_ms.get(customer_hash, -1) >= at_ms:
            return False
        self._until_ms[customer_hash] = at_ms
        self._changed[customer_hash] = None
        return True

    def covers(self, customer_id: str, at_ms: int) -> bool:
        """Whether an event is of a customer who was erased at or after it."""
        if not self._until_ms:
            return False
        until_ms = self._until_ms.get(hash_of(customer_id))
        return until_ms is not None and at_ms <= until_ms

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """State records since the last call."""
        changes: list[tuple[bytes, bytes | None]] = []
        for known in self._changed:
            key = PREFIX + known.encode()
            changes.append((key, sealed(key, str(self._until_ms[known]).encode())))
        self._changed.clear()
        return changes


def hash_of(customer_id: str) -> str:
    """Of a customer's id: BLAKE2b under the key of all ids of this project, 16 bytes in hexadecimal."""
    return blake2b(customer_id.encode(), key=NAMESPACE.bytes, digest_size=16).hexdigest()
