"""A Redis that loses what it had: emptied, stopped, or brought back as it was before. It ends as the topics say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from decisions_written import CUSTOMERS, writing
from detect_log import new_installation, until
from redis import Redis
from redis_contents import KEYS, differences
from valkey_server import running_valkey

from streams.deliver import deliver_of
from streams.settings import Settings
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


async def test_emptied_in_the_middle_it_ends_as_the_topics_say(bootstrap: str, unique: Unique) -> None:
    #  round round  |flush| round  erased  |flush|
    with running_valkey() as url:
        settings = new_installation(bootstrap, unique("flushed"), redis_url=url)
        client: Any = Redis.from_url(url)
        async with writing(settings) as decisions, running_roles(settings, ["deliver"]) as roles:
            counters = deliver_of(roles.apps["deliver-redis"]).counters
            await decisions.a_round()
            await decisions.a_round()
            await until(lambda: client.zcard(KEYS.lists.ranking) == CUSTOMERS)
            client.flushall()
            await decisions.a_round()
            await decisions.erase_some()
            await until(lambda: client.zcard(KEYS.lists.ranking) == CUSTOMERS * 7 // 8)
            await until(lambda: same(settings, url))
            client.flushall()
            await until(lambda: same(settings, url))
            assert counters.moves == 2
        client.close()


async def test_emptied_while_no_worker_runs_it_is_filled_by_the_next(bootstrap: str, unique: Unique) -> None:
    with running_valkey() as url:
        settings = new_installation(bootstrap, unique("idle"), redis_url=url)
        async with writing(settings) as decisions:
            await decisions.a_round()
        async with running_roles(settings, ["deliver"]):
            await until(lambda: same(settings, url))
        Redis.from_url(url).flushall()
        async with running_roles(settings, ["deliver"]):
            await until(lambda: same(settings, url))


async def test_brought_back_from_an_older_copy_it_is_brought_up_to_date(bootstrap: str, unique: Unique, tmp_path: Path) -> None:
    #  round  |saved|  round  round  |stopped, started from what was saved|
    with running_valkey(data_dir=tmp_path) as url:
        settings = new_installation(bootstrap, unique("copy"), redis_url=url)
        client: Any = Redis.from_url(url)
        async with writing(settings) as decisions, running_roles(settings, ["deliver"]) as roles:
            await decisions.a_round()
            await until(lambda: same(settings, url))
            client.save()
            await decisions.a_round()
            await decisions.a_round()
            await until(lambda: same(settings, url))
            client.shutdown(nosave=True)
            with running_valkey(int(url.rsplit(":", 1)[1].split("/")[0]), data_dir=tmp_path):
                assert client.hget(KEYS.profile("c1"), "sequence:risk") == b"1"
                await until(lambda: same(settings, url))
                assert client.hget(KEYS.profile("c1"), "sequence:risk") == b"3"
                assert deliver_of(roles.apps["deliver-redis"]).counters.moves == 1
        client.close()


async def same(settings: Settings, url: str) -> bool:
    return not await differences(settings, url)
