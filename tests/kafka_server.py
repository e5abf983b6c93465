"""Apache Kafka for the tests, without containers: jars by Maven, KRaft nodes on loopback, gone afterwards."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.1.1"  # also named in apache_kafka/pom.xml
_POM: Final = Path(__file__).parent / "apache_kafka" / "pom.xml"
_CLUSTER_ID: Final = "churnwatchTestClusterA"  # 16 bytes in base64
_JVM_FLAGS: Final = (
    "-Xms128m",
    "-Xmx320m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
)
_UP_TIMEOUT_S: Final = 60
_STOP_TIMEOUT_S: Final = 20
_API_VERSIONS_REQUEST: Final = struct.pack(">ihhih", 10, 18, 0, 1, -1)

_PROPERTIES: Final = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={listeners}
advertised.listeners={advertised}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map={protocols}
log.dirs={directory}/data
num.partitions=4
auto.create.topics.enable=true
# three copies where there are three nodes
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
# quick tests: no waiting for more members, short sessions allowed, overdue transactions found soon
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
# little memory
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.threads=1
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=1
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
"""

_LOGGING: Final = """\
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d] %p %c{1} %m%n
"""


class KafkaUnavailable(Exception):  # noqa: N818 - a state of the machine
    """Kafka cannot run on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Door:
    """One more listener of a node, for clients that reach it by another port than it listens on."""

    name: str
    """Capital letters."""
    port: int
    """Where the node listens."""
    advertised_port: int
    """What it tells clients."""
    protocol: str = "PLAINTEXT"
    """`SSL`, `SASL_SSL`: then properties of the node say how."""


@dataclass
class KafkaNode:
    """A broker that is its own controller, or one of three; its data outlives its process."""

    number: int
    port: int
    controller_port: int
    directory: Path
    doors: Sequence[Door] = ()
    command: Sequence[str] = ()
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def bootstrap(self) -> str:
        """Where clients find it that use no door."""
        return f"127.0.0.1:{self.port}"

    @property
    def process_id(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Begin to start; `wait_until_up` waits."""
        with self._output.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.poll() is None

    def is_up(self) -> bool:
        """Whether it answers."""
        return _answers(self.port)

    def wait_until_up(self) -> None:
        """Return when it answers.

        Raises:
            RuntimeError: it has ended, or takes too long; the message ends with its log.
        """
        deadline_s = time.monotonic() + _UP_TIMEOUT_S
        while not self.is_up():
            if not self.is_running() or time.monotonic() > deadline_s:
                raise RuntimeError(f"Kafka did not start:\n{self._output.read_text(encoding='utf-8')[-4000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it in an orderly way, if it can."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def _output(self) -> Path:
        return self.directory / "kafka.log"


@contextlib.contextmanager
def running_kafka() -> Iterator[str]:
    """Run one Kafka node for as long as the block lasts, and yield its bootstrap string.

    Raises:
        KafkaUnavailable: no Java, or no Maven to get the jars with.
        RuntimeError: Kafka did not start; the message ends with its log.
    """
    with running_nodes(1) as (node,):
        yield node.bootstrap


@contextlib.contextmanager
def running_nodes(
    count: int, doors: Mapping[int, Sequence[Door]] | None = None, properties: Mapping[str, str] | None = None
) -> Iterator[list[KafkaNode]]:
    """Run a cluster of one or three nodes for as long as the block lasts.

    Args:
        count: of nodes, which are numbered from 1; with three, topics of Kafka itself have three copies.
        doors: by node.
        properties: of every node, beside those of all tests.

    Raises:
        KafkaUnavailable: no Java, or no Maven to get the jars with.
        RuntimeError: a node did not start; the message ends with its log.
    """
    java, jars = _java(), _jars()
    ports = free_ports(2 * count)
    with tempfile.TemporaryDirectory(prefix="churnwatch-kafka-") as name:
        nodes = [
            KafkaNode(
                number, ports[2 * number - 2], ports[2 * number - 1], Path(name) / str(number), (doors or {}).get(number, ())
            )
            for number in range(1, count + 1)
        ]
        for node in nodes:
            node.command = _prepared(java, jars, node, nodes, properties or {})
        try:
            for node in nodes:
                node.start()
            for node in nodes:
                node.wait_until_up()
            yield nodes
        finally:
            _stop_all(nodes)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        raise KafkaUnavailable("Kafka needs Java 17 or later: no `java` was found")
    return found


def _jars() -> Path:
    """The directory with Kafka's jars; Maven fills it when it is asked for the first time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "churnwatch"
    jars = cache / f"kafka-{KAFKA_VERSION}"
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("getting Kafka's jars needs Maven: no `mvn` was found")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        partial = Path(name) / "jars"
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
        subprocess.run([maven, "-q", "-B", "-f", str(_POM), *goal], check=True)
        with contextlib.suppress(OSError):  # another run was faster
            partial.rename(jars)
    return jars


def _prepared(java: str, jars: Path, node: KafkaNode, nodes: Sequence[KafkaNode], more: Mapping[str, str]) -> list[str]:
    """Write the configuration, format the storage, and return the command that starts the node."""
    node.directory.mkdir()
    properties, logging = node.directory / "server.properties", node.directory / "log4j2.properties"
    lines = [f"{name}={value}\n" for name, value in more.items()]
    properties.write_text(_properties(node, nodes) + "".join(lines), encoding="utf-8")
    logging.write_text(_LOGGING, encoding="utf-8")
    jvm = [java, *_JVM_FLAGS, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*"]
    storage = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties)]
    formatted = subprocess.run([*jvm, *storage], capture_output=True, text=True, check=False)
    if formatted.returncode:
        raise RuntimeError(f"Kafka's storage cannot be formatted:\n{formatted.stdout}{formatted.stderr}")
    return [*jvm, "kafka.Kafka", str(properties)]


def _properties(node: KafkaNode, nodes: Sequence[KafkaNode]) -> str:
    listeners = {"PLAINTEXT": node.port, **{door.name: door.port for door in node.doors}}
    advertised = {"PLAINTEXT": node.port, **{door.name: door.advertised_port for door in node.doors}}
    protocols = dict.fromkeys(["PLAINTEXT", "CONTROLLER"], "PLAINTEXT") | {door.name: door.protocol for door in node.doors}
    controller = f"CONTROLLER://127.0.0.1:{node.controller_port}"
    return _PROPERTIES.format(
        node=node.number,
        voters=",".join(f"{voter.number}@127.0.0.1:{voter.controller_port}" for voter in nodes),
        listeners=",".join([*(f"{name}://127.0.0.1:{port}" for name, port in listeners.items()), controller]),
        advertised=",".join(f"{name}://127.0.0.1:{port}" for name, port in advertised.items()),
        protocols=",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        directory=node.directory,
        copies=min(3, len(nodes)),
        in_sync=2 if len(nodes) >= 3 else 1,
    )


def _stop_all(nodes: Sequence[KafkaNode]) -> None:
    """At once: one that waits for a quorum with the others would never end by itself."""
    with contextlib.ExitStack() as stack:
        for node in nodes:
            stopping = threading.Thread(target=node.stop)
            stopping.start()
            stack.callback(stopping.join)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(_API_VERSIONS_REQUEST)
            return len(connection.recv(4)) > 0
    except OSError:
        return False
