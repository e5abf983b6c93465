"""The command as its user has it: processes, exit statuses, what goes to which output."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from valkey_server import running_valkey

RULES = """\
version: "1"
tenant: shop
churn: {horizon: P30D}
rules:
  - {id: silent, kind: absence, of: [order.placed], for: P60D}
"""
Unique = Callable[[str], str]


def churnwatch(*arguments: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHURN_")} | variables
    command = [sys.executable, "-m", "streams.cli", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@contextlib.contextmanager
def hearing_interrupts() -> Iterator[None]:
    """A shell lets what it starts in the background ignore SIGINT, and its children inherit that; what starts here does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def valkey_url() -> Iterator[str]:
    with running_valkey() as url:
        yield url


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    program = "import sys, streams.cli; heavy = {'faust', 'river', 'aiokafka', 'kafka', 'redis', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{program}; sys.exit(len(heavy))"], check=True)
    shown = churnwatch("--help").stdout
    for name in (
        "demo",
        "worker",
        "topics",
        "broker",
        "import",
        "export",
        "replay",
        "rules",
        "explain",
        "ack",
        "erase",
        "doctor",
        "schemas",
    ):
        assert name in shown


def test_a_rules_file_with_faults_ends_with_2_and_names_them_all(rules: Path) -> None:
    rules.write_text(RULES.replace("P60D", "P2W").replace("order.placed", "order.painted"), encoding="utf-8")
    ended = churnwatch("rules", "check", rules)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "P2W" in ended.stderr
    assert "order.painted" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (["worker", "--role", "cook"], {}, "'cook' is no role"),
        (["topics"], {"CHURN_PARTITIONS": "0"}, "CHURN_PARTITIONS=0"),
        (["import", __file__], {}, "--topic"),
        (["replay", __file__, "--tick", "P2W"], {}, "P2W"),
        (["replay", __file__], {}, "line 1"),
    ],
    ids=["role", "setting", "import to nowhere", "weeks", "no event"],
)
def test_what_cannot_be_used_ends_with_2(arguments: list[str], variables: dict[str, str], told: str) -> None:
    ended = churnwatch(*arguments, **variables)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.kafka
def test_doctor_says_what_is_missing_until_nothing_is(
    bootstrap: str, valkey_url: str, unique: Unique, rules: Path, tmp_path: Path
) -> None:
    prefix = unique("doctor") + "."
    variables = {
        "CHURN_BOOTSTRAP": bootstrap,
        "CHURN_PREFIX": prefix,
        "CHURN_SOURCE_PREFIX": prefix,
        "CHURN_REDIS_URL": valkey_url,
    }

    def bad() -> dict[str, str]:
        ended = churnwatch("doctor", "--json", **variables)
        findings: list[dict[str, Any]] = json.loads(ended.stdout)["findings"]
        found = {item["check"]: item["says"] for item in findings if not item["good"]}
        assert ended.returncode == (1 if found else 0)
        return found

    assert "churnwatch topics" in bad()["topics"]
    assert json.loads(churnwatch("topics", "--json", **variables).stdout)["created"]
    assert json.loads(churnwatch("topics", "--json", **variables).stdout) == {"created": []}
    assert "rules publish" in bad()["rules"]
    assert json.loads(churnwatch("rules", "publish", rules, "--json", **variables).stdout)["new"] is True
    assert bad() == {}
    # 60 days of silence and a horizon of 30: 89 days of log are too few
    _keep(bootstrap, prefix + "events", days=89)
    assert "P90D" in bad()["retention"]
    _keep(bootstrap, prefix + "events", days=90)
    assert bad() == {}
    exported = tmp_path / "log.jsonl"
    assert churnwatch("export", "--out", exported, **variables).returncode == 0
    assert exported.read_bytes() == b""


def test_doctor_without_a_broker_and_redis_says_what_to_start() -> None:
    ended = churnwatch("doctor", CHURN_BOOTSTRAP="127.0.0.1:1", CHURN_REDIS_URL="redis://127.0.0.1:1/0")
    assert ended.returncode == 1
    assert "CHURN_BOOTSTRAP" in ended.stdout
    assert "CHURN_REDIS_URL" in ended.stdout


def test_doctor_takes_no_redis_and_no_routes_for_a_choice() -> None:
    ended = churnwatch("doctor", "--json", CHURN_BOOTSTRAP="127.0.0.1:1")
    findings = {item["check"]: item["good"] for item in json.loads(ended.stdout)["findings"]}
    assert findings == {"redis": True, "archive": True, "routes": True, "broker": False}


def test_topics_without_a_broker_fails_in_one_line() -> None:
    ended = churnwatch("topics", CHURN_BOOTSTRAP="127.0.0.1:1")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr


def test_the_demonstration_finds_most_of_those_who_left() -> None:
    ended = churnwatch("demo", "--json", "--seconds", "6", "--customers", "120")
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert set(summary) == {"events", "seconds", "alerts", "precision", "recall", "auc", "dead_letters"}
    assert summary["dead_letters"] == 6
    assert summary["recall"] > 0.9
    assert summary["precision"] > 0.7
    assert summary["auc"] > 0.7
    assert {"no-order-30d", "no-login-28d", "reply-24h", "complaint-burst"} <= set(summary["alerts"])


def test_an_interrupted_demonstration_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streams.cli", "demo", "--seconds", "20"]
    mark = f"demo-{os.getpid()}"
    environment = os.environ | {"TMPDIR": str(tmp_path), "DEMO_TEST_MARK": mark}
    with hearing_interrupts(), subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if line[:4].isdigit():  # the first alert
                break
        assert len(_processes_with(mark)) >= 3
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Traceback" not in errors
    deadline_s = time.monotonic() + 20
    while _processes_with(mark) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert _processes_with(mark) == []
    assert list(tmp_path.iterdir()) == []


def test_the_broker_command_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "streams.cli", "broker", "--port", "0"]
    with subprocess.Popen(command, stdout=-1, text=True) as broker:
        assert broker.stdout is not None
        bootstrap = json.loads(broker.stdout.readline())["bootstrap"]
        admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap)
        assert admin.list_topics() == []
        admin.close()
        broker.terminate()
    assert broker.returncode == 0


def test_a_spawned_broker_does_not_hear_the_interrupt_of_its_parent() -> None:
    program = (
        "import os, signal; from streams.devbroker.process import spawn_broker\n"
        "with spawn_broker() as bootstrap:\n"
        "    signal.signal(signal.SIGINT, signal.SIG_IGN); os.killpg(os.getpgid(0), signal.SIGINT)\n"
        "    from kafka.admin import KafkaAdminClient; print(KafkaAdminClient(bootstrap_servers=bootstrap).list_topics())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, start_new_session=True)
    assert ended.stdout == "[]\n", ended.stderr


def _keep(bootstrap: str, topic: str, *, days: int) -> None:
    admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        config = {"retention.ms": str(days * 86_400_000)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])
    finally:
        admin.close()


def _processes_with(mark: str) -> list[int]:
    """Processes whose environment carries the mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
