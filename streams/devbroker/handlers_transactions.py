"""InitProducerId and the requests that make up a transaction."""

import time
from collections.abc import Iterable
from typing import TypeAlias

from kafka.protocol.producer.transaction import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    EndTxnRequest,
    EndTxnResponse,
    InitProducerIdRequest,
    InitProducerIdResponse,
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)

from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.groups import GroupRegistry
from streams.devbroker.offsets import CommittedOffset, TopicPartition
from streams.devbroker.routes import Call, Route
from streams.devbroker.topics import TopicStore
from streams.devbroker.transactions import ProducerIdentity, TransactionCoordinator

_AddedTopic: TypeAlias = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult
_AddedPartition: TypeAlias = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult.AddPartitionsToTxnPartitionResult
_CommittedTopic: TypeAlias = TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic
_CommittedPartition: TypeAlias = TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic.TxnOffsetCommitResponsePartition


class TransactionHandlers:
    """The transaction coordinator on the wire."""

    def __init__(self, topics: TopicStore, groups: GroupRegistry, transactions: TransactionCoordinator) -> None:
        self._topics = topics
        self._groups = groups
        self._transactions = transactions

    def routes(self) -> Iterable[Route]:
        """The APIs served here."""
        yield Route(InitProducerIdRequest, 0, 4, self.init_producer_id)
        yield Route(AddPartitionsToTxnRequest, 0, 3, self.add_partitions)
        yield Route(AddOffsetsToTxnRequest, 0, 3, self.add_offsets)
        yield Route(TxnOffsetCommitRequest, 0, 3, self.commit_offsets)
        yield Route(EndTxnRequest, 0, 3, self.end)

    async def init_producer_id(self, request: InitProducerIdRequest, call: Call) -> InitProducerIdResponse:
        """Hand out a producer id, or the next epoch of a transactional one."""
        code, identity = ErrorCode.NONE, ProducerIdentity(-1, -1)
        claims = call.version >= 3 and request.producer_id >= 0
        claimed = ProducerIdentity(request.producer_id, request.producer_epoch) if claims else None
        try:
            if request.transactional_id is None:
                identity = self._transactions.idempotent_producer()
            else:
                identity = self._transactions.transactional_producer(
                    request.transactional_id, request.transaction_timeout_ms, claimed
                )
        except Refused as refused:
            code = _fencing_code(refused.code, knows_fenced=call.version >= 4)
        return InitProducerIdResponse(
            throttle_time_ms=0, error_code=code, producer_id=identity.producer_id, producer_epoch=identity.epoch
        )

    async def add_partitions(self, request: AddPartitionsToTxnRequest, call: Call) -> AddPartitionsToTxnResponse:
        """Add all partitions to the transaction, or none of them."""
        topics = request.v3_and_below_topics
        wanted = [(topic.name, index) for topic in topics for index in topic.partitions]
        codes = {partition: self._existence(partition) for partition in wanted}
        if any(codes.values()):
            codes = {partition: code or ErrorCode.OPERATION_NOT_ATTEMPTED for partition, code in codes.items()}
        else:
            identity = ProducerIdentity(request.v3_and_below_producer_id, request.v3_and_below_producer_epoch)
            try:
                self._transactions.add_partitions(request.v3_and_below_transactional_id, identity, wanted, time.monotonic())
            except Refused as refused:
                codes = dict.fromkeys(codes, _fencing_code(refused.code, knows_fenced=call.version >= 2))
        results = [
            _AddedTopic(
                name=topic.name,
                results_by_partition=[
                    _AddedPartition(partition_index=index, partition_error_code=codes[topic.name, index])
                    for index in topic.partitions
                ],
            )
            for topic in topics
        ]
        return AddPartitionsToTxnResponse(throttle_time_ms=0, results_by_topic_v3_and_below=results)

    def _existence(self, partition: TopicPartition) -> ErrorCode:
        try:
            self._topics.partition(*partition)
        except Refused as refused:
            return refused.code
        return ErrorCode.NONE

    async def add_offsets(self, request: AddOffsetsToTxnRequest, call: Call) -> AddOffsetsToTxnResponse:
        """Announce that offsets of a group will be part of the transaction."""
        identity = ProducerIdentity(request.producer_id, request.producer_epoch)
        code = ErrorCode.NONE
        try:
            self._transactions.add_group(request.transactional_id, identity, request.group_id, time.monotonic())
        except Refused as refused:
            code = _fencing_code(refused.code, knows_fenced=call.version >= 2)
        return AddOffsetsToTxnResponse(throttle_time_ms=0, error_code=code)

    async def commit_offsets(self, request: TxnOffsetCommitRequest, call: Call) -> TxnOffsetCommitResponse:
        """Commit offsets with the transaction, and only for a member of the group if the client says it is one."""
        identity = ProducerIdentity(request.producer_id, request.producer_epoch)
        offsets = {
            (topic.name, item.partition_index): CommittedOffset(item.committed_offset, item.committed_metadata or "")
            for topic in request.topics
            for item in topic.partitions
        }
        code = ErrorCode.NONE
        try:
            if call.version >= 3 and (request.member_id or request.generation_id >= 0):
                group = self._groups.member_of(request.group_id)
                group.check_commit(request.member_id, request.generation_id, time.monotonic())
            self._transactions.commit_offsets(request.transactional_id, identity, request.group_id, offsets)
        except Refused as refused:
            code = _fencing_code(refused.code, knows_fenced=False)
        topics = [
            _CommittedTopic(
                name=topic.name,
                partitions=[
                    _CommittedPartition(partition_index=item.partition_index, error_code=code) for item in topic.partitions
                ],
            )
            for topic in request.topics
        ]
        return TxnOffsetCommitResponse(throttle_time_ms=0, topics=topics)

    async def end(self, request: EndTxnRequest, call: Call) -> EndTxnResponse:
        """Commit or abort."""
        identity = ProducerIdentity(request.producer_id, request.producer_epoch)
        code = ErrorCode.NONE
        try:
            self._transactions.end(request.transactional_id, identity, commit=request.committed)
        except Refused as refused:
            code = _fencing_code(refused.code, knows_fenced=call.version >= 2)
        return EndTxnResponse(throttle_time_ms=0, error_code=code)


def _fencing_code(code: ErrorCode, *, knows_fenced: bool) -> ErrorCode:
    """Older versions of the requests know a fenced producer by its epoch only."""
    if code is ErrorCode.PRODUCER_FENCED and not knows_fenced:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return code
