"""Debian's Alertmanager, alone on a free port of loopback, gone afterwards."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka_server import free_ports

_STARTS_WITHIN_S = 20
_CONFIG = """
global: {{resolve_timeout: {resolve_timeout}}}
route: {{receiver: test, group_by: [...], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - {{name: test, webhook_configs: [{{url: '{url}', send_resolved: true}}]}}
"""


class Alertmanager:
    """Where it is, and what it shows."""

    def __init__(self, url: str) -> None:
        self.url = url

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Those that are open, by their `alert_id`; with more than one of an id the test fails."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:  # noqa: S310 - our own
            found = json.load(answer)
        by_id = {alert["labels"]["alert_id"]: alert for alert in found}
        assert len(by_id) == len(found)
        return by_id

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310
                return True
        except (urllib.error.URLError, ConnectionError):
            return False


@contextlib.contextmanager
def running_alertmanager(folder: Path, receiver_url: str, resolve_timeout: str) -> Iterator[Alertmanager]:
    """Run one that tells everything to a webhook at once. Skips the test where it is not installed."""
    command = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if command is None:
        pytest.skip("there is no Alertmanager here: on Debian apt-get install prometheus-alertmanager")
    (folder / "config.yml").write_text(_CONFIG.format(resolve_timeout=resolve_timeout, url=receiver_url))
    (port,) = free_ports(1)
    arguments = [
        f"--config.file={folder / 'config.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen([command, *arguments], stderr=log) as process:
        server = Alertmanager(f"http://127.0.0.1:{port}")
        try:
            deadline = time.monotonic() + _STARTS_WITHIN_S
            while not server.is_ready():
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
            yield server
        finally:
            process.terminate()
            process.wait(10)
