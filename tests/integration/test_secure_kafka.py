"""Apache Kafka behind TLS and SASL: all works with the right certificate and user, and what is wrong with others is said."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer
from certificates import make_certificate
from detect_log import PUBLISHED, Log, silences, until
from http_receiver import receiving
from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion
from kafka_server import Door, KafkaUnavailable, free_ports, running_nodes

from schemas.codec import encode
from streams.kafka_security import aiokafka_options
from streams.readiness import readiness
from streams.settings import Settings, load_settings, variable
from streams.topics import ensure_topics
from streams.worker import running_roles

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(os.environ.get("CHURN_KAFKA") != "1", reason="needs its own Apache Kafka: CHURN_KAFKA=1"),
]

Unique = Callable[[str], str]
PASSWORD = "pass-phrase-of-the-test"  # noqa: S105
USER = "churn"
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


def _properties(folder: Path, pem: Path) -> dict[str, str]:
    module = "org.apache.kafka.common.security"
    made: dict[str, str] = {}
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
            _add_user(node.bootstrap)
            yield Secure(
                f"127.0.0.1:{scram_port}",
                f"127.0.0.1:{mutual_port}",
                certificate.certificate,
                certificate.key,
                folder / "password",
            )
    except KafkaUnavailable as unavailable:
        pytest.skip(str(unavailable))


def _add_user(bootstrap: str) -> None:
    admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, PASSWORD)])
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


async def test_a_worker_works_by_scram_over_tls(secure: Secure, unique: Unique) -> None:
    await goes_through(by_scram(secure, unique("scram")))


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


async def test_a_worker_works_by_tokens_of_an_endpoint(secure: Secure, unique: Unique) -> None:
    async with receiving(lambda _: web.json_response({"access_token": token(), "expires_in": 300})) as endpoint:
        settings = by_scram(secure, unique("oauth"), kafka_mechanism="OAUTHBEARER", kafka_token_url=endpoint.url, **SCOPE)
        await goes_through(settings)

    assert len(endpoint.got) == 1, "one token is used for most of its life"
    asked = endpoint.got[0]
    assert asked.body == b"grant_type=client_credentials&scope=kafka"
    assert base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")) == f"{USER}:{PASSWORD}".encode()


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


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kafka_password": "env:WRONG"}, "user and password"),
        ({"kafka_ca": None}, "certificate"),
        (
            {"kafka_security": "plaintext", "kafka_mechanism": "", "kafka_ca": None, "kafka_user": "", "kafka_password": ""},
            "CHURN_KAFKA_SECURITY",
        ),
    ],
    ids=["wrong password", "unknown certificate", "no TLS"],
)
def test_a_command_says_at_once_what_is_wrong(
    secure: Secure, unique: Unique, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], says: str
) -> None:
    monkeypatch.setenv("WRONG", "not-the-password")
    settings = by_scram(secure, unique("wrong"), **fields)
    began_s = time.monotonic()
    ended = churnwatch(settings, "topics")

    assert ended.returncode == 1
    assert says in ended.stderr
    assert "not-the-password" not in ended.stderr + ended.stdout
    assert time.monotonic() - began_s < 30
