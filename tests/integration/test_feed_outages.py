"""Feeds that are cut off, come back with a backlog, or whose worker stalls: no customer is silent because of it."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from detect_log import Log, new_installation, until
from engine_run import absence, complaint, order, rule_set
from feed_run import alerts, learned, marks_ms, now_ms, put, put_orders, until_states
from processes import worker

from schemas.control import RulesPublished, Tick
from schemas.events import OrderPlaced
from schemas.instants import DAY_MS, HOUR_MS
from schemas.rule_kinds import CountRule
from streams.settings import Role
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
TWO_COMPLAINTS = CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P5D")
RULES = RulesPublished(at_ms=0, version="1", revision=0, document=rule_set(absence(2), TWO_COMPLAINTS))
ROLES: tuple[Role, ...] = ("ingest", "clock", "detect")


def bought(days_ago: float, customer: str) -> OrderPlaced:
    return msgspec.structs.replace(order(0, customer), at_ms=now_ms() - round(days_ago * DAY_MS))


async def shop(bootstrap: str, name: str, *, stopped_days_ago: float, **fields: object) -> Log:
    """An installation whose clock ticked last so many days ago, the rules having come before, when all was read."""
    log = Log(new_installation(bootstrap, name, heartbeat_ms=100, tick_ms=100, **fields))
    await put(log.settings, log.settings.topic("control"), [("rules", RULES)])
    stopped_ms = now_ms() - round(stopped_days_ago * DAY_MS)
    tick = Tick(at_ms=stopped_ms, marks_ms=dict.fromkeys(("orders", "logins", "tickets"), stopped_ms))
    for partition in range(log.settings.partitions):
        published = msgspec.structs.replace(RULES, revision=1)
        await put(log.settings, log.settings.topic("events"), [(None, published), (None, tick)], partition)
    return log


async def test_a_backlog_of_ten_days_is_ten_days_of_events_and_nobody_is_silent_because_of_it(
    bootstrap: str, unique: Unique
) -> None:
    #  days ago   10   9   8  ...  1    now
    #  100 others  o   o   o       o          one order a day
    #  bob         o                          truly silent, since 8 days ago
    log = await shop(bootstrap, unique("backlog"), stopped_days_ago=10, max_batch_records=100)
    days = [[bought(10 - day, f"c{n}") for n in range(100)] for day in range(10)]
    await put_orders(log.settings, [bob := bought(10, "bob"), *(one for day in days for one in day), bought(0, "ann")])
    async with running_roles(log.settings, ROLES):

        async def is_up_to_date() -> bool:
            return (await marks_ms(log, "orders"))[-1] > now_ms() - HOUR_MS

        await until(is_up_to_date)
        await until_states(log, "opened")
    (alert,) = await alerts(log)
    assert (alert.customer_id, alert.at_ms) == ("bob", bob.at_ms + 2 * DAY_MS)
    assert await alerts(log, feed="orders") == []
    marks = await marks_ms(log, "orders")
    assert marks == sorted(marks)


async def test_a_feed_that_was_cut_off_for_three_days_is_one_alert_and_no_customer_is(bootstrap: str, unique: Unique) -> None:
    #  days ago   4    3          2   1   now
    #  orders     ----cut off-------------back, with what should have come meanwhile
    #  ann        o    o          o   o         her orders of the last days come late
    #  bob        o                             truly silent
    #  tickets    alive
    log = await shop(bootstrap, unique("cut"), stopped_days_ago=3)
    await put_orders(log.settings, [bought(4, "bob"), bought(4, "ann"), bought(3.1, "ann")])
    await learned(log.settings, last_ms=now_ms() - 3 * DAY_MS, silent=True)
    cem = [msgspec.structs.replace(complaint(0, "cem"), at_ms=now_ms() - hours * HOUR_MS) for hours in (30, 5)]
    await put(log.settings, log.settings.source_prefix + "tickets", [("cem", one) for one in cem])
    async with running_roles(log.settings, ROLES):
        await until_states(log, "opened", feed="orders")
        await until_states(log, "opened")  # what needs no orders goes on
        assert [alert.customer_id for alert in await alerts(log)] == ["cem"]

        await put_orders(log.settings, [bought(2.2, "ann"), bought(1.3, "ann"), bought(0.5, "ann")])
        await until_states(log, "opened", "resolved", feed="orders")
        await put_orders(log.settings, [bought(0, "dan")])

        async def is_up_to_date() -> bool:
            return (await marks_ms(log, "orders"))[-1] > now_ms() - HOUR_MS and len(await alerts(log)) > 1

        await until(is_up_to_date)
    assert sorted(alert.customer_id or "" for alert in await alerts(log)) == ["bob", "cem"]


async def test_a_source_whose_worker_is_stalled_holds_its_marks_is_dead_and_lives_again(
    bootstrap: str, unique: Unique, tmp_path: Path
) -> None:
    log = await shop(bootstrap, unique("stalled"), stopped_days_ago=0, dead_after_ms=3_000)
    with worker(log.settings, tmp_path / "worker.log", "ingest") as stalled:

        async def reports() -> bool:
            return bool(await log.committed("progress", 0))

        await until(reports)  # before anybody watches: a feed that has never reported is dead soon
        async with running_roles(log.settings, ("clock", "detect")):

            async def moves() -> bool:
                return len(set(await marks_ms(log, "orders"))) > 3

            await until(moves)
            stalled.process.send_signal(signal.SIGSTOP)
            await until_states(log, "opened", feed="orders")
            held_ms = (await marks_ms(log, "orders"))[-1]
            await asyncio.sleep(0.5)
            assert (await marks_ms(log, "orders"))[-1] == held_ms
            stalled.process.send_signal(signal.SIGCONT)
            await until_states(log, "opened", "resolved", feed="orders")
            assert (await alerts(log, feed="orders"))[0].because[0].value == "dead"
