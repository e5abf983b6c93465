"""What a link in a message leads to: looking changes nothing, the button does what it says, once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientSession
from aiokafka.structs import TopicPartition
from detect_log import new_installation, reading
from dispatch_run import routes_to, tell, transition
from door_run import free_port

from schemas.codec import decode_record
from schemas.events import AlertAcked, AlertSnoozed
from schemas.instants import DAY_MS
from schemas.secret import Secret
from sinks.routes import LinkTerms, Recipient
from streams.door import Door
from streams.links import Grant, signed
from streams.readiness import readiness
from streams.settings import Settings
from streams.wallclock import now_ms
from streams.worker import Roles, running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
TERMS = LinkTerms("http://127.0.0.1", (Secret("a-secret-that-is-long-enough"),), DAY_MS)
LENA = Recipient("lena", "people", "room", ZoneInfo("Asia/Shanghai"), "zh", is_person=True)


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(bootstrap, unique("pages"), door_port=free_port(), door_host="127.0.0.1")


class Pages:
    """A door with links alone."""

    def __init__(self, settings: Settings) -> None:
        routes = replace(routes_to(room="people"), links=TERMS)
        routes = replace(routes, recipients={**routes.recipients, "lena": LENA})
        self.settings = settings
        self.roles = Roles({"door": Door(settings, [], routes)})

    async def __aenter__(self) -> "Pages":
        await self.roles.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.roles.stop()

    def token(self, alert_id: str, action: Any, recipient: str = "room", expires_ms: int | None = None) -> str:
        return signed(TERMS, Grant(alert_id, action, recipient, expires_ms or now_ms() + DAY_MS))

    async def ask(self, method: str, token: str) -> tuple[int, str, dict[str, str]]:
        url = f"http://127.0.0.1:{self.settings.door_port}/alerts/{token}"
        async with ClientSession() as client, client.request(method, url) as answer:
            return answer.status, await answer.text(), dict(answer.headers)

    async def sent(self) -> list[Any]:
        async with reading(self.settings, TopicPartition(self.settings.topic("actions"), 0)) as records:
            return [decode_record(record.value or b"") for record in records]


async def test_looking_changes_nothing_and_the_button_does_it(settings: Settings) -> None:
    await tell(settings, [transition("alert-0001", 1, "opened")])
    async with Pages(settings) as pages:
        assert readiness(pages.roles.services)[0]
        token = pages.token("alert-0001", "ack")
        for method in ("GET", "HEAD", "GET"):
            status, text, headers = await pages.ask(method, token)
            assert status == 200
        assert await pages.sent() == []
        assert "customer-of-alert-0001: silent" in text
        assert '<button type="submit">I take care of it</button>' in text
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "form-action 'self'" in headers["Content-Security-Policy"]

        status, text, _ = await pages.ask("POST", token)
        assert (status, "Done: I take care of it." in text) == (200, True)
        (acked,) = await pages.sent()
        assert isinstance(acked, AlertAcked)
        assert (acked.alert_id, acked.customer_id, acked.by) == ("alert-0001", "customer-of-alert-0001", "room")

        await pages.ask("POST", token)
        again = await pages.sent()
        assert {event.id for event in again} == {acked.id}, "the engine drops what it has seen"
        counted = pages.roles.services["door"].counters.requests  # type: ignore[attr-defined]  # a door
        assert counted["(alerts)", 200] == 5


async def test_each_link_does_its_own_and_speaks_the_language_of_its_reader(settings: Settings) -> None:
    await tell(settings, [transition("alert-0002", 1, "opened")])
    async with Pages(settings) as pages:
        status, text, _ = await pages.ask("POST", pages.token("alert-0002", "snooze_7d", "lena"))
        await pages.ask("POST", pages.token("alert-0002", "saved"))
        snoozed, judged = await pages.sent()

    assert (status, "已完成：一周后再说。" in text, '<html lang="zh">' in text) == (200, True, True)
    assert isinstance(snoozed, AlertSnoozed)
    assert snoozed.until_ms - snoozed.at_ms == 7 * DAY_MS
    assert (judged.type, judged.verdict) == ("alert.judged", "saved")


async def test_what_is_forged_expired_unknown_or_over_is_said_and_nothing_is_sent(settings: Settings) -> None:
    await tell(settings, [transition("alert-0003", 1, "opened"), transition("alert-0003", 2, "resolved")])
    async with Pages(settings) as pages:
        good = pages.token("alert-0003", "ack")
        asked = {
            "forged": await pages.ask("POST", good[:-1] + ("A" if good[-1] != "A" else "B")),
            "expired": await pages.ask("POST", pages.token("alert-0003", "ack", expires_ms=1)),
            "unknown": await pages.ask("POST", pages.token("nobody-knows-it", "ack")),
            "over": await pages.ask("POST", good),
            "over, looked at": await pages.ask("GET", good),
        }
        assert await pages.sent() == []

    assert {name: status for name, (status, _, _) in asked.items()} == {
        "forged": 403,
        "expired": 410,
        "unknown": 404,
        "over": 409,
        "over, looked at": 200,
    }
    assert "<button" not in asked["over, looked at"][1]
    assert "alert-0003" not in asked["forged"][1] + asked["expired"][1]


async def test_the_door_opens_for_links_alone(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a-secret-that-is-long-enough\n")
    (tmp_path / "url").write_text("https://chat.example.com/hook\n")
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        f'links: {{url: "https://churn.example.com", secret: "file:{tmp_path}/secret"}}\n'
        f'destinations: {{room: {{kind: slack, url: "file:{tmp_path}/url"}}}}\n'
        "routes: [{to: [room]}]\n"
    )
    async with running_roles(settings.model_copy(update={"routes": routes}), ["door"]) as running:
        assert readiness(running.services)[0]
