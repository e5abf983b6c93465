"""A histogram that is only ever added to, as Prometheus wants it."""

from bisect import bisect_left
from collections.abc import Sequence


class Buckets:
    """How often a value was at most each of some bounds, and what all of them come to.

    Args:
        bounds: ascending; above the last there is one bucket more.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """Of all values."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[str, int]]:
        """Each bound as text with how many values were at most that; the last is `+Inf`.

        >>> one = Buckets([1, 5])
        >>> one.add(1), one.add(3), one.add(9), one.cumulative()
        (None, None, None, [('1', 1), ('5', 2), ('+Inf', 3)])
        """
        found, total = [], 0
        for bound, count in zip((*map("{:g}".format, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, total))
        return found
