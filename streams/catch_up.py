"""How far ingest is behind in each source, how quickly it reads, and when it will be at the end."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

_EVERY_S: Final = 10.0
_AT_ONCE_S: Final = 1.0
"""A backlog of less than what is read in so long is none: it is what is under way."""


@dataclass(frozen=True)
class Backlog:
    """What a source has that was not read yet."""

    behind_records: int
    rate_per_s: float
    """Records that were read, of late."""
    eta_s: float | None
    """Until nothing is left, if it goes on as of late; None while it does not get less."""


class CatchUp:
    """Of all sources of a process; told from time to time, by the monotonic clock."""

    def __init__(self) -> None:
        self.backlogs: dict[str, Backlog] = {}
        """By topic, as last told."""
        self._samples: dict[str, deque[tuple[float, int, int]]] = {}
        self._told_s: dict[str, float] = {}

    def report(self, topic: str, behind_records: int, read_records: int, now_s: float) -> Backlog | None:
        """Take in how it is; returns what is worth a line in the log, every ten seconds of a backlog.

        Args:
            topic: of the source.
            behind_records: not read yet.
            read_records: read since the process started.
            now_s: the time.
        """
        samples = self._samples.setdefault(topic, deque())
        if behind_records == 0:  # what comes next is another backlog
            samples.clear()
        samples.append((now_s, behind_records, read_records))
        while samples[-1][0] - samples[0][0] > _EVERY_S and len(samples) > 2:
            samples.popleft()
        backlog = self.backlogs[topic] = _backlog(samples[0], samples[-1])
        if behind_records <= backlog.rate_per_s * _AT_ONCE_S:
            self._told_s.pop(topic, None)
            return None
        if now_s - self._told_s.setdefault(topic, now_s) < _EVERY_S:
            return None
        self._told_s[topic] = now_s
        return backlog

    def forget(self, topics: Collection[str]) -> None:
        """These are read by others now, or by nobody."""
        for topic in [topic for topic in topics if topic in self._samples]:
            del self._samples[topic]
            del self.backlogs[topic]
            self._told_s.pop(topic, None)


def _backlog(first: tuple[float, int, int], last: tuple[float, int, int]) -> Backlog:
    (first_s, first_behind, first_read), (last_s, behind, read) = first, last
    if behind == 0:
        return Backlog(0, 0.0, 0.0)
    if last_s <= first_s:
        return Backlog(behind, 0.0, None)
    rate_per_s, less_per_s = (read - first_read) / (last_s - first_s), (first_behind - behind) / (last_s - first_s)
    return Backlog(behind, rate_per_s, behind / less_per_s if less_per_s > 0 else None)
