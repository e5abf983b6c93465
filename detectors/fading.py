"""How sums fade: what is left of 1 after a time.

With a mean life, a sum of such parts equals in a steady stream that over the last mean life; with a half-life the
weight of an event is halved each time.
"""

import math
from typing import Final

from schemas.instants import DAY_MS

_MEAN_30D_MS: Final = 30 * DAY_MS
_MEAN_90D_MS: Final = 90 * DAY_MS
_RATE_OF_HALF_112D: Final = -math.log(2.0) / (112 * DAY_MS)


def fading(elapsed_ms: int, life_ms: int) -> float:
    """What is left after a time, with a mean life."""
    return math.exp(-elapsed_ms / life_ms)


def mean_lives(elapsed_ms: int) -> tuple[float, float]:
    """What is left with mean lives of 30 and of 90 days."""
    return math.exp(-elapsed_ms / _MEAN_30D_MS), math.exp(-elapsed_ms / _MEAN_90D_MS)


def half_lives(elapsed_ms: int) -> tuple[float, float]:
    """What is left with half-lives of 14 and of 112 days: three squarings lie between them."""
    left_of_112d = math.exp(elapsed_ms * _RATE_OF_HALF_112D)
    left_of_56d = left_of_112d * left_of_112d
    left_of_28d = left_of_56d * left_of_56d
    return left_of_28d * left_of_28d, left_of_112d
