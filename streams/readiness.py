"""Whether a worker does its work, and if not, why: what `/readyz` says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import orjson
from faust import App

from schemas.instants import format_instant
from streams.settings import Role
from streams.wallclock import now_ms


@dataclass(frozen=True)
class Obstacle:
    """One reason why a role does not do its work."""

    role: Role
    code: str
    """Stable: `not_joined`, and of detect `taking_over`, `restoring`, `transactions_failing`, `refused`."""
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


def obstacles_of(role: Role, app: App) -> Iterator[Obstacle]:
    """Why a role is not ready; nothing if it is."""
    if not joined(app):
        yield Obstacle(role, "not_joined", f"{role} has not joined its consumer group {app.conf.id} yet")
    detector: Obstructed | None = getattr(app, "detector", None)
    if detector is not None:
        yield from detector.obstacles()


def joined(app: App) -> bool:
    """Whether the app has been given its share of the partitions, which may be none."""
    return bool(cast("Any", app).consumer_generation_id)


def readiness(apps: Mapping[Role, App]) -> tuple[bool, bytes]:
    """Whether all roles do their work, and a JSON object that says so or gives the reasons."""
    found = [obstacle for role, app in apps.items() for obstacle in obstacles_of(role, app)]
    plain = {"ready": not found, "roles": list(apps), "reasons": [_plain(obstacle) for obstacle in found]}
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
