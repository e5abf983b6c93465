"""The read model made anew: as the topics say, whatever stood there, and whoever delivers meanwhile."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from decisions_written import CUSTOMERS, writing
from detect_log import new_installation, until
from redis import Redis
from redis_contents import KEYS, differences, lists_of
from typer.testing import CliRunner
from valkey_server import running_valkey

from schemas.decisions import RiskRecord
from sinks.base import SinkError
from sinks.redis_client import RedisTerms
from sinks.redis_rebuild import RedisRebuild
from sinks.redis_store import RedisStore
from sinks.stores import StoreMoved
from streams.cli import app
from streams.deliver import deliver_of
from streams.rebuild import RebuildRefused, rebuild_redis
from streams.settings import Settings, SettingsError, load_settings
from streams.worker import running_roles

Unique = Callable[[str], str]


async def rebuilt(settings: Settings) -> dict[str, Any]:
    return (await asyncio.to_thread(rebuild_redis, settings, bar=False)).as_json()


@pytest.mark.kafka
async def test_whatever_stood_there_it_ends_as_the_topics_say(bootstrap: str, unique: Unique) -> None:
    with running_valkey() as url:
        settings, client = new_installation(bootstrap, unique("anew"), redis_url=url), Redis.from_url(url)
        async with writing(settings) as decisions:
            for _ in range(3):
                await decisions.a_round()
            await decisions.erase_some()
        # Somebody who is gone from the topics, an alert that is gone, a number from before the topics were made again, an
        # entry of a list without a profile, and a risk that is missing.
        await filled(settings)
        right = await lists_of(url)
        client.hset(KEYS.profile("ghost"), mapping={"sequence:risk": 3, "band": "high", "owner": "kim", "open_alerts": 0})
        client.hset(
            KEYS.profile("c1"), mapping={"sequence:alert:gone": 1, "alert:gone": '{"severity":"high"}', "open_alerts": 2}
        )
        client.hset(KEYS.profile("c2"), mapping={"sequence:risk": 99, "band": "low", "owner": "nobody"})
        client.zadd(KEYS.lists.ranking, {"ghost": 5})
        client.zadd(KEYS.lists.ranking_of("nobody"), {"c2": 5})
        client.hdel(KEYS.profile("c3"), "sequence:risk", "band")
        assert await differences(settings, url)
        client.set(KEYS.profile("somebody-else-s"), "kept")

        done = await rebuilt(settings)

        assert client.getdel(KEYS.profile("somebody-else-s")) == b"kept"
        assert await differences(settings, url) == []
        assert await lists_of(url) == right
        assert done["removed"] == 3  # the ghost's risk, the alert, the number
        assert client.keys("churn:new:*") == client.keys(KEYS.rebuilding) == []
        client.close()


@pytest.mark.kafka
async def test_workers_wait_for_it_and_go_on_from_where_it_was_read_to(bootstrap: str, unique: Unique) -> None:
    with running_valkey() as url:
        settings, client = new_installation(bootstrap, unique("beside"), redis_url=url), Redis.from_url(url)
        async with writing(settings) as decisions, running_roles(settings, ["deliver"]) as roles:
            counters = deliver_of(roles.apps["deliver-redis"]).counters
            await decisions.a_round()
            await until(lambda: client.zcard(KEYS.lists.ranking) == CUSTOMERS)
            writer = asyncio.create_task(rounds(decisions))
            for _ in range(3):
                await rebuilt(settings)
            await writer
            await decisions.erase_some()
            await until(lambda: same(settings, url))
            assert counters.moves >= 1
            taken = counters.records
            await rebuilt(settings)
            await decisions.a_round()
            await until(lambda: same(settings, url))
            # The last round, and the batch that was in Redis and not yet counted; not everything, seven rounds, once more.
            assert counters.records - taken < 2 * 3 * CUSTOMERS
        client.close()


async def rounds(decisions: Any) -> None:
    for _ in range(5):
        await decisions.a_round()


@pytest.mark.kafka
async def test_the_command_says_what_it_did(bootstrap: str, unique: Unique, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_valkey() as url:
        settings = new_installation(bootstrap, unique("said"), redis_url=url)
        async with writing(settings) as decisions:
            await decisions.a_round()
        for name, value in settings.model_dump(exclude_defaults=True).items():
            monkeypatch.setenv(f"CHURN_{name.upper()}", str(value))
        said = await asyncio.to_thread(CliRunner().invoke, app, ["rebuild", "redis", "--json"])
        assert said.exit_code == 0, said.output
        done = json.loads(said.stdout.splitlines()[-1])
        assert (done["records"], done["profiles"], done["removed"], done["refused"]) == (3 * CUSTOMERS, CUSTOMERS, 0, 0)
        Redis.from_url(url).set(KEYS.profile("c0"), "somebody else's")
        said = await asyncio.to_thread(CliRunner().invoke, app, ["rebuild", "redis"])
        assert said.exit_code == 1
        assert "3 records were refused" in said.stdout


@pytest.mark.kafka
def test_without_topics_nothing_is_touched(bootstrap: str, unique: Unique) -> None:
    with running_valkey() as url:
        client = Redis.from_url(url)
        with pytest.raises(RebuildRefused, match="`churnwatch topics` creates it"):
            rebuild_redis(load_settings(bootstrap=bootstrap, prefix=unique("none"), redis_url=url), bar=False)
        assert client.keys() == []
        client.close()


def test_without_redis_it_says_so() -> None:
    with pytest.raises(SettingsError, match="CHURN_REDIS_URL is not set"):
        rebuild_redis(load_settings(redis_url=""), bar=False)


async def test_two_at_once_are_refused_and_one_that_was_given_up_is_gone_on_with() -> None:
    risk = RiskRecord(customer_id="ada", sequence=1, at_ms=1, probability=0.5, band="high", basis="model")
    with running_valkey() as url:
        client, terms = Redis.from_url(url), RedisTerms(url)
        store, first, second = RedisStore(terms), RedisRebuild(terms), RedisRebuild(terms)
        await store.positions(["risk/0"])
        await store.deliver([risk])
        await store.advance({"risk/0": 1})
        await first.begin()
        with pytest.raises(SinkError, match="made anew"):
            await second.begin()
        with pytest.raises(StoreMoved):
            await store.deliver([risk])
        with pytest.raises(SinkError, match="it is waited for"):
            await store.positions(["risk/0"])

        client.delete(KEYS.rebuilding)  # as when it expires
        assert await store.positions(["risk/0"]) == {"risk/0": 0}
        await store.deliver([risk])
        for late in (first.write([risk]), first.still_alive(), first.finish({"risk/0": 1})):
            with pytest.raises(StoreMoved):
                await late
        assert await store.advance({"risk/0": 1}) == {"risk/0": 1}
        for one in (store, first, second):
            await one.close()
        client.close()


async def filled(settings: Settings) -> None:
    async with running_roles(settings, ["deliver"]):
        await until(lambda: same(settings, settings.redis_url))


async def same(settings: Settings, url: str) -> bool:
    return not await differences(settings, url)
