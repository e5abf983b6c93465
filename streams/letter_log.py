"""A line in the log about dead letters: the first at once, and then one in ten seconds for each source and reason."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import structlog

_TELL_AGAIN_AFTER_S: Final = 10.0

log = structlog.get_logger("churn.ingest")


class LetterLog:
    """Of one process. A format that has changed makes a thousand letters a second, and one line says as much.

    Args:
        now_s: the monotonic clock.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._untold: Counter[tuple[str, str]] = Counter()
        """By topic and reason."""
        self._told_s: dict[tuple[str, str], float] = {}

    def add(self, topic: str, reasons: Mapping[str, int]) -> None:
        """Records of a source have become dead letters."""
        for reason, count in reasons.items():
            self._untold[topic, reason] += count
        if reasons:
            self.tell()

    def tell(self, *, everything: bool = False) -> None:
        """Write the lines that are due; asked from time to time, so that the last letters are told of too.

        Args:
            everything: the process stops.
        """
        now_s = self._now_s()
        for (topic, reason), count in list(self._untold.items()):
            told_s = self._told_s.get((topic, reason))
            if everything or told_s is None or now_s - told_s >= _TELL_AGAIN_AFTER_S:
                log.warning("ingest.dead_letters", topic=topic, reason=reason, count=count)
                self._told_s[topic, reason] = now_s
                del self._untold[topic, reason]
