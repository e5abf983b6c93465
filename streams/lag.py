"""How many records of a topic a part of a role has still to read, by the offsets that its group has committed."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from streams.kafka_security import aiokafka_options
from streams.settings import Settings, Topic
from streams.topics import partition_count


async def lags(settings: Settings, part: str, topics: tuple[Topic, ...]) -> dict[TopicPartition, int]:
    """By partition, all records where nothing was committed yet.

    The record that ends a transaction is counted, though nobody reads it: behind a transaction 1 is the least.

    Raises:
        KafkaError: the broker does not answer.
    """
    counts = {name: await asyncio.to_thread(partition_count, settings, settings.topic(name)) for name in topics}
    tps = [TopicPartition(settings.topic(name), number) for name, count in counts.items() for number in range(count or 0)]
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        group_id=settings.group_id(part),
        enable_auto_commit=False,
        **aiokafka_options(settings),
    )
    await consumer.start()
    try:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        return {tp: ends[tp] - (await consumer.committed(tp) or 0) for tp in tps}
    finally:
        await consumer.stop()
