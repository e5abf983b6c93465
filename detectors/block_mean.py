"""Means of blocks of examples: neighbours are of the same week, and not independent; their means nearly are."""

from typing import Self


class BlockMean:
    """Takes in values, and gives the mean of each block of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.sum = 0.0
        """Of the block that is not whole yet."""
        self.count = 0

    @classmethod
    def restored(cls, size: int, total: float, count: int) -> Self:
        """Go on from what was kept."""
        found = cls(size)
        found.sum, found.count = total, count
        return found

    def take(self, value: float) -> float | None:
        """Take in a value; the mean of the block that it makes whole."""
        self.sum += value
        self.count += 1
        if self.count < self._size:
            return None
        mean, self.sum, self.count = self.sum / self.count, 0.0, 0
        return mean
