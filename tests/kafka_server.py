"""Apache Kafka for the tests, without containers: jars by Maven, one KRaft node on loopback, gone afterwards."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
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
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker_port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={directory}/data
num.partitions=4
auto.create.topics.enable=true
# one node
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
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


@contextlib.contextmanager
def running_kafka() -> Iterator[str]:
    """Run one Kafka node for as long as the block lasts, and yield its bootstrap string.

    Raises:
        KafkaUnavailable: no Java, or no Maven to get the jars with.
        RuntimeError: Kafka did not start; the message ends with its log.
    """
    java, jars = _java(), _jars()
    with tempfile.TemporaryDirectory(prefix="churnwatch-kafka-") as name:
        directory = Path(name)
        broker_port, controller_port = _free_ports(2)
        command = _prepared(java, jars, directory, broker_port, controller_port)
        output = directory / "kafka.log"
        with output.open("wb") as log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as kafka:
            try:
                _wait_until_up(kafka, broker_port, output)
                yield f"127.0.0.1:{broker_port}"
            finally:
                _stop(kafka)


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


def _prepared(java: str, jars: Path, directory: Path, broker_port: int, controller_port: int) -> list[str]:
    """Write the configuration, format the storage, and return the command that starts Kafka."""
    properties, logging = directory / "server.properties", directory / "log4j2.properties"
    properties.write_text(
        _PROPERTIES.format(broker_port=broker_port, controller_port=controller_port, directory=directory), encoding="utf-8"
    )
    logging.write_text(_LOGGING, encoding="utf-8")
    jvm = [java, *_JVM_FLAGS, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*"]
    storage = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties)]
    formatted = subprocess.run([*jvm, *storage], capture_output=True, text=True, check=False)
    if formatted.returncode:
        raise RuntimeError(f"Kafka's storage cannot be formatted:\n{formatted.stdout}{formatted.stderr}")
    return [*jvm, "kafka.Kafka", str(properties)]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]


def _wait_until_up(kafka: "subprocess.Popen[bytes]", port: int, output: Path) -> None:
    deadline_s = time.monotonic() + _UP_TIMEOUT_S
    while not _answers(port):
        if kafka.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError(f"Kafka did not start:\n{output.read_text(encoding='utf-8')[-4000:]}")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(_API_VERSIONS_REQUEST)
            return len(connection.recv(4)) > 0
    except OSError:
        return False


def _stop(kafka: "subprocess.Popen[bytes]") -> None:
    kafka.terminate()
    try:
        kafka.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        kafka.kill()
