"""When so much of a source cannot be read that the fault is hardly in its records."""

from collections import Counter
from typing import Final

_LOOKED_AT: Final = 1_000
"""Records of a topic before anything is said of it; older ones count for less and less."""


class PoisonError(RuntimeError):
    """Most of what a source brings becomes a dead letter: its format has changed, or its mapping. Somebody has to look."""


class PoisonWatch:
    """The share of dead letters among the latest records of each source topic.

    Args:
        greatest_share: that is still taken for bad records; 1: any.
    """

    def __init__(self, greatest_share: float) -> None:
        self._greatest_share = greatest_share
        self._seen: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()

    def saw(self, topic: str, records: int, dead: int) -> None:
        """Take in what became of some records, before anything of it is written.

        Raises:
            PoisonError: the share is above the greatest.
        """
        self._seen[topic] += records
        self._dead[topic] += dead
        if self._seen[topic] < _LOOKED_AT:
            return
        share = self._dead[topic] / self._seen[topic]
        if share > self._greatest_share:
            raise PoisonError(
                f"{share:.0%} of the latest {self._seen[topic]} records of {topic} cannot be read: nothing more of it is put "
                "into the dead letters. Mend the source or its mapping; CHURN_MAX_DEAD_LETTER_SHARE=1 takes everything"
            )
        self._seen[topic] //= 2
        self._dead[topic] //= 2
