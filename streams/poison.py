"""When so much of a source cannot be read that the fault is hardly in its records."""

from collections import Counter
from typing import Final

_LOOKED_AT: Final = 1_000
"""Records of a topic before anything is said of it; older ones count for less and less."""


class PoisonWatch:
    """The share of dead letters among the latest records of each source topic.

    Args:
        greatest_share: that is still taken for bad records; 1: any.
    """

    def __init__(self, greatest_share: float) -> None:
        self._greatest_share = greatest_share
        self._seen: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()

    def saw(self, topic: str, records: int, dead: int) -> str | None:
        """Take in what became of some records, before anything of it is written.

        Returns:
            What there is to say if the share is above the greatest: the format of the source has changed, or its mapping,
            and somebody has to look. The next records are looked at as if they were the first.
        """
        self._seen[topic] += records
        self._dead[topic] += dead
        if self._seen[topic] < _LOOKED_AT:
            return None
        seen, share = self._seen[topic], self._dead[topic] / self._seen[topic]
        if share > self._greatest_share:
            del self._seen[topic], self._dead[topic]
            return (
                f"{share:.0%} of the latest {seen} records of {topic} cannot be read: nothing more of it is put into the dead "
                "letters. Mend the source or its mapping, then start the worker anew; CHURN_MAX_DEAD_LETTER_SHARE=1 takes "
                "everything"
            )
        self._seen[topic] //= 2
        self._dead[topic] //= 2
        return None
