"""Which topic a name stands for: the broker gives each topic an id, and another to the next one of the same name.

aiokafka speaks a version of the metadata request that has no ids yet, so this one is spelled out here.
"""

import asyncio
import base64
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import AbstractType, Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from streams.kafka_security import aiokafka_options
from streams.settings import Settings

_REQUEST_TIMEOUT_MS: Final = 5_000
_NO_ID: Final = bytes(16)


@dataclass(frozen=True)
class FoundTopic:
    """What the broker says of a topic that it has."""

    topic_id: str
    """As Kafka's own tools print it."""
    partitions: int
    leaders: frozenset[int] = frozenset()
    """The brokers that its records are read from."""


class TopicIds:
    """Asks the brokers that lead the partitions: whoever has served a record of a topic knows its id.

    Another broker may for a moment still tell of the topic that was deleted.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self._leaders: dict[str, frozenset[int]] = {}

    async def look(self, topics: Collection[str]) -> dict[str, FoundTopic]:
        """What there is of these topics at this moment; one that does not exist, or not on all brokers yet, is left out.

        Raises:
            KafkaError: a broker does not answer, or refuses.
        """
        await self._start()
        answers: dict[int, dict[str, FoundTopic]] = {}
        pending = self._known(topics) or {self._any_node()}
        while pending:
            for node in sorted(pending):
                answers[node] = await self._ask(topics, node)
            pending = self._known(topics) - answers.keys()
        return {topic: found for topic in topics if (found := _agreed(topic, answers.values())) is not None}

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _start(self) -> None:
        if self._client is None:
            client: Any = AIOKafkaClient(
                bootstrap_servers=self._settings.bootstrap,
                **aiokafka_options(self._settings),
                client_id=self._settings.prefix + "topic-ids",
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )
            try:
                await client.bootstrap()
            except BaseException:
                await client.close()
                raise
            self._client = client

    def _known(self, topics: Iterable[str]) -> set[int]:
        return {leader for topic in topics for leader in self._leaders.get(topic, frozenset())}

    def _any_node(self) -> int:
        node: int | None = self._client.get_random_node()
        if node is None:
            raise NodeNotReadyError("no broker is known")
        return node

    async def _ask(self, topics: Collection[str], node: int) -> dict[str, FoundTopic]:
        try:
            answer = await self._client.send(node, _TopicsRequest(topics))
        except NotImplementedError:
            raise IncompatibleBrokerVersion("the broker tells no ids of topics: Apache Kafka 3.0 or newer is needed") from None
        except (KafkaError, TimeoutError) as failed:
            self._leaders = {topic: leaders - {node} for topic, leaders in self._leaders.items()}
            self._client.force_metadata_update()
            raise failed if isinstance(failed, KafkaError) else NodeNotReadyError(f"broker {node} does not answer") from failed
        found = dict(_found(answer.topics))
        for topic in topics:
            self._leaders[topic] = found[topic].leaders if topic in found else frozenset()
        return found


def _agreed(topic: str, answers: Iterable[dict[str, FoundTopic]]) -> FoundTopic | None:
    told = [answer.get(topic) for answer in answers]
    return told[-1] if len({None if found is None else found.topic_id for found in told}) == 1 else None


def _found(topics: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, FoundTopic]]:
    for error_code, name, topic_id, _internal, partitions, *_ in topics:
        error = for_code(error_code)
        if error is TopicAuthorizationFailedError:
            raise TopicAuthorizationFailedError(name)
        if error is UnknownTopicOrPartitionError or topic_id == _NO_ID:
            continue
        leaders = frozenset(leader for _error, _index, leader, *_ in partitions if leader >= 0)
        yield name, FoundTopic(as_text(topic_id), len(partitions), leaders)


def as_text(topic_id: bytes) -> str:
    """An id as Kafka's own tools print it.

    >>> as_text(bytes(range(16)))
    'AAECAwQFBgcICQoLDA0ODw'
    """
    return base64.urlsafe_b64encode(topic_id).rstrip(b"=").decode()


def look_once(settings: Settings, topics: Collection[str]) -> dict[str, FoundTopic]:
    """The same for a command: asked once.

    Raises:
        KafkaError: a broker does not answer, or refuses.
    """

    async def look() -> dict[str, FoundTopic]:
        ids = TopicIds(settings)
        try:
            return await ids.look(topics)
        finally:
            await ids.close()

    return asyncio.run(look())


# -- the request


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(len(_NO_ID))


_TAGS: Final = ("tags", TaggedFields)


class _TopicsResponseV12(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", CompactString()), ("port", Int32), ("rack", CompactString()), _TAGS),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _TopicsRequestV12(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _TopicsResponseV12
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString()), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class _TopicsRequest(Request[_TopicsRequestV12]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = sorted(topics)

    def build(self, request_struct_class: type[_TopicsRequestV12]) -> _TopicsRequestV12:
        named: list[tuple[bytes, str, dict[int, bytes]]] = [(_NO_ID, topic, {}) for topic in self._topics]
        return request_struct_class(named, False, False, {})
