"""A door under test: a file of sources, a process or a service that serves it, and what came into its topics."""

import hashlib
import hmac
import socket
from pathlib import Path
from typing import Any

from aiokafka.structs import TopicPartition
from detect_log import reading

from streams.settings import Settings
from streams.topics import ensure_topics

SECRET = "It's a secret"  # noqa: S105


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def with_door(settings: Settings, folder: Path, mapping: Path | None = None, **door: object) -> Settings:
    """The installation with a source `...-shop` that has a door, and `...-web` that has none."""
    (folder / "secrets").write_text(f"{SECRET}\n", encoding="utf-8")
    asked = {"signature": "hmac-sha256", "secret_file": "secrets", **door}
    section = ", ".join(f"{name}: {value}" for name, value in asked.items())
    path = folder / "sources.yaml"
    shop, web = topics_of(settings)
    mapped = f", mapping: {mapping}" if mapping is not None else ""
    path.write_text(
        f"sources:\n- {{topic: {shop}, feed: orders{mapped}, door: {{{section}}}}}\n- {{topic: {web}, feed: logins}}\n"
    )
    ensure_topics(settings, [shop, web])
    return settings.model_copy(update={"sources": path, "door_port": free_port(), "door_host": "127.0.0.1"})


def topics_of(settings: Settings) -> tuple[str, str]:
    return f"{settings.source_prefix}shop", f"{settings.source_prefix}web"


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Signature": hmac.digest(secret.encode(), body, hashlib.sha256).hex()}


def url(settings: Settings, topic: str | None = None) -> str:
    return f"http://127.0.0.1:{settings.door_port}/sources/{topic or topics_of(settings)[0]}"


async def records_of(settings: Settings, topic: str | None = None) -> list[Any]:
    """Everything that is in a topic."""
    name = topic or topics_of(settings)[0]
    found: list[Any] = []
    for partition in range(settings.partitions):
        async with reading(settings, TopicPartition(name, partition)) as records:
            found += records
    return found
