"""What people say about the silence of a feed, from the command to the alerts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from detect_log import Log, new_installation, until
from engine_run import absence, order, rule_set

from schemas.codec import decode_decision, encode
from schemas.control import RulesPublished
from schemas.decisions import AlertRecord
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS
from schemas.progress import ARRIVALS_KEY, Arrivals
from streams.cli import main
from streams.feed_command import FeedRefused, confirm, gap
from streams.settings import Settings, variable
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
RULES = RulesPublished(at_ms=0, version="1", revision=0, document=rule_set(absence(10)))


def busy_until(minutes_ago: int) -> Arrivals:
    """A thousand orders in each hour of the last three weeks, and none since so many minutes."""
    now_ms = time.time_ns() // 1_000_000
    hours = 3 * 168
    return Arrivals(
        feed="orders", first_hour=now_ms // HOUR_MS - hours, counts=[1_000] * hours, last_ms=now_ms - minutes_ago * MINUTE_MS
    )


async def put(settings: Settings, topic: str, key: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await producer.send_and_wait(topic, value, key=key.encode())


@pytest_asyncio.fixture
async def log(bootstrap: str, unique: Unique) -> AsyncIterator[Log]:
    """A shop whose orders have not come for twenty minutes."""
    settings = new_installation(bootstrap, unique("feed"), heartbeat_ms=200, tick_ms=200)
    await put(settings, settings.topic("control"), "rules", encode(RULES))
    await put(settings, settings.topic("progress"), ARRIVALS_KEY + "orders", encode(busy_until(20)))
    async with running_roles(settings, ("ingest", "clock", "detect")):
        made = Log(settings)
        await until_states(made, "opened", feed="orders")
        yield made


async def alerts(log: Log, *, feed: str | None) -> list[AlertRecord]:
    found = [decode_decision(value) for partition in (0, 1) for value in await log.alerts(partition)]
    return [alert for alert in found if isinstance(alert, AlertRecord) and alert.feed == feed]


async def states(log: Log, *, feed: str | None = None) -> list[str]:
    return [alert.state for alert in await alerts(log, feed=feed)]


async def until_states(log: Log, *wanted: str, feed: str | None = None) -> None:
    async def there() -> bool:
        return await states(log, feed=feed) == list(wanted)

    await until(there)


async def test_a_silent_feed_is_one_alert_and_whoever_confirms_it_lets_time_go_on(log: Log) -> None:
    (opened,) = await alerts(log, feed="orders")
    assert opened.because[0].value == "silent"

    sent = await asyncio.to_thread(confirm, log.settings, "orders", from_ms=None, until_ms=None, by="ann")
    await until_states(log, "opened", "resolved", feed="orders")
    assert sent.span.from_ms == opened.episode_start_ms
    assert sent.span.until_ms - sent.span.at_ms == DAY_MS


async def test_an_alert_that_rests_on_lost_events_is_taken_back(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    #  ann ordered 12 days ago, so she is silent since 2; what came from 11 days ago to yesterday is lost
    now_ms = time.time_ns() // 1_000_000
    await asyncio.to_thread(confirm, log.settings, "orders", from_ms=now_ms - HOUR_MS, until_ms=None, by="ann")
    bought = msgspec.structs.replace(order(0), at_ms=now_ms - 12 * DAY_MS)
    await put(log.settings, log.settings.source_prefix + "orders", "ann", encode(bought))
    await until_states(log, "opened")

    for name, value in log.settings.model_dump(exclude_defaults=True).items():
        monkeypatch.setenv(variable(name), str(value))
    span = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_ms / 1000 - days * 86_400)) for days in (11, 1)]
    monkeypatch.setattr("sys.argv", ["churnwatch", "feed", "gap", "orders", *span])
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(main)
    assert ended.value.code == 0
    await until_states(log, "opened", "retracted")
    *_, retracted = await alerts(log, feed=None)
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
    assert len(await log.committed("control", 0)) == before
