"""What an administrator asks for: topics, partitions and groups."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from kafka.protocol.admin.groups import (
    DeleteGroupsRequest,
    DeleteGroupsResponse,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
    ListGroupsRequest,
    ListGroupsResponse,
)
from kafka.protocol.admin.topics import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreateTopicsRequest,
    CreateTopicsResponse,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
)

from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.groups import Group, GroupRegistry
from streams.devbroker.routes import Call, Route
from streams.devbroker.topics import Topic, TopicStore

_CreatedTopic: TypeAlias = CreateTopicsResponse.CreatableTopicResult
_CreatedConfig: TypeAlias = CreateTopicsResponse.CreatableTopicResult.CreatableTopicConfigs
_DeletedTopic: TypeAlias = DeleteTopicsResponse.DeletableTopicResult
_GrownTopic: TypeAlias = CreatePartitionsResponse.CreatePartitionsTopicResult
_DescribedGroup: TypeAlias = DescribeGroupsResponse.DescribedGroup
_DescribedMember: TypeAlias = DescribeGroupsResponse.DescribedGroup.DescribedGroupMember


class AdminHandlers:
    """Topics and groups as a whole."""

    def __init__(self, topics: TopicStore, groups: GroupRegistry) -> None:
        self._topics = topics
        self._groups = groups

    def routes(self) -> Iterable[Route]:
        """The APIs served here."""
        yield Route(CreateTopicsRequest, 2, 7, self.create_topics)
        yield Route(DeleteTopicsRequest, 1, 5, self.delete_topics)
        yield Route(CreatePartitionsRequest, 0, 3, self.create_partitions)
        yield Route(ListGroupsRequest, 0, 4, self.list_groups)
        yield Route(DescribeGroupsRequest, 0, 4, self.describe_groups)
        yield Route(DeleteGroupsRequest, 0, 2, self.delete_groups)

    async def create_topics(self, request: CreateTopicsRequest, _call: Call) -> CreateTopicsResponse:
        """Create each topic that can be, on one broker: with one replica."""
        results = [self._create(wanted, validate_only=request.validate_only) for wanted in request.topics]
        return CreateTopicsResponse(throttle_time_ms=0, topics=results)

    def _create(self, wanted: CreateTopicsRequest.CreatableTopic, *, validate_only: bool) -> _CreatedTopic:
        overrides = {item.name: item.value for item in wanted.configs if item.value is not None}
        try:
            _check_replicas(wanted.replication_factor)
            partitions = len(wanted.assignments) or wanted.num_partitions
            topic = self._topics.create(wanted.name, partitions, overrides, validate_only=validate_only)
        except Refused as refused:
            return _CreatedTopic(name=wanted.name, error_code=refused.code, error_message=refused.detail)
        return _CreatedTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            error_code=0,
            error_message=None,
            num_partitions=len(topic.partitions),
            replication_factor=1,
            configs=_created_configs(topic),
        )

    async def delete_topics(self, request: DeleteTopicsRequest, _call: Call) -> DeleteTopicsResponse:
        """Delete topics, and the offsets that groups have committed in them."""
        results = []
        for name in request.topic_names:
            code, detail = _outcome(partial(self._delete, name))
            results.append(_DeletedTopic(name=name, error_code=code, error_message=detail))
        return DeleteTopicsResponse(throttle_time_ms=0, responses=results)

    def _delete(self, name: str) -> None:
        self._topics.delete(name)
        for group in self._groups:
            group.offsets.topic_deleted(name)

    async def create_partitions(self, request: CreatePartitionsRequest, _call: Call) -> CreatePartitionsResponse:
        """Add partitions to topics."""
        results = []
        for wanted in request.topics:
            code, detail = _outcome(partial(self._topics.grow, wanted.name, wanted.count, validate_only=request.validate_only))
            results.append(_GrownTopic(name=wanted.name, error_code=code, error_message=detail))
        return CreatePartitionsResponse(throttle_time_ms=0, results=results)

    async def list_groups(self, request: ListGroupsRequest, call: Call) -> ListGroupsResponse:
        """All groups, or those in the states named."""
        states = set(request.states_filter or ()) if call.version >= 4 else set()
        listed = [
            ListGroupsResponse.ListedGroup(
                group_id=group.group_id, protocol_type=group.protocol_type, group_state=str(group.state)
            )
            for group in self._groups
            if not states or group.state in states
        ]
        return ListGroupsResponse(throttle_time_ms=0, error_code=0, groups=listed)

    async def describe_groups(self, request: DescribeGroupsRequest, _call: Call) -> DescribeGroupsResponse:
        """Groups with their members; one that does not exist is `Dead`."""
        described = [_described(group_id, self._groups.find(group_id)) for group_id in request.groups]
        return DescribeGroupsResponse(throttle_time_ms=0, groups=described)

    async def delete_groups(self, request: DeleteGroupsRequest, _call: Call) -> DeleteGroupsResponse:
        """Delete groups that have no members."""
        results = []
        for group_id in request.groups_names:
            code, _ = _outcome(partial(self._groups.delete, group_id))
            results.append(DeleteGroupsResponse.DeletableGroupResult(group_id=group_id, error_code=code))
        return DeleteGroupsResponse(throttle_time_ms=0, results=results)


def _outcome(action: Callable[[], None]) -> tuple[ErrorCode, str | None]:
    """Do it; the code and message to answer with."""
    try:
        action()
    except Refused as refused:
        return refused.code, refused.detail
    return ErrorCode.NONE, None


def _check_replicas(count: int) -> None:
    if count not in {-1, 1}:
        raise Refused(ErrorCode.INVALID_REPLICATION_FACTOR, f"{count} replicas on one broker")


def _created_configs(topic: Topic) -> list[_CreatedConfig]:
    return [
        _CreatedConfig(
            name=name,
            value=value,
            read_only=False,
            config_source=1 if name in topic.config.overrides else 5,
            is_sensitive=False,
        )
        for name, value in topic.config.all_values().items()
    ]


def _described(group_id: str, group: Group | None) -> _DescribedGroup:
    if group is None:
        return _DescribedGroup(
            error_code=0, group_id=group_id, group_state="Dead", protocol_type="", protocol_data="", members=[]
        )
    members = [
        _DescribedMember(
            member_id=member.member_id,
            group_instance_id=None,
            client_id=member.client.client_id,
            client_host=f"/{member.client.host}",
            member_metadata=member.protocols.get(group.protocol, b""),
            member_assignment=member.assignment,
        )
        for member in group.members.values()
    ]
    return _DescribedGroup(
        error_code=0,
        group_id=group_id,
        group_state=str(group.state),
        protocol_type=group.protocol_type,
        protocol_data=group.protocol,
        members=members,
    )
