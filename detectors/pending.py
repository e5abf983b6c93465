"""The pending examples of a partition: bytes, each under a key of its own, written once and taken out once."""

from typing import Final

import msgspec

from detectors.labels import PendingExample
from detectors.state_error import StateError
from detectors.state_frame import BEGIN, END, check, sealed

PREFIX: Final = b"x/"
_decoder: Final = msgspec.msgpack.Decoder(PendingExample)
_encoder: Final = msgspec.msgpack.Encoder()


class PendingExamples:
    """All of one partition, by key `x/<customer_id>/<at_ms>`."""

    def __init__(self) -> None:
        self._encoded: dict[bytes, bytes] = {}
        self._changed: dict[bytes, None] = {}  # in the order of their first change

    def __len__(self) -> int:
        return len(self._encoded)

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take in a state record; None is a tombstone.

        Raises:
            StateError: it is damaged, or of a newer release.
        """
        if value is None:
            self._encoded.pop(key, None)
        else:
            check(key, value)
            self._encoded[key] = value

    def put(self, customer_id: str, at_ms: int, example: PendingExample) -> None:
        """Keep an example until its label is known."""
        key = _key(customer_id, at_ms)
        self._encoded[key] = sealed(key, _encoder.encode(example))
        self._changed[key] = None

    def take(self, customer_id: str, at_ms: int) -> PendingExample | None:
        """Take an example out; None if it is not there.

        Raises:
            StateError: its record cannot be read.
        """
        key = _key(customer_id, at_ms)
        value = self._encoded.pop(key, None)
        if value is None:
            return None
        self._changed[key] = None
        try:
            return _decoder.decode(value[BEGIN:END])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StateError(key, f"cannot be read: {error}") from error

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """State records since the last call; None is a tombstone."""
        changes = [(key, self._encoded.get(key)) for key in self._changed]
        self._changed.clear()
        return changes


def _key(customer_id: str, at_ms: int) -> bytes:
    return PREFIX + f"{customer_id}/{at_ms}".encode()
