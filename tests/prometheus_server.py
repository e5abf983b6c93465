"""A real Prometheus for the tests, on a free port, gone afterwards."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka_server import free_ports

_READY_WITHIN_S = 20


class Prometheus:
    """One that runs, and can be asked."""

    def __init__(self, port: int) -> None:
        self._port = port

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an instant query, now; a query that it does not take is an error of the test."""
        asked = urllib.parse.urlencode({"query": expr}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/query", data=asked, timeout=20) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
        return found

    def value(self, expr: str) -> float | None:
        """Of the first sample; None: there is none."""
        found = self.query(expr)
        return float(found[0]["value"][1]) if found else None

    def label_values(self, metric: str, label: str) -> list[str]:
        """As a variable of a dashboard asks for them."""
        asked = urllib.parse.urlencode({"match[]": metric})
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/label/{label}/values?{asked}", timeout=20) as answer:
            found: list[str] = json.loads(answer.read())["data"]
        return found


@contextmanager
def running_prometheus(folder: Path, ports: Sequence[int], rules: Path | None = None) -> Iterator[Prometheus]:
    """Scrape the ports of workers every second, for as long as the block lasts."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed; on Debian and Ubuntu: apt-get install prometheus")
    (port,) = free_ports(1)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)] if rules is not None else [],
        "scrape_configs": [{"job_name": "churnwatch", "static_configs": [{"targets": [f"127.0.0.1:{one}" for one in ports]}]}],
    }
    (folder / "prometheus.yaml").write_text(json.dumps(config))  # which is YAML too
    command = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _until_ready(port, process, log)
            yield Prometheus(port)
        finally:
            process.terminate()


def _until_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline_s = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.05)
        else:
            return
