"""How a value of `churn.state` is framed: the format first, the checksum last.

The checksum covers the key too, so that a value under another key is found as well. Without one a changed byte of a
number would be another number, and nobody would know.
"""

from typing import Final
from zlib import crc32

from detectors.state_error import StateError

FORMAT: Final = 1
"""Of all values. Raised when a release before could not read what this one writes."""
BEGIN: Final = 1
"""Where the content begins in a value."""
END: Final = -4
"""Where it ends."""

_FORMAT: Final = bytes([FORMAT])
_RESIDUE: Final = 0x2144DF1C
"""The CRC-32 of anything that ends with its own CRC-32: so a value is checked in one piece."""


def sealed(key: bytes, content: bytes) -> bytes:
    """The value that holds the content.

    >>> opened(b"k", sealed(b"k", b"content"))
    b'content'
    """
    framed = _FORMAT + content
    return framed + crc32(framed, crc32(key)).to_bytes(4, "little")


def check(key: bytes, value: bytes) -> None:
    """Make sure that a value is as it was written, under this key.

    Raises:
        StateError: it is not, or it is of a format that this release cannot read.
    """
    if crc32(value, crc32(key)) == _RESIDUE and value[0] == FORMAT:
        return
    if value and value[0] != FORMAT:
        raise StateError(
            key, f"is of format {value[0]}, and this release reads format {FORMAT}: a newer one wrote it, or it is damaged"
        )
    raise StateError(key, f"is damaged: the checksum of its {len(value)} bytes is wrong")


def opened(key: bytes, value: bytes) -> bytes:
    """The content of a value.

    Raises:
        StateError: as `check`.
    """
    check(key, value)
    return value[BEGIN:END]
