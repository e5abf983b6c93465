"""A mapping tried on a topic: its oldest or newest records, read as ingest would, without a group."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from detect_log import new_installation

from streams import mapping_check
from streams.mapping_check import Records, RegistrySilent, TopicNotFound, check_topic
from streams.settings import Settings
from streams.topics import admin_of

pytestmark = pytest.mark.kafka

MAPPING = "events: [{type: login.succeeded, id: nr, customer_id: who, at: {column: t, format: epoch_s}}]"
COUNT = 30


@pytest.fixture
def settings(bootstrap: str, unique: Callable[[str], str]) -> Settings:
    return new_installation(bootstrap, unique("check"))


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    return mapping_file(tmp_path, MAPPING)


def mapping_file(folder: Path, text: str) -> Path:
    path = folder / "logins.yaml"
    path.write_text(text, encoding="utf-8")
    return path


async def written(settings: Settings) -> str:
    """Two partitions; in each, every tenth record has no customer, and the last one is from the far future."""
    topic = f"{settings.source_prefix}logins"
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for partition in range(2):
            for number in range(COUNT):
                row = {"nr": number, "who": f"c{number}" if number % 10 else "", "t": 4e9 if number == COUNT - 1 else number}
                await producer.send_and_wait(topic, json.dumps(row).encode(), partition=partition)
            await producer.send_and_wait(topic, None, b"", partition, headers=[("churn-watermark", b"1000")])
    return topic


def groups(settings: Settings) -> set[str]:
    """Names alone: what else is said of a group changes when its members leave."""
    with admin_of(settings) as admin:
        return {group["group_id"] for group in admin.list_groups()}


async def test_the_oldest_and_the_newest_records_are_read_as_ingest_would_and_no_group_is_left(
    settings: Settings, mapping: Path
) -> None:
    #  each partition:  0 (nobody's) 1 2 ... 10 (nobody's) ... 28 29 (far ahead) watermark
    #                   '-- oldest 11 of it --'        '--- newest 11 of it ---'
    topic = await written(settings)
    before = await asyncio.to_thread(groups, settings)
    oldest = await asyncio.to_thread(check_topic, mapping, settings, Records(topic, 22), 2)
    assert (oldest.records, oldest.ignored, oldest.dead_letters) == (22, 0, {"no_customer": 4})
    assert [looked.place for looked in oldest.samples] == [f"{topic}/0/0", f"{topic}/0/1"]
    assert json.loads(oldest.samples[1].events[0])["src"] == [topic, 0, 0, 1, 0]
    newest = await asyncio.to_thread(check_topic, mapping, settings, Records(topic, 22, newest=True), 0)
    assert (newest.records, newest.ignored) == (22, 2)
    assert newest.dead_letters == {"no_customer": 2, "too_far_ahead": 2}
    assert newest.examples["too_far_ahead"].before == {"nr": 29, "who": "c29", "t": 4e9}
    assert await asyncio.to_thread(groups, settings) <= before


async def sent(settings: Settings, *values: bytes | None) -> str:
    topic = f"{settings.source_prefix}orders"
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, b"key", 0)
    return topic


async def test_a_record_is_shown_as_the_mapping_sees_it_and_one_without_a_value_is_ignored(
    settings: Settings, tmp_path: Path
) -> None:
    paths = "id: after.nr, customer_id: after.who, at: {column: after.t, format: epoch_s}"
    mapping = mapping_file(tmp_path, f"record: {{format: debezium}}\nevents: [{{type: login.succeeded, {paths}}}]")
    change = {"op": "c", "before": None, "after": {"nr": 1, "who": "ann", "t": 10}}
    topic = await sent(settings, json.dumps({"schema": {"type": "struct"}, "payload": change}).encode(), None)
    found = await asyncio.to_thread(check_topic, mapping, settings, Records(topic, 10), 10)
    assert (found.events, found.ignored, found.dead_letters) == ({"login.succeeded": 1}, 1, {})
    assert [looked.before for looked in found.samples] == [change, ""]


async def test_a_registry_that_does_not_answer_ends_the_check_in_words(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = mapping_file(tmp_path, f"record: {{format: avro}}\n{MAPPING}")
    monkeypatch.setattr(mapping_check, "_REGISTRY_WAIT_S", 0.0)
    there = settings.model_copy(update={"schema_registry_url": "http://127.0.0.1:1"})
    topic = await sent(settings, b"\0\0\0\0\7x")
    with pytest.raises(RegistrySilent, match="has not answered for 0 s"):
        await asyncio.to_thread(check_topic, mapping, there, Records(topic, 10), 0)


async def test_a_topic_that_is_not_there_is_refused_by_name(settings: Settings, mapping: Path) -> None:
    with pytest.raises(TopicNotFound, match="there is no topic nowhere on"):
        await asyncio.to_thread(check_topic, mapping, settings, Records("nowhere", 10), 0)
