"""What `/readyz` and `/healthz` say of a worker, and of each partition of detect."""

import asyncio
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, cast

import pytest
from faust import App
from mode import Service

from streams.detect import detector_of, make_detect_app
from streams.door import Door
from streams.door_terms import DoorTerms
from streams.learn import make_learn_app
from streams.metrics_server import serving
from streams.partition_status import PartitionStatus
from streams.readiness import readiness
from streams.settings import Role, Settings, load_settings
from streams.sources import Source


class Waiting:
    """A writer that has waited for its broker for so long."""

    trouble = "the broker has not taken the records of a transaction, t.alerts/0: NotEnoughReplicasError()"

    def __init__(self, since_s: float | None) -> None:
        self.pending_since_s = since_s


def status(**fields: Any) -> PartitionStatus:
    return PartitionStatus("t.events", 3, **{"phase": "working", "phase_since_s": 100.0, **fields})


def joined(app: App) -> App:
    cast("Any", app).consumer_generation_id = 1
    return app


def said(services: Mapping[Any, Service]) -> dict[str, Any]:
    _, body = readiness(services)
    plain: dict[str, Any] = json.loads(body)
    return plain


@pytest.fixture
def settings() -> Settings:
    return load_settings(prefix="t.")


def test_a_partition_that_is_worked_on_has_no_obstacle() -> None:
    assert status().obstacle(now_s=1_000) is None


def test_a_restore_is_told_with_how_long_it_will_take() -> None:
    restoring = status(phase="restoring")
    restoring.progress.started_s, restoring.progress.end, restoring.progress.position = 100.0, 400, 100
    restoring.progress.records = 80

    obstacle = restoring.obstacle(now_s=110)

    assert obstacle is not None
    assert (obstacle.code, obstacle.partition, obstacle.for_s, obstacle.eta_s) == ("restoring", 3, 10, 30)
    assert obstacle.says == "partition 3 of t.events: its state is being read, 25% of it so far, 80 records, about 30 s left"


def test_a_transaction_that_is_under_way_is_no_trouble_until_it_takes_long() -> None:
    assert status(writer=Waiting(since_s=100)).obstacle(now_s=105) is None

    obstacle = status(writer=Waiting(since_s=100)).obstacle(now_s=106)
    assert obstacle is not None
    assert (obstacle.code, obstacle.for_s) == ("transactions_failing", 6)
    assert "t.alerts/0: NotEnoughReplicasError()" in obstacle.says


def test_failures_are_told_until_something_was_committed() -> None:
    failing = status()
    failing.failed("KafkaTimeoutError: no answer")
    failing.failed("ProducerFenced")
    failing.enter("working")

    obstacle = failing.obstacle(now_s=failing.failing_since_s or 0)
    assert obstacle is not None
    assert obstacle.code == "transactions_failing"
    assert obstacle.says == "partition 3 of t.events: ProducerFenced; tried 2 times"

    failing.succeeded()
    assert failing.obstacle(now_s=1e9) is None


def test_a_refused_partition_says_why() -> None:
    refused = status()
    refused.refuse("the record 'p/head' at offset 7 of t.state/3 cannot be used")

    obstacle = refused.obstacle(refused.phase_since_s)
    assert obstacle is not None
    assert (obstacle.code, obstacle.for_s) == ("refused", 0)
    assert "'p/head' at offset 7 of t.state/3" in obstacle.says


async def test_a_role_without_its_group_is_not_ready(settings: Settings) -> None:
    apps: dict[Role, App] = {"detect": joined(make_detect_app(settings)), "learn": make_learn_app(settings)}

    assert said(apps) == {
        "ready": False,
        "roles": ["detect", "learn"],
        "reasons": [
            {"role": "learn", "code": "not_joined", "says": "learn has not joined its consumer group t.learn yet"},
        ],
    }


async def test_roles_that_have_joined_and_work_are_ready(settings: Settings) -> None:
    apps: dict[Role, App] = {"detect": joined(make_detect_app(settings)), "learn": joined(make_learn_app(settings))}

    assert said(apps) == {"ready": True, "roles": ["detect", "learn"], "reasons": []}


async def test_a_door_is_ready_while_it_listens_and_every_topic_can_be_written(settings: Settings) -> None:
    door = Door(settings, [Source("shop", "orders", door=DoorTerms("none"))])
    assert [reason["code"] for reason in said({"door": door})["reasons"]] == ["not_listening"]
    door.port = 8080
    assert said({"door": door})["ready"]
    lane = door._entrances["shop"].lane
    lane.failing_since_s, lane.trouble = time.monotonic(), "no answer for 4 s"
    (reason,) = said({"door": door})["reasons"]
    assert (reason["code"], reason["says"]) == ("not_written", "shop cannot be written: no answer for 4 s")


async def get(port: int, path: str) -> tuple[int, bytes]:
    def ask() -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    return await asyncio.to_thread(ask)


async def test_the_port_answers_probes(settings: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = settings.model_copy(update={"metrics_port": free.getsockname()[1]})
    app = make_detect_app(settings)
    async with serving(settings, {"detect": app}) as port:
        assert (await get(port, "/readyz"))[0] == 503
        assert (await get(port, "/healthz"))[0] == 200
        joined(app)
        assert (await get(port, "/readyz"))[0] == 200
        refused = PartitionStatus(settings.topic("events"), 1)
        refused.refuse("damaged")
        detector_of(app)._statuses[1] = refused
        code, body = await get(port, "/readyz")
        assert code == 503
        (reason,) = json.loads(body)["reasons"]
        assert {"role": "detect", "code": "refused", "partition": 1}.items() <= reason.items()
        assert (await get(port, "/"))[0] == 404
