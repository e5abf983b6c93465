"""How many different keys were seen, in bounded memory. Pure."""

import hashlib
import heapq
from typing import Final

_KEPT: Final = 4_096
_HASH_BITS: Final = 64


class DistinctCount:
    """Keeps the k least of the keys' hashes; exact up to k of them, then off by about 1/sqrt(k), here 1.6 %.

    Z. Bar-Yossef and others, "Counting distinct elements in a data stream" (2002), algorithm 1: were n hashes spread
    evenly, the k-th least would lie at k/n of the whole.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._greatest_first: list[int] = []
        self._held: set[int] = set()

    def add(self, key: bytes) -> None:
        """Another key, or one that was there before."""
        found = int.from_bytes(hashlib.blake2b(key, digest_size=_HASH_BITS // 8).digest())
        if found in self._held:
            return
        if len(self._held) < self._kept:
            heapq.heappush(self._greatest_first, -found)
        elif found < -self._greatest_first[0]:
            self._held.discard(-heapq.heapreplace(self._greatest_first, -found))
        else:
            return
        self._held.add(found)

    def estimate(self) -> int:
        """How many."""
        if len(self._held) < self._kept:
            return len(self._held)
        return int((self._kept - 1) * 2**_HASH_BITS / -self._greatest_first[0])
