"""A source topic that was deleted and made again: noticed by its id, refused, and read in full once somebody says so."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import NotEnoughReplicasError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from detect_log import Log, new_installation, reading, until
from engine_run import absence, rule_set
from faust.types import TP
from feed_run import alerts, put, until_states
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError

from schemas.control import RulesPublished
from schemas.progress import Heartbeat
from streams.chunks import Chunk
from streams.cli import main
from streams.doctor import examine
from streams.ingest import ingest_of
from streams.log_writer import LogWriter
from streams.settings import Settings, variable
from streams.source_gate import SourceGate
from streams.sources_command import list_sources, reset
from streams.topic_tail import heartbeats_in
from streams.topics import admin_of
from streams.transactions import Place, Row
from streams.worker import Roles, running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
Position = tuple[int, int, int]  # epoch, partition, offset


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("again"), heartbeat_ms=100, tick_ms=100)


@pytest.fixture
def topic(settings: Settings) -> str:
    return settings.source_prefix + "orders"


def order(name: str) -> bytes:
    event = {"type": "order.placed", "id": name, "customer_id": "ada", "at_ms": 1_000, "order_id": name, "amount": 5.0}
    return json.dumps(event).encode()


async def send(settings: Settings, topic: str, names: Sequence[str], partition: int = 0) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await asyncio.gather(*[await producer.send(topic, order(name), partition=partition) for name in names])


def made_again(settings: Settings, topic: str, partitions: int = 2) -> None:
    """Delete a topic and make it again; a consumer that asks for it in between makes the broker do so, which is undone."""
    with admin_of(settings) as admin:
        for _ in range(100):
            with contextlib.suppress(UnknownTopicOrPartitionError):
                admin.delete_topics([topic])
            try:
                wanted = {"num_partitions": partitions, "replication_factor": 1}
                admin.create_topics({topic: wanted}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                time.sleep(0.05)
            else:
                return
    pytest.fail(f"{topic} could not be made again")


async def make_again(settings: Settings, topic: str, partitions: int = 2) -> None:
    await asyncio.to_thread(made_again, settings, topic, partitions)


async def forwarded(settings: Settings) -> list[tuple[str, Position]]:
    """Id and source position of each event in the log."""
    found: list[tuple[str, Position]] = []
    for partition in range(settings.partitions):
        async with reading(settings, TopicPartition(settings.topic("events"), partition)) as records:
            for record in records:
                event = json.loads(record.value)
                _topic, epoch, lane, offset, _index = event["src"]
                found.append((event["id"], (epoch, lane, offset)))
    return found


async def beats(settings: Settings, topic: str) -> list[Heartbeat]:
    """The last report of each partition."""
    async with reading(settings, TopicPartition(settings.topic("progress"), 0)) as records:
        last = {beat.partition: beat for beat in heartbeats_in(records) if beat.topic == topic}
    return [last[partition] for partition in sorted(last)]


async def until_forwarded(settings: Settings, count: int) -> list[tuple[str, Position]]:
    found: list[tuple[str, Position]] = []

    async def there() -> bool:
        found[:] = await forwarded(settings)
        return len(found) >= count

    await until(there)
    return found


async def until_paused(settings: Settings, topic: str) -> None:
    async def paused() -> bool:
        found = await beats(settings, topic)
        return bool(found) and all(beat.paused == "recreated" for beat in found)

    await until(paused)


def ingest(settings: Settings) -> AbstractAsyncContextManager[Roles]:
    return running_roles(settings, ["ingest"])


async def test_records_of_a_topic_that_was_made_again_are_not_read_until_it_is_reset_and_then_all_are(
    settings: Settings, topic: str
) -> None:
    #  first topic    a0 a1 a2
    #  second topic            b0 b1 b2 b3 b4 | reset | b5     more than the first had: offsets go on as if nothing were
    async with ingest(settings) as running:
        await send(settings, topic, ["a0", "a1", "a2"])
        await until_forwarded(settings, 3)
        await make_again(settings, topic)
        await send(settings, topic, [f"b{number}" for number in range(5)])
        await until_paused(settings, topic)
        (obstacle,) = ingest_of(running.apps["ingest"]).obstacles()
        assert obstacle.code == "source_recreated"
        assert f"churnwatch sources reset {topic}" in obstacle.says
        assert len(await forwarded(settings)) == 3

        (done,) = await asyncio.to_thread(reset, settings, "orders", epoch=None, by="lena")
        await send(settings, topic, ["b5"])
        found = await until_forwarded(settings, 9)
        assert ingest_of(running.apps["ingest"]).obstacles() == []

    assert done.epoch == 1
    assert found == [*((f"a{n}", (0, 0, n)) for n in range(3)), *((f"b{n}", (1, 0, n)) for n in range(6))]


async def test_what_was_fetched_before_anybody_noticed_is_not_written(
    settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    #  first topic    a0 a1 a2
    #  second topic            b0 b1 b2 b3 b4     nobody looks; the consumer, at offset 3, is handed b3 and b4
    refused: list[Chunk] = []

    async def as_recorded(gate: SourceGate, chunks: Collection[Chunk]) -> list[Chunk]:
        good = await stock(gate, chunks)
        refused.extend(chunk for chunk in chunks if chunk not in good and chunk.tp.topic == topic)
        return good

    async def nobody_looks(_gate: SourceGate) -> bool:
        return False

    stock = SourceGate.as_recorded
    monkeypatch.setattr(SourceGate, "as_recorded", as_recorded)
    async with ingest(settings) as running:
        gate = ingest_of(running.apps["ingest"]).gate
        await send(settings, topic, ["a0", "a1", "a2"])
        await until_forwarded(settings, 3)
        with monkeypatch.context() as patched:
            patched.setattr(SourceGate, "tend", nobody_looks)
            await make_again(settings, topic)
            await send(settings, topic, [f"b{number}" for number in range(5)])
            # Apache Kafka may have told the consumer of the deletion: then nothing is open any more.
            await until(lambda: refused or TP(topic, 0) not in gate.opened())
        await until_paused(settings, topic)
        assert await forwarded(settings) == [(f"a{n}", (0, 0, n)) for n in range(3)]


async def test_a_topic_that_is_made_again_while_nobody_reads_is_noticed_at_the_start_and_read_in_full_after_a_crash(
    settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(settings, topic, ["a0", "a1"])
    async with ingest(settings):
        await until_forwarded(settings, 2)
    await make_again(settings, topic, partitions=3)
    await send(settings, topic, ["b0", "b1", "b2"])
    await send(settings, topic, ["c0"], partition=2)
    async with ingest(settings):
        await until_paused(settings, topic)
        seen = {one.topic: one for one in await asyncio.to_thread(list_sources, settings)}
        assert (seen[topic].state, seen[topic].epoch, seen[topic].partitions) == ("recreated", 0, 3)
        recorded_id = seen[topic].recorded_id
        assert recorded_id != seen[topic].found_id
        findings = [finding for finding in await asyncio.to_thread(examine, settings) if finding.check == "sources"]
        assert [finding.good for finding in findings] == [False]
        assert findings[0].says.startswith(f"{topic} is not read: the topic was deleted and made again")
    await asyncio.to_thread(reset, settings, topic, epoch=None, by="lena")
    await commit(settings, topic, 2, f"{recorded_id}")  # as if the broker had kept it, or somebody had slept
    with monkeypatch.context() as patched, pytest.raises(NotEnoughReplicasError):  # noqa: PT012
        patched.setattr(LogWriter, "write", refuse_events)
        async with ingest(settings) as running:
            await asyncio.wait_for(running.wait_crashed(), 30)
    async with ingest(settings):
        await until_forwarded(settings, 6)
    async with ingest(settings):  # the offsets that it goes on from are those of the new topic
        await send(settings, topic, ["b3"])
        found = await until_forwarded(settings, 7)

    positions = sorted(position for _, position in found)
    assert positions == [(0, 0, 0), (0, 0, 1), *((1, 0, n) for n in range(4)), (1, 2, 0)]
    seen = {one.topic: one for one in await asyncio.to_thread(list_sources, settings)}
    assert (seen[topic].state, seen[topic].epoch) == ("read", 1)


async def commit(settings: Settings, topic: str, offset: int, note: str) -> None:
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap, group_id=settings.group_id("ingest"), enable_auto_commit=False
    ) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(offset, note)})


async def refuse_events(_writer: LogWriter, rows_by_place: Mapping[Place, Sequence[Row]]) -> int | None:
    if any(place.topic.endswith(".events") for place in rows_by_place):
        raise NotEnoughReplicasError
    return None


async def test_partitions_that_are_added_are_read_from_their_beginning_within_seconds(settings: Settings, topic: str) -> None:
    async with ingest(settings):
        await send(settings, topic, ["a0"], partition=1)
        await until_forwarded(settings, 1)
        await asyncio.to_thread(grow, settings, topic, 3)
        await send(settings, topic, ["b0", "b1"], partition=2)
        found = await asyncio.wait_for(until_forwarded(settings, 3), 30)  # aiokafka alone looks once a minute

        async def all_have_said_so() -> bool:
            return [beat.partitions for beat in await beats(settings, topic)] == [3, 3, 3]

        await until(all_have_said_so)
    assert {position for _, position in found} == {(0, 1, 0), (0, 2, 0), (0, 2, 1)}


def grow(settings: Settings, topic: str, count: int) -> None:
    with admin_of(settings) as admin:
        admin.create_partitions({topic: count})


async def test_the_alert_about_a_feed_says_why_it_is_not_read_and_is_over_when_it_is(
    settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(settings)
    rules = RulesPublished(at_ms=0, version="1", revision=0, document=rule_set(absence(10)))
    await put(settings, settings.topic("control"), [("rules", rules)])
    async with running_roles(settings, ("ingest", "clock", "detect")):
        await send(settings, topic, ["a0"])
        await until_forwarded_by_id(settings, "a0")
        await make_again(settings, topic)
        await until_states(log, "opened", feed="orders")
        (opened,) = await alerts(log, feed="orders")
        assert [(one.clause, one.value) for one in opened.because][:2] == [
            ("feed_status", "dead"),
            ("feed_reason", "recreated"),
        ]

        for name, value in settings.model_dump(exclude_defaults=True).items():
            monkeypatch.setenv(variable(name), str(value))
        assert await asyncio.to_thread(command, monkeypatch, "reset", "orders") == 0
        assert f"{topic} (" in capsys.readouterr().out
        await until_states(log, "opened", "resolved", feed="orders")

        assert await asyncio.to_thread(command, monkeypatch, "reset", "orders") == 1
        assert "read under epoch 1: there is nothing to reset" in capsys.readouterr().err
        assert await asyncio.to_thread(command, monkeypatch, "reset", "order") == 1
        assert "there is no source 'order', neither a topic nor a feed" in capsys.readouterr().err
        assert await asyncio.to_thread(command, monkeypatch, "list") == 0
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(topic)]
        assert line.split()[1:4] == ["orders", "read", "1"]


async def until_forwarded_by_id(settings: Settings, name: str) -> None:
    """Control records have no id."""

    async def there() -> bool:
        for partition in range(settings.partitions):
            async with reading(settings, TopicPartition(settings.topic("events"), partition)) as records:
                if any(json.loads(record.value).get("id") == name for record in records):
                    return True
        return False

    await until(there)


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["churnwatch", "sources", *words])
    try:
        return main()
    except SystemExit as ended:
        return int(ended.code or 0)
