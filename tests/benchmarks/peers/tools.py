"""What is compared: how each is started, what it promises, and the settings that it may be run with."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import ROOT
from benchmarks.peers.java_build import java, java_classes
from benchmarks.peers.job_logic import AT_LEAST, COUNTED, WITHIN_MS

PEERS_PYTHON: Final = ROOT / ".venv-peers" / "bin" / "python"

Choice = Mapping[str, str]
"""Settings of a tool, as environment variables."""


@dataclass(frozen=True)
class Tool:
    """One side of the comparison."""

    name: str
    guarantee: str
    choices: tuple[Choice, ...]
    """The first is the one that is measured; `--try` runs each."""
    events: int = 300_000

    def command(self) -> list[str]:
        """What starts the worker; the rest it takes from the environment."""
        raise NotImplementedError


@dataclass(frozen=True)
class Churnwatch(Tool):
    """Our role `detect`, as anybody starts it."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "streams.cli", "worker", "--role", "detect"]


@dataclass(frozen=True)
class PythonPeer(Tool):
    """A job of this folder, in the peers' own environment."""

    module: str = ""

    def command(self) -> list[str]:
        return [str(PEERS_PYTHON), "-m", f"benchmarks.peers.{self.module}"]


@dataclass(frozen=True)
class JavaPeer(Tool):
    """The job on Kafka Streams."""

    def command(self) -> list[str]:
        flags = ["-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        return [java(), *flags, "-cp", java_classes(), "peers.Job"]


CHURNWATCH: Final = Churnwatch(
    name="churnwatch detect",
    guarantee="exactly once",
    choices=({}, {"CHURN_MAX_BATCH_RECORDS": "5000"}, {"CHURN_MIN_TRANSACTION_GAP_MS": "0"}),
)

_KAFKA_STREAMS: Final = {
    "STORE": "rocksdb",
    "THREADS": "1",
    "COMMIT_MS": "500",
    "CACHE_BYTES": str(64 << 20),
    "BATCH_BYTES": str(256 << 10),
}
_QUIX: Final = {"COMMIT_S": "1", "COMMIT_EVENTS": "0", "LINGER_MS": "20"}
_FAUST: Final = {"POLL_RECORDS": "2000", "BUFFER_EVENTS": "16384", "LINGER_S": "0", "BATCH_BYTES": str(256 << 10)}

TOOLS: Final[Mapping[str, Tool]] = {
    "churnwatch": CHURNWATCH,
    "kafka_streams": JavaPeer(
        name="Kafka Streams 4.1.1",
        guarantee="exactly once (v2)",
        choices=(
            _KAFKA_STREAMS,
            _KAFKA_STREAMS | {"COMMIT_MS": "100"},
            _KAFKA_STREAMS | {"COMMIT_MS": "2000"},
            _KAFKA_STREAMS | {"STORE": "memory"},
            _KAFKA_STREAMS | {"THREADS": "2"},
            _KAFKA_STREAMS | {"CACHE_BYTES": str(10 << 20), "BATCH_BYTES": str(16 << 10)},
        ),
    ),
    "quix": PythonPeer(
        name="Quix Streams 3.28.1",
        guarantee="exactly once",
        choices=(
            _QUIX,
            _QUIX | {"COMMIT_S": "0.2"},
            _QUIX | {"COMMIT_S": "2"},
            _QUIX | {"COMMIT_S": "5"},
            _QUIX | {"COMMIT_EVENTS": "20000"},
        ),
        module="job_quix",
    ),
    "faust": PythonPeer(
        name="Faust 0.15.3",
        guarantee="at least once",
        choices=(
            _FAUST,
            _FAUST | {"POLL_RECORDS": "", "BUFFER_EVENTS": "4096", "BATCH_BYTES": "16384"},
            _FAUST | {"LINGER_S": "0.02"},
        ),
        events=40_000,
        module="job_faust",
    ),
}


def environment(choice: Choice, *, run: str, bootstrap: str, directory: Path) -> dict[str, str]:
    """What a worker is told: the job, where its records are, and the settings; `run` begins every name at the broker."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "CHURN_BOOTSTRAP": bootstrap,
        "CHURN_PREFIX": f"{run}.",
        "CHURN_SOURCE_PREFIX": f"{run}-",
        "CHURN_LOG_LEVEL": "warning",
        "BOOTSTRAP": bootstrap,
        "GROUP": run,
        "INPUT": f"{run}.events",
        "OUTPUT": f"{run}.alerts",
        "STATE_DIRECTORY": str(directory),
        "COUNTED": COUNTED,
        "AT_LEAST": str(AT_LEAST),
        "WITHIN_MS": str(WITHIN_MS),
        **choice,
    }
