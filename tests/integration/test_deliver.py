"""Alerts, risks and stages from a broker into a real Valkey: what is committed, once, also when the server was away."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition
from detect_log import new_installation, reading, until
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway
from valkey_server import running_valkey

from schemas.codec import encode
from schemas.decisions import AlertRecord, AlertState, Decision, ErasureRecord, LifecycleRecord, RiskRecord, Versions
from streams.decision_rows import CUSTOMER_HEADER
from streams.deliver import deliver_of
from streams.settings import Settings, Topic
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


def alert(customer: str, sequence: int, state: AlertState) -> AlertRecord:
    return AlertRecord(
        customer_id=customer,
        alert_id=f"alert-of-{customer}",
        sequence=sequence,
        state=state,
        at_ms=1,
        decided_ms=1,
        rule="silent@1",
        kind="absence",
        episode_start_ms=0,
        due_ms=1,
        severity="high",
        mode="live",
        versions=Versions(engine=1, rules="1"),
    )


def risk(customer: str, sequence: int) -> RiskRecord:
    return RiskRecord(customer_id=customer, sequence=sequence, at_ms=1, probability=0.25, band="low", basis="model")


async def put(settings: Settings, topic: Topic, values: Sequence[bytes | Decision], **options: Any) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, **options) as producer:
        if options:
            await producer.begin_transaction()
        for value in values:
            written = value if isinstance(value, bytes) else encode(value)
            await producer.send_and_wait(settings.topic(topic), written, key=b"k", partition=0)
        if options:
            await producer.abort_transaction()


async def take_out(settings: Settings, topic: Topic, key: bytes, *headers: tuple[str, bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await producer.send_and_wait(settings.topic(topic), None, key=key, partition=0, headers=list(headers))


def profile(client: Any, customer: str) -> dict[str, str]:
    try:
        return dict(client.hgetall(f"churn:profile:{customer}"))
    except RedisAway:
        return {}


async def test_profiles_follow_the_topics_and_only_what_is_committed(bootstrap: str, unique: Unique) -> None:
    with running_valkey() as url:
        settings = new_installation(bootstrap, unique("deliver"), redis_url=url)
        client = Redis.from_url(url, decode_responses=True)
        await put(settings, "alerts", [alert("ada", 1, "opened"), alert("bob", 1, "opened")])
        await put(settings, "alerts", [alert("ada", 2, "resolved")], transactional_id=unique("aborted"))
        async with running_roles(settings, ["deliver"]) as roles:
            await put(settings, "risk", [risk("ada", 1)])
            await put(
                settings, "lifecycle", [LifecycleRecord(customer_id="ada", sequence=1, at_ms=5, stage="new", cause="order")]
            )
            await put(settings, "alerts", [alert("bob", 2, "resolved")])
            await until(lambda: deliver_of(roles.apps["deliver-redis"]).counters.records == 5)
        ada, bob = profile(client, "ada"), profile(client, "bob")
        client.close()

    assert (ada["probability"], ada["band"], ada["stage"], ada["open_alerts"]) == ("0.25", "low", "new", "1")
    assert json.loads(ada["alert:alert-of-ada"])["state"] == "opened"
    assert bob == {"sequence:alert:alert-of-bob": "2", "open_alerts": "0"}


async def test_what_is_taken_out_of_the_topics_leaves_the_profiles(bootstrap: str, unique: Unique) -> None:
    with running_valkey() as url:
        settings = new_installation(bootstrap, unique("forget"), redis_url=url)
        client = Redis.from_url(url, decode_responses=True)
        await put(settings, "alerts", [alert("ada", 1, "opened"), alert("bob", 1, "opened")])
        await put(settings, "risk", [risk("ada", 1), risk("bob", 1)])
        await take_out(settings, "risk", b"bob")
        async with running_roles(settings, ["deliver"]) as roles:
            counters = deliver_of(roles.apps["deliver-redis"]).counters
            await until(lambda: counters.records == 5)
            await take_out(settings, "alerts", b"alert-of-ada", (CUSTOMER_HEADER, b"ada"))
            await take_out(settings, "alerts", b"alert-of-bob", (CUSTOMER_HEADER, b"bob"))
            await take_out(settings, "alerts", b"alert-about-a-feed")
            await put(settings, "alerts", [msgspec.structs.replace(alert("x", 1, "opened"), customer_id=None, feed="orders")])
            await put(settings, "lifecycle", [ErasureRecord(customer_hash="ff", at_ms=1, alerts=0, examples=0)])
            await until(lambda: counters.records == 8 and counters.dead_letters.total() == 1)
        assert sorted(client.keys("churn:profile:*")) == ["churn:profile:ada"]
        assert (profile(client, "ada")["band"], profile(client, "ada")["open_alerts"]) == ("low", "0")
        client.close()

    assert counters.dead_letters == {"unexpected_type": 1}


async def test_a_server_that_is_away_is_waited_for_and_gets_everything(bootstrap: str, unique: Unique) -> None:
    with running_valkey() as url:
        settings = new_installation(bootstrap, unique("away"), redis_url=url)
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    await put(settings, "risk", [risk(f"c{number}", 1) for number in range(20)])
    async with running_roles(settings, ["deliver"]) as roles:
        counters = deliver_of(roles.apps["deliver-redis"]).counters
        await until(lambda: counters.retries >= 2)
        assert counters.records == 0
        with running_valkey(port):
            await until(lambda: counters.records == 20)
            client = Redis.from_url(url, decode_responses=True)
            assert all(profile(client, f"c{number}")["band"] == "low" for number in range(20))
            client.close()


async def test_without_a_server_nothing_is_acknowledged_and_one_that_comes_later_gets_all(
    bootstrap: str, unique: Unique
) -> None:
    name = unique("none")
    settings = new_installation(bootstrap, name)
    await put(settings, "risk", [risk("ada", 1)])
    async with running_roles(settings, ["deliver"]) as idle:
        assert idle.services == {}
    with running_valkey() as url:
        async with running_roles(settings.model_copy(update={"redis_url": url}), ["deliver"]) as roles:
            await until(lambda: deliver_of(roles.apps["deliver-redis"]).counters.records == 1)


async def test_a_worker_can_be_stopped_while_the_server_is_away(bootstrap: str, unique: Unique) -> None:
    with running_valkey() as url:
        settings = new_installation(bootstrap, unique("stopped"), redis_url=url)
    await put(settings, "risk", [risk("ada", 1)])
    async with asyncio.timeout(40):
        async with running_roles(settings, ["deliver"]) as roles:
            counters = deliver_of(roles.apps["deliver-redis"]).counters
            await until(lambda: counters.retries >= 1)
    with running_valkey(int(url.rsplit(":", 1)[1].split("/")[0])):
        async with running_roles(settings, ["deliver"]) as roles:
            again = deliver_of(roles.apps["deliver-redis"]).counters
            await until(lambda: again.records == 1)


async def test_a_record_that_cannot_be_read_or_kept_is_put_aside(bootstrap: str, unique: Unique) -> None:
    with running_valkey() as url:
        settings = new_installation(bootstrap, unique("aside"), redis_url=url)
        client = Redis.from_url(url, decode_responses=True)
        client.set("churn:profile:bob", "somebody else's")
        bad = [b"{", encode(risk("bob", 1))]
        await put(settings, "risk", [bad[0], risk("ada", 1), bad[1], risk("eve", 1)])
        async with running_roles(settings, ["deliver"]) as roles:
            counters = deliver_of(roles.apps["deliver-redis"]).counters
            await until(lambda: counters.records == 2)
        assert profile(client, "ada")["band"] == profile(client, "eve")["band"] == "low"
        client.close()

    assert counters.dead_letters == {"bad_json": 1, "sink_refused": 1}
    async with reading(settings, TopicPartition(settings.topic("deadletters"), 0)) as letters:
        found = {letter.value: {name: text.decode() for name, text in letter.headers} for letter in letters}
    assert [found[value]["reason"] for value in bad] == ["bad_json", "sink_refused"]
    assert [(found[value]["stage"], found[value]["offset"]) for value in bad] == [("deliver", "0"), ("deliver", "2")]
