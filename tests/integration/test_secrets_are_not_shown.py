"""A mark is planted in every secret, everybody we call repeats what we say, and the mark is in nothing that anybody reads."""

import asyncio
import base64
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from aiohttp import web
from aiokafka.structs import TopicPartition
from detect_log import new_installation, reading, until
from dispatch_run import tell, transition
from door_run import free_port
from http_receiver import Got, receiving
from processes import worker

from streams.settings import Settings, variable
from streams.topics import ensure_topics

pytestmark = pytest.mark.kafka

MARK = "pl4nted-5ecret"
REGISTRY = f"http://reader:{MARK}registry@127.0.0.1:9"
SECRETS = {
    "REDIS": MARK + "redis",
    "ERP": "whsec_" + base64.b64encode(f"{MARK}-of-the-webhook".encode()).decode(),
    "ERP_TOKEN": f"Bearer {MARK}erp",
    "PAGER_TOKEN": f"Basic {base64.b64encode(f'churn:{MARK}pager'.encode()).decode()}",
    "HASH": MARK + "hash-of-customers",
    "FEISHU_SECRET": MARK + "feishu",
    "DINGTALK_SECRET": MARK + "dingtalk",
    "MAIL": MARK + "mail",
    "LINKS": MARK + "links-that-are-signed",
    "DESK": MARK + "desk",
    "KAFKA": MARK + "kafka",
}
"""What the file of routes, sources and settings name; addresses of rooms are made with the port of whom they lead to."""
ROUTES = """
links: {url: "https://churn.example.com", secret: "env:LINKS"}
destinations:
  erp: {kind: webhook, url: "env:ERP_URL", secret: "env:ERP", authorization: "env:ERP_TOKEN", allow: [127.0.0.1],
        hash_customers: "env:HASH"}
  pager: {kind: alertmanager, url: "env:PAGER_URL", authorization: "env:PAGER_TOKEN", allow: [127.0.0.1]}
  slack: {kind: slack, url: "env:SLACK_URL", allow: [127.0.0.1]}
  feishu: {kind: feishu, url: "env:FEISHU_URL", secret: "env:FEISHU_SECRET", allow: [127.0.0.1]}
  dingtalk: {kind: dingtalk, url: "env:DINGTALK_URL", secret: "env:DINGTALK_SECRET", allow: [127.0.0.1]}
  wecom: {kind: wecom, url: "env:WECOM_URL", allow: [127.0.0.1]}
  mail: {kind: email, server: "smtp://127.0.0.1:MAIL_PORT", user: churn, password: "env:MAIL", from: churn@example.com,
         allow: [127.0.0.1]}
people:
  ann: {via: mail, address: ann@example.com}
routes: [{to: [erp, pager, slack, feishu, dingtalk, wecom, ann]}]
"""
ROOMS = ("erp", "pager", "slack", "feishu", "dingtalk", "wecom")
TOLD = (*ROOMS, "ann")
TROUBLE = ("sink.retry_scheduled", "sink.breaker_opened", "sink.refused")


def forms_of(mark: str) -> Iterator[str]:
    """As it is, and the part of it in base64 that is the same whatever stands around it."""
    yield mark
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + mark.encode()).decode().rstrip("=")
        yield encoded[(0, 2, 3)[before] : -2]


def shown_in(text: str) -> list[str]:
    """Lines that show the mark."""
    return [line[:400] for line in text.splitlines() if any(form in line for form in forms_of(MARK))]


def repeats(got: Got) -> web.StreamResponse:
    """A receiver that says no, and why at length; each vendor in its own way."""
    said = f"{got.method} {got.path} {dict(got.headers)}"
    room = got.path.split("/")[1]
    if room == "feishu":
        return web.json_response({"code": 19021, "msg": said})
    if room == "dingtalk":
        return web.json_response({"errcode": 310000, "errmsg": said})
    if room == "wecom":
        return web.Response(status=302, headers={"Location": got.path}, text=said)
    return web.Response(status={"erp": 400, "pager": 401, "slack": 403}[room], text=said)


@asynccontextmanager
async def repeating(answers: Callable[[], Callable[[bytes], bytes]], greeting: bytes = b"") -> AsyncIterator[int]:
    """The port of a server that answers each line by what it was."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        answer = answers()
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(answer(line))
            writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


class AsRedis:
    """To each command: that there is no such one, and which."""

    def __init__(self) -> None:
        self._words: list[bytes] = []
        self._lines_to_come = 0

    def __call__(self, line: bytes) -> bytes:
        if self._lines_to_come == 0:  # how many words follow, each after its length
            self._words, self._lines_to_come = [], 2 * int(line[1:])
            return b""
        self._lines_to_come -= 1
        if self._lines_to_come % 2 == 0:
            self._words.append(line.strip())
        return b"-ERR unknown command: " + b" ".join(self._words) + b"\r\n" if self._lines_to_come == 0 else b""


def as_mail(line: bytes) -> bytes:
    if line.startswith(b"AUTH PLAIN "):
        return b"535 wrong: " + base64.b64decode(line.split()[2]).replace(b"\0", b" ") + b"\r\n"
    return b"250-there\r\n250 AUTH PLAIN\r\n"


@pytest.fixture
async def environment(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Variables with all secrets, and everybody whom they lead to."""
    async with AsyncExitStack() as stack:
        room = await stack.enter_async_context(receiving(repeats))
        redis = await stack.enter_async_context(repeating(AsRedis))
        mail = await stack.enter_async_context(repeating(lambda: as_mail, b"220 there\r\n"))
        (tmp_path / "routes.yaml").write_text(ROUTES.replace("MAIL_PORT", str(mail)))
        origin = room.url.removesuffix("/hook")
        addresses = {f"{name.upper()}_URL": f"{origin}/{name}/{MARK}?key={MARK}{name}" for name in ROOMS}
        yield {
            **SECRETS,
            **addresses,
            "CHURN_REDIS_URL": f"redis://:{MARK}address@127.0.0.1:{redis}/0",
            "CHURN_SCHEMA_REGISTRY_URL": REGISTRY,
        }


def installation(bootstrap: str, name: str, folder: Path, environment: Mapping[str, str]) -> Settings:
    settings = new_installation(bootstrap, name, redis_url=environment["CHURN_REDIS_URL"])
    shop = f"{settings.source_prefix}shop"
    ensure_topics(settings, [shop])
    (folder / "sources.yaml").write_text(
        f"sources:\n- {{topic: {shop}, feed: orders, door: {{signature: hmac-sha256, secret_env: DESK}}}}\n"
    )
    named = {"routes": folder / "routes.yaml", "sources": folder / "sources.yaml", "schema_registry_url": REGISTRY}
    served = {"metrics_port": free_port(), "door_port": free_port(), "door_host": "127.0.0.1"}
    return settings.model_copy(update=named | served)


@pytest.mark.parametrize("log_format", ["json", "logfmt"])
async def test_a_worker_that_fails_everywhere_shows_no_secret(
    bootstrap: str,
    unique: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    log_format: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = installation(bootstrap, unique("hush"), tmp_path, environment).model_copy(
        update={"log_level": "debug", "log_format": log_format}
    )
    pages = ""
    with worker(settings, tmp_path / "said", "deliver", "door") as one:
        await until(lambda: named(one.said, "recipient", "lane.began") == {*TOLD})
        await tell(settings, [transition("a", 1, "opened")])
        await until(lambda: named(one.said, "sink", *TROUBLE) == {*TOLD, "redis"})
        await until(lambda: "sink.refused" in one.said)
        for path in ("metrics", "version", "healthz", "readyz"):
            pages += await asyncio.to_thread(page, settings, path)
        one.stop()
        said = one.said
    topics = (settings.topic("deadletters"), settings.topic("deliveries"))
    written = [record for topic in topics for record in await records_of(settings, topic)]

    assert shown_in(said) == []
    assert "churn_deliveries" in pages
    assert shown_in(pages) == []
    assert any(record.key == b"a" or b"sink_refused" in str(record.headers).encode() for record in written)
    assert shown_in("\n".join(f"{record.key!r} {record.value!r} {record.headers!r}" for record in written)) == []


async def test_commands_show_no_secret_whatever_goes_wrong(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path, environment: dict[str, str]
) -> None:
    settings = installation(bootstrap, unique("hush"), tmp_path, environment)
    chosen = {variable(name): str(value) for name, value in settings.model_dump(exclude_defaults=True).items()}
    by_user = {"CHURN_KAFKA_SECURITY": "sasl_plaintext", "CHURN_KAFKA_MECHANISM": "PLAIN", "CHURN_KAFKA_USER": "churn"}
    redis_user = {"CHURN_REDIS_USER": "churn", "CHURN_REDIS_PASSWORD": "env:REDIS"}
    runs: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({}, ("doctor",)),
        (redis_user, ("doctor", "--json")),
        (by_user | {"CHURN_KAFKA_PASSWORD": "env:KAFKA"}, ("doctor",)),
        (by_user | {"CHURN_KAFKA_PASSWORD": SECRETS["KAFKA"]}, ("doctor",)),
        ({"CHURN_REDIS_PASSWORD": SECRETS["REDIS"]}, ("doctor",)),
        ({"CHURN_BOOTSTRAP": f"user:{MARK}@kafka:9092"}, ("doctor",)),
        ({}, ("route", "check", str(tmp_path / "routes.yaml"))),
        ({"ERP": MARK}, ("route", "check", str(tmp_path / "routes.yaml"))),
        ({"SLACK_URL": f"http://elsewhere.example.com/{MARK}"}, ("doctor",)),
        ({}, ("topics", "--acls")),
        ({}, ("sources", "list")),
        ({}, ("risk", "list")),
        (redis_user, ("rebuild", "redis")),
        ({}, ("--version",)),
    ]

    def run(given: dict[str, str], command: tuple[str, ...]) -> str:
        line = [sys.executable, "-m", "streams.cli", *command]
        done = subprocess.run(
            line, env={**chosen, **environment, **given}, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    for given, command in runs:
        said = await asyncio.to_thread(run, given, command)
        assert said, command
        assert shown_in(said) == [], command


def test_the_search_finds_what_it_looks_for() -> None:
    encoded = [base64.b64encode(b"y" * before + MARK.encode() + b"after").decode() for before in range(5)]
    assert all(shown_in(text) for text in (MARK, f"x{MARK}x", *encoded))
    assert shown_in("something else\nand more") == []


def named(said: str, field: str, *events: str) -> set[str]:
    """Who is named by a field of such lines, in whatever format."""
    lines = [line for line in said.splitlines() if any(event in line for event in events)]
    return {name for name in (*TOLD, "redis") for line in lines if f'"{field}":"{name}"' in line or f"{field}={name}" in line}


def page(settings: Settings, path: str) -> str:
    """What is served, whatever the status."""
    try:
        with urlopen(f"http://127.0.0.1:{settings.metrics_port}/{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        return error.read().decode()


async def records_of(settings: Settings, topic: str) -> list[Any]:
    async with reading(settings, TopicPartition(topic, 0)) as records:
        return list(records)
