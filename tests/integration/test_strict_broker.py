"""Apache Kafka with access control and limits: what a worker is not allowed is told by name, and what passes is waited for."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
from aiohttp import ClientSession
from aiokafka import AIOKafkaProducer
from detect_log import PATIENCE_S, PUBLISHED, Log, new_installation, silences, until
from door_run import signed, url, with_door
from kafka import TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)
from kafka_server import KafkaUnavailable, running_nodes

from schemas.codec import encode
from streams.detect import detector_of
from streams.readiness import readiness
from streams.refusals import BrokerRefusedError
from streams.restore import LogGapError, restore
from streams.rights import READ, WITHOUT_GROUP, WRITE, missing_rights, rights_of
from streams.settings import ROLES, Role, Settings, Topic
from streams.sources import load_sources
from streams.topics import TopicsError
from streams.worker import Roles, running_roles

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(os.environ.get("CHURN_KAFKA") != "1", reason="needs its own Apache Kafka: CHURN_KAFKA=1"),
]

Unique = Callable[[str], str]
LONGEST_TRANSACTION_MS = 5_000
OF_GROUPS = [role for role in ROLES if role not in WITHOUT_GROUP]
KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}
PROPERTIES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",  # what no test speaks of is allowed
    "transaction.max.timeout.ms": str(LONGEST_TRANSACTION_MS),
}


@pytest.fixture(scope="module")
def strict() -> Iterator[str]:
    """A broker that refuses whatever an access control list does not allow, where there is one."""
    try:
        with running_nodes(1, properties=PROPERTIES) as (node,):
            yield node.bootstrap
    except KafkaUnavailable as unavailable:
        pytest.skip(str(unavailable))


@pytest.fixture
def log(strict: str, unique: Unique) -> Log:
    return Log(new_installation(strict, unique("strict"), transaction_timeout_ms=2_000, heartbeat_ms=200, tick_ms=200))


def admin_of(settings: Settings) -> Any:
    return KafkaAdminClient(bootstrap_servers=settings.bootstrap)


def grant(
    settings: Settings,
    kind: ResourceType,
    name: str,
    *operations: ACLOperation,
    principal: str = "User:ANONYMOUS",
    permission: ACLPermissionType = ACLPermissionType.ALLOW,
    pattern: ACLResourcePatternType = ACLResourcePatternType.LITERAL,
) -> None:
    resource = ResourcePattern(kind, name, pattern)
    rules = {ACL(principal, "*", operation, permission, resource) for operation in operations}
    those_there = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, resource)
    admin = admin_of(settings)
    try:
        assert not admin.create_acls(list(rules))["failed"]
        deadline_s = time.monotonic() + PATIENCE_S
        while not rules <= set(admin.describe_acls(those_there)[0]):  # a moment until they are in force
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
    finally:
        admin.close()


def grant_what_is_needed(settings: Settings, *roles: Role) -> None:
    """On every topic, group and transactional id exactly what these roles need, so that everything else is refused."""
    sources = load_sources(settings)
    by_resource: dict[tuple[str, str, bool], set[ACLOperation]] = {}
    for right in (right for role in roles for right in rights_of(settings, role, sources)):
        by_resource.setdefault((right.kind, right.name, right.is_prefix), set()).add(right.operation)
    for topic in get_args(Topic):  # what nothing is granted on would be allowed
        by_resource.setdefault(("topic", settings.topic(topic), False), {ACLOperation.DESCRIBE})
    for (kind, name, is_prefix), operations in by_resource.items():
        pattern = ACLResourcePatternType.PREFIXED if is_prefix else ACLResourcePatternType.LITERAL
        grant(settings, KINDS[kind], name, *sorted(operations), pattern=pattern)


@asynccontextmanager
async def ready(settings: Settings, *roles: Role) -> AsyncIterator[Roles]:
    async with running_roles(settings, roles) as running:
        await until(lambda: readiness(running.services)[0])
        yield running


async def test_a_worker_with_exactly_the_rights_of_its_roles_does_everything(log: Log) -> None:
    orders = log.settings.source_prefix + "orders"
    await asyncio.to_thread(grant_what_is_needed, log.settings, *OF_GROUPS)
    await asyncio.to_thread(grant, log.settings, ResourceType.TOPIC, orders, WRITE)  # for this test
    async with ready(log.settings, *OF_GROUPS), AIOKafkaProducer(bootstrap_servers=log.settings.bootstrap) as producer:
        await log.append(0, [PUBLISHED, *silences(0, 50)])
        for event in silences(60, 61):
            await producer.send_and_wait(orders, encode(event))
        await log.until_all_is_told(0)

        async def event_was_forwarded() -> bool:
            records = [record for partition in (0, 1) for record in await log.committed("events", partition)]
            return any(record.key == b"c60" for record in records)

        await until(event_was_forwarded)


@pytest.mark.parametrize("role", OF_GROUPS)
async def test_each_role_alone_starts_with_its_own_rights(log: Log, role: Role) -> None:
    await asyncio.to_thread(grant_what_is_needed, log.settings, role)
    async with ready(log.settings, role) as running:
        assert running.crash_reason is None


async def test_the_door_takes_webhooks_with_the_right_to_write_its_sources(log: Log, tmp_path: Path) -> None:
    settings = with_door(log.settings, tmp_path)
    await asyncio.to_thread(grant_what_is_needed, settings, "door")
    async with (
        ready(settings, "door"),
        ClientSession() as client,
        client.post(url(settings), data=b"{}", headers=signed(b"{}")) as answer,
    ):
        assert answer.status == 202


async def test_a_right_that_is_missing_is_told_before_anything_starts(log: Log) -> None:
    alerts, lifecycle = log.settings.topic("alerts"), log.settings.topic("lifecycle")
    await asyncio.to_thread(grant, log.settings, ResourceType.TOPIC, alerts, READ, ACLOperation.DESCRIBE_CONFIGS)
    await asyncio.to_thread(grant, log.settings, ResourceType.TOPIC, lifecycle, WRITE)
    await asyncio.to_thread(
        grant, log.settings, ResourceType.GROUP, log.settings.group_id("detect"), READ, principal="User:else"
    )
    with pytest.raises(TopicsError) as told:
        async with running_roles(log.settings, ["detect", "deliver"]):
            pass
    assert str(told.value).splitlines() == [
        f"WRITE on the topic {alerts} is missing, which detect must have",
        f"DESCRIBE_CONFIGS on the topic {lifecycle} is missing, which deliver and detect must have",
        f"READ on the topic {lifecycle} is missing, which deliver must have",
        f"READ on the consumer group {log.settings.group_id('detect')} is missing, which detect must have",
    ]


async def test_a_topic_that_may_not_even_be_seen_is_not_taken_for_one_that_is_missing(log: Log) -> None:
    await asyncio.to_thread(grant, log.settings, ResourceType.TOPIC, log.settings.topic("state"), ACLOperation.DELETE)
    with pytest.raises(TopicsError, match=rf"READ on the topic {log.settings.topic('state')} is missing") as told:
        async with running_roles(log.settings, ["detect"]):
            pass
    assert "does not exist" not in str(told.value)


@pytest.mark.parametrize("topic", ["alerts", "state"])
async def test_a_right_that_is_taken_away_ends_the_worker_with_its_name(log: Log, topic: Topic) -> None:
    name = log.settings.topic(topic)
    await log.append(0, [PUBLISHED, *silences(0, 100)])

    async def work() -> None:
        async with ready(log.settings, "detect") as running:
            await log.until_all_is_told(0)
            await asyncio.to_thread(grant, log.settings, ResourceType.TOPIC, name, WRITE, permission=ACLPermissionType.DENY)
            await log.append(0, silences(100, 200))
            await asyncio.wait_for(running.wait_crashed(), 60)

    with pytest.raises(BrokerRefusedError, match=f"WRITE on the topic {name} is missing, which detect must have"):
        await work()


async def test_a_transactional_id_that_is_not_ours_to_use_is_named(log: Log) -> None:
    await asyncio.to_thread(
        grant, log.settings, ResourceType.TRANSACTIONAL_ID, log.settings.transactional_id(0), ACLOperation.DESCRIBE
    )
    with pytest.raises(
        BrokerRefusedError, match=f"WRITE on the transactional id {log.settings.transactional_id(0)} is missing"
    ):
        async with running_roles(log.settings, ["detect"]) as running:
            await asyncio.wait_for(running.wait_crashed(), 60)


async def test_a_broker_that_allows_no_transaction_so_long_is_told_with_both_numbers(log: Log) -> None:
    settings = log.settings.model_copy(update={"transaction_timeout_ms": 30_000})
    with pytest.raises(
        BrokerRefusedError,
        match=rf"30000 ms \(CHURN_TRANSACTION_TIMEOUT_MS\): its transaction\.max\.timeout\.ms is {LONGEST_TRANSACTION_MS}",
    ):
        async with running_roles(settings, ["detect"]) as running:
            await asyncio.wait_for(running.wait_crashed(), 60)


def delete_records(settings: Settings, partition: int, before: int) -> None:
    admin = admin_of(settings)
    try:
        admin.delete_records({TopicPartition(settings.topic("events"), partition): before})
    finally:
        admin.close()


async def test_records_that_were_deleted_before_they_were_read_end_the_worker_and_are_counted(log: Log) -> None:
    #  state: position 200        log begins: 250
    await log.append(0, [PUBLISHED, *silences(0, 100)])
    async with ready(log.settings, "detect"):
        await log.until_all_is_told(0)
    position = (await restore(log.settings, 0)).engine.position
    await log.append(0, silences(100, 200))
    await asyncio.to_thread(delete_records, log.settings, 0, 250)
    gap = f"begins at offset 250, but the state ends before {position + 1}: {249 - position} records were deleted"
    with pytest.raises(LogGapError, match=gap):
        async with running_roles(log.settings, ["detect"]) as running:
            await asyncio.wait_for(running.wait_crashed(), 60)

    accepting = log.settings.model_copy(update={"accept_gap": True})
    async with ready(accepting, "detect"):

        async def has_gone_on() -> bool:
            return (await restore(accepting, 0)).engine.position == len(log.written[0]) - 1

        await until(has_gone_on)
    # Once it has gone on, the gap is behind it: the setting is not needed any more.
    assert (await restore(log.settings, 0)).next_offset == len(log.written[0])


async def test_records_that_expire_under_a_running_worker_are_missed_by_name_too(log: Log) -> None:
    await log.append(0, [PUBLISHED, *silences(0, 100)])

    async def work() -> None:
        async with ready(log.settings, "detect") as running:
            await log.until_all_is_told(0)
            owner = detector_of(running.apps["detect"])._owners[0]
            owner.next_offset = 100  # as if it had come no further
            await asyncio.to_thread(delete_records, log.settings, 0, 150)
            assert await owner._consumer.read_from(owner.tp, owner.next_offset)
            await asyncio.wait_for(running.wait_crashed(), 60)

    with pytest.raises(LogGapError, match="records were deleted before they were read"):
        await work()


async def test_a_broker_without_access_control_lists_lacks_nothing(log: Log) -> None:
    assert missing_rights(log.settings, ROLES, load_sources(log.settings)) == []
