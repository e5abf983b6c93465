"""Systems of a file of routes, told by real sinks over real sockets: each has troubles of its own, and nothing is lost."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiokafka.structs import TopicPartition
from alertmanager_server import running_alertmanager
from certificates import make_certificate
from detect_log import new_installation, reading, until
from dispatch_run import life, tell, transition
from http_receiver import Got, Receiver, receiving

from sinks.alertmanager import AlertmanagerSink
from streams.dispatch import Dispatch, app_of, new_plan, new_sink
from streams.routes_file import load_routes
from streams.settings import Settings
from streams.worker import Roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
ALERTS = [alert for number in range(4) for alert in life(f"a{number}", 3)]


@pytest.fixture
def settings(bootstrap: str, unique: Unique, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("KEY", "whsec_" + base64.b64encode(b"k" * 32).decode())
    return new_installation(bootstrap, unique("systems")).model_copy(update={"routes": tmp_path / "routes.yaml"})


def write_routes(settings: Settings, **systems: str) -> None:
    """A file by which every system is told of everything."""
    assert settings.routes is not None
    lines = [f"  {name}: {{{keys}}}" for name, keys in systems.items()]
    settings.routes.write_text("\n".join(["destinations:", *lines, f"routes: [{{to: [{', '.join(systems)}]}}]"]))


@asynccontextmanager
async def dispatching(settings: Settings) -> AsyncIterator[Dispatch]:
    assert settings.routes is not None
    routes = load_routes(settings.routes)
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


def webhook(receiver: Receiver, more: str = "") -> str:
    return f"kind: webhook, url: '{receiver.url}', secret: 'env:KEY', allow: [127.0.0.1, localhost]{more}"


def heard(receiver: Receiver) -> set[str]:
    return {got.headers["webhook-id"] for got in receiver.got}


async def test_each_system_has_its_own_trouble_and_the_one_that_is_well_hears_everything(
    settings: Settings, tmp_path: Path
) -> None:
    wanted = {f"{alert.alert_id}/{alert.sequence}" for alert in ALERTS}
    made = {days: make_certificate(folder(tmp_path / str(days)), days=days) for days in (-1, 2)}
    answers: dict[str, Callable[[Got], web.StreamResponse]] = {
        "well": lambda _: web.Response(),
        "locked": lambda _: web.Response(status=401),
        "moved": lambda _: web.Response(status=302, headers={"Location": "http://169.254.169.254/latest"}),
        "strict": lambda got: web.Response(status=400 if got.headers["webhook-id"].startswith("a1/") else 200),
    }
    async with AsyncExitStack() as stack:
        systems = {name: await stack.enter_async_context(receiving(answer)) for name, answer in answers.items()}
        expired = await stack.enter_async_context(receiving(tls=made[-1].for_server()))
        private = await stack.enter_async_context(receiving(tls=made[2].for_server()))
        keys = {name: webhook(receiver) for name, receiver in systems.items()}
        keys["expired"] = webhook(expired, f", ca: '{made[-1].certificate}'")
        keys["private"] = f"kind: webhook, url: '{private.url}', secret: 'env:KEY', ca: '{made[2].certificate}'"
        write_routes(settings, **keys)
        dispatch = await stack.enter_async_context(dispatching(settings))
        await tell(settings, ALERTS)

        await until(lambda: heard(systems["well"]) == wanted)
        await until(lambda: dispatch.counters["strict"].results["refused"] == 3)
        await until(lambda: heard(systems["strict"]) == wanted)
        held = ("locked", "moved", "expired", "private")
        await until(lambda: all(dispatch.lanes[name].caller.breaker.is_open for name in held))
        assert {name: dispatch.counters[name].results["sent"] for name in held} == dict.fromkeys(held, 0)
        assert (expired.got, private.got) == ([], [])

        for name in ("locked", "moved"):  # somebody mends them
            systems[name].got.clear()
            systems[name].answers = answers["well"]
        await until(lambda: all(heard(systems[name]) == wanted for name in ("locked", "moved")))
    async with reading(settings, TopicPartition(settings.topic("deadletters"), 0)) as letters:
        said = [dict(letter.headers)["message"].decode() for letter in letters]
    assert len(said) == 3
    assert all("answers 400" in one for one in said)


async def test_alertmanager_shows_what_is_open_across_a_restart(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AlertmanagerSink, "repeat_every_s", 0.3)
    async with receiving() as told:
        with running_alertmanager(folder(tmp_path / "alertmanager"), told.url, resolve_timeout="2s") as manager:
            write_routes(settings, pager=f"kind: alertmanager, url: '{manager.url}'")
            async with dispatching(settings):
                await tell(settings, [transition("a", 1, "opened"), transition("b", 1, "opened"), transition("c", 1, "warned")])
                await until(lambda: sorted(manager.alerts()) == ["a", "b"])
                await asyncio.sleep(2.5)
                assert sorted(manager.alerts()) == ["a", "b"]
            await until(lambda: manager.alerts() == {})  # nobody repeats them

            async with dispatching(settings):
                await until(lambda: sorted(manager.alerts()) == ["a", "b"])
                await tell(settings, [transition("a", 2, "acked"), transition("b", 2, "resolved")])
                await until(lambda: [one["annotations"]["state"] for one in manager.alerts().values()] == ["acked"])
                assert list(manager.alerts()) == ["a"]


def folder(path: Path) -> Path:
    path.mkdir()
    return path
