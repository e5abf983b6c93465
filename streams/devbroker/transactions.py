"""Transactions: which producer may write under a transactional id, and what its open transaction has touched.

Every new producer under an id gets a higher epoch; from then on the one before it is fenced. The coordinator is told
the time and starts no timers: somebody has to call `tick` now and then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.groups import GroupRegistry
from streams.devbroker.offsets import CommittedOffset, TopicPartition
from streams.devbroker.topics import TopicStore

_LAST_EPOCH: Final = 2**15 - 2  # one is kept back for the abort that fences
_MAX_TIMEOUT_MS: Final = 15 * 60 * 1000


@dataclass(frozen=True, slots=True)
class ProducerIdentity:
    """What a producer signs its batches and transaction requests with."""

    producer_id: int
    epoch: int


class _Phase(Enum):
    EMPTY = auto()
    ONGOING = auto()
    COMMITTED = auto()
    ABORTED = auto()


@dataclass(slots=True)
class _Transaction:
    identity: ProducerIdentity
    timeout_s: float
    phase: _Phase = _Phase.EMPTY
    deadline_s: float = 0.0
    partitions: set[TopicPartition] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)


class TransactionCoordinator:
    """The transactional ids of the broker, and its producer ids."""

    def __init__(self, topics: TopicStore, groups: GroupRegistry) -> None:
        self._topics = topics
        self._groups = groups
        self._transactions: dict[str, _Transaction] = {}
        self._last_producer_id = 999

    def idempotent_producer(self) -> ProducerIdentity:
        """A fresh identity for a producer without transactions."""
        self._last_producer_id += 1
        return ProducerIdentity(self._last_producer_id, 0)

    def transactional_producer(
        self, transactional_id: str, timeout_ms: int, claimed: ProducerIdentity | None = None
    ) -> ProducerIdentity:
        """Make the caller the one producer of this id: the one before is fenced, and its open transaction aborted.

        Args:
            transactional_id: not empty.
            timeout_ms: a transaction open for longer is aborted.
            claimed: what a producer that recovers from an error was called until now.

        Raises:
            Refused: the id or the time-out is not allowed, or a newer producer has taken over from the claimed one.
        """
        if not transactional_id:
            raise Refused(ErrorCode.INVALID_REQUEST, "an empty transactional id")
        if not 0 < timeout_ms <= _MAX_TIMEOUT_MS:
            raise Refused(ErrorCode.INVALID_TRANSACTION_TIMEOUT, f"{timeout_ms} ms")
        known = self._transactions.get(transactional_id)
        if known is not None:
            if claimed is not None and claimed != known.identity:
                raise Refused(ErrorCode.PRODUCER_FENCED)
            self._fence(known)
        fresh = known is None or known.identity.epoch >= _LAST_EPOCH
        identity = self.idempotent_producer() if known is None or fresh else known.identity
        self._transactions[transactional_id] = _Transaction(identity, timeout_ms / 1000)
        return identity

    def add_partitions(
        self, transactional_id: str, identity: ProducerIdentity, partitions: Iterable[TopicPartition], now_s: float
    ) -> None:
        """Let the open transaction, or a new one, write to these partitions.

        Raises:
            Refused: the producer is not, or no longer, the one of this id.
        """
        self._ongoing(transactional_id, identity, now_s).partitions.update(partitions)

    def add_group(self, transactional_id: str, identity: ProducerIdentity, group_id: str, now_s: float) -> None:
        """Let the open transaction, or a new one, commit offsets of this group.

        Raises:
            Refused: as `add_partitions`; or the group has no id.
        """
        self._groups.get_or_create(group_id)
        self._ongoing(transactional_id, identity, now_s).groups.add(group_id)

    def commit_offsets(
        self,
        transactional_id: str,
        identity: ProducerIdentity,
        group_id: str,
        offsets: Mapping[TopicPartition, CommittedOffset],
    ) -> None:
        """Commit offsets when the transaction commits.

        Raises:
            Refused: as `add_partitions`; or the group was not added to the open transaction.
        """
        transaction = self._checked(transactional_id, identity)
        if transaction.phase is not _Phase.ONGOING or group_id not in transaction.groups:
            raise Refused(ErrorCode.INVALID_TXN_STATE, f"group {group_id!r} is not part of the transaction")
        self._groups.get_or_create(group_id).offsets.commit_with(identity.producer_id, offsets)

    def check_write(self, transactional_id: str, identity: ProducerIdentity, partition: TopicPartition) -> None:
        """Let a transactional batch pass on its way to the log.

        Raises:
            Refused: its producer is fenced, or has not added the partition to an open transaction.
        """
        transaction = self._checked(transactional_id, identity)
        if transaction.phase is not _Phase.ONGOING or partition not in transaction.partitions:
            raise Refused(ErrorCode.INVALID_TXN_STATE, f"{partition} is not part of the transaction")

    def end(self, transactional_id: str, identity: ProducerIdentity, *, commit: bool) -> None:
        """Commit or abort the open transaction. The same again is a retry, and changes nothing.

        Raises:
            Refused: as `add_partitions`; or no transaction is open.
        """
        transaction = self._checked(transactional_id, identity)
        if transaction.phase is (_Phase.COMMITTED if commit else _Phase.ABORTED):
            return
        if transaction.phase is not _Phase.ONGOING:
            raise Refused(ErrorCode.INVALID_TXN_STATE, "no transaction is open")
        self._finish(transaction, commit=commit)

    def tick(self, now_s: float) -> None:
        """Abort the transactions that have been open for too long, and fence their producers."""
        for transaction in self._transactions.values():
            if transaction.phase is _Phase.ONGOING and transaction.deadline_s <= now_s:
                self._fence(transaction)

    def _checked(self, transactional_id: str, identity: ProducerIdentity) -> _Transaction:
        transaction = self._transactions.get(transactional_id)
        if transaction is None or transaction.identity.producer_id != identity.producer_id:
            raise Refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        if transaction.identity.epoch != identity.epoch:
            raise Refused(ErrorCode.PRODUCER_FENCED)
        return transaction

    def _ongoing(self, transactional_id: str, identity: ProducerIdentity, now_s: float) -> _Transaction:
        transaction = self._checked(transactional_id, identity)
        if transaction.phase is not _Phase.ONGOING:
            transaction.phase = _Phase.ONGOING
            transaction.deadline_s = now_s + transaction.timeout_s
        return transaction

    def _fence(self, transaction: _Transaction) -> None:
        # The markers carry the new epoch, so that the logs turn the old producer away, too.
        transaction.identity = ProducerIdentity(transaction.identity.producer_id, transaction.identity.epoch + 1)
        if transaction.phase is _Phase.ONGOING:
            self._finish(transaction, commit=False)

    def _finish(self, transaction: _Transaction, *, commit: bool) -> None:
        identity = transaction.identity
        for name, index in sorted(transaction.partitions):
            topic = self._topics.find(name)
            if topic is not None and index < len(topic.partitions):  # it may have been deleted meanwhile
                topic.partitions[index].end_transaction(identity.producer_id, identity.epoch, commit=commit)
        for group_id in transaction.groups:
            group = self._groups.find(group_id)
            if group is not None:
                group.offsets.transaction_ended(identity.producer_id, commit=commit)
        transaction.phase = _Phase.COMMITTED if commit else _Phase.ABORTED
        transaction.partitions.clear()
        transaction.groups.clear()
