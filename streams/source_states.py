"""Which source topics may be read, under which epoch, and which are paused until somebody does something."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from schemas.progress import SourceEpoch

Reason = Literal["poison", "recreated", "missing", "registry"]
Verdict = Literal["new", "read", "paused", "another", "gone"]

_NOT_OF_THE_TOPIC: Final = frozenset({"poison", "registry"})
"""Reasons that the topic's id says nothing of."""

_LOOKS_BEFORE_MISSING: Final = 3
"""A broker that starts may not know of a topic yet."""


@dataclass(frozen=True)
class Pause:
    """Why a source is not read, and what to do."""

    reason: Reason
    says: str
    since_s: float
    """By the monotonic clock."""


class SourceStates:
    """Of all sources of a process. Told what is recorded and what the broker has, it says what may be read."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.epochs: dict[str, SourceEpoch] = {}
        """As recorded in `churn.progress`, by topic."""
        self.pauses: dict[str, Pause] = {}
        """By topic."""
        self._topics = frozenset(topics)
        self._not_found: Counter[str] = Counter()

    def learn(self, epochs: Mapping[str, SourceEpoch]) -> None:
        """Take over what is recorded."""
        for topic in self._topics & epochs.keys():
            known = self.epochs.get(topic)
            if known is not None and known.epoch != epochs[topic].epoch:
                self.pauses.pop(topic, None)  # it is another topic: what was wrong with the one before says nothing of it
            self.epochs[topic] = epochs[topic]

    def is_recorded(self, topic: str, topic_id: str | None) -> bool:
        """Whether a topic is the one that events of its name come from; None is the id of none."""
        known = self.epochs.get(topic)
        return known is not None and known.topic_id == topic_id

    def judge(self, topic: str, topic_id: str | None, now_s: float) -> Verdict:
        """What is to be done with a source whose name stands for this topic now; None: for none.

        `new` wants its id to be recorded; `another` is not read, and wants a look at what is recorded before it is told.
        """
        if topic_id is None:
            self._not_found[topic] += 1
            if self._not_found[topic] == _LOOKS_BEFORE_MISSING:
                self.pause(topic, "missing", f"the topic {topic} does not exist (any more)", now_s)
            return "gone"
        del self._not_found[topic]
        pause = self.pauses.get(topic)
        if topic not in self.epochs:
            return "new"
        if not self.is_recorded(topic, topic_id):
            return "another"
        if pause is not None and pause.reason not in _NOT_OF_THE_TOPIC:
            del self.pauses[topic]
            return "read"
        return "read" if pause is None else "paused"

    def recreated(self, topic: str, topic_id: str, now_s: float) -> bool:
        """The topic was deleted and made again, and nobody has said that this is known; true if that is news."""
        known = self.epochs[topic]
        return self.pause(
            topic,
            "recreated",
            f"the topic {topic} was deleted and made again: its id is {topic_id}, and epoch {known.epoch} of this source is "
            f"{known.topic_id}. Nothing of it is read until `churnwatch sources reset {topic}`, which begins epoch "
            f"{known.epoch + 1} at its first record",
            now_s,
        )

    def pause(self, topic: str, reason: Reason, says: str, now_s: float) -> bool:
        """Read no more of a topic; true if that is news."""
        known = self.pauses.get(topic)
        if known is not None and known.reason == reason:
            return False
        self.pauses[topic] = Pause(reason, says, now_s)
        return True
