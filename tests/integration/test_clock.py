"""The clock on a broker: documents before ticks, ticks in both modes, nothing going back over restarts."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from detect_log import SILENT_90, new_installation, reading, until

from schemas.codec import Record, decode_record, encode
from schemas.control import FeedChanged, RulesPublished, Tick
from schemas.progress import Heartbeat
from streams.clock import clock_of
from streams.settings import Settings
from streams.topic_tail import last_ticks
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


async def put(settings: Settings, topic: str, *rows: tuple[bytes | None, bytes], partition: int = 0) -> list[Any]:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        sent = [await producer.send(settings.prefix + topic, value, key=key, partition=partition) for key, value in rows]
        return await asyncio.gather(*sent)


async def report(settings: Settings, *beats: Heartbeat) -> list[int]:
    """Write heartbeats; returns the broker's times of them."""
    rows = [(f"{b.feed}/{b.topic}/{b.partition}".encode(), encode(b)) for b in beats]
    return [written.timestamp for written in await put(settings, "progress", *rows)]


def all_feeds(
    settings: Settings, *, event_ms: int | None = None, caught_up: bool = True, generation: int = 1
) -> list[Heartbeat]:
    """One heartbeat of each default source, as if each topic had one partition; that of the actions moves nothing."""
    topics = {name: settings.source_prefix + name for name in ("orders", "logins", "tickets")}
    return [
        Heartbeat(
            feed=feed,
            topic=topic,
            partition=0,
            partitions=1,
            generation=generation,
            position=0,
            max_event_ms=event_ms,
            caught_up=caught_up,
        )
        for feed, topic in (topics | {"actions": settings.topic("actions")}).items()
    ]


async def publish(settings: Settings, version: str) -> int:
    """Publish a rule set; returns its offset."""
    document = RulesPublished(at_ms=0, version=version, revision=0, document=SILENT_90)
    (written,) = await put(settings, "control", (b"rules", encode(document)))
    return int(written.offset)


async def log_records(settings: Settings, partition: int) -> list[Record]:
    async with reading(settings, TopicPartition(settings.topic("events"), partition)) as records:
        found: Sequence[ConsumerRecord] = records
        return [decode_record(record.value) for record in found]


async def ticks(settings: Settings, partition: int = 0) -> list[Tick]:
    return [record for record in await log_records(settings, partition) if isinstance(record, Tick)]


async def until_ticked(settings: Settings, condition: Callable[[Tick], bool]) -> Tick:
    found: list[Tick] = []

    async def ticked() -> bool:
        found[:] = [tick for tick in await ticks(settings) if condition(tick)]
        return bool(found)

    await until(ticked)
    return found[0]


async def test_documents_come_before_the_first_tick_into_every_partition(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("docs"), tick_ms=50)
    await publish(settings, "1")
    offset = await publish(settings, "2")
    await report(settings, *all_feeds(settings))
    async with running_roles(settings, ["clock"]):
        await until_ticked(settings, lambda _tick: True)

    for partition in range(settings.partitions):
        first = (await log_records(settings, partition))[0]
        assert isinstance(first, RulesPublished)
        assert (first.version, first.revision, first.document) == ("2", offset + 1, SILENT_90)
        assert first.at_ms > 0


async def test_a_document_that_is_published_meanwhile_arrives_before_the_next_tick(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("later"), tick_ms=600_000)
    await publish(settings, "1")
    async with running_roles(settings, ["clock"]):
        await until(lambda: has_versions(settings, ["1"]))
        await publish(settings, "2")
        await until(lambda: has_versions(settings, ["1", "2"]))


async def has_versions(settings: Settings, wanted: list[str]) -> bool:
    records = await log_records(settings, settings.partitions - 1)
    return [record.version for record in records if isinstance(record, RulesPublished)] == wanted


async def test_what_is_no_document_is_left_out_and_the_rest_is_published(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("nodoc"), tick_ms=50)
    await put(settings, "control", (b"rules", b"{"), (b"model/risk", encode(Tick(at_ms=1))))
    await publish(settings, "1")
    async with running_roles(settings, ["clock"]):
        await until(lambda: has_versions(settings, ["1"]))

    assert [record.type for record in await log_records(settings, 0)] == ["rules.published"]


async def test_on_the_brokers_time_the_marks_are_the_brokers_times_of_the_heartbeats(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("broker"), tick_ms=50)
    async with running_roles(settings, ["clock"]):
        times = await report(settings, *all_feeds(settings, event_ms=5))
        last = dict(zip(("orders", "logins", "tickets"), times, strict=False))
        tick = await until_ticked(settings, lambda tick: tick.marks_ms == last)
        assert tick.at_ms >= max(last.values())
        later = await report(settings, *all_feeds(settings, event_ms=7, caught_up=False)[:1])
        idle = await until_ticked(settings, lambda tick: tick.at_ms >= later[0])

    assert idle.marks_ms == last, "a backlog moves no mark back"
    assert await ticks(settings, 0) == await ticks(settings, 1)


async def test_on_event_time_the_marks_are_the_times_of_the_events_and_nothing_moves_by_itself(
    bootstrap: str, unique: Unique
) -> None:
    settings = new_installation(bootstrap, unique("event"), tick_ms=20, clock="event", dead_after_ms=10_000)
    async with running_roles(settings, ["clock"]) as roles:
        await report(settings, *all_feeds(settings))
        await report(settings, *all_feeds(settings, event_ms=1_000))
        await until_ticked(settings, lambda tick: tick.at_ms == 1_000)
        await report(settings, *all_feeds(settings, event_ms=20_000)[:2])
        await until_ticked(settings, lambda tick: tick.at_ms == 20_000)
        lags = clock_of(roles.apps["clock"]).state.lags_ms()

    assert lags == {"orders": 0, "logins": 0, "tickets": 19_000}
    records = await log_records(settings, 0)
    told = [(r.source, r.status, r.since_ms) for r in records if isinstance(r, FeedChanged)]
    assert told[-1:] == [("tickets", "dead", 1_000)]
    assert {tick.at_ms for tick in await ticks(settings)} == {1_000, 20_000}


async def test_ticks_never_go_back_when_another_clock_takes_over(bootstrap: str, unique: Unique) -> None:
    #  a caught-up heartbeat is overtaken by one with a backlog: all that a later clock would see if it is compacted
    settings = new_installation(bootstrap, unique("again"), tick_ms=50)
    await publish(settings, "1")
    async with running_roles(settings, ["clock"]):
        await report(settings, *all_feeds(settings))
        before = await until_ticked(settings, lambda tick: None not in tick.marks_ms.values())
    found = await last_ticks(settings)
    assert len(found) == settings.partitions
    assert all(tick.at_ms >= before.at_ms for tick in found)
    async with running_roles(settings, ["clock"]):
        times = await report(settings, *all_feeds(settings, generation=2))
        await until_ticked(settings, lambda tick: tick.at_ms >= times[0])

    at_ms = [tick.at_ms for tick in await ticks(settings)]
    assert at_ms == sorted(at_ms)
    for feed in before.marks_ms:
        marks = [tick.marks_ms[feed] for tick in await ticks(settings)]
        known = [mark for mark in marks if mark is not None]
        assert known == sorted(known)
        assert None not in marks[marks.index(known[0]) :]
    assert await has_versions(settings, ["1", "1"]), "documents are written again, with the same revision"


async def test_the_last_tick_is_found_behind_many_events(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("tail"))
    assert await last_ticks(settings) == []
    wanted = Tick(at_ms=7, marks_ms={"orders": 7})
    noise = [(b"c", b'{"type": "tick", "at_ms": 99}')] * 700  # records of customers have keys, whatever they say
    await put(settings, "events", (None, encode(Tick(at_ms=3))), (None, encode(wanted)), *noise, partition=1)

    assert await last_ticks(settings) == [wanted]


async def test_only_one_of_two_clocks_ticks_and_the_other_takes_over(bootstrap: str, unique: Unique) -> None:
    settings = new_installation(bootstrap, unique("two"), tick_ms=50, clock="event")

    def ticking(roles: Any) -> int:
        return clock_of(roles.apps["clock"]).counters.ticks

    async with running_roles(settings, ["clock"]) as first, running_roles(settings, ["clock"]) as second:
        await report(settings, *all_feeds(settings, event_ms=1_000))
        await until_ticked(settings, lambda tick: tick.at_ms == 1_000)
        owner = next(roles for roles in (first, second) if ticking(roles))
        other = second if owner is first else first
        assert ticking(other) == 0
        await owner.stop()
        await report(settings, *all_feeds(settings, event_ms=2_000))
        await until(lambda: ticking(other) >= 1)

    assert [tick.at_ms for tick in await ticks(settings)] == [1_000, 2_000]
