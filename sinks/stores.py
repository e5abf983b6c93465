"""What a store is: a sink that keeps, beside what it was told, up to where the topics were read.

So its position is never ahead of what it has: a store that was emptied, restored from an older copy, or made anew says
so by its positions, and whoever delivers reads from there.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from sinks.base import Delivery, SinkError

Partition = str
"""A partition of a topic, `churn.alerts/0`."""


class Told(NamedTuple):
    """A record, and where it stood."""

    partition: Partition
    offset: int
    record: Delivery


class StoreMoved(SinkError):  # noqa: N818 - what became of it
    """The store does not hold any more what it was told: ask for its positions, and read from there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class Store(Protocol):
    """Idempotent as every sink. Each partition has one writer, which tells its records in order, from its position on."""

    name: str
    """In logs and metrics."""

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The offset to read each partition from; 0 for one that is new. What was taken and is not kept yet is dropped.

        Raises:
            SinkError: it cannot be said now.
        """

    async def take(self, told: Sequence[Told]) -> None:
        """Take a batch, in the order of each partition.

        Raises:
            StoreMoved: what was told before is not there any more.
            SinkError: some were not taken.
        """

    async def advance(self, reached: Mapping[Partition, int]) -> Mapping[Partition, int]:
        """Everything before these offsets was taken. Returns up to where it is kept for good, of all partitions.

        Raises:
            StoreMoved: what was told before is not there any more.
            SinkError: it was not kept; asked once more, nothing is kept twice.
        """

    async def tend(self) -> Mapping[Partition, int]:
        """What has to be done also while nothing comes; called every second. Returns and raises as `advance`."""

    async def close(self) -> None:
        """Keep what can be kept at once, and let go."""
