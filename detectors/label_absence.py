"""Labels that are due but do not come: activity that was as good as certain fails to appear.

A model that is wrong sees this late, since what does not come makes no example for a while and then many at once. So what
comes is held against what was expected: a feed that broke, or a process that stopped, shows within days.
"""

from typing import Final, Self

from schemas.model_quality import AbsenceState

_MEMORY: Final = 250.0
"""Examples that the sums look back over, on average."""
_EXPECTED_AT_LEAST: Final = 30.0
"""Customers whose activity must be expected before its absence says anything."""
_MISSING_BELOW: Final = 1 / 3
_BACK_ABOVE: Final = 2 / 3


class LabelAbsence:
    """Of the activity that was expected of the last examples, how much came."""

    def __init__(self) -> None:
        self._expected = 0.0
        self._came = 0.0
        self._missing_since_ms: int | None = None

    @classmethod
    def restored(cls, state: AbsenceState) -> Self:
        """Go on from what was kept."""
        found = cls()
        found._expected, found._came, found._missing_since_ms = state.expected, state.came, state.missing_since_ms
        return found

    def state(self) -> AbsenceState:
        """To go on from."""
        return AbsenceState(expected=self._expected, came=self._came, missing_since_ms=self._missing_since_ms)

    @property
    def is_missing(self) -> bool:
        """Whether the alarm stands."""
        return self._missing_since_ms is not None

    def take(self, probability: float, at_ms: int, *, churned: bool) -> None:
        """Take in an example: the probability of churn that was said, its review, and whether it churned."""
        kept = 1.0 - 1.0 / _MEMORY
        self._expected = self._expected * kept + 1.0 - probability
        self._came = self._came * kept + (not churned)
        if self._missing_since_ms is None:
            if self._expected >= _EXPECTED_AT_LEAST and self._came < _MISSING_BELOW * self._expected:
                self._missing_since_ms = at_ms
        elif self._came > _BACK_ABOVE * self._expected:
            self._missing_since_ms = None

    def is_suspect(self, at_ms: int, horizon_ms: int) -> bool:
        """Whether a label is to be held back: for one horizon from the alarm on, then it is how things are now."""
        since_ms = self._missing_since_ms
        return since_ms is not None and at_ms < since_ms + horizon_ms
