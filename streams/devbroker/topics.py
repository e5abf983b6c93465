"""The topics of the development broker: created, grown, configured and deleted."""

import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.log import PartitionLog
from streams.devbroker.topic_configs import TopicConfig

_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")


@dataclass(slots=True)
class Topic:
    """A topic with its partitions."""

    name: str
    topic_id: uuid.UUID
    config: TopicConfig
    partitions: list[PartitionLog]


class TopicStore:
    """All topics, by name."""

    def __init__(self, *, default_partitions: int, clock_ms: Callable[[], int]) -> None:
        self.default_partitions = default_partitions
        self._clock_ms = clock_ms
        self._topics: dict[str, Topic] = {}

    def __iter__(self) -> Iterator[Topic]:
        return iter(self._topics.values())

    def find(self, name: str) -> Topic | None:
        """The topic, or None."""
        return self._topics.get(name)

    def by_id(self, topic_id: uuid.UUID) -> Topic | None:
        """The topic with this id, or None."""
        return next((topic for topic in self if topic.topic_id == topic_id), None)

    def topic(self, name: str) -> Topic:
        """The topic.

        Raises:
            Refused: there is no such topic.
        """
        found = self._topics.get(name)
        if found is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"no topic {name!r}")
        return found

    def partition(self, name: str, index: int) -> PartitionLog:
        """The log of one partition.

        Raises:
            Refused: there is no such topic or partition.
        """
        partitions = self.topic(name).partitions
        if not 0 <= index < len(partitions):
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"no partition {index} in {name!r}")
        return partitions[index]

    def create(
        self, name: str, partitions: int = -1, overrides: Mapping[str, str] | None = None, *, validate_only: bool = False
    ) -> Topic:
        """Create a topic; -1 partitions means the broker's default.

        Raises:
            Refused: it exists, or its name, its number of partitions or its config is not allowed.
        """
        if name in {".", ".."} or not _NAME.fullmatch(name):
            raise Refused(ErrorCode.INVALID_TOPIC, f"{name!r} is no topic name")
        if name in self._topics:
            raise Refused(ErrorCode.TOPIC_ALREADY_EXISTS, f"topic {name!r} already exists")
        if partitions == 0 or partitions < -1:
            raise Refused(ErrorCode.INVALID_PARTITIONS, f"{partitions} partitions")
        config = TopicConfig.checked(overrides or {})
        count = self.default_partitions if partitions == -1 else partitions
        topic_id = uuid.UUID(bytes=secrets.token_bytes(16), version=4)
        topic = Topic(name, topic_id, config, [PartitionLog(self._clock_ms) for _ in range(count)])
        if not validate_only:
            self._topics[name] = topic
        return topic

    def grow(self, name: str, count: int, *, validate_only: bool = False) -> None:
        """Add partitions, so that there are `count` of them.

        Raises:
            Refused: there is no such topic, or it has as many already.
        """
        partitions = self.topic(name).partitions
        if count <= len(partitions):
            raise Refused(ErrorCode.INVALID_PARTITIONS, f"topic {name!r} has {len(partitions)} partitions already")
        if not validate_only:
            partitions.extend(PartitionLog(self._clock_ms) for _ in range(count - len(partitions)))

    def delete(self, name: str) -> None:
        """Delete a topic with all its records.

        Raises:
            Refused: there is no such topic.
        """
        self.topic(name)
        del self._topics[name]
