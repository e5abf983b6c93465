"""Webhooks over HTTP: whatever is answered 202 is in its topic, also when the process is stopped or killed meanwhile."""

import asyncio
import base64
import hmac
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from detect_log import PATIENCE_S, new_installation, until
from door_run import SECRET, records_of, signed, topics_of, url, with_door
from processes import broker_process, worker
from webhooks import Sent, load

from streams.door import Door
from streams.readiness import readiness
from streams.settings import Settings
from streams.worker import Roles, running_roles

Unique = Callable[[str], str]
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[Roles, ClientSession]]:
    async with running_roles(settings, ["door"]) as roles, ClientSession() as client:
        yield roles, client


def door_of(roles: Roles) -> Door:
    door = roles.services["door"]
    assert isinstance(door, Door)
    return door


async def post(client: ClientSession, settings: Settings, body: bytes) -> int:
    async with client.post(url(settings), data=body, headers=signed(body)) as answer:
        return answer.status


@pytest.mark.kafka
async def test_a_webhook_is_in_its_topic_as_it_came_when_it_is_answered(bootstrap: str, unique: Unique, tmp_path: Path) -> None:
    settings = with_door(new_installation(bootstrap, unique("door")), tmp_path, headers="[X-Event]")
    body = b'{ "id": 1,\n "name": "\xe4\xbd\xa0" }'
    sent = {
        "Content-Type": "application/json; charset=utf-8",
        "ce-id": "a%20b",
        "X-Event": "paid",
        "X-Other": "no",
        **signed(body),
    }
    async with served(settings) as (roles, client):
        assert readiness(roles.services)[0]
        async with client.post(url(settings), data=body, headers=sent) as answer:
            assert (answer.status, await answer.json()) == (202, {"accepted": True})
        (record,) = await records_of(settings)
    assert (record.key, record.value) == (None, body)
    assert dict(record.headers) == {
        "content-type": b"application/json; charset=utf-8",
        "ce_id": b"a b",
        "http-x-event": b"paid",
    }
    assert await records_of(settings, settings.topic("events")) == []


@pytest.mark.kafka
async def test_an_order_that_a_shop_tells_of_is_an_event_of_the_log(bootstrap: str, unique: Unique, tmp_path: Path) -> None:
    mapping = ROOT / "deploy/mappings/shopify_orders.yaml"
    settings = with_door(new_installation(bootstrap, unique("door")), tmp_path, mapping, signature="shopify")
    line, *_ = (ROOT / "tests/mappings_samples/shopify_orders.jsonl").read_bytes().splitlines()
    order = json.loads(line)
    assert order.pop("header:http-x-shopify-topic") == "orders/create"  # in a sample beside the rest, in fact a header
    body = json.dumps(order).encode()
    sign = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
    settings = settings.model_copy(update={"clock": "event"})  # the sample is of some day
    async with running_roles(settings, ["door", "ingest"]), ClientSession() as client:
        headers = {"X-Shopify-Hmac-Sha256": sign, "X-Shopify-Topic": "orders/create"}
        async with client.post(url(settings), data=body, headers=headers) as answer:
            assert answer.status == 202
        events: list[Any] = []

        async def is_there() -> bool:
            events[:] = await records_of(settings, settings.topic("events"))
            return bool(events)

        await until(is_there)
    (event,) = (json.loads(record.value) for record in events)
    assert (event["type"], event["customer_id"], event["amount"]) == ("order.placed", "115310627314723954", 398.0)


@pytest.mark.kafka
async def test_what_comes_at_once_goes_out_together_and_into_every_partition(
    bootstrap: str, unique: Unique, tmp_path: Path
) -> None:
    settings = with_door(new_installation(bootstrap, unique("door")), tmp_path)
    bodies = {f"{number}".encode() for number in range(300)}
    async with served(settings) as (roles, client):
        assert await asyncio.gather(*(post(client, settings, body) for body in bodies)) == [202] * 300
        lane = door_of(roles)._entrances[topics_of(settings)[0]].lane
        records = await records_of(settings)
    assert lane._batches < 100
    assert sorted(record.value for record in records) == sorted(bodies)
    assert {record.partition for record in records} == {0, 1}


async def test_a_broker_that_does_not_answer_is_told_to_senders_and_to_probes_until_it_does(
    unique: Unique, tmp_path: Path
) -> None:
    with broker_process() as (broker, bootstrap):
        settings = with_door(new_installation(bootstrap, unique("door"), door_wait_ms=300), tmp_path)
        async with served(settings) as (roles, client):
            assert await post(client, settings, b"before") == 202
            broker.send_signal(signal.SIGSTOP)
            async with client.post(url(settings), data=b"meanwhile", headers=signed(b"meanwhile")) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            ready, body = readiness(roles.services)
            assert not ready
            assert b'"code":"not_written"' in body
            assert await post(client, settings, b"at once") == 503
            broker.send_signal(signal.SIGCONT)
            await until(lambda: readiness(roles.services)[0])
            assert await post(client, settings, b"after") == 202
            values = {record.value for record in await records_of(settings)}
        assert {b"before", b"after"} <= values <= {b"before", b"meanwhile", b"after"}


async def test_a_stop_does_not_wait_for_a_broker_that_does_not_answer_and_senders_are_told(
    unique: Unique, tmp_path: Path
) -> None:
    with broker_process() as (broker, bootstrap):
        settings = with_door(new_installation(bootstrap, unique("door")), tmp_path)
        with worker(settings, tmp_path / "worker", "door") as running:
            await until(lambda: "worker.ready" in running.said)
            broker.send_signal(signal.SIGSTOP)
            async with ClientSession() as client:
                asking = asyncio.create_task(post(client, settings, b"too late"))
                await asyncio.sleep(0.2)
                assert await asyncio.to_thread(running.stop) == 0, running.said
                assert await asking == 503


@pytest.mark.kafka
async def test_nothing_that_was_answered_is_lost_while_the_process_is_killed_stopped_and_started_again(
    bootstrap: str, unique: Unique, tmp_path: Path
) -> None:
    #  first             second
    #  |------- SIGKILL  |------- SIGTERM     the load goes on all the time
    settings = with_door(new_installation(bootstrap, unique("door")), tmp_path, rate_per_s=1_000_000)
    sent = Sent()
    sending = asyncio.create_task(load(url(settings), sent, seconds=PATIENCE_S, connections=50))
    for end, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        with worker(settings, tmp_path / end.name, "door") as running:
            await answered_more(sent)
            running.process.send_signal(end)
            assert await asyncio.to_thread(running.process.wait, 10) == status, running.said
    sent.enough = True
    result = await sending
    assert set(result.status_codes) <= {202, 503}
    assert sent.lost([record.value for record in await records_of(settings)]) == set()


async def answered_more(sent: Sent) -> None:
    enough = len(sent.answered) + 500
    await until(lambda: len(sent.answered) >= enough)
