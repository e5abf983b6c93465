"""Ids of topics, as a broker tells them: the same as its own tools say, another for a topic that was made again."""

import asyncio
import uuid
from collections.abc import Callable

import pytest

from streams.settings import Settings, load_settings
from streams.topic_ids import FoundTopic, TopicIds, _agreed, as_text, look_once
from streams.topics import admin_of

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


def create(settings: Settings, topic: str, partitions: int) -> None:
    with admin_of(settings) as admin:
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}}, wait_for_metadata=True)


def id_by_the_admin_client(settings: Settings, topic: str) -> str:
    with admin_of(settings) as admin:
        return as_text(uuid.UUID(admin.describe_topics([topic])[0]["topic_id"]).bytes)


async def test_the_id_is_what_other_clients_see_and_a_topic_that_is_not_there_is_left_out_and_not_made(
    bootstrap: str, unique: Unique
) -> None:
    settings, topic, missing = load_settings(bootstrap=bootstrap), unique("topic"), unique("missing")
    await asyncio.to_thread(create, settings, topic, 3)
    ids = TopicIds(settings)
    try:
        found = await ids.look([topic, missing])
        assert found.keys() == {topic}
        assert found[topic].partitions == 3
        assert found[topic].topic_id == await asyncio.to_thread(id_by_the_admin_client, settings, topic)
        assert await ids.look([topic]) == found
        assert await ids.look([missing]) == {}
    finally:
        await ids.close()


def test_a_topic_that_was_made_again_has_another_id(bootstrap: str, unique: Unique) -> None:
    settings, topic = load_settings(bootstrap=bootstrap), unique("topic")
    create(settings, topic, 1)
    before = look_once(settings, [topic])[topic]
    with admin_of(settings) as admin:
        admin.delete_topics([topic])
    assert look_once(settings, [topic]) == {}
    create(settings, topic, 1)
    assert look_once(settings, [topic])[topic].topic_id != before.topic_id


def test_while_brokers_disagree_about_a_topic_it_is_left_out() -> None:
    old, new = FoundTopic("A", 1), FoundTopic("B", 1)

    assert _agreed("shop", [{"shop": new}, {"shop": new}]) == new
    assert _agreed("shop", [{"shop": old}, {"shop": new}]) is None
    assert _agreed("shop", [{"shop": old}, {}]) is None
    assert _agreed("shop", [{}]) is None
