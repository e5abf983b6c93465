"""A vector of features in few bytes: which are not zero, and those, each rounded to 24 bits (relative error 6e-8)."""

import struct
from collections.abc import Sequence
from typing import Final

_MOST: Final = 3.4e38
"""About the largest number of 32 bits."""


def pack_features(values: Sequence[float]) -> bytes:
    """A bit for each value, from the lowest of the first byte on, then 4 bytes for each that is not zero."""
    mask, present = 0, []
    for place, value in enumerate(values):
        if value:
            mask |= 1 << place
            present.append(value)
    bits = mask.to_bytes((len(values) + 7) // 8, "little")
    try:
        return bits + struct.pack(f"<{len(present)}f", *present)
    except OverflowError:
        bounded = [min(_MOST, max(-_MOST, value)) for value in present]
        return bits + struct.pack(f"<{len(present)}f", *bounded)


def unpack_features(packed: bytes, count: int) -> list[float]:
    """The values again.

    Raises:
        ValueError: it is not what so many values are packed to.
    """
    size = (count + 7) // 8
    mask = int.from_bytes(packed[:size], "little")
    if len(packed) != size + 4 * mask.bit_count() or mask >> count:
        raise ValueError(f"{len(packed)} bytes are no vector of {count} features")
    present = iter(struct.unpack_from(f"<{mask.bit_count()}f", packed, size))
    return [next(present) if mask >> place & 1 else 0.0 for place in range(count)]
