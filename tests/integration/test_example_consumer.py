"""The consumer under deploy/examples, as a process, on alerts that detect wrote: each is acted on once."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from detect_log import PUBLISHED, Log, new_installation, silences, until
from engine_run import order, tick

from schemas.codec import decode_decision
from schemas.decisions import CLOSED_STATES, AlertRecord
from streams.settings import Settings
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

EXAMPLE = Path(__file__).parents[2] / "deploy/examples/alert_consumer.py"
Row = tuple[Any, ...]


@contextlib.contextmanager
def consumer(settings: Settings, database: Path, group: str) -> Iterator[None]:
    """The example at work; at the end it is interrupted, as by Ctrl-C, and has to end well."""
    where = ["--bootstrap", settings.bootstrap, "--topic", settings.topic("alerts")]
    command = [sys.executable, str(EXAMPLE), *where, "--group", settings.prefix + group, "--database", str(database)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                _, said = process.communicate(timeout=20)
            finally:
                process.kill()
    assert process.returncode == 0, said


def asked(database: Path, query: str) -> list[Row]:
    with contextlib.closing(sqlite3.connect(database)) as connection, contextlib.suppress(sqlite3.OperationalError):
        rows = connection.execute(query).fetchall()
        connection.commit()
        return rows
    return []  # the example has not made its tables yet


async def wanted(log: Log) -> set[Row]:
    """The tasks that there must be: one for each alert that was opened, done if it is over."""
    last: dict[str, AlertRecord] = {}
    for value in await log.alerts(0):
        record = decode_decision(value)
        assert isinstance(record, AlertRecord)
        last[record.alert_id] = record
    return {(one.alert_id, one.customer_id, int(one.state in CLOSED_STATES)) for one in last.values()}


async def put_aside(settings: Settings, name: str, value: bytes) -> None:
    """A record in a transaction that is aborted: nobody may act on it."""
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, transactional_id=name) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(settings.topic("alerts"), value, key=b"aborted", partition=0)
        await producer.abort_transaction()


async def test_each_alert_is_acted_on_once(bootstrap: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    log, database = Log(new_installation(bootstrap, unique("example"), partitions=1)), tmp_path / "tasks.db"
    await put_aside(log.settings, unique("aborted"), b"no alert")
    tasks = "SELECT alert_id, customer, done FROM tasks"
    #  customers fall silent one by one; c0 comes back
    await log.append(0, [PUBLISHED, *silences(0, 100), order(100, customer="c0"), tick(101)])
    async with running_roles(log.settings, ["detect"]):
        await log.until_all_is_told(0)
        first = await wanted(log)
        assert {done for _, _, done in first} == {0, 1}
        with consumer(log.settings, database, "first"):
            await until(lambda: set(asked(database, tasks)) == first)

        #  somebody works on a task; then everything is read again, from the beginning
        asked(database, "UPDATE tasks SET what = 'in work'")
        await log.append(0, silences(101, 103))
        await log.until_all_is_told(0)
        second = await wanted(log)
        assert len(second) > len(first)
        with consumer(log.settings, database, "again"):
            await until(lambda: set(asked(database, tasks)) == second)
    acted_again = asked(database, "SELECT alert_id, customer, done FROM tasks WHERE what != 'in work'")
    assert set(acted_again) == second - first
