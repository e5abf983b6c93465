"""Metadata, FindCoordinator, DescribeCluster: one broker, which leads and coordinates everything."""

from collections.abc import Iterable
from typing import Final, TypeAlias

from kafka.protocol.admin.cluster import DescribeClusterRequest, DescribeClusterResponse
from kafka.protocol.metadata.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kafka.protocol.metadata.metadata import MetadataRequest, MetadataResponse

from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.routes import Call, Route
from streams.devbroker.topics import Topic, TopicStore

NODE_ID: Final = 1

_DescribedTopic: TypeAlias = MetadataResponse.MetadataResponseTopic
_DescribedPartition: TypeAlias = MetadataResponse.MetadataResponseTopic.MetadataResponsePartition


class ClusterHandlers:
    """What clients ask to find their way. `port` is set once it is known."""

    def __init__(self, topics: TopicStore, *, cluster_id: str, host: str, auto_create: bool) -> None:
        self._topics = topics
        self._cluster_id = cluster_id
        self._host = host
        self._auto_create = auto_create
        self.port = 0

    def routes(self) -> Iterable[Route]:
        """The APIs served here."""
        yield Route(MetadataRequest, 0, 12, self.metadata)
        yield Route(FindCoordinatorRequest, 0, 4, self.find_coordinator)
        yield Route(DescribeClusterRequest, 0, 1, self.describe_cluster)

    async def metadata(self, request: MetadataRequest, call: Call) -> MetadataResponse:
        """Describe all topics or those named, and create what is missing if both sides want that."""
        everything = request.topics is None or (call.version == 0 and not request.topics)
        if everything:
            described = [_described(topic) for topic in self._topics]
        else:
            create = self._auto_create and (call.version < 4 or request.allow_auto_topic_creation)
            described = [self._describe(wanted, create=create) for wanted in request.topics]
        return MetadataResponse(
            throttle_time_ms=0,
            brokers=[MetadataResponse.MetadataResponseBroker(node_id=NODE_ID, host=self._host, port=self.port, rack=None)],
            cluster_id=self._cluster_id,
            controller_id=NODE_ID,
            topics=described,
        )

    def _describe(self, wanted: MetadataRequest.MetadataRequestTopic, *, create: bool) -> _DescribedTopic:
        if wanted.name is None:
            found = self._topics.by_id(wanted.topic_id)
            code = ErrorCode.UNKNOWN_TOPIC_ID
        else:
            found, code = self._topics.find(wanted.name), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            if found is None and create:
                try:
                    found = self._topics.create(wanted.name)
                except Refused as refused:
                    code = refused.code
        if found is not None:
            return _described(found)
        return _DescribedTopic(error_code=code, name=wanted.name, topic_id=wanted.topic_id, is_internal=False, partitions=[])

    async def find_coordinator(self, request: FindCoordinatorRequest, call: Call) -> FindCoordinatorResponse:
        """This broker, for every group and transactional id."""
        here = {"node_id": NODE_ID, "host": self._host, "port": self.port, "error_code": 0, "error_message": None}
        if call.version < 4:
            return FindCoordinatorResponse(throttle_time_ms=0, **here)
        coordinators = [FindCoordinatorResponse.Coordinator(key=key, **here) for key in request.coordinator_keys]
        return FindCoordinatorResponse(throttle_time_ms=0, coordinators=coordinators)

    async def describe_cluster(self, _request: DescribeClusterRequest, _call: Call) -> DescribeClusterResponse:
        """A cluster of one."""
        broker = DescribeClusterResponse.DescribeClusterBroker(broker_id=NODE_ID, host=self._host, port=self.port, rack=None)
        return DescribeClusterResponse(
            throttle_time_ms=0,
            error_code=0,
            error_message=None,
            endpoint_type=1,
            cluster_id=self._cluster_id,
            controller_id=NODE_ID,
            brokers=[broker],
        )


def _described(topic: Topic) -> _DescribedTopic:
    partitions = [
        _DescribedPartition(
            error_code=0,
            partition_index=index,
            leader_id=NODE_ID,
            leader_epoch=0,
            replica_nodes=[NODE_ID],
            isr_nodes=[NODE_ID],
            offline_replicas=[],
        )
        for index in range(len(topic.partitions))
    ]
    return _DescribedTopic(error_code=0, name=topic.name, topic_id=topic.topic_id, is_internal=False, partitions=partitions)
