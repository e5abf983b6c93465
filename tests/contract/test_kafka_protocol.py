"""What we rely on a Kafka broker to do, through the clients we use; the development broker and Apache Kafka both pass."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidTimestampError, MessageSizeTooLargeError, ProducerFenced, TopicAlreadyExistsError
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import TopicPartition as SyncTopicPartition
from kafka.errors import InvalidTopicError

from streams.wallclock import now_ms

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]

PATIENCE_S = 60
SHORT_SESSION = {"session_timeout_ms": 2000, "heartbeat_interval_ms": 300}
JOINING = """
import asyncio, sys
from aiokafka import AIOKafkaConsumer
async def main(bootstrap, topic, group):
    options = {"session_timeout_ms": 2000, "heartbeat_interval_ms": 300}
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, **options) as consumer:
        while not consumer.assignment():
            await asyncio.sleep(0.05)
        sys.stdout.write("joined\\n")
        sys.stdout.flush()
        await asyncio.sleep(600)
asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def administering(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def create_topic(bootstrap: str, topic: str, partitions: int = 1, **config: str) -> None:
    settings = {name.replace("_", "."): value for name, value in config.items()}
    async with administering(bootstrap) as admin:
        answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
    assert [error[1] for error in answer.topic_errors] == [0]


async def topic_settings(bootstrap: str, topic: str) -> dict[str, str]:
    async with administering(bootstrap) as admin:
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}


def producing(bootstrap: str, **options: Any) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=bootstrap, **options)


def consuming(bootstrap: str, *topics: str, **options: Any) -> AIOKafkaConsumer:
    settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 100, **options}
    return AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, **settings)


async def send_values(producer: AIOKafkaProducer, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
    for value in values:
        await producer.send_and_wait(topic, value, partition=partition)


async def taken(consumer: AIOKafkaConsumer, count: int) -> list[ConsumerRecord]:
    """The next `count` records of a consumer."""
    records: list[ConsumerRecord] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(records) < count:
            batches = await consumer.getmany(timeout_ms=200, max_records=count - len(records))
            records += [record for batch in batches.values() for record in batch]
    return records


async def everything_in(bootstrap: str, topic: str, isolation: str = "read_uncommitted") -> list[ConsumerRecord]:
    """All records of partition 0, up to what is its end for this isolation level."""
    partition = TopicPartition(topic, 0)
    records: list[ConsumerRecord] = []
    async with consuming(bootstrap, isolation_level=isolation) as consumer, asyncio.timeout(PATIENCE_S):
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records += batch
    return records


async def values_in(bootstrap: str, topic: str, isolation: str = "read_uncommitted") -> list[bytes | None]:
    return [record.value for record in await everything_in(bootstrap, topic, isolation)]


async def committed_values(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    """The first so many that are committed, once they are: Kafka answers a commit before its markers are in the partitions."""
    async with consuming(bootstrap, topic, isolation_level="read_committed") as consumer:
        return [record.value for record in await taken(consumer, count)]


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - clients do not tell when they have rebalanced
            await asyncio.sleep(0.05)


# Topics


async def test_a_topic_has_the_partitions_it_was_created_with(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic, partitions=3)
    async with producing(bootstrap) as producer:
        assert await producer.partitions_for(topic) == {0, 1, 2}


async def test_a_missing_topic_is_created_by_the_first_record(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    async with producing(bootstrap) as producer:
        await producer.send_and_wait(topic, b"first")
        assert len(await producer.partitions_for(topic)) == 4


async def test_a_topic_is_not_created_twice(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    async with administering(bootstrap) as admin:
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
    assert [error[1] for error in answer.topic_errors] == [TopicAlreadyExistsError.errno]


@pytest.mark.parametrize(
    ("replicas", "settings", "code"),
    [(2, {}, 38), (1, {"cleanup.policy": "comapct"}, 40), (1, {"cleanup.polisy": "compact"}, 40)],
    ids=["more replicas than brokers", "a value that is none", "a setting that is none"],
)
async def test_a_topic_is_refused_with(
    bootstrap: str, unique: Unique, replicas: int, settings: dict[str, str], code: int
) -> None:
    async with administering(bootstrap) as admin:
        answer = await admin.create_topics([NewTopic(unique("topic"), 1, replicas, topic_configs=settings)])
    assert [error[1] for error in answer.topic_errors] == [code]


async def test_a_topic_keeps_its_settings_and_has_defaults_for_the_others(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic, cleanup_policy="compact", retention_ms="1000")
    settings = await topic_settings(bootstrap, topic)
    assert (settings["cleanup.policy"], settings["retention.ms"]) == ("compact", "1000")
    assert (settings["max.message.bytes"], settings["message.timestamp.type"]) == ("1048588", "CreateTime")


async def test_partitions_can_be_added(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    async with administering(bootstrap) as admin:
        await admin.create_partitions({topic: NewPartitions(3)})
        described = await admin.describe_topics([topic])
    assert len(described[0]["partitions"]) == 3


async def test_a_deleted_topic_is_gone(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    async with administering(bootstrap) as admin:
        await admin.delete_topics([topic])
        assert topic not in await admin.list_topics()


# Records


async def test_a_record_comes_back_with_key_headers_and_timestamp(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    async with producing(bootstrap) as producer:
        await producer.send_and_wait(topic, b"value", key=b"key", timestamp_ms=1_700_000_000_123, headers=[("h", b"1")])
    [record] = await everything_in(bootstrap, topic)
    assert (record.key, record.value, record.headers) == (b"key", b"value", (("h", b"1"),))
    assert (record.timestamp, record.timestamp_type, record.offset) == (1_700_000_000_123, 0, 0)


async def test_a_tombstone_comes_back_as_none(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic, cleanup_policy="compact")
    async with producing(bootstrap) as producer:
        await producer.send_and_wait(topic, None, key=b"key")
    assert await values_in(bootstrap, topic) == [None]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_survive_compression_by(bootstrap: str, unique: Unique, codec: str) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    values = [b"%d" % number * 50 for number in range(50)]
    async with producing(bootstrap, compression_type=codec, linger_ms=20) as producer:
        await asyncio.gather(*[await producer.send(topic, value, partition=0) for value in values])
    assert await values_in(bootstrap, topic) == values


@pytest.mark.parametrize("acks", [0, 1, "all"])
async def test_records_arrive_in_order_with_acks(bootstrap: str, unique: Unique, acks: int | str) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    values = [b"%d" % number for number in range(20)]
    async with producing(bootstrap, acks=acks) as producer:
        for value in values:
            await producer.send(topic, value, partition=0)
    async with consuming(bootstrap, topic) as consumer:
        assert [record.value for record in await taken(consumer, 20)] == values


async def test_log_append_time_replaces_the_timestamp_of_the_producer(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic, message_timestamp_type="LogAppendTime")
    before_ms = now_ms()
    async with producing(bootstrap) as producer:
        stored = await producer.send_and_wait(topic, b"value", timestamp_ms=1_000)
    [record] = await everything_in(bootstrap, topic)
    assert (record.timestamp_type, stored.timestamp_type) == (1, 1)
    assert record.timestamp == stored.timestamp
    assert before_ms <= record.timestamp <= now_ms()


async def test_a_record_larger_than_the_topic_allows_is_refused(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic, max_message_bytes="2000")
    async with producing(bootstrap) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, b"x" * 3000)
        await producer.send_and_wait(topic, b"x" * 1500)


async def test_a_record_from_the_far_future_is_refused(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    async with producing(bootstrap) as producer:
        with pytest.raises(InvalidTimestampError):
            await producer.send_and_wait(topic, b"value", timestamp_ms=now_ms() + 2 * 3_600_000)


# Offsets


async def test_an_offset_is_found_by_time(bootstrap: str, unique: Unique) -> None:
    #  offset     0    1    2    3    4
    #  ms         0 1000 2000 3000 4000
    #                  ^ 1500
    topic, start_ms = unique("topic"), now_ms() - 100_000
    await create_topic(bootstrap, topic)
    async with producing(bootstrap) as producer:
        for number in range(5):
            await producer.send_and_wait(topic, b"value", timestamp_ms=start_ms + number * 1000)
    partition = TopicPartition(topic, 0)
    async with consuming(bootstrap) as consumer:
        found = await consumer.offsets_for_times({partition: start_ms + 1500})
        missing = await consumer.offsets_for_times({partition: start_ms + 4001})
    assert (found[partition].offset, found[partition].timestamp) == (2, start_ms + 2000)
    assert missing[partition] is None


async def test_an_offset_is_found_by_time_inside_a_compressed_batch(bootstrap: str, unique: Unique) -> None:
    topic, start_ms = unique("topic"), now_ms() - 100_000
    await create_topic(bootstrap, topic)
    async with producing(bootstrap, compression_type="zstd") as producer:
        batch = producer.create_batch()
        for number in range(5):
            batch.append(key=None, value=b"value", timestamp=start_ms + number * 1000)
        await (await producer.send_batch(batch, topic, partition=0))
    partition = TopicPartition(topic, 0)
    async with consuming(bootstrap) as consumer:
        found = await consumer.offsets_for_times({partition: start_ms + 1500})
    assert found[partition].offset == 2


async def test_a_partition_tells_its_begin_and_its_end(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    async with producing(bootstrap) as producer:
        await send_values(producer, topic, [b"1", b"2", b"3"])
    partition = TopicPartition(topic, 0)
    async with consuming(bootstrap) as consumer:
        assert await consumer.beginning_offsets([partition]) == {partition: 0}
        assert await consumer.end_offsets([partition]) == {partition: 3}


# Consumer groups


async def test_a_group_resumes_where_it_committed(bootstrap: str, unique: Unique) -> None:
    topic, group = unique("topic"), unique("group")
    await create_topic(bootstrap, topic, partitions=2)
    async with producing(bootstrap) as producer:
        for number in range(20):
            await producer.send_and_wait(topic, b"%d" % number, partition=number % 2)
    seen = []
    for count in (13, 7):
        async with consuming(bootstrap, topic, group_id=group) as consumer:
            seen += [int(record.value) for record in await taken(consumer, count)]
            await consumer.commit()
    assert sorted(seen) == list(range(20))


async def test_two_consumers_share_the_partitions_and_the_last_one_has_them_all(bootstrap: str, unique: Unique) -> None:
    topic, group = unique("topic"), unique("group")
    await create_topic(bootstrap, topic, partitions=4)
    async with consuming(bootstrap, topic, group_id=group, **SHORT_SESSION) as first:
        await eventually(lambda: len(first.assignment()) == 4)
        async with consuming(bootstrap, topic, group_id=group, **SHORT_SESSION) as second:
            await eventually(lambda: len(first.assignment()) == len(second.assignment()) == 2)
            assert not first.assignment() & second.assignment()
        await eventually(lambda: len(first.assignment()) == 4)


async def test_the_partitions_of_a_crashed_consumer_are_taken_over(bootstrap: str, unique: Unique) -> None:
    topic, group = unique("topic"), unique("group")
    await create_topic(bootstrap, topic, partitions=4)
    arguments = [sys.executable, "-c", JOINING, bootstrap, topic, group]
    crashing = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert crashing.stdout is not None
        assert await crashing.stdout.readline() == b"joined\n"
        async with consuming(bootstrap, topic, group_id=group, **SHORT_SESSION) as survivor:
            await eventually(lambda: len(survivor.assignment()) == 2)
            crashing.kill()
            await eventually(lambda: len(survivor.assignment()) == 4)
    finally:
        if crashing.returncode is None:
            crashing.kill()
        await crashing.wait()


async def test_a_group_is_listed_and_described_with_its_offsets(bootstrap: str, unique: Unique) -> None:
    topic, group = unique("topic"), unique("group")
    await create_topic(bootstrap, topic)
    async with producing(bootstrap) as producer:
        await send_values(producer, topic, [b"1"])
    async with consuming(bootstrap, topic, group_id=group) as consumer, administering(bootstrap) as admin:
        await taken(consumer, 1)
        await consumer.commit()
        assert group in {listed[0] for listed in await admin.list_consumer_groups()}
        [answer] = await admin.describe_consumer_groups([group])
        assert [(described[1], described[2]) for described in answer.groups] == [(group, "Stable")]
        offsets = await admin.list_consumer_group_offsets(group)
    assert offsets[TopicPartition(topic, 0)].offset == 1


# Idempotence and transactions


async def test_an_idempotent_producer_stores_each_record_once(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    async with producing(bootstrap, enable_idempotence=True) as producer:
        stored = [await producer.send_and_wait(topic, b"value", partition=0) for _ in range(5)]
    assert [each.offset for each in stored] == [0, 1, 2, 3, 4]


async def test_only_committed_transactions_are_read_by_those_who_ask_for_that(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    async with producing(bootstrap, transactional_id=unique("tx")) as producer:
        async with producer.transaction():
            await send_values(producer, topic, [b"one"])
        await producer.begin_transaction()
        await send_values(producer, topic, [b"aborted"])
        await producer.abort_transaction()
        async with producer.transaction():
            await send_values(producer, topic, [b"two"])
    assert await committed_values(bootstrap, topic, 2) == [b"one", b"two"]
    assert await values_in(bootstrap, topic) == [b"one", b"aborted", b"two"]


async def test_an_open_transaction_hides_what_comes_after_it(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    async with producing(bootstrap, transactional_id=unique("tx")) as open_one, producing(bootstrap) as other:
        await open_one.begin_transaction()
        await send_values(open_one, topic, [b"open"])
        await send_values(other, topic, [b"after"])
        assert await values_in(bootstrap, topic, "read_committed") == []
        assert await values_in(bootstrap, topic) == [b"open", b"after"]
        await open_one.commit_transaction()
    assert await committed_values(bootstrap, topic, 2) == [b"open", b"after"]


async def test_offsets_are_committed_with_their_transaction_only(bootstrap: str, unique: Unique) -> None:
    topic, group = unique("topic"), unique("group")
    await create_topic(bootstrap, topic)
    partition = TopicPartition(topic, 0)
    async with producing(bootstrap, transactional_id=unique("tx")) as producer:
        async with producer.transaction():
            await producer.send_offsets_to_transaction({partition: 7}, group)
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({partition: 9}, group)
        await producer.abort_transaction()
    async with consuming(bootstrap, group_id=group) as consumer:
        assert await consumer.committed(partition) == 7


async def test_a_second_producer_of_a_transactional_id_fences_the_first(bootstrap: str, unique: Unique) -> None:
    topic, transactional_id = unique("topic"), unique("tx")
    await create_topic(bootstrap, topic)
    zombie = producing(bootstrap, transactional_id=transactional_id)
    await zombie.start()
    await zombie.begin_transaction()
    await send_values(zombie, topic, [b"before"])
    async with producing(bootstrap, transactional_id=transactional_id):
        with pytest.raises(ProducerFenced):
            await send_values(zombie, topic, [b"after"])
        with pytest.raises(ProducerFenced):
            await zombie.commit_transaction()
    await zombie.stop()
    assert await values_in(bootstrap, topic) == [b"before"]


async def test_a_second_producer_of_a_transactional_id_aborts_what_the_first_left_open(bootstrap: str, unique: Unique) -> None:
    topic, transactional_id = unique("topic"), unique("tx")
    await create_topic(bootstrap, topic)
    crashed = producing(bootstrap, transactional_id=transactional_id)
    await crashed.start()
    await crashed.begin_transaction()
    await send_values(crashed, topic, [b"left open"])
    async with producing(bootstrap, transactional_id=transactional_id) as successor, successor.transaction():
        await send_values(successor, topic, [b"done"])
    await crashed.client.close()
    assert await committed_values(bootstrap, topic, 1) == [b"done"]
    assert await values_in(bootstrap, topic) == [b"left open", b"done"]


async def test_a_transaction_open_for_too_long_is_aborted(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    await create_topic(bootstrap, topic)
    producer = producing(bootstrap, transactional_id=unique("tx"), transaction_timeout_ms=1000)
    await producer.start()
    await producer.begin_transaction()
    await send_values(producer, topic, [b"too late"])
    async with producing(bootstrap) as other:
        await send_values(other, topic, [b"waiting"])
    async with consuming(bootstrap, topic, isolation_level="read_committed") as consumer:
        assert [record.value for record in await taken(consumer, 1)] == [b"waiting"]
    with pytest.raises(ProducerFenced):
        await producer.commit_transaction()
    await producer.stop()


# kafka-python: another client, with its own idea of the protocol


def test_kafka_python_resumes_where_its_group_committed(bootstrap: str, unique: Unique) -> None:
    topic, group = unique("topic"), unique("group")
    # Of a topic that is made as it is written to, a leader may not know the partitions yet, and then looks minutes later.
    asyncio.run(create_topic(bootstrap, topic))
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    sent = [producer.send(topic, b"%d" % number, headers=[("h", b"1")]) for number in range(10)]
    for one in sent:
        one.get(60)  # what the producer gave up would be waited for below
    producer.close()
    seen: list[int] = []
    for wanted in (6, 10):
        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            metadata_max_age_ms=500,  # a leader that has not heard of the topic assigns nothing until it looks again
        )
        while len(seen) < wanted:
            batches = consumer.poll(200, max_records=wanted - len(seen))
            seen += [int(record.value) for batch in batches.values() for record in batch]
        consumer.commit()
        consumer.close()
    assert sorted(seen) == list(range(10))


def test_kafka_python_reads_committed_transactions_only(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=unique("tx"))
    producer.init_transactions()
    for value, commit in ((b"one", True), (b"aborted", False), (b"two", True)):
        producer.begin_transaction()
        producer.send(topic, value, partition=0)
        producer.commit_transaction() if commit else producer.abort_transaction()
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed")
    consumer.assign([SyncTopicPartition(topic, 0)])
    values: list[bytes] = []
    while b"two" not in values:
        values += [record.value for batch in consumer.poll(200).values() for record in batch]
    consumer.close()
    assert values == [b"one", b"two"]


def test_kafka_python_finds_a_topic_by_its_id(bootstrap: str, unique: Unique) -> None:
    topic = unique("topic")
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 1}})
        [named] = admin.describe_topics([topic])
        assert len(named["partitions"]) == 2
        assert admin.describe_topics([uuid.UUID(named["topic_id"])]) == [named]
    finally:
        admin.close()


def test_kafka_python_is_told_that_a_topic_name_is_not_allowed(bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        with pytest.raises(InvalidTopicError):
            admin.create_topics({"white space": {"num_partitions": 1, "replication_factor": 1}})
    finally:
        admin.close()
