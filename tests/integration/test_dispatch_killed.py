"""Alerts to a webhook whose worker is killed, and whose receiver fails and is away: each takes effect once, in order."""

import base64
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from detect_log import new_installation, until
from dispatch_run import Receiver, in_order, life, listening, tell, wanted
from kafka_server import free_ports
from processes import worker

pytestmark = pytest.mark.kafka

ALERTS = [alert for step in zip(*(life(f"a{number}", 4) for number in range(24)), strict=True) for alert in step]


async def test_each_alert_takes_effect_once_and_in_order_whoever_is_killed_or_away(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("KEY", "whsec_" + base64.b64encode(b"k" * 32).decode())
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        "destinations:\n"
        f"  erp: {{kind: webhook, url: 'http://127.0.0.1:{port}/alerts', secret: 'env:KEY', allow: [127.0.0.1]}}\n"
        "routes: [{to: [erp]}]\n"
    )
    settings = new_installation(bootstrap, unique("killed")).model_copy(update={"routes": routes})
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
