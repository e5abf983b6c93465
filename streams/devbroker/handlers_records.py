"""Produce, Fetch and ListOffsets."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TypeAlias

from kafka.protocol.consumer.fetch import FetchRequest, FetchResponse
from kafka.protocol.consumer.offsets import ListOffsetsRequest, ListOffsetsResponse
from kafka.protocol.producer.produce import ProduceRequest, ProduceResponse

from streams.devbroker.batches import split_batches
from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.log import Appended, PartitionLog, Slice
from streams.devbroker.offsets import TopicPartition
from streams.devbroker.routes import Call, Route
from streams.devbroker.topics import TopicStore
from streams.devbroker.transactions import ProducerIdentity, TransactionCoordinator

_LATEST, _EARLIEST, _MAX_TIMESTAMP = -1, -2, -3

_Produced: TypeAlias = ProduceResponse.TopicProduceResponse
_ProducedPartition: TypeAlias = ProduceResponse.TopicProduceResponse.PartitionProduceResponse
_FetchedTopic: TypeAlias = FetchResponse.FetchableTopicResponse
_FetchedPartition: TypeAlias = FetchResponse.FetchableTopicResponse.PartitionData
_Aborted: TypeAlias = FetchResponse.FetchableTopicResponse.PartitionData.AbortedTransaction
_ListedTopic: TypeAlias = ListOffsetsResponse.ListOffsetsTopicResponse
_ListedPartition: TypeAlias = ListOffsetsResponse.ListOffsetsTopicResponse.ListOffsetsPartitionResponse


class RecordHandlers:
    """Writing to, reading from and searching the partition logs."""

    def __init__(self, topics: TopicStore, transactions: TransactionCoordinator) -> None:
        self._topics = topics
        self._transactions = transactions

    def routes(self) -> Iterable[Route]:
        """The APIs served here."""
        # librdkafka takes a broker that does not list Produce v0 for one without compression; old formats are refused.
        yield Route(ProduceRequest, 0, 8, self.produce)
        yield Route(FetchRequest, 4, 11, self.fetch)
        yield Route(ListOffsetsRequest, 1, 7, self.list_offsets)

    async def produce(self, request: ProduceRequest, _call: Call) -> ProduceResponse | None:
        """Append to each partition on its own: some may be refused."""
        topics = []
        for topic in request.topic_data:
            answers = [self._produce_one(request, topic.name, item.index, item.records) for item in topic.partition_data]
            topics.append(_Produced(name=topic.name, partition_responses=answers))
        return ProduceResponse(responses=topics, throttle_time_ms=0) if request.acks != 0 else None

    def _produce_one(self, request: ProduceRequest, topic: str, index: int, records: bytes | None) -> _ProducedPartition:
        code, detail, appended = ErrorCode.NONE, None, Appended(-1, None)
        try:
            _check_acks(request.acks)
            appended = self._append(request.transactional_id, topic, index, bytes(records or b""))
        except Refused as refused:
            code, detail = refused.code, refused.detail
        stamp_ms = appended.log_append_time_ms
        return _ProducedPartition(
            index=index,
            error_code=code,
            base_offset=appended.base_offset,
            log_append_time_ms=-1 if stamp_ms is None else stamp_ms,
            log_start_offset=0,
            record_errors=[],
            error_message=detail,
        )

    def _append(self, transactional_id: str | None, topic: str, index: int, records: bytes) -> Appended:
        log = self._topics.partition(topic, index)
        batches = list(split_batches(records))
        for batch in batches:
            if batch.is_transactional:
                identity = ProducerIdentity(batch.producer_id, batch.producer_epoch)
                self._check_transaction(transactional_id or "", identity, (topic, index))
        return log.append(batches, self._topics.topic(topic).config)

    def _check_transaction(self, transactional_id: str, identity: ProducerIdentity, partition: TopicPartition) -> None:
        try:
            self._transactions.check_write(transactional_id, identity, partition)
        except Refused as refused:
            if refused.code is not ErrorCode.PRODUCER_FENCED:
                raise
            raise Refused(ErrorCode.INVALID_PRODUCER_EPOCH, "fenced") from refused  # the code that producers know

    async def fetch(self, request: FetchRequest, _call: Call) -> FetchResponse:
        """Answer when there is enough to read, when an error has to be told, or when the client's patience ends."""
        deadline_s = time.monotonic() + request.max_wait_ms / 1000
        appended = asyncio.Event()
        with ExitStack() as stack:
            for log in self._logs(request):
                stack.enter_context(log.waking(appended))
            while True:
                appended.clear()
                answer, size, failed = self._read_all(request)
                left_s = deadline_s - time.monotonic()
                if failed or size >= request.min_bytes or left_s <= 0:
                    return answer
                try:
                    await asyncio.wait_for(appended.wait(), left_s)
                except TimeoutError:
                    continue

    def _logs(self, request: FetchRequest) -> Iterable[PartitionLog]:
        for wanted in request.topics:
            topic = self._topics.find(wanted.topic)
            for item in wanted.partitions:
                if topic is not None and 0 <= item.partition < len(topic.partitions):
                    yield topic.partitions[item.partition]

    def _read_all(self, request: FetchRequest) -> tuple[FetchResponse, int, bool]:
        """The answer as of now, how many bytes of records are in it, and whether it tells of an error."""
        topics = []
        size, failed = 0, False
        for wanted in request.topics:
            answers = []
            for item in wanted.partitions:
                answer = self._fetch_one(wanted.topic, item, request, size)
                size += len(answer.records)
                failed |= answer.error_code != ErrorCode.NONE
                answers.append(answer)
            topics.append(_FetchedTopic(topic=wanted.topic, partitions=answers))
        return FetchResponse(throttle_time_ms=0, error_code=0, session_id=0, responses=topics), size, failed

    def _fetch_one(
        self, topic: str, item: FetchRequest.FetchTopic.FetchPartition, request: FetchRequest, read_before: int
    ) -> _FetchedPartition:
        committed_only = bool(request.isolation_level)
        max_bytes = min(item.partition_max_bytes, request.max_bytes - read_before)
        code, end, stable, found = ErrorCode.NONE, -1, -1, Slice(b"", ())
        try:
            log = self._topics.partition(topic, item.partition)
            end, stable = log.end_offset, log.last_stable_offset
            found = log.read(item.fetch_offset, max_bytes, committed_only=committed_only, at_least_one=read_before == 0)
        except Refused as refused:
            code = refused.code
        aborted = [_Aborted(producer_id=gone.producer_id, first_offset=gone.first_offset) for gone in found.aborted]
        return _FetchedPartition(
            partition_index=item.partition,
            error_code=code,
            high_watermark=end,
            last_stable_offset=stable,
            log_start_offset=0 if code is ErrorCode.NONE else -1,
            aborted_transactions=aborted if committed_only else None,
            preferred_read_replica=-1,
            records=found.records,
        )

    async def list_offsets(self, request: ListOffsetsRequest, _call: Call) -> ListOffsetsResponse:
        """Begin, end, or the first record at or after a time."""
        topics = []
        for wanted in request.topics:
            answers = []
            for item in wanted.partitions:
                code, offset, timestamp_ms = ErrorCode.NONE, -1, -1
                try:
                    log = self._topics.partition(wanted.name, item.partition_index)
                    offset, timestamp_ms = _found_offset(log, item.timestamp, committed_only=bool(request.isolation_level))
                except Refused as refused:
                    code = refused.code
                answers.append(
                    _ListedPartition(
                        partition_index=item.partition_index,
                        error_code=code,
                        timestamp=timestamp_ms,
                        offset=offset,
                        leader_epoch=0 if offset >= 0 else -1,
                    )
                )
            topics.append(_ListedTopic(name=wanted.name, partitions=answers))
        return ListOffsetsResponse(throttle_time_ms=0, topics=topics)


def _check_acks(acks: int) -> None:
    if acks not in {-1, 0, 1}:
        raise Refused(ErrorCode.INVALID_REQUIRED_ACKS, f"acks={acks}")


def _found_offset(log: PartitionLog, timestamp_ms: int, *, committed_only: bool) -> tuple[int, int]:
    """Offset and timestamp, or -1 twice: a client takes that for "there is none"."""
    end = log.readable_end(committed_only=committed_only)
    if timestamp_ms == _LATEST:
        return end, -1
    if timestamp_ms == _EARLIEST:
        return 0, -1
    found = log.newest_record() if timestamp_ms == _MAX_TIMESTAMP else log.offset_for_time(timestamp_ms)
    return found if found is not None and found[0] < end else (-1, -1)
