"""Source topics to the log on a broker: exact content and order, dead letters, restarts, heartbeats."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from detect_log import new_installation, reading, until

from schemas.progress import Heartbeat
from streams.ingest import ingest_of
from streams.routing import WATERMARK_HEADER, log_partition
from streams.rules_command import publish
from streams.settings import Settings, Topic
from streams.topic_tail import heartbeats_in
from streams.topics import MAX_VALUE_BYTES
from streams.transport import consumer_of
from streams.worker import Roles, running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
DAY_MS = 86_400_000


def order(number: int, customer: str, **changes: Any) -> bytes:
    event = {"type": "order.placed", "id": f"o{number}", "customer_id": customer, "at_ms": number * 1_000}
    return json.dumps(event | {"order_id": f"o{number}", "amount": 5.0} | changes).encode()


async def send(settings: Settings, topic: str, values: Sequence[bytes | None], *, partition: int = 0, **options: Any) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, max_request_size=4 << 20) as producer:
        futures = [await producer.send(settings.source_prefix + topic, v, partition=partition, **options) for v in values]
        await asyncio.gather(*futures)


async def stored(settings: Settings, topic: Topic) -> list[ConsumerRecord]:
    """Everything in one of our topics, partition after partition."""
    records: list[ConsumerRecord] = []
    for partition in range(settings.partitions if topic == "events" else 1):
        async with reading(settings, TopicPartition(settings.topic(topic), partition)) as some:
            records += some
    return records


async def beats(settings: Settings) -> dict[tuple[str, int], Heartbeat]:
    """The last heartbeat of each source partition."""
    found = heartbeats_in(await stored(settings, "progress"))
    return {(beat.topic.removeprefix(settings.source_prefix), beat.partition): beat for beat in found}


async def until_stored(settings: Settings, topic: Topic, count: int) -> list[ConsumerRecord]:
    found: list[ConsumerRecord] = []

    async def enough() -> bool:
        found[:] = await stored(settings, topic)
        return len(found) >= count

    await until(enough)
    return found


async def test_every_event_is_in_its_customers_partition_once_and_in_the_order_of_its_source(
    bootstrap: str, unique: Unique
) -> None:
    settings = new_installation(bootstrap, unique("ingest"), heartbeat_ms=100)
    sent = {
        (topic, partition): [order(number, f"c{number % 7}", id=f"{topic}{partition}-{number}") for number in range(40)]
        for topic in ("orders", "tickets")
        for partition in range(2)
    }
    async with running_roles(settings, ["ingest"]) as roles:
        for (topic, partition), values in sent.items():
            await send(settings, topic, values, partition=partition)
        records = await until_stored(settings, "events", 160)
        events = ingest_of(roles.apps["ingest"]).counters.events

    assert {name.removeprefix(settings.source_prefix): count for name, count in events.items() if count} == {
        "orders": 80,
        "tickets": 80,
    }
    positions = defaultdict(list)
    for record in records:
        event = json.loads(record.value)
        topic, epoch, partition, offset, index = event.pop("src")
        topic = topic.removeprefix(settings.source_prefix)
        assert event == json.loads(sent[topic, partition][offset])
        assert record.key == event["customer_id"].encode()
        assert record.partition == log_partition(record.key, settings.partitions)
        assert (epoch, index) == (0, 0)
        positions[record.partition, topic, partition].append(offset)
    assert all(offsets == sorted(set(offsets)) for offsets in positions.values())
    assert len(records) == 160


async def test_bad_records_become_dead_letters_with_their_bytes_and_place_and_the_rest_goes_on(
    bootstrap: str, unique: Unique
) -> None:
    settings = new_installation(bootstrap, unique("bad"), heartbeat_ms=100)
    bad = {
        "bad_json": b"{",
        "bad_utf8": order(1, "ada").replace(b"ada", b"\xff"),
        "unknown_type": order(1, "ada", type="order.lost"),
        "control_type": b'{"type": "tick", "at_ms": 1}',
        "no_customer": order(1, ""),
        "bad_time": order(1, "ada", at_ms=-5),
        "too_far_ahead": order(1, "ada", at_ms=4_102_444_800_000),
        "bad_number": order(1, "ada").replace(b"5.0", b"1e999"),
        "bad_field": order(1, "ada", amount="much"),
    }
    good = [order(number, "ada") for number in range(len(bad) + 1)]
    mixed = [value for pair in zip(good, bad.values(), strict=False) for value in pair] + good[-1:]
    async with running_roles(settings, ["ingest"]) as roles:
        await send(settings, "orders", mixed, partition=1)
        await until_stored(settings, "events", len(good))
        letters = await until_stored(settings, "deadletters", len(bad))
        counted = ingest_of(roles.apps["ingest"]).counters.dead_letters

    assert counted == dict.fromkeys(bad, 1)
    assert len(letters) == len(bad)
    for index, (letter, (reason, value)) in enumerate(zip(letters, bad.items(), strict=True)):
        headers = {name: text.decode() for name, text in letter.headers}
        assert letter.value == value
        assert headers.pop("message")
        assert int(headers.pop("timestamp")) > 0
        assert headers == {
            "reason": reason,
            "stage": "ingest",
            "topic": settings.source_prefix + "orders",
            "partition": "1",
            "offset": str(2 * index + 1),
        }
    assert [json.loads(record.value)["id"] for record in await stored(settings, "events")] == [
        f"o{n}" for n in range(len(good))
    ]


async def test_a_record_over_the_limit_is_cut_in_the_dead_letters(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("large"), heartbeat_ms=100)
    large = order(1, "ada", order_id="x" * MAX_VALUE_BYTES)
    async with running_roles(settings, ["ingest"]):
        await send(settings, "orders", [large, order(2, "ada")])
        (letter,) = await until_stored(settings, "deadletters", 1)
        await until_stored(settings, "events", 1)

    headers = dict(letter.headers)
    assert (headers["reason"], headers["length"]) == (b"too_large", str(len(large)).encode())
    assert letter.value == large[:MAX_VALUE_BYTES]


async def test_an_ingest_that_is_stopped_in_the_middle_loses_nothing(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("restart"), max_batch_records=50, heartbeat_ms=100)
    values = [order(number, f"c{number % 11}") for number in range(3_000)]
    for partition in range(2):
        await send(settings, "orders", values, partition=partition)
    for wanted in (100, 2_000):
        async with running_roles(settings, ["ingest"]):
            await until_stored(settings, "events", wanted)
    async with running_roles(settings, ["ingest"]):
        await until(lambda: caught_up(settings))

    by_lane = defaultdict(list)
    for record in await stored(settings, "events"):
        _topic, _epoch, partition, offset, _index = json.loads(record.value)["src"]
        by_lane[partition].append((record.partition, offset))
    for found in by_lane.values():
        assert {offset for _, offset in found} == set(range(3_000))
        for log_partition_ in range(settings.partitions):
            assert_no_gap([offset for partition, offset in found if partition == log_partition_])


def assert_no_gap(offsets: list[int]) -> None:
    """A restart may write some records again; it never skips one that comes later than what was written."""
    wanted = sorted(set(offsets))
    highest = -1
    for offset in offsets:
        assert wanted.index(offset) <= highest + 1
        highest = max(highest, wanted.index(offset))


async def caught_up(settings: Settings) -> bool:
    found = await beats(settings)
    generation = max((beat.generation for beat in found.values()), default=0)
    wanted = [found.get(("orders", partition)) for partition in range(2)]
    return all(beat is not None and beat.caught_up and beat.position == 3_000 for beat in wanted) and generation > 1


async def test_heartbeats_say_how_far_every_partition_of_every_source_is(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("beats"), heartbeat_ms=100)
    async with running_roles(settings, ["ingest"]):
        await send(settings, "orders", [order(7, "ada"), order(5, "ada")], partition=1)
        await send(settings, "logins", [None], key=b"end", headers=[(WATERMARK_HEADER, b"9000")])
        await until(lambda: all_reported(settings))
        found = await beats(settings)

    orders = found["orders", 1]
    assert (orders.feed, orders.partitions, orders.position, orders.max_event_ms) == ("orders", 2, 2, 7_000)
    assert found["logins", 0].max_event_ms == 9_000
    assert found["tickets", 0].max_event_ms is None
    assert found[settings.topic("actions"), 0].feed == "actions"
    assert all(beat.caught_up and beat.generation >= 1 for beat in found.values())
    assert len(await stored(settings, "events")) == 2


async def all_reported(settings: Settings) -> bool:
    found = await beats(settings)
    sent = {("orders", 1): 2, ("logins", 0): 1}
    return len(found) == 8 and all(found[lane].position == count for lane, count in sent.items())


async def test_a_restarted_ingest_still_knows_the_time_of_the_last_event(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("recall"), heartbeat_ms=100)
    async with running_roles(settings, ["ingest"]):
        await send(settings, "orders", [order(7, "ada")])
        await until(lambda: orders_at(settings, 7_000, generation=0))
    before = (await beats(settings))["orders", 0].generation
    async with running_roles(settings, ["ingest"]):
        await until(lambda: orders_at(settings, 7_000, generation=before + 1))


async def orders_at(settings: Settings, at_ms: int, generation: int) -> bool:
    beat = (await beats(settings)).get(("orders", 0))
    return beat is not None and beat.max_event_ms == at_ms and beat.generation >= generation


async def test_published_rules_come_before_the_first_event_of_each_partition(
    bootstrap: str, unique: Unique, tmp_path: Path
) -> None:
    settings = new_installation(bootstrap, unique("first"), heartbeat_ms=100, clock="event")
    rules = tmp_path / "rules.yaml"
    rules.write_text('version: "1"\ntenant: shop\nrules: [{id: r, kind: absence, of: [order.placed], for: P9D}]\n')
    await asyncio.to_thread(publish, rules, settings, "test")
    await send(settings, "orders", [order(number, f"c{number}") for number in range(20)])
    async with running_roles(settings, ["ingest"]) as roles:
        await until(lambda: holds_back(roles))
        await until(lambda: behind_records(roles) == 20)
        assert await stored(settings, "events") == []
        async with running_roles(settings, ["clock"]):
            await until(lambda: forwarded_all(roles))
        await until(lambda: behind_records(roles) == 0)

    first = {record.partition: json.loads(record.value)["type"] for record in reversed(await stored(settings, "events"))}
    assert first == {0: "rules.published", 1: "rules.published"}


async def holds_back(roles: Roles) -> bool:
    """Ingest has fetched, and nothing was acknowledged."""
    app = roles.apps["ingest"]
    return sum(consumer_of(app).held(tp) for tp in consumer_of(app).assignment()) == 20


def behind_records(roles: Roles) -> int:
    return sum(backlog.behind_records for backlog in ingest_of(roles.apps["ingest"]).reports.catch_up.backlogs.values())


async def forwarded_all(roles: Roles) -> bool:
    return ingest_of(roles.apps["ingest"]).counters.events.total() == 20


async def test_records_of_an_aborted_transaction_are_not_read(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("aborted"), heartbeat_ms=100)
    topic = settings.source_prefix + "orders"
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=unique("t"))
    async with running_roles(settings, ["ingest"]), producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, order(1, "ada"), partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, order(2, "ada"), partition=0)
        records = await until_stored(settings, "events", 1)
        await until(lambda: past_the_markers(settings))

    assert [json.loads(record.value)["id"] for record in records] == ["o2"]


async def past_the_markers(settings: Settings) -> bool:
    beat = (await beats(settings)).get(("orders", 0))
    return beat is not None and beat.caught_up and beat.position == 4
