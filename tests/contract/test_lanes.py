"""What a lane promises, whatever kind of sink it has: each kind tells three recipients, of which one is well, one refuses
everything for now, and one never answers.
"""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from email import message_from_bytes, policy
from typing import Any, Literal

import orjson
import pytest
from aiohttp import web
from aiosmtpd.smtp import Envelope, Session
from detect_log import new_installation, until
from dispatch_run import in_order, life, tell, transition
from http_receiver import Got, receiving
from mail_server import mail_server

from schemas.codec import decode_decision
from schemas.decisions import AlertRecord
from sinks.routes import Routes
from streams.dispatch import Dispatch, app_of, new_plan, new_sink
from streams.routes_file import load_routes
from streams.routes_kinds import KINDS
from streams.settings import Settings
from streams.worker import Roles

pytestmark = pytest.mark.kafka

Mood = Literal["well", "failing", "silent"]
MOODS: tuple[Mood, ...] = ("well", "failing", "silent")
CLOSING = [f"a{number}" for number in range(6)]
STAYING = [f"b{number}" for number in range(6)]
OPENED = [transition(name, 1, "opened") for name in CLOSING + STAYING]
LATER = [step for name in CLOSING for step in life(name, 3)[1:]] + [transition(name, 2, "acked") for name in STAYING]
FINE = {"feishu": '{"code": 0}', "dingtalk": '{"errcode": 0}', "wecom": '{"errcode": 0}'}
SEQUENCES = {"opened": 1, "acked": 2, "resolved": 3}


class Place:
    """Where a recipient hears of alerts. It acts once on each step, however often that is told."""

    def __init__(self, kind: str, mood: Mood) -> None:
        self.kind, self.mood = kind, mood
        self.heard: list[tuple[str, int]] = []
        self.calls = self.most_at_once = 0
        self._at_once = 0

    async def asked(self, told: Callable[[], list[tuple[str, int]]]) -> bool:
        """Whether it takes what it is told; it may take its time to say so."""
        self.calls += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        was = self.mood
        try:
            while self.mood == "silent":  # noqa: ASYNC110 - a mail server has a loop of its own
                await asyncio.sleep(0.02)
        finally:
            self._at_once -= 1
        if was == "well":
            self.heard += [step for step in told() if step not in self.heard]
        return was == "well"

    async def take(self, got: Got) -> web.StreamResponse:
        """As a system, or a room, over HTTP."""
        taken = await self.asked(lambda: _in_post(self.kind, got.body))
        return web.Response(text=FINE.get(self.kind, "ok")) if taken else web.Response(status=503)

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """As a mail server."""
        taken = await self.asked(lambda: _in_mail(envelope.content))
        return "250 taken" if taken else "451 later"


def _in_post(kind: str, body: bytes) -> list[tuple[str, int]]:
    if kind == "webhook":
        alert = decode_decision(body)
        assert isinstance(alert, AlertRecord)
        return [(alert.alert_id, alert.sequence)]
    found = orjson.loads(body)
    if kind == "alertmanager":
        return [(one["labels"]["alert_id"], SEQUENCES[one["annotations"]["state"]]) for one in found]
    return _in_words(str(found))


def _in_mail(content: bytes | str | None) -> list[tuple[str, int]]:
    assert isinstance(content, bytes)
    return _in_words(message_from_bytes(content, policy=policy.default)["Subject"])


def _in_words(text: str) -> list[tuple[str, int]]:
    """Steps that a text for people is about; of one that says it twice, the first."""
    found = re.findall(r"customer\W+of\W+(\w+): silent, (\w+)", text)
    assert found, text
    return [(name, SEQUENCES[state]) for name, state in found[:1]]


def said_of(kind: str, port: int) -> str:
    """The keys of a destination in a file of routes."""
    url = f"url: 'http://127.0.0.1:{port}/hook'"
    match kind:
        case "email":
            return f"kind: email, server: 'smtp://127.0.0.1:{port}', allow: [127.0.0.1], from: 'churn@example.com'"
        case "webhook":
            return f"kind: webhook, {url}, secret: 'env:KEY', allow: [127.0.0.1]"
        case "alertmanager":
            return f"kind: alertmanager, {url}"
        case _:  # a room
            return f"kind: {kind}, url: 'env:URL_{port}', allow: [127.0.0.1]"


@asynccontextmanager
async def dispatching(settings: Settings, routes: Routes) -> AsyncIterator[Dispatch]:
    dispatch = Dispatch(settings, routes, new_plan, lambda recipient, of: new_sink(settings, recipient, of))
    roles = Roles({"deliver-dispatch": app_of(dispatch)})
    try:
        await roles.start()
        await until(lambda: all(name in dispatch.lanes and dispatch.lanes[name].offsets for name in routes.recipients))
        yield dispatch
    finally:
        await roles.stop()
    if roles.crash_reason is not None:
        raise roles.crash_reason


async def opened_places(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Place], str]:
    """A place of each kind in each mood, by the name of who is reached there; and the file of routes."""
    monkeypatch.setenv("KEY", "whsec_" + base64.b64encode(b"k" * 32).decode())
    places: dict[str, Place] = {}
    destinations, people = [], []
    for kind in KINDS:
        for mood in MOODS:
            name, place = f"{kind}-{mood}", Place(kind, mood)
            places[name] = place
            if kind == "email":
                port = await stack.enter_async_context(mail_server(place))
                destinations.append(f"  post-{mood}: {{{said_of(kind, port)}}}")
                people.append(f"  {name}: {{via: post-{mood}, address: 'ann@example.com'}}")
                continue
            receiver = await stack.enter_async_context(receiving(place.take))
            port = int(receiver.url.split(":")[2].split("/")[0])
            monkeypatch.setenv(f"URL_{port}", receiver.url)
            destinations.append(f"  {name}: {{{said_of(kind, port)}}}")
    everybody = ", ".join(places)
    return places, "\n".join(["destinations:", *destinations, "people:", *people, f"routes: [{{to: [{everybody}]}}]", ""])


def owed(routes: Routes, name: str) -> set[tuple[str, int]]:
    """What a recipient who was well all the time has heard in the end: people are not told who took care of an alert."""
    steps = {(alert.alert_id, alert.sequence) for alert in OPENED + LATER}
    return steps if routes.recipients[name].audience == "machine" else {step for step in steps if step[1] != 2}


async def test_lanes_of_every_kind_keep_order_hold_what_fails_up_to_a_limit_and_go_on_where_they_were(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, file = new_installation(bootstrap, unique("lanes")), tmp_path / "routes.yaml"
    async with AsyncExitStack() as stack:
        places, text = await opened_places(stack, monkeypatch)
        file.write_text(text)
        routes = load_routes(file)
        well = [name for name, place in places.items() if place.mood == "well"]
        ill = [name for name in places if name not in well]
        machines = {name for name in places if routes.recipients[name].audience == "machine"}

        #  opened ---- the rest -------- stop ---- all are well ---- stop
        #       well: |hears         |hears
        #       ill:  |asked, holds                      |hears
        async with dispatching(settings, routes) as dispatch:
            began = {name: list(dispatch.lanes[name].offsets) for name in ill}
            await tell(settings, OPENED)
            await until(lambda: all(len(places[name].heard) == len(OPENED) for name in well))
            await tell(settings, LATER)
            await until(lambda: all(set(places[name].heard) == owed(routes, name) for name in well))
            await until(lambda: all(places[name].calls for name in ill))
            # Nothing is taken out of the topic behind what is held, so it does not matter how much there is.
            assert {name: dispatch.lanes[name].offsets for name in ill} == began
            assert all(dispatch.counters[name].results["sent"] == 0 for name in ill)
            assert all(dispatch.lanes[f"{kind}-failing"].caller.breaker.failing_since_s is not None for kind in KINDS)
            assert all(places[f"{kind}-silent"].calls <= (8 if f"{kind}-silent" in machines else 1) for kind in KINDS)
        assert all(places[name].most_at_once <= (8 if name in machines else 1) for name in places)
        assert [places[name].heard for name in ill] == [[]] * len(ill)

        heard_before = {name: list(places[name].heard) for name in well}
        for name in ill:
            places[name].mood = "well"
        async with dispatching(settings, routes) as dispatch:
            await until(lambda: all(lane.behind_records == 0 for lane in dispatch.lanes.values()))
            await until(lambda: all(set(places[name].heard) == owed(routes, name) for name in machines))
            # What was over before people heard of it is not told to them, but for the one that was being told: perhaps it was.
            open_now = {(name, 1) for name in STAYING}
            await until(lambda: all(set(places[name].heard) >= open_now for name in ill if name not in machines))
        assert {name: places[name].heard for name in well} == heard_before
        assert all(in_order(places[name].heard) for name in machines)
        for name in set(ill) - machines:
            ends = set(places[name].heard) - open_now - {(other, 1) for other in CLOSING}
            assert len(ends) <= 1, name
            assert ends <= {(other, 3) for other in CLOSING}, name
