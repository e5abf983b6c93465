"""The receiver under deploy/examples, as a process: it believes our webhooks and nobody else's, and acts once."""

import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dispatch_run import transition

from schemas.secret import Secret
from sinks.base import Delivery, SinkError
from sinks.http_calls import CallTerms
from sinks.webhook import WebhookSink, WebhookTerms
from streams.wallclock import now_ms

EXAMPLE = Path(__file__).parents[2] / "deploy/examples/webhook_receiver.py"
OURS, THEIRS = (Secret("whsec_" + base64.b64encode(os.urandom(32)).decode()) for _ in range(2))


class Running:
    """The process, and where it listens."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        found = re.fullmatch(r"listening on port (\d+)\n", process.stdout.readline())
        assert found is not None
        self.url = f"http://127.0.0.1:{found[1]}/"
        self._process = process

    def stopped(self) -> list[str]:
        """What it printed, once it has been interrupted and has ended well."""
        self._process.send_signal(signal.SIGINT)
        said, _ = self._process.communicate(timeout=20)
        assert self._process.returncode == 0
        return said.splitlines()


@pytest.fixture
def receiver() -> Iterator[Running]:
    environment = {**os.environ, "WEBHOOK_SECRET": OURS.reveal()}
    command = [sys.executable, str(EXAMPLE), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


async def told(receiver: Running, *records: Delivery, secret: Secret = OURS, late_ms: int = 0) -> None:
    terms = WebhookTerms(CallTerms(Secret(receiver.url), allow=("127.0.0.1",)), (secret,))
    sink = WebhookSink("erp", terms, "/churnwatch", lambda: now_ms() - late_ms)
    try:
        await sink.deliver(records)
    finally:
        await sink.close()


async def test_it_acts_once_on_each_step_that_it_believes(receiver: Running) -> None:
    await told(receiver, transition("a", 1, "opened"), transition("a", 1, "opened"), transition("b", 1, "opened"))
    await told(receiver, transition("a", 2, "resolved"), transition("a", 1, "opened"))
    for secret, late_ms in ((THEIRS, 0), (OURS, 301_000), (OURS, -302_000)):
        with pytest.raises(SinkError, match=r"401 \(the signature is wrong, or old\)"):
            await told(receiver, transition("c", 1, "opened"), secret=secret, late_ms=late_ms)
    await told(receiver, transition("c", 1, "opened"), late_ms=200_000)

    assert receiver.stopped() == [
        "churnwatch.alert.opened customer-of-a silent@1",
        "churnwatch.alert.opened customer-of-b silent@1",
        "churnwatch.alert.resolved customer-of-a silent@1",
        "churnwatch.alert.opened customer-of-c silent@1",
    ]
