"""The requests of a consumer group's members: join, sync, heartbeat, leave, and their offsets."""

import time
from collections.abc import Iterable
from typing import TypeAlias

from kafka.protocol.consumer.group import (
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupResponse,
    LeaveGroupRequest,
    LeaveGroupResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetFetchRequest,
    OffsetFetchResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)

from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.groups import GroupRegistry
from streams.devbroker.members import JoinRequest, MemberIdRequired
from streams.devbroker.offsets import CommittedOffset, GroupOffsets, TopicPartition
from streams.devbroker.routes import Call, Route
from streams.devbroker.topics import TopicStore

_JoinedMember: TypeAlias = JoinGroupResponse.JoinGroupResponseMember
_CommittedTopic: TypeAlias = OffsetCommitResponse.OffsetCommitResponseTopic
_CommittedPartition: TypeAlias = OffsetCommitResponse.OffsetCommitResponseTopic.OffsetCommitResponsePartition
_FetchedTopic: TypeAlias = OffsetFetchResponse.OffsetFetchResponseTopic
_FetchedPartition: TypeAlias = OffsetFetchResponse.OffsetFetchResponseTopic.OffsetFetchResponsePartition


class GroupHandlers:
    """The group coordinator on the wire. Versions end where static membership begins."""

    def __init__(self, topics: TopicStore, groups: GroupRegistry) -> None:
        self._topics = topics
        self._groups = groups

    def routes(self) -> Iterable[Route]:
        """The APIs served here."""
        yield Route(JoinGroupRequest, 0, 4, self.join)
        yield Route(SyncGroupRequest, 0, 2, self.sync)
        yield Route(HeartbeatRequest, 0, 2, self.heartbeat)
        yield Route(LeaveGroupRequest, 0, 2, self.leave)
        yield Route(OffsetCommitRequest, 2, 6, self.commit)
        yield Route(OffsetFetchRequest, 1, 7, self.fetch_offsets)

    async def join(self, request: JoinGroupRequest, call: Call) -> JoinGroupResponse:
        """Answer when the rebalance is complete; it lasts as long as the slowest member takes to join again."""
        rebalance_timeout_ms = request.rebalance_timeout_ms if call.version >= 1 else request.session_timeout_ms
        wish = JoinRequest(
            member_id=request.member_id,
            client=call.client,
            protocol_type=request.protocol_type,
            protocols=tuple((protocol.name, bytes(protocol.metadata)) for protocol in request.protocols),
            session_timeout_s=request.session_timeout_ms / 1000,
            rebalance_timeout_s=rebalance_timeout_ms / 1000,
            learns_member_id=call.version >= 4,
        )
        try:
            joined = await self._groups.get_or_create(request.group_id).join(wish, time.monotonic())
        except MemberIdRequired as required:
            return _not_joined(required.code, required.member_id)
        except Refused as refused:
            return _not_joined(refused.code, request.member_id)
        return JoinGroupResponse(
            throttle_time_ms=0,
            error_code=0,
            generation_id=joined.generation,
            protocol_name=joined.protocol,
            leader=joined.leader,
            member_id=joined.member_id,
            members=[_JoinedMember(member_id=key, metadata=subscription) for key, subscription in joined.subscriptions],
        )

    async def sync(self, request: SyncGroupRequest, _call: Call) -> SyncGroupResponse:
        """Answer when the leader has assigned the partitions."""
        assignments = {item.member_id: bytes(item.assignment) for item in request.assignments}
        code, assignment = ErrorCode.NONE, b""
        try:
            group = self._groups.member_of(request.group_id)
            assignment = await group.sync(request.member_id, request.generation_id, assignments, time.monotonic())
        except Refused as refused:
            code = refused.code
        return SyncGroupResponse(throttle_time_ms=0, error_code=code, assignment=assignment)

    async def heartbeat(self, request: HeartbeatRequest, _call: Call) -> HeartbeatResponse:
        """Keep a session alive."""
        code = ErrorCode.NONE
        try:
            group = self._groups.member_of(request.group_id)
            group.heartbeat(request.member_id, request.generation_id, time.monotonic())
        except Refused as refused:
            code = refused.code
        return HeartbeatResponse(throttle_time_ms=0, error_code=code)

    async def leave(self, request: LeaveGroupRequest, _call: Call) -> LeaveGroupResponse:
        """Take a member out."""
        code = ErrorCode.NONE
        try:
            self._groups.member_of(request.group_id).leave(request.member_id, time.monotonic())
        except Refused as refused:
            code = refused.code
        return LeaveGroupResponse(throttle_time_ms=0, error_code=code)

    async def commit(self, request: OffsetCommitRequest, _call: Call) -> OffsetCommitResponse:
        """Commit offsets of partitions that exist, if the caller is still a member."""
        refusal = self._commit_refusal(request)
        topics = []
        for topic in request.topics:
            answers = []
            for item in topic.partitions:
                code = refusal or self._commit_one(request.group_id, topic.name, item)
                answers.append(_CommittedPartition(partition_index=item.partition_index, error_code=code))
            topics.append(_CommittedTopic(name=topic.name, partitions=answers))
        return OffsetCommitResponse(throttle_time_ms=0, topics=topics)

    def _commit_refusal(self, request: OffsetCommitRequest) -> ErrorCode:
        try:
            group = self._groups.get_or_create(request.group_id)
            group.check_commit(request.member_id, request.generation_id_or_member_epoch, time.monotonic())
        except Refused as refused:
            return refused.code
        return ErrorCode.NONE

    def _commit_one(
        self, group_id: str, topic: str, item: OffsetCommitRequest.OffsetCommitRequestTopic.OffsetCommitRequestPartition
    ) -> ErrorCode:
        try:
            self._topics.partition(topic, item.partition_index)
        except Refused as refused:
            return refused.code
        committed = CommittedOffset(item.committed_offset, item.committed_metadata or "")
        self._groups.get_or_create(group_id).offsets.commit({(topic, item.partition_index): committed})
        return ErrorCode.NONE

    async def fetch_offsets(self, request: OffsetFetchRequest, call: Call) -> OffsetFetchResponse:
        """The committed offsets of the partitions named, or of all."""
        group = self._groups.find(request.group_id)
        offsets = group.offsets if group is not None else GroupOffsets()
        if request.topics is None:
            wanted: dict[str, list[int]] = {}
            for topic, index in sorted(offsets):
                wanted.setdefault(topic, []).append(index)
        else:
            wanted = {topic.name: topic.partition_indexes for topic in request.topics}
        stable_only = call.version >= 7 and request.require_stable
        topics = [
            _FetchedTopic(
                name=topic,
                partitions=[_fetched(offsets, (topic, index), stable_only=stable_only) for index in indexes],
            )
            for topic, indexes in wanted.items()
        ]
        return OffsetFetchResponse(throttle_time_ms=0, error_code=0, topics=topics)


def _not_joined(code: ErrorCode, member_id: str) -> JoinGroupResponse:
    return JoinGroupResponse(
        throttle_time_ms=0,
        error_code=code,
        generation_id=-1,
        protocol_name="",
        leader="",
        member_id=member_id,
        members=[],
    )


def _fetched(offsets: GroupOffsets, partition: TopicPartition, *, stable_only: bool) -> _FetchedPartition:
    found = offsets.committed(partition) or CommittedOffset(-1)
    code = ErrorCode.NONE
    if stable_only and offsets.is_pending(partition):
        found, code = CommittedOffset(-1), ErrorCode.UNSTABLE_OFFSET_COMMIT
    return _FetchedPartition(
        partition_index=partition[1],
        committed_offset=found.offset,
        committed_leader_epoch=-1,
        metadata=found.metadata,
        error_code=code,
    )
