"""Recipients are told of alerts: all of them, in order, and nobody waits for another."""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import TopicPartition
from detect_log import Log, new_installation, reading, until
from dispatch_run import Notes, dispatching, in_order, life, over, routes_to, tell, transition, wanted
from engine_run import tick
from structlog.testing import capture_logs

from schemas.deliveries import AnyLedger, ToldRecord
from schemas.instants import HOUR_MS
from sinks.base import SinkError
from sinks.routes import Budget, Manners, StormLimit
from streams.dispatch import Dispatch
from streams.ledger import Ledger, LedgerWriter
from streams.settings import Settings
from streams.storm_command import StormRefused, held, order

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
ALERTS = [alert for step in zip(*(life(f"a{number}", 6) for number in range(12)), strict=True) for alert in step]


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("dispatch"))


class Unwell(LedgerWriter):
    """Some of its writes fail; half of those stand in the topic all the same."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.closed = 0
        self._chance = random.Random(5)

    async def write(self, rows: Iterable[AnyLedger], forgotten: Iterable[bytes] = ()) -> None:
        written, chance = list(rows), self._chance.random() if rows else 1.0
        if chance < 0.04:
            raise KafkaTimeoutError
        await super().write(written, forgotten)
        if chance < 0.08:
            raise KafkaTimeoutError

    async def close(self) -> None:
        self.closed += 1
        await super().close()


async def kept(settings: Settings) -> dict[str, AnyLedger]:
    """What stands in the topic of deliveries, by key."""
    ledger = Ledger()
    async with reading(settings, TopicPartition(settings.topic("deliveries"), 0)) as records:
        for record in records:
            ledger.take(record)
    return {row.key().decode(): row for row in ledger.rows()}


async def begun(dispatch: Dispatch, *names: str) -> None:
    await until(lambda: all(name in dispatch.lanes and dispatch.lanes[name].offsets for name in names))


async def test_a_system_hears_of_everything_in_order_and_of_several_alerts_at_once(settings: Settings) -> None:
    erp = Notes(delay_s=0.01)
    async with dispatching(settings, routes_to(erp="machine"), {"erp": erp}) as dispatch:
        await begun(dispatch, "erp")
        await tell(settings, ALERTS)
        await until(lambda: set(erp.heard) == wanted(ALERTS))
        assert in_order(erp.heard)
        assert len(erp.heard) == len(ALERTS)
        assert 1 < erp.most_at_once <= 8
        await until(lambda: dispatch.lanes["erp"].behind_records == 0)
    assert erp.closed == 1


async def test_who_is_new_hears_nothing_of_before_and_a_restart_goes_on_where_it_was(settings: Settings) -> None:
    erp, again = Notes(), Notes()
    await tell(settings, [transition("old", 1, "opened")])
    async with dispatching(settings, routes_to(erp="machine"), {"erp": erp}) as dispatch:
        await begun(dispatch, "erp")
        await tell(settings, [transition("new", 1, "opened")])
        await until(lambda: erp.heard)
    await tell(settings, [transition("new", 2, "resolved"), transition("old", 2, "resolved"), transition("b", 1, "opened")])
    async with dispatching(settings, routes_to(erp="machine"), {"erp": again}):
        await until(lambda: len(again.heard) >= 2)

    assert erp.heard == [("new", 1)]
    # Of the old one it never heard that it was open, so it does not hear of its end.
    assert sorted(again.heard) == [("b", 1), ("new", 2)]


async def test_a_sink_that_fails_or_is_slow_holds_up_nobody_else(settings: Settings) -> None:
    down = Notes(error=SinkError("the password is wrong", retryable=True))
    slow, well, person = Notes(delay_s=30.0), Notes(), Notes()
    sinks = {"down": down, "slow": slow, "well": well, "person": person}
    routes = routes_to(down="machine", slow="machine", well="machine", person="people")
    async with dispatching(settings, routes, sinks) as dispatch:
        await begun(dispatch, *sinks)
        await tell(settings, [transition("a", 1, "opened"), transition("b", 1, "opened")])
        await until(lambda: len(well.heard) == len(person.heard) == 2)
        assert person.most_at_once == 1
        await until(lambda: dispatch.lanes["down"].caller.breaker.is_open)
        assert dispatch.counters["down"].results["retried"] >= 5
        assert down.heard == slow.heard == []
        down.error = None
        await until(lambda: len(down.heard) == 2)
        assert dispatch.lanes["down"].caller.breaker.failing_since_s is None


async def test_what_a_sink_refuses_for_good_is_a_dead_letter_and_the_rest_goes_on(settings: Settings) -> None:
    strict = Notes(error=SinkError("400: no such field", retryable=False))
    async with dispatching(settings, routes_to(strict="machine"), {"strict": strict}) as dispatch:
        await begun(dispatch, "strict")
        await tell(settings, [transition("a", 1, "opened")])
        await until(lambda: dispatch.counters["strict"].results["refused"] == 1)
        assert strict.asked == 3
        strict.error = None
        await tell(settings, [transition("b", 1, "opened")])
        await until(lambda: strict.heard == [("b", 1)])
    async with reading(settings, TopicPartition(settings.topic("deadletters"), 0)) as letters:
        headers = [{name: text.decode() for name, text in letter.headers} for letter in letters]
    assert [(one["stage"], one["topic"], one["reason"]) for one in headers] == [
        ("deliver", settings.topic("alerts"), "sink_refused")
    ]
    assert headers[0]["message"] == "strict refuses it: 400: no such field"


async def test_that_the_group_decided_anew_is_said_also_where_no_lane_has_anything_to_do(settings: Settings) -> None:
    with capture_logs() as logs:
        async with dispatching(settings, routes_to(erp="machine"), {"erp": Notes()}) as dispatch:
            await begun(dispatch, "erp")
            dispatch.app.rebalancing = True
            await until(lambda: not dispatch.lanes)
            dispatch.app.rebalancing = False
            await begun(dispatch, "erp")
    said = [line["event"] for line in logs if line["event"].startswith("dispatch.")]
    assert said == ["dispatch.began", "dispatch.lost", "dispatch.began"]


async def test_what_is_being_told_at_a_stop_is_finished(settings: Settings) -> None:
    erp, again = Notes(delay_s=0.4), Notes()
    async with dispatching(settings, routes_to(erp="machine"), {"erp": erp}) as dispatch:
        await begun(dispatch, "erp")
        await tell(settings, ALERTS)
        await until(lambda: erp.asked > 0)
    async with dispatching(settings, routes_to(erp="machine"), {"erp": again}):
        await until(lambda: set(erp.heard) | set(again.heard) == wanted(ALERTS))
        await asyncio.sleep(0.2)

    assert erp.heard
    assert not set(erp.heard) & set(again.heard)
    assert in_order([*erp.heard, *again.heard])


async def test_what_is_being_told_is_finished_also_if_the_stop_comes_while_the_group_decides_anew(settings: Settings) -> None:
    erp, again = Notes(delay_s=0.6), Notes()
    async with dispatching(settings, routes_to(erp="machine"), {"erp": erp}) as dispatch:
        await begun(dispatch, "erp")
        await tell(settings, ALERTS)
        await until(lambda: erp.asked > 0)
        dispatch.app.rebalancing = True
        await asyncio.sleep(0.3)  # it has noticed, and waits for what is being told
    async with dispatching(settings, routes_to(erp="machine"), {"erp": again}):
        await until(lambda: set(erp.heard) | set(again.heard) == wanted(ALERTS))

    assert erp.heard
    assert not set(erp.heard) & set(again.heard)


async def test_of_two_workers_one_tells_and_the_other_goes_on_when_it_stops(settings: Settings) -> None:
    first, second = Notes(), Notes()
    routes = routes_to(erp="machine")
    async with dispatching(settings, routes, {"erp": second}) as other:
        async with dispatching(settings, routes, {"erp": first}) as one:
            await until(lambda: bool(one.lanes) != bool(other.lanes))
            await until(lambda: any(lane.offsets for dispatch in (one, other) for lane in dispatch.lanes.values()))
            await tell(settings, ALERTS[:30])
            await until(lambda: len({*first.heard, *second.heard}) == 30)
        await until(lambda: bool(other.lanes))
        await tell(settings, ALERTS[30:])
        await until(lambda: {*first.heard, *second.heard} == wanted(ALERTS))

    assert len(first.heard) + len(second.heard) == len(ALERTS)
    assert in_order([*first.heard, *second.heard])


async def test_a_storm_is_one_message_and_what_is_held_is_told_when_somebody_says_so(settings: Settings) -> None:
    room, again, erp = Notes(), Notes(), Notes()
    routes = replace(routes_to(room="people", erp="machine"), storm=StormLimit(within_ms=HOUR_MS, customers=5))
    storm = [transition(f"s{number:02}", 1, "opened") for number in range(20)]
    async with dispatching(settings, routes, {"room": room, "erp": erp}) as dispatch:
        await begun(dispatch, "room", "erp")
        await tell(settings, storm)
        await until(lambda: len(erp.heard) == 20)  # systems have no storms
        await until(lambda: dispatch.waiting()["room", "storm"] and room.notices)
        await until(lambda: dispatch.lanes["room"].behind_records == 0)
    (held_now,) = await asyncio.to_thread(held, settings)
    assert (held_now.rule, held_now.recipient) == ("silent", "room")
    assert [notice.kind for notice in room.notices if notice.kind == "storm"] == ["storm"]
    assert len(room.heard) + held_now.held == 20

    async with dispatching(settings, routes, {"room": again, "erp": Notes()}) as dispatch:
        await begun(dispatch, "room")
        await asyncio.to_thread(order, settings, "silent", "release", "lena")
        await until(lambda: len({*room.heard, *again.heard}) == 20)
    assert not {*room.heard} & {*again.heard}
    assert await asyncio.to_thread(held, settings) == []
    with pytest.raises(StormRefused, match="no alerts of 'silent' are held"):
        await asyncio.to_thread(order, settings, "silent", "drop", "lena")


async def test_a_broker_that_does_not_take_what_is_remembered_ends_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.dispatch.LedgerWriter", Unwell)
    monkeypatch.setattr("streams.dispatch._AGAIN_AFTER_S", 0.05)
    erp, room = Notes(), Notes()

    async def nothing_is_open() -> bool:
        return not any("/alert/" in key for key in await kept(settings))

    async with dispatching(settings, routes_to(erp="machine", room="people"), {"erp": erp, "room": room}) as dispatch:
        await begun(dispatch, "erp", "room")
        for step in range(6):
            await tell(settings, ALERTS[step * 12 : step * 12 + 12])
            await until(lambda step=step: set(erp.heard) >= wanted(ALERTS[: step * 12 + 12]))  # type: ignore[misc]
        writer = dispatch._writer
        assert isinstance(writer, Unwell)
        assert writer.closed > 2
        await until(nothing_is_open, every_s=0.2)
    assert in_order(erp.heard)
    assert {(name, 6) for name in over(ALERTS)} | {(name, 1) for name in over(ALERTS)} <= set(room.heard)
    # Each failure may have had up to eight alerts told again, under the same keys.
    assert len(erp.heard) - len(ALERTS) <= 8 * writer.closed


async def test_who_left_the_file_leaves_nothing_and_begins_anew_when_it_comes_back(settings: Settings) -> None:
    storm = StormLimit(within_ms=HOUR_MS, customers=1)
    everybody = replace(routes_to(room="people", erp="machine"), storm=storm)
    without_the_room = replace(routes_to(erp="machine"), storm=storm)
    async with dispatching(settings, everybody, {"room": Notes(), "erp": Notes()}) as dispatch:
        await begun(dispatch, "room", "erp")
        await tell(settings, [transition(f"s{number}", 1, "opened") for number in range(6)])
        await until(lambda: dispatch.waiting()["room", "storm"] and dispatch.lanes["erp"].behind_records == 0)
    assert await asyncio.to_thread(held, settings)

    erp, back = Notes(), Notes()
    with capture_logs() as logs:
        async with dispatching(settings, without_the_room, {"erp": erp}, forget_after_s=0.5) as dispatch:
            await begun(dispatch, "erp")
            await until(lambda: any(line["event"] == "dispatch.recipient_forgotten" for line in logs))
            assert dispatch.waiting() == {}
    (left,) = [line for line in logs if line["event"] == "dispatch.recipient_left"]
    assert (left["recipient"], left["waiting"], left["forgotten_in_s"]) == ("room", 5, 0.5)
    assert [key for key in await kept(settings) if key.startswith("room/")] == []
    assert await asyncio.to_thread(held, settings) == []

    async with dispatching(settings, everybody, {"room": back, "erp": erp}) as dispatch:
        await begun(dispatch, "room")
        await tell(settings, [transition("s1", 2, "resolved"), transition("new", 1, "opened")])
        await until(lambda: len(erp.heard) == 2)
        await until(lambda: back.heard == [("new", 1)])


async def test_who_is_back_within_the_hour_has_missed_nothing(settings: Settings) -> None:
    """Workers get a new file one after the other, and the owner of the topic may be one with the old file once more."""
    new, old = routes_to(erp="machine", crm="machine"), routes_to(erp="machine")
    erp, crm = Notes(), Notes()
    #  crm:   in the file     not in it     in it again
    #         a               b             hears a, b, c
    for routes, name in ((new, "a"), (old, "b"), (new, "c")):
        async with dispatching(settings, routes, {"erp": erp, "crm": crm}) as dispatch:
            await begun(dispatch, *routes.recipients)
            await tell(settings, [transition(name, 1, "opened")])
            for sink in (erp, crm)[: len(routes.recipients)]:
                await until(partial(sink.heard.__contains__, (name, 1)))
    assert crm.heard == erp.heard == [("a", 1), ("b", 1), ("c", 1)]


async def test_of_an_erased_customer_nothing_is_kept_and_nothing_told(settings: Settings) -> None:
    room = Notes()
    routes = replace(routes_to(room="people"), storm=StormLimit(within_ms=HOUR_MS, customers=1))
    async with dispatching(settings, routes, {"room": room}) as dispatch:
        await begun(dispatch, "room")
        await tell(settings, [transition(f"s{number}", 1, "opened") for number in range(6)])
        await until(lambda: dispatch.waiting()["room", "storm"] == 5)
        (victim, *_) = [
            key for key, row in (await kept(settings)).items() if isinstance(row, ToldRecord) and row.told == "waits"
        ]
        name = victim.rpartition("/")[2]
        async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
            partition = sum(name.encode()) % settings.partitions
            await producer.send_and_wait(settings.topic("alerts"), None, key=name.encode(), partition=partition)
        await until(lambda: dispatch.waiting()["room", "storm"] == 4)
        await asyncio.to_thread(order, settings, "silent", "release", "lena")
        await until(lambda: len(room.heard) == 5)
        await until(lambda: dispatch.waiting() == {})
    assert name not in {heard for heard, _ in room.heard}
    async with reading(settings, TopicPartition(settings.topic("deliveries"), 0)) as records:
        assert [record.value for record in records if record.key.decode() == victim][-1] is None


async def test_a_share_of_the_customers_is_a_storm_once_they_are_counted_and_what_is_dropped_is_never_told(
    settings: Settings,
) -> None:
    room, again = Notes(), Notes()
    routes = replace(routes_to(room="people"), storm=StormLimit(within_ms=HOUR_MS, share=0.1))
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for number in range(200):
            await producer.send(settings.topic("lifecycle"), b"{}", key=f"c{number}".encode(), partition=number % 2)
        await producer.flush()
    async with dispatching(settings, routes, {"room": room}) as dispatch:
        await begun(dispatch, "room")
        await until(lambda: dispatch._customers.known() == 200)
        await tell(settings, [transition(f"s{number:02}", 1, "opened") for number in range(30)])
        await until(lambda: dispatch.waiting()["room", "storm"] == 10)
    assert len(room.heard) == 20
    (notice,) = [notice for notice in room.notices if notice.kind == "storm"]
    assert notice.storm is not None
    assert notice.storm.customers == 21

    await asyncio.to_thread(order, settings, "silent", "drop", "lena")  # while nobody tells
    async with dispatching(settings, routes, {"room": again}) as dispatch:
        await begun(dispatch, "room")
        await until(lambda: dispatch.waiting() == {})
        await tell(settings, [transition(f"s{number:02}", 2, "resolved") for number in range(30)])
        await until(lambda: {(name, 2) for name, _ in room.heard} == set(again.heard))
        await until(lambda: dispatch.lanes["room"].behind_records == 0)
    assert await asyncio.to_thread(held, settings) == []


async def test_on_the_event_clock_a_digest_is_due_when_the_events_say_so(bootstrap: str, unique: Unique) -> None:
    log = Log(new_installation(bootstrap, unique("event"), clock="event"))
    room, routes = Notes(), routes_to(room="people")
    recipient = replace(routes.recipients["room"], manners=Manners(budget=Budget(at_once=0)))
    await log.append(0, [tick(5.25)])  # six in the morning
    async with dispatching(log.settings, replace(routes, recipients={"room": recipient}), {"room": room}) as dispatch:
        await begun(dispatch, "room")
        await tell(log.settings, [transition("a", 1, "opened"), transition("b", 1, "opened")])
        await until(lambda: dispatch.waiting()["room", "digest"] == 2)
        assert room.asked == 0
        await log.append(1, [tick(5.5)])
        await until(lambda: sorted(room.heard) == [("a", 1), ("b", 1)])
    assert [notice.kind for notice in room.notices] == ["digest"]
