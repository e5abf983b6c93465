"""Whether the log loss has risen: ADWIN over means of examples (Bifet and Gavalda 2007, "Learning from time-changing data")."""

from typing import Final, Self

from river.drift import ADWIN

from detectors.block_mean import BlockMean
from schemas.model_quality import DriftState

BLOCK: Final = 20
"""Examples whose mean loss is one value: few enough for the detector to have many, and enough for means to be below 1, as it
assumes."""
_ALARM_BLOCKS: Final = 250
"""How long a rise is told: 5,000 examples."""
_MOST: Final = 1_000
"""Values that the detector looks back over at most; it begins anew with the later half."""


class Drift:
    """An alarm for some time after the log loss rose; a fall is good news and no alarm."""

    def __init__(self) -> None:
        self._block = BlockMean(BLOCK)
        self._alarm_left = 0
        self._begin([])

    @classmethod
    def restored(cls, state: DriftState) -> Self:
        """Go on from what was kept."""
        found = cls()
        found._begin(list(state.means))
        found._block, found._alarm_left = BlockMean.restored(BLOCK, state.sum, state.count), state.alarm_left
        return found

    def state(self) -> DriftState:
        """To go on from."""
        block = self._block
        return DriftState(sum=block.sum, count=block.count, means=list(self._means), alarm_left=self._alarm_left)

    @property
    def has_risen(self) -> bool:
        """Whether the alarm stands."""
        return self._alarm_left > 0

    def take(self, loss: float) -> None:
        """Take in the log loss of an example."""
        mean = self._block.take(loss)
        if mean is None:
            return
        before = self._adwin.estimation
        self._means.append(mean)
        self._adwin.update(mean)
        self._alarm_left = max(0, self._alarm_left - 1)
        if self._adwin.drift_detected and self._adwin.estimation > before:
            self._alarm_left = _ALARM_BLOCKS
        if len(self._means) >= _MOST:
            self._begin(self._means[-_MOST // 2 :])

    def _begin(self, means: list[float]) -> None:
        self._means = means
        self._adwin = ADWIN(clock=8)
        for mean in means:
            self._adwin.update(mean)
