"""Whether a worker does its work, and if not, why: what `/readyz` says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import orjson
from faust import App
from mode import Service

from schemas.instants import format_instant
from streams.wallclock import now_ms

_KNOWING: Final = ("detector", "ingest", "dispatch")
"""What apps carry that can say more than whether the app has joined."""


@dataclass(frozen=True)
class Obstacle:
    """One reason why a role does not do its work."""

    role: str
    """Or the part of it, like `deliver-redis`."""
    code: str
    """Stable: `not_joined`; of ingest `source_poison`, `source_recreated`, `source_missing`, `source_registry`; of detect
    `taking_over`, `restoring`, `transactions_failing`, `refused`; of the door `not_listening`, `not_written`;
    of deliver `reading_deliveries`."""
    says: str
    """For people."""
    for_s: float | None = None
    """For how long already."""
    partition: int | None = None
    eta_s: float | None = None
    """How long it will take, if that is known."""


class Obstructed(Protocol):
    """A role that knows more than whether it has joined its group."""

    def obstacles(self) -> list[Obstacle]:
        """What is in the way; called from the thread of the metrics."""


def obstacles_of(role: str, service: Service) -> Iterator[Obstacle]:
    """Why a role is not ready; nothing if it is."""
    if isinstance(service, App) and not joined(service):
        yield Obstacle(role, "not_joined", f"{role} has not joined its consumer group {service.conf.id} yet")
    carried = [service] if role == "door" else [getattr(service, name, None) for name in _KNOWING]
    for knows in (cast("Obstructed", one) for one in carried if one is not None):
        yield from knows.obstacles()


def joined(app: App) -> bool:
    """Whether the app has been given its share of the partitions, which may be none."""
    return bool(cast("Any", app).consumer_generation_id)


def readiness(services: Mapping[str, Service]) -> tuple[bool, bytes]:
    """Whether all roles do their work, and a JSON object that says so or gives the reasons."""
    found = [obstacle for role, service in services.items() for obstacle in obstacles_of(role, service)]
    plain = {"ready": not found, "roles": list(services), "reasons": [_plain(obstacle) for obstacle in found]}
    return not found, orjson.dumps(plain)


def _plain(obstacle: Obstacle) -> dict[str, object]:
    plain: dict[str, object] = {"role": obstacle.role, "code": obstacle.code}
    if obstacle.partition is not None:
        plain["partition"] = obstacle.partition
    if obstacle.for_s is not None:
        plain["since"] = format_instant(now_ms() - round(obstacle.for_s * 1000))
    if obstacle.eta_s is not None:
        plain["eta_s"] = round(obstacle.eta_s)
    return {**plain, "says": obstacle.says}
