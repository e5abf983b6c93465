"""Apache Kafka behind TLS and SASL: all works with the right certificate and user, and what is wrong with others is said."""

import asyncio
import base64
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession, web
from aiokafka import AIOKafkaProducer
from archive_contents import offsets
from certificates import make_certificate
from detect_log import PUBLISHED, Log, silences, until
from door_run import signed, topics_of, url, with_door
from engine_run import order
from http_receiver import receiving
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka_server import Door, KafkaUnavailable, free_ports, running_nodes

from schemas.codec import encode
from streams.kafka_security import aiokafka_options
from streams.readiness import readiness
from streams.settings import ROLES, Settings, load_settings, variable
from streams.topics import ensure_topics
from streams.worker import Roles, running_roles

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(os.environ.get("CHURN_KAFKA") != "1", reason="needs its own Apache Kafka: CHURN_KAFKA=1"),
]

Unique = Callable[[str], str]
PASSWORD = "pass-phrase-of-the-test"  # noqa: S105
USER = "churn"
SESSION_MS = 1_500
SCOPE = {"kafka_token_scope": "kafka"}
PLAIN: dict[str, Any] = {
    "kafka_security": "plaintext",
    "kafka_mechanism": "",
    "kafka_ca": None,
    "kafka_user": "",
    "kafka_password": "",
}


class Secure(NamedTuple):
    scram: str
    """Where it takes users, over TLS."""
    mutual: str
    """Where it takes certificates."""
    ca: Path
    key: Path
    password: Path
    open: str
    """Where everybody may do everything: for the tests themselves."""


def _properties(folder: Path, pem: Path) -> dict[str, str]:
    module = "org.apache.kafka.common.security"
    made = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{USER};User:CN=test",
        # A token's user must come again after so long, with a new one; until then each request is cut off.
        "listener.name.secure.oauthbearer.connections.max.reauth.ms": str(SESSION_MS),
    }
    for name in ("secure", "mutual"):
        made[f"listener.name.{name}.ssl.keystore.type"] = "PEM"
        made[f"listener.name.{name}.ssl.keystore.location"] = str(pem)
    made["listener.name.mutual.ssl.client.auth"] = "required"
    made["listener.name.mutual.ssl.truststore.type"] = "PEM"
    made["listener.name.mutual.ssl.truststore.location"] = str(folder / "certificate.pem")
    made["listener.name.secure.sasl.enabled.mechanisms"] = "SCRAM-SHA-512,OAUTHBEARER"
    made["listener.name.secure.scram-sha-512.sasl.jaas.config"] = f"{module}.scram.ScramLoginModule required;"
    made["listener.name.secure.oauthbearer.sasl.jaas.config"] = (
        f'{module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
    )
    # Tokens without a signature: what is tested is that ours arrives.
    made["listener.name.secure.oauthbearer.sasl.server.callback.handler.class"] = (
        f"{module}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
    )
    return made


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("secure")
    certificate = make_certificate(folder)
    pem = folder / "both.pem"
    pem.write_bytes(certificate.key.read_bytes() + certificate.certificate.read_bytes())
    scram_port, mutual_port = free_ports(2)
    doors = [Door("SECURE", scram_port, scram_port, "SASL_SSL"), Door("MUTUAL", mutual_port, mutual_port, "SSL")]
    (folder / "password").write_text(PASSWORD + "\n")
    try:
        with running_nodes(1, {1: doors}, _properties(folder, pem)) as (node,):
            _add_users(node.bootstrap, USER)
            yield Secure(
                f"127.0.0.1:{scram_port}",
                f"127.0.0.1:{mutual_port}",
                certificate.certificate,
                certificate.key,
                folder / "password",
                node.bootstrap,
            )
    except KafkaUnavailable as unavailable:
        pytest.skip(str(unavailable))


def _add_users(bootstrap: str, *users: str) -> None:
    admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, PASSWORD) for user in users]
    )
    admin.close()


def churnwatch(settings: Settings, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own."""
    chosen = {variable(name): str(value) for name, value in settings.model_dump(exclude_defaults=True).items()}
    command = [sys.executable, "-m", "streams.cli", *words]
    return subprocess.run(command, env={**os.environ, **chosen}, capture_output=True, text=True, timeout=60, check=False)


def by_scram(secure: Secure, name: str, **fields: Any) -> Settings:
    return load_settings(
        **{
            "bootstrap": secure.scram,
            "prefix": f"{name}.",
            "source_prefix": f"{name}-",
            "partitions": 2,
            "session_timeout_s": 6,
            "heartbeat_ms": 200,
            "tick_ms": 200,
            "kafka_security": "sasl_ssl",
            "kafka_ca": secure.ca,
            "kafka_mechanism": "SCRAM-SHA-512",
            "kafka_user": USER,
            "kafka_password": f"file:{secure.password}",
            **fields,
        }
    )


def grant_what_is_printed(secure: Secure, settings: Settings, principal: str) -> None:
    """Exactly the rights of the commands that `topics --acls` prints."""
    printed = churnwatch(settings, "topics", "--acls", "--principal", principal)
    assert printed.returncode == 0, printed.stderr
    rules: list[ACL] = []
    for line in printed.stdout.splitlines():
        words = shlex.split(line)
        assert words[:4] == ["kafka-acls", "--bootstrap-server", settings.bootstrap, "--add"]
        given = list(zip(words[4::2], words[5::2], strict=True))
        of = {name: value for name, value in given if name != "--operation"}
        kind = next(kind for kind in ("topic", "group", "transactional-id") if f"--{kind}" in of)
        pattern = ACLResourcePatternType[of.get("--resource-pattern-type", "literal").upper()]
        resource = ResourcePattern(ResourceType[kind.replace("-", "_").upper()], of[f"--{kind}"], pattern)
        for operation in (value for name, value in given if name == "--operation"):
            named = ACLOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()]
            rules.append(ACL(of["--allow-principal"], "*", named, ACLPermissionType.ALLOW, resource))
    admin: Any = KafkaAdminClient(bootstrap_servers=secure.open)
    try:
        assert not admin.create_acls(rules)["failed"]
        every = ACLFilter(
            None, None, ACLOperation.ANY, ACLPermissionType.ANY,
            ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
        )  # fmt: skip
        while not set(rules) <= set(admin.describe_acls(every)[0]):  # a moment until they are in force
            time.sleep(0.02)
    finally:
        admin.close()


async def goes_through(settings: Settings) -> None:
    """A source record becomes an event, and silences become alerts."""
    await asyncio.to_thread(ensure_topics, settings)
    log = Log(settings)
    async with (
        running_roles(settings, ["ingest", "detect", "clock", "learn"]) as running,
        AIOKafkaProducer(bootstrap_servers=settings.bootstrap, **aiokafka_options(settings)) as producer,
    ):
        await until(lambda: readiness(running.services)[0])
        await log.append(0, [PUBLISHED, *silences(0, 20)])
        for event in silences(60, 61):
            await producer.send_and_wait(settings.source_prefix + "orders", encode(event))
        await log.until_all_is_told(0)


async def test_roles_and_commands_work_by_scram_over_tls_each_role_with_the_rights_that_are_printed(
    secure: Secure, unique: Unique, tmp_path: Path
) -> None:
    name, archive = unique("scram"), tmp_path / "archive"
    archive.mkdir()
    settings = by_scram(secure, name, archive=archive, archive_every_ms=200)
    settings = await asyncio.to_thread(with_door, settings, tmp_path)
    await asyncio.to_thread(ensure_topics, settings)
    _add_users(secure.open, *(f"{name}-{role}" for role in ROLES))
    await asyncio.to_thread(grant_what_is_printed, secure, settings, f"User:{name}-{{role}}")
    (tmp_path / "events.jsonl").write_bytes(b"".join(encode(order(day, customer="c")) + b"\n" for day in range(3)))
    shop, _ = topics_of(settings)
    log = Log(settings)
    async with AsyncExitStack() as stack:
        for role in ROLES:
            alone = settings.model_copy(update={"kafka_user": f"{name}-{role}"})
            running = await stack.enter_async_context(running_roles(alone, [role]))
            await until(partial(_is_ready, running))
        await log.append(0, [PUBLISHED, *silences(0, 20)])
        await log.until_all_is_told(0)
        # Not alerts: where the clock was quicker than these events they are long past, and open nothing.
        await until(lambda: offsets(archive, "lifecycle"))

        client = await stack.enter_async_context(ClientSession())
        async with client.post(url(settings), data=b"{}", headers=signed(b"{}")) as answer:
            assert answer.status == 202
        imported = await asyncio.to_thread(churnwatch, settings, "import", str(tmp_path / "events.jsonl"), "--topic", shop)
        assert imported.returncode == 0, imported.stderr

        async def event_was_forwarded() -> bool:
            found = [record for partition in (0, 1) for record in await log.committed("events", partition)]
            return len([record for record in found if record.key == b"c"]) == 3

        await until(event_was_forwarded)
    exported = await asyncio.to_thread(churnwatch, settings, "export")
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.count('"c"') == 3


async def test_a_worker_works_by_a_certificate_of_its_own(secure: Secure, unique: Unique) -> None:
    settings = by_scram(
        secure,
        unique("mutual"),
        bootstrap=secure.mutual,
        kafka_security="ssl",
        kafka_mechanism="",
        kafka_user="",
        kafka_password="",
        kafka_certificate=secure.ca,
        kafka_key=secure.key,
    )
    await goes_through(settings)


async def test_a_worker_works_by_tokens_of_an_endpoint_and_comes_again_when_its_session_ends(
    secure: Secure, unique: Unique
) -> None:
    async with receiving(lambda _: web.json_response({"access_token": token(), "expires_in": SESSION_MS / 1000})) as endpoint:
        settings = by_scram(secure, unique("oauth"), kafka_mechanism="OAUTHBEARER", kafka_token_url=endpoint.url, **SCOPE)
        await asyncio.to_thread(ensure_topics, settings)
        log = Log(settings)
        await log.append(0, [PUBLISHED])
        async with running_roles(settings, ["detect", "clock"]):
            for day in range(0, 60, 20):
                await log.append(0, silences(day, day + 20))
                await until(partial(_more_than, len(endpoint.got), endpoint.got))
            await log.until_all_is_told(0)
        # The clock's ticks are in the log too, so bytes differ: but each alert is there, once, though sessions were cut off.
        told = await log.alerts(0)
        assert len(told) == len(set(told)) == len(log.oracle(0)[0])

    asked = endpoint.got[0]
    assert asked.body == b"grant_type=client_credentials&scope=kafka"
    assert base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")) == f"{USER}:{PASSWORD}".encode()


def _is_ready(running: Roles) -> bool:
    return readiness(running.services)[0]


def _more_than(count: int, got: Sized) -> bool:
    return len(got) > count


async def test_a_token_may_stand_in_a_file(secure: Secure, unique: Unique, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token() + "\n")
    settings = by_scram(
        secure,
        unique("token"),
        kafka_mechanism="OAUTHBEARER",
        kafka_user="",
        kafka_password="",
        kafka_token_file=tmp_path / "token",
    )
    await asyncio.to_thread(ensure_topics, settings)


def token() -> str:
    """Of nobody's signature, as the broker of this test takes it."""
    now_s = int(time.time())  # noqa: TID251 - a token is good by the broker's clock
    parts = {"alg": "none"}, {"sub": USER, "iat": now_s, "exp": now_s + 300}
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def test_what_is_wrong_is_said_at_once_and_ends_the_process(
    secure: Secure, unique: Unique, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "not-the-password")
    tried: list[tuple[str, dict[str, Any], str]] = [  # by both client libraries
        ("topics", {"kafka_password": "env:WRONG"}, "does not let us in: check user and password"),
        ("worker", {"kafka_password": "env:WRONG"}, "does not let us in: check user and password"),
        ("export", {"kafka_password": "env:WRONG"}, "does not let us in: check user and password"),
        ("worker", {"kafka_ca": None}, "CHURN_KAFKA_CA names the right ones"),
        ("topics", PLAIN, "wants TLS: set CHURN_KAFKA_SECURITY"),
        ("export", {**PLAIN, "bootstrap": secure.mutual, "kafka_security": "ssl", "kafka_ca": secure.ca},
         "wants a certificate of ours"),
    ]  # fmt: skip
    with ThreadPoolExecutor(len(tried)) as at_once:
        running = [at_once.submit(churnwatch, by_scram(secure, unique("wrong"), **fields), word) for word, fields, _ in tried]
    for (word, fields, says), ended in zip(tried, [one.result() for one in running], strict=True):
        assert ended.returncode == 1, (word, fields, ended.stderr)
        assert says in ended.stderr, (word, fields)
        assert "Traceback" not in ended.stderr
        assert "not-the-password" not in ended.stderr + ended.stdout
