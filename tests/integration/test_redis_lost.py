"""A Redis that loses what it had: emptied, stopped, or brought back as it was before. It ends as the topics say."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from alert_records import alert
from detect_log import new_installation, until
from msgspec.structs import replace
from redis import Redis
from redis_contents import KEYS, differences
from valkey_server import running_valkey

from schemas.codec import encode
from schemas.decisions import AlertState, LifecycleRecord, RiskRecord
from streams.decision_rows import CUSTOMER_HEADER, ERASED_HEADER
from streams.deliver import deliver_of
from streams.settings import Settings, Topic
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
CUSTOMERS = 40
STATES: list[AlertState] = ["warned", "opened", "acked", "resolved"]


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator["Decisions"]:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        yield Decisions(settings, producer)


class Decisions:
    """Writes what detect would: risks, stages and alerts of forty customers, of whom every eighth is erased."""

    def __init__(self, settings: Settings, producer: Any) -> None:
        self._settings, self._producer = settings, producer
        self._sequences = itertools.count(1)

    async def a_round(self) -> None:
        sequence = next(self._sequences)
        for number in range(CUSTOMERS):
            name = f"c{number}"
            value = 100.0 * number if number % 3 else None
            risk = RiskRecord(customer_id=name, sequence=sequence, at_ms=sequence, probability=0.5, band="high", basis="model")
            await self._put("risk", name, encode(replace(risk, owner=f"owner-{number % 4}", value=value)))
            stage = LifecycleRecord(customer_id=name, sequence=sequence, at_ms=sequence, stage="active", cause="order")
            await self._put("lifecycle", name, encode(stage))
            state = STATES[min(sequence, 1 + number % 4) - 1]
            about = replace(alert(state), alert_id=f"alert-{number}", customer_id=name, sequence=sequence, owner="kim")
            await self._put("alerts", name, encode(about), key=f"alert-{number}")
        await self._producer.flush()

    async def erase_some(self) -> None:
        erased = (ERASED_HEADER, b"1000")
        for number in range(0, CUSTOMERS, 8):
            name = f"c{number}"
            owner = (CUSTOMER_HEADER, name.encode())
            await self._put("alerts", name, None, owner, erased, key=f"alert-{number}")
            await self._put("risk", name, None, erased)
            await self._put("lifecycle", name, None, erased)
        await self._producer.flush()

    async def _put(self, topic: Topic, name: str, value: bytes | None, *headers: tuple[str, bytes], key: str = "") -> None:
        place = {"key": (key or name).encode(), "partition": int(name[1:]) % self._settings.partitions}
        await self._producer.send(self._settings.topic(topic), value, headers=list(headers), **place)


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
