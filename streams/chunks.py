"""What an app reads, and how: chunks of raw records, where reading begins, what is held in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aiokafka.structs import ConsumerRecord
from faust.types import TP


class Chunk(NamedTuple):
    """What one poll brought of one partition: records in offset order, none left out between them and the seek."""

    tp: TP
    records: list[ConsumerRecord]
    generation: int
    """Of the consumer group when the chunk was handed over."""
    seeks: int = 0
    """How often the partition had been sought when the records were taken."""


class Done(NamedTuple):
    """Up to where a partition may be committed, and what stands beside the offset."""

    next_offset: int
    note: str


class SeekHook(Protocol):
    """Says where an app reads on after a rebalance, before anything is fetched."""

    async def __call__(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Offsets of the assigned partitions; one that is left out stays paused until `ChunkConsumer.read_from`.

        It must return within `broker_request_timeout`: what takes long belongs into a task.
        """


async def from_the_beginning(assigned: frozenset[TP]) -> Mapping[TP, int]:
    """Read everything that the topics still have, after each rebalance again."""
    return dict.fromkeys(assigned, 0)


@dataclass(frozen=True)
class ReadOptions:
    """How an app reads."""

    read_committed: bool = False
    """Records of open and aborted transactions are not seen."""
    seek: SeekHook | None = None
    """Without one, reading goes on at the committed offsets."""
    bare_records: bool = False
    """Records come as they were decoded, which is quicker: offset, timestamp, key, value, headers; no topic, no partition."""
    max_backlog_records: int = 20_000
    """Most records handed to the agent and not released, over all partitions; each has an equal share, at least one."""
