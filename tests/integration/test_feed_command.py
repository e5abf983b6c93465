"""What people say about the silence of a feed, from the command to the alerts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import pytest_asyncio
from detect_log import Log, new_installation
from engine_run import absence, order, rule_set
from feed_run import alerts, learned, now_ms, put, put_orders, until_states

from schemas.control import RulesPublished
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS
from streams.cli import main
from streams.feed_command import FeedRefused, confirm, gap
from streams.settings import variable
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
RULES = RulesPublished(at_ms=0, version="1", revision=0, document=rule_set(absence(10)))


@pytest_asyncio.fixture
async def log(bootstrap: str, unique: Unique) -> AsyncIterator[Log]:
    """A shop whose orders have not come for twenty minutes."""
    log = Log(new_installation(bootstrap, unique("feed"), heartbeat_ms=200, tick_ms=200))
    await put(log.settings, log.settings.topic("control"), [("rules", RULES)])
    await learned(log.settings, last_ms=now_ms() - 20 * MINUTE_MS)
    async with running_roles(log.settings, ("ingest", "clock", "detect")):
        await until_states(log, "opened", feed="orders")
        yield log


async def test_a_silent_feed_is_one_alert_and_whoever_confirms_it_lets_time_go_on(log: Log) -> None:
    (opened,) = await alerts(log, feed="orders")
    assert opened.because[0].value == "silent"

    sent = await asyncio.to_thread(confirm, log.settings, "orders", from_ms=None, until_ms=None, by="ann")
    await until_states(log, "opened", "resolved", feed="orders")
    assert sent.span.from_ms == opened.episode_start_ms
    assert sent.span.until_ms - sent.span.at_ms == DAY_MS


async def test_an_alert_that_rests_on_lost_events_is_taken_back(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    #  ann ordered 12 days ago, so she is silent since 2; what came from 11 days ago to yesterday is lost
    begun_ms = now_ms()
    await asyncio.to_thread(confirm, log.settings, "orders", from_ms=begun_ms - HOUR_MS, until_ms=None, by="ann")
    await put_orders(log.settings, [msgspec.structs.replace(order(0), at_ms=begun_ms - 12 * DAY_MS)])
    await until_states(log, "opened")

    for name, value in log.settings.model_dump(exclude_defaults=True).items():
        monkeypatch.setenv(variable(name), str(value))
    span = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun_ms / 1000 - days * 86_400)) for days in (11, 1)]
    monkeypatch.setattr("sys.argv", ["churnwatch", "feed", "gap", "orders", *span])
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(main)
    assert ended.value.code == 0
    await until_states(log, "opened", "retracted")
    *_, retracted = await alerts(log)
    assert [clause.clause for clause in retracted.because] == ["feed_gap"]


async def test_what_cannot_be_is_refused_and_nothing_is_sent(log: Log) -> None:
    settings = log.settings
    before = len(await log.committed("control", 0))
    with pytest.raises(FeedRefused, match=r"there is no feed 'order': crm, logins, orders, tickets"):
        await asyncio.to_thread(gap, settings, "order", from_ms=0, until_ms=1, by="ann")
    with pytest.raises(FeedRefused, match=r"nobody knows that events until 2100-01-01T00:00:00Z are lost"):
        await asyncio.to_thread(gap, settings, "orders", from_ms=0, until_ms=4_102_444_800_000, by="ann")
    with pytest.raises(FeedRefused, match=r"the span ends .* before it begins"):
        await asyncio.to_thread(gap, settings, "orders", from_ms=2_000, until_ms=1_000, by="ann")
    with pytest.raises(FeedRefused, match=r"no open alert says that logins is silent: say from when on it is, with --from"):
        await asyncio.to_thread(confirm, settings, "logins", from_ms=None, until_ms=None, by="ann")
    with pytest.raises(FeedRefused, match=r"is more than a day ahead: say until when orders is quiet, with --until"):
        await asyncio.to_thread(confirm, settings, "orders", from_ms=now_ms() + 2 * DAY_MS, until_ms=None, by="ann")
    assert len(await log.committed("control", 0)) == before
