"""Topics are made as the table says; what is there already is never bent to it, but refused by name."""

from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from streams.settings import Settings, load_settings
from streams.topics import TopicsError, check_topics, ensure_topics, topic_specs

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    name = unique("topics")
    return load_settings(bootstrap=bootstrap, prefix=f"{name}.", source_prefix=f"{name}-", partitions=3)


def config_of(settings: Settings, topic: str) -> dict[str, str]:
    admin: Any = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    try:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
        return {name: value["value"] for name, value in found["topic"][topic].items()}
    finally:
        admin.close()


def topics_at(settings: Settings) -> list[str]:
    admin: Any = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    try:
        names: list[str] = admin.list_topics()
        return names
    finally:
        admin.close()


def create(settings: Settings, topic: str, partitions: int, configs: dict[str, str]) -> None:
    admin: Any = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    try:
        form = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
        admin.create_topics({topic: form}, wait_for_metadata=True)
    finally:
        admin.close()


def test_what_is_missing_is_created_once(settings: Settings) -> None:
    wanted = [spec.name for spec in topic_specs(settings)]
    assert ensure_topics(settings) == wanted
    assert ensure_topics(settings) == []
    check_topics(settings)


def test_the_log_never_expires_and_carries_the_broker_s_time(settings: Settings) -> None:
    ensure_topics(settings)
    config = config_of(settings, settings.topic("events"))
    wanted = {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete"}
    assert {name: config[name] for name in wanted} == wanted
    assert config_of(settings, settings.topic("state"))["cleanup.policy"] == "compact"


def test_missing_topics_are_told_one_a_line(settings: Settings) -> None:
    with pytest.raises(TopicsError) as told:
        check_topics(settings)
    assert len(str(told.value).splitlines()) == len(topic_specs(settings))


def test_another_number_of_partitions_is_refused(settings: Settings) -> None:
    ensure_topics(settings)
    more = settings.model_copy(update={"partitions": 4})
    with pytest.raises(TopicsError, match=rf"{settings.topic('events')} has 3 partitions and must have 4"):
        ensure_topics(more)
    with pytest.raises(TopicsError, match="has 3 partitions and must have 4"):
        check_topics(more)


def test_another_policy_is_refused_and_nothing_is_created(settings: Settings) -> None:
    create(settings, settings.topic("events"), 3, {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"})
    with pytest.raises(TopicsError, match=r"has cleanup\.policy=compact and must have cleanup\.policy=delete"):
        ensure_topics(settings)
    assert settings.topic("state") not in topics_at(settings)


def test_a_retention_is_the_operator_s_to_choose(settings: Settings) -> None:
    chosen = {"retention.ms": "86400000", "message.timestamp.type": "LogAppendTime"}
    create(settings, settings.topic("deadletters"), 1, chosen)
    ensure_topics(settings)
    assert config_of(settings, settings.topic("deadletters"))["retention.ms"] == "86400000"


def test_a_source_topic_may_have_any_form(settings: Settings) -> None:
    create(settings, settings.source_prefix + "orders", 7, {"cleanup.policy": "compact"})
    assert settings.source_prefix + "orders" not in ensure_topics(settings)
