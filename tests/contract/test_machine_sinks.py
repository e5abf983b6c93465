"""What every sink for systems promises, each against a receiver on a real socket that keeps what it was told."""

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
import pytest
from aiohttp import web
from detect_log import until
from dispatch_run import life, transition
from http_receiver import Got, Receiver, receiving

from schemas.codec import decode_decision
from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.secret import Secret
from sinks.alertmanager import AlertmanagerSink, AlertmanagerTerms
from sinks.base import Delivery, Notice, Sink, SinkError
from sinks.http_calls import CallTerms
from sinks.webhook import WebhookSink, WebhookTerms

HISTORY: list[Delivery] = [
    step for steps in zip(*(life(f"a{number}", 5) for number in range(6)), strict=True) for step in steps
]
OPEN: list[Delivery] = [transition("open", 1, "opened"), transition("open", 2, "escalated")]


class System(Protocol):
    """A system that is told, and is idempotent as the README asks it to be."""

    sink: Sink
    receiver: Receiver

    def holds(self) -> dict[str, str]:
        """Alerts that it takes for open, with their states."""

    def heard(self) -> list[tuple[str, str]]:
        """What it learned that was new to it, in its order: an alert and its state."""

    def mentions(self, got: Got) -> list[str]:
        """The alerts that a call is about."""


class Hooked:
    """Takes each `webhook-id` once."""

    def __init__(self, receiver: Receiver) -> None:
        call = CallTerms(Secret(receiver.url), allow=("127.0.0.1",))
        self.sink = WebhookSink("erp", WebhookTerms(call, (Secret("whsec_" + "a" * 32),)), "/churnwatch", lambda: 0)
        self.receiver = receiver

    def holds(self) -> dict[str, str]:
        latest: dict[str, AlertRecord] = {}
        for record in self._taken().values():
            if record.sequence > (latest[record.alert_id].sequence if record.alert_id in latest else 0):
                latest[record.alert_id] = record
        return {name: record.state for name, record in latest.items() if record.state not in CLOSED_STATES}

    def heard(self) -> list[tuple[str, str]]:
        return [(record.alert_id, record.state) for record in self._taken().values()]

    def mentions(self, got: Got) -> list[str]:
        return [got.headers["webhook-id"].partition("/")[0]]

    def _taken(self) -> dict[str, AlertRecord]:
        taken: dict[str, AlertRecord] = {}
        for got in self.receiver.got:
            record = decode_decision(got.body)
            assert isinstance(record, AlertRecord)
            taken.setdefault(got.headers["webhook-id"], record)
        return taken


class Managed:
    """Keeps the last word on each alert."""

    def __init__(self, receiver: Receiver) -> None:
        call = CallTerms(Secret(receiver.url), allow=("127.0.0.1",))
        self.sink = AlertmanagerSink("pager", AlertmanagerTerms(call), lambda record: record.state)
        self.receiver = receiver

    def holds(self) -> dict[str, str]:
        return {name: state for name, state in dict(self._told()).items() if state not in CLOSED_STATES}

    def heard(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys(self._told()))

    def mentions(self, got: Got) -> list[str]:
        return [one["labels"]["alert_id"] for one in json.loads(got.body)]

    def _told(self) -> list[tuple[str, str]]:
        return [
            (one["labels"]["alert_id"], one["annotations"]["state"])
            for got in self.receiver.got
            for one in json.loads(got.body)
        ]


@pytest.fixture(params=[Hooked, Managed], ids=["webhook", "alertmanager"])
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with receiving() as receiver:
        made: System = request.param(receiver)
        yield made
        await made.sink.close()


async def one_by_one(sink: Sink, records: Sequence[Delivery]) -> None:
    """As a lane tells them: until each is taken."""
    for record in records:
        while True:
            try:
                await sink.deliver([record])
                break
            except SinkError as error:
                if not error.retryable:
                    raise


async def test_all_at_once_and_one_by_one_end_alike(system: System) -> None:
    await system.sink.deliver(HISTORY + OPEN)
    assert system.holds() == {"open": "escalated"}
    system.receiver.got.clear()
    await one_by_one(system.sink, [renamed(record) for record in HISTORY + OPEN])
    assert system.holds() == {"open-2": "escalated"}


async def test_the_same_again_and_older_ones_change_nothing(system: System) -> None:
    await one_by_one(system.sink, HISTORY + OPEN)
    holds, heard = system.holds(), system.heard()
    for again in (HISTORY, HISTORY[:7], OPEN[:1], [*OPEN, *HISTORY]):
        await system.sink.deliver(again)
        await one_by_one(system.sink, again)
        assert (system.holds(), system.heard()) == (holds, heard)


async def test_a_system_that_fails_now_and_then_hears_everything_once_and_in_order(system: System) -> None:
    chance, receiver = random.Random(3), system.receiver

    def failing(got: Got) -> web.StreamResponse:
        fails, has_taken = chance.random() < 0.3, chance.random() < 0.5
        if fails and not has_taken:
            receiver.got.remove(got)
        return web.Response(status=503 if fails else 200)

    receiver.answers = failing
    await one_by_one(system.sink, HISTORY + OPEN)
    assert system.holds() == {"open": "escalated"}
    for name in ("a0", "a5"):
        states = [state for alert_id, state in system.heard() if alert_id == name]
        assert (states[0], states[-1]) == ("opened", "resolved")
        assert set(states[1:-1]) == {"acked"}


async def test_what_is_refused_is_named_by_its_place_and_the_rest_is_taken(system: System) -> None:
    system.receiver.answers = refusing(system, {"a1", "a3"})
    records: list[Delivery] = [
        transition("a0", 1, "opened"),
        transition("a1", 1, "opened"),
        Notice("k", "digest", "ann", "", "en", "UTC"),
        transition("a2", 1, "opened"),
        transition("a3", 1, "opened"),
    ]
    with pytest.raises(SinkError) as caught:
        await system.sink.deliver(records)

    assert (caught.value.retryable, caught.value.refused) == (False, (1, 4))
    assert {name for got in system.receiver.got for name in system.mentions(got)} == {"a0", "a1", "a2", "a3"}


@pytest.mark.parametrize("status", [401, 404, 302, 429, 500])
async def test_what_may_be_mended_is_told_once_it_is(system: System, status: int) -> None:
    receiver = system.receiver

    def answer(got: Got) -> web.StreamResponse:
        receiver.got.remove(got)
        return web.Response(status=status)

    receiver.answers = answer
    with pytest.raises(SinkError) as caught:
        await system.sink.deliver(OPEN)
    assert (caught.value.retryable, caught.value.refused) == (True, ())
    assert system.holds() == {}

    receiver.answers = lambda _: web.Response()
    await system.sink.deliver(OPEN)
    assert system.holds() == {"open": "escalated"}


async def test_what_is_for_people_is_passed_over_and_nothing_at_all_is_no_call(system: System) -> None:
    await system.sink.deliver([])
    await system.sink.deliver([Notice("k", "digest", "ann", "", "en", "UTC")])
    assert system.receiver.got == []


async def test_it_lets_go_of_its_connections_and_can_be_closed_before_the_first_call_and_twice(system: System) -> None:
    await system.sink.close()
    await system.sink.deliver(OPEN)
    call = system.receiver.got[0].request
    assert call.transport is not None
    await system.sink.close()
    await system.sink.close()
    await until(lambda: call.transport is None)


def renamed(record: Delivery) -> AlertRecord:
    assert isinstance(record, AlertRecord)
    return msgspec.structs.replace(record, alert_id=f"{record.alert_id}-2")


def refusing(system: System, names: set[str]) -> Callable[[Got], web.StreamResponse | Awaitable[web.StreamResponse]]:
    return lambda got: web.Response(status=400 if names & set(system.mentions(got)) else 200)
