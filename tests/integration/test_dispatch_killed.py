"""Workers that are killed or asleep, receivers that fail and are away: each alert takes effect once, in order."""

import asyncio
import base64
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from detect_log import new_installation, until
from dispatch_run import Receiver, in_order, life, listening, tell, transition, wanted
from http_receiver import receiving
from kafka_server import free_ports
from processes import Worker, worker

from streams.cli import main
from streams.dispatch_lane import AT_ONCE
from streams.settings import Settings, variable

pytestmark = pytest.mark.kafka

ALERTS = [alert for step in zip(*(life(f"a{number}", 4) for number in range(24)), strict=True) for alert in step]


async def test_each_alert_takes_effect_once_and_in_order_whoever_is_killed_or_away(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    settings = installation(bootstrap, unique("killed"), tmp_path, monkeypatch, f"erp: {webhook_at(port)}")
    receiver = Receiver(failing=0.3)
    #  told      a third there    killed -9    away     another worker    back
    #  96 --------- 32 ------------- x -------- [ -------- tries ---------- ] ------> 96
    async with listening(receiver, port):
        with worker(settings, tmp_path / "first", "deliver") as first:
            await until(lambda: "lane.began" in first.said)
            await tell(settings, ALERTS)
            await until(lambda: len(receiver.heard) > len(ALERTS) / 3)
            first.process.send_signal(signal.SIGKILL)
            first.process.wait()
    assert len(receiver.heard) < len(ALERTS)

    with worker(settings, tmp_path / "second", "deliver") as second:
        await until(lambda: "sink.retry_scheduled" in second.said)
        async with listening(receiver, port):
            await until(lambda: set(receiver.heard) == wanted(ALERTS))
        assert second.stop() == 0
    assert in_order(receiver.heard)
    assert len(receiver.heard) == len(ALERTS)
    assert receiver.calls > len(ALERTS)


async def test_who_sleeps_loses_the_office_and_does_no_harm_when_it_wakes(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    settings = installation(bootstrap, unique("asleep"), tmp_path, monkeypatch, f"erp: {webhook_at(port)}")
    receiver = Receiver()
    third = len(ALERTS) // 3
    async with listening(receiver, port):
        with (
            worker(settings, tmp_path / "first", "deliver") as first,
            worker(settings, tmp_path / "second", "deliver") as second,
        ):
            await until(lambda: "worker.ready" in first.said and "worker.ready" in second.said)
            # A new lane begins at the end of the topic: what comes before that is not for it.
            await until(lambda: tells(first) != tells(second) and "lane.began" in first.said + second.said)
            owner, other = (first, second) if tells(first) else (second, first)
            #  the owner    tells [ sleeps                    ] wakes
            #  the other                take over, tells
            await tell(settings, ALERTS[:third])
            await until(lambda: len(receiver.heard) > third / 2)
            owner.process.send_signal(signal.SIGSTOP)
            await tell(settings, ALERTS[third : 2 * third])
            await until(lambda: set(receiver.heard) == wanted(ALERTS[: 2 * third]))
            assert tells(other)
            owner.process.send_signal(signal.SIGCONT)
            await until(lambda: "dispatch.lost" in owner.said or "dispatch.failed" in owner.said)
            await tell(settings, ALERTS[2 * third :])
            await until(lambda: set(receiver.heard) == wanted(ALERTS))
            assert (first.stop(), second.stop()) == (0, 0)
    assert in_order(receiver.heard)
    # Who woke may have told once more what was under way when it fell asleep.
    assert receiver.calls <= len(ALERTS) + 2 * AT_ONCE


async def test_a_storm_that_is_held_outlives_a_kill_and_is_told_when_a_command_says_so(
    bootstrap: str,
    unique: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with receiving(lambda _: web.Response(text="ok")) as room:
        monkeypatch.setenv("ROOM", room.url)
        keys = "room: {kind: slack, url: 'env:ROOM', allow: [127.0.0.1]}\nstorms: {customers: 5, within: PT1H}"
        settings = installation(bootstrap, unique("storm"), tmp_path, monkeypatch, keys)
        for name, value in settings.model_dump(exclude_defaults=True).items():
            monkeypatch.setenv(variable(name), str(value))

        async def storm(*args: str) -> tuple[int, str]:
            """The command's exit status, and its last line."""
            monkeypatch.setattr("sys.argv", ["churnwatch", "storm", *args])
            try:
                status = await asyncio.to_thread(main)
            except SystemExit as ended:
                status = int(ended.code or 0)
            said = capsys.readouterr()
            return status, (said.out + said.err).strip().splitlines()[-1]

        async def held() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads((await storm("list", "--json"))[1])["storms"]
            return found

        async def all_are_held() -> bool:
            return [one["held"] for one in await held()] == [15]

        with worker(settings, tmp_path / "first", "deliver") as first:
            await until(lambda: "lane.began" in first.said)
            assert await held() == []
            await tell(settings, [transition(f"s{number:02}", 1, "opened") for number in range(20)])
            await until(all_are_held, every_s=0.2)
            first.process.send_signal(signal.SIGKILL)
            first.process.wait()
        before = len(room.got)
        assert before == 6  # five alerts, and one message for the rest

        (one,) = await held()
        assert (one["rule"], one["recipient"], one["customers"]) == ("silent", "room", 6)
        assert await storm("release", "no-such-rule") == (1, "no alerts of 'no-such-rule' are held; held are those of silent")
        with worker(settings, tmp_path / "second", "deliver") as second:
            await until(lambda: "lane.began" in second.said)
            assert await held() == [one]
            status, said = await storm("release", "silent", "--by", "lena", "--json")
            assert (status, json.loads(said)["by"]) == (0, "lena")
            await until(lambda: len(room.got) == before + 1)
            assert second.stop() == 0
        assert await held() == []
    assert {f"s{number:02}" for number in range(20)} == set(
        re.findall(r"customer-of-(s\d\d)", str([got.body for got in room.got]))
    )


def tells(one: Worker) -> bool:
    return one.said.count("dispatch.began") > one.said.count("dispatch.lost")


def webhook_at(port: int) -> str:
    return f"{{kind: webhook, url: 'http://127.0.0.1:{port}/alerts', secret: 'env:KEY', allow: [127.0.0.1]}}"


def installation(bootstrap: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, destination: str) -> Settings:
    """One whose file of routes has a destination that is told of everything, and what else stands behind it."""
    monkeypatch.setenv("KEY", "whsec_" + base64.b64encode(b"k" * 32).decode())
    routes = folder / "routes.yaml"
    routes.write_text(f"destinations:\n  {destination}\nroutes: [{{to: [{destination.partition(':')[0]}]}}]\n")
    return new_installation(bootstrap, name).model_copy(update={"routes": routes})
