"""The offsets a consumer group has committed, and those that wait for a transaction to end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

TopicPartition: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """The next offset to read, with a note of the consumer's own."""

    offset: int
    metadata: str = ""


class GroupOffsets:
    """The committed offsets of one group."""

    def __init__(self) -> None:
        self._committed: dict[TopicPartition, CommittedOffset] = {}
        self._pending: dict[int, dict[TopicPartition, CommittedOffset]] = {}  # by producer id

    def __iter__(self) -> Iterator[TopicPartition]:
        return iter(self._committed)

    def committed(self, partition: TopicPartition) -> CommittedOffset | None:
        """What was committed last; None if nothing was."""
        return self._committed.get(partition)

    def is_pending(self, partition: TopicPartition) -> bool:
        """Whether an open transaction holds an offset for this partition."""
        return any(partition in offsets for offsets in self._pending.values())

    def commit(self, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """Commit at once."""
        self._committed.update(offsets)

    def commit_with(self, producer_id: int, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """Commit when the producer's transaction does."""
        self._pending.setdefault(producer_id, {}).update(offsets)

    def transaction_ended(self, producer_id: int, *, commit: bool) -> None:
        """Make the producer's pending offsets count, or drop them."""
        offsets = self._pending.pop(producer_id, {})
        if commit:
            self._committed.update(offsets)

    def topic_deleted(self, topic: str) -> None:
        """Forget the offsets of a topic, so that one of the same name starts afresh."""
        for offsets in (self._committed, *self._pending.values()):
            for partition in [partition for partition in offsets if partition[0] == topic]:
                del offsets[partition]
