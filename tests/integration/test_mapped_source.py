"""A source topic whose records are no events yet: ingest reads them through a mapping file."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from detect_log import new_installation, reading, until
from schema_server import Registry, framed
from structlog.testing import capture_logs

from streams import registry_pauses
from streams.ingest import ingest_of, make_ingest_app
from streams.settings import Settings, load_settings
from streams.sources import SourcesError
from streams.sources_command import list_sources
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

MAPPING = """\
events:
  - {type: login.succeeded, id: nr, customer_id: who, at: {column: t, format: epoch_s}}
"""
PLAIN = b'{"type": "order.placed", "id": "1", "customer_id": "bob", "at_ms": 5, "order_id": "1", "amount": 2}'


def installation(bootstrap: str, name: str, folder: Path, mapping: str) -> Settings:
    (folder / "logins.yaml").write_text(mapping, encoding="utf-8")
    sources = folder / "sources.yaml"
    sources.write_text(f"sources:\n  - {{topic: {name}-logins, feed: logins, mapping: logins.yaml}}", encoding="utf-8")
    made = new_installation(bootstrap, name, partitions=1)
    return load_settings(**{**made.model_dump(), "sources": sources, "clock": "event", "heartbeat_ms": 100})


async def stored(settings: Settings, topic: str) -> list[ConsumerRecord]:
    async with reading(settings, TopicPartition(settings.prefix + topic, 0)) as records:
        return records


async def test_rows_of_a_topic_become_events_or_dead_letters(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    name = unique("mapped")
    settings = installation(bootstrap, name, tmp_path, MAPPING)
    rows = [b'{"nr": 1, "who": 7, "t": 10}', b'{"nr": 2, "who": null, "t": 11}', b'{"nr": 3, "who": "ann", "t": "12"}']
    async with running_roles(settings, ["ingest"]), AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for row in rows:
            await producer.send_and_wait(f"{name}-logins", row)

        async def all_are_there() -> bool:
            return len(await stored(settings, "events")) + len(await stored(settings, "deadletters")) >= 3

        await until(all_are_there)
    events = [json.loads(record.value) for record in await stored(settings, "events")]
    assert [(e["type"], e["id"], e["customer_id"], e["at_ms"], e["src"][3]) for e in events] == [
        ("login.succeeded", "1", "7", 10_000, 0),
        ("login.succeeded", "3", "ann", 12_000, 2),
    ]
    (letter,) = await stored(settings, "deadletters")
    assert (letter.value, dict(letter.headers)["reason"]) == (rows[1], b"no_customer")


async def test_a_source_waits_for_a_registry_that_is_down_and_the_others_go_on(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    #  registry   down ----------------------- up
    #  plain         |  event
    #  framed        |  paused                 | event, and a dead letter for the schema that the registry does not have
    monkeypatch.setattr(registry_pauses, "_PATIENCE_S", 0.3)
    name, registry = unique("framed"), Registry()
    registry.schemas[7], registry.down = {"schema": "{}", "schemaType": "JSON"}, True
    made = installation(bootstrap, name, tmp_path, "record: {format: json_schema}\n" + MAPPING)
    with (tmp_path / "sources.yaml").open("a", encoding="utf-8") as sources:
        sources.write(f"\n  - {{topic: {name}-orders, feed: orders}}\n")
    rows = [framed(number, b'{"nr": 1, "who": "ann", "t": 10}') for number in (7, 8)]
    async with registry.serving() as url, AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        settings = load_settings(**{**made.model_dump(), "schema_registry_url": url})
        for row in rows:
            await producer.send_and_wait(f"{name}-logins", row)
        async with running_roles(settings, ["ingest"]) as roles:
            await until(lambda: "source_registry" in {one.code for one in ingest_of(roles.apps["ingest"]).obstacles()})
            await producer.send_and_wait(f"{name}-orders", PLAIN)
            await until(lambda: stored(settings, "events"))
            assert not await stored(settings, "deadletters")
            await until(lambda: are_listed(settings, [("registry", len(rows)), ("read", 0)]))

            registry.down = False
            await until(lambda: both_are_there(settings))
            assert not ingest_of(roles.apps["ingest"]).obstacles()
    plain, mapped = (json.loads(record.value) for record in await stored(settings, "events"))
    assert (plain["type"], mapped["type"], mapped["src"][3]) == ("order.placed", "login.succeeded", 0)
    (letter,) = await stored(settings, "deadletters")
    assert (letter.value, dict(letter.headers)["reason"]) == (rows[1], b"unknown_schema")


async def both_are_there(settings: Settings) -> bool:
    return len(await stored(settings, "events")) == 2 and bool(await stored(settings, "deadletters"))


async def are_listed(settings: Settings, wanted: list[tuple[str, int]]) -> bool:
    """Whether these are the states and the records behind of the sources that the file names."""
    seen = await asyncio.to_thread(list_sources, settings)
    return [(one.state, one.behind_records) for one in seen][: len(wanted)] == wanted


async def test_a_mapping_that_matches_nothing_is_told_with_examples(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    name = unique("unmatched")
    settings = installation(bootstrap, name, tmp_path, "skip_when: {kind: {not: [login]}}\n" + MAPPING)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number in range(10):
            await producer.send(f"{name}-logins", b'{"type": "login", "nr": %d}' % number)
        await producer.flush()

    def told() -> bool:
        return "ingest.mapping_matches_nothing" in {entry["event"] for entry in logs}

    with capture_logs() as logs:
        async with running_roles(settings, ["ingest"]):
            await until(told)
    (warning,) = (entry for entry in logs if entry["event"] == "ingest.mapping_matches_nothing")
    assert warning["examples"][0].startswith(f"{name}-logins/0/")


def test_a_mapping_with_faults_is_refused_with_all_of_them(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    settings = installation(bootstrap, unique("mapped"), tmp_path, "events: [{type: order.placd}]\ntimezone: UTC\n")
    with pytest.raises(SourcesError, match=r"has 2 faults:\n  line 1: .*\n  line 2: `timezone`"):
        make_ingest_app(settings)
