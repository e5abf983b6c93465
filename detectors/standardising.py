"""From features to what a regression sees: logs, distances from the mean in standard deviations, cut off.

The model learns with it and every look scores with it, so both see the same number to the last bit.
"""

from collections.abc import Iterable, Sequence
from math import log1p
from operator import mul, sub


def signed_logs(values: Sequence[float]) -> list[float]:
    """Brings counts and amounts of any size near each other: sign(x) log(1 + |x|)."""
    if min(values, default=0.0) >= 0.0:  # nearly always, and less than half the time
        return list(map(log1p, values))
    return [log1p(value) if value >= 0 else -log1p(-value) for value in values]


def standardised(values: Iterable[float], mean: Iterable[float], inverse: Iterable[float], clip: float) -> list[float]:
    """Each value's distance from its mean, times the inverse of its standard deviation, cut off at +- `clip`.

    >>> standardised([5.0, 0.0], [1.0, 1.0], [0.5, 0.5], 1.5)
    [1.5, -0.5]
    """
    found = list(map(mul, inverse, map(sub, values, mean)))
    if found and (max(found) > clip or min(found) < -clip):
        return [clip if number > clip else max(number, -clip) for number in found]
    return found
