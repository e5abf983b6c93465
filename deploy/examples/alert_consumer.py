"""Alerts of churnwatch become tasks in a database: one for each alert, however often its records come.

    pip install 'kafka-python>=3' 'cloudevents>=2'
    python alert_consumer.py --bootstrap 127.0.0.1:9092 --database tasks.db

Copy it, and put your own system in place of the table `tasks`. Three things make it right, and each is one line:
it reads committed records only, it lets no older record of an alert overwrite a newer one, and it remembers what it has
acted on in the same transaction as what it did.
"""

import argparse
import sqlite3
from typing import Any

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from kafka import KafkaConsumer

TABLES = """
CREATE TABLE IF NOT EXISTS alerts (alert_id TEXT PRIMARY KEY, sequence INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (alert_id TEXT PRIMARY KEY, customer TEXT, what TEXT NOT NULL, severity TEXT, done INTEGER);
"""
# Of two records of an alert the one with the greater sequence holds; the same one again changes nothing.
KEEP_THE_GREATEST = """
INSERT INTO alerts VALUES (:alert_id, :sequence, :state)
ON CONFLICT (alert_id) DO UPDATE SET sequence = excluded.sequence, state = excluded.state
WHERE excluded.sequence > alerts.sequence
"""
OVER = ("churnwatch.alert.resolved", "churnwatch.alert.expired", "churnwatch.alert.retracted")


def main() -> None:
    """Read for ever."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="Kafka brokers, host:port with commas between")
    parser.add_argument("--topic", default="churn.alerts")
    parser.add_argument("--group", default="alert-tasks", help="consumer group: who reads on where this left off")
    parser.add_argument("--database", default="tasks.db")
    options = parser.parse_args()

    database = sqlite3.connect(options.database)
    database.executescript(TABLES)
    consumer = KafkaConsumer(
        options.topic,
        bootstrap_servers=options.bootstrap.split(","),
        group_id=options.group,
        # detect writes in transactions: what it took back must not be seen.
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        # The offset is committed below, once the database has what the records said.
        enable_auto_commit=False,
    )
    try:
        follow(consumer, database)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close(autocommit=False)
        database.close()


def follow(consumer: KafkaConsumer, database: sqlite3.Connection) -> None:
    """Take batch after batch; a crash between the two commits only means that a batch comes again."""
    while True:
        for records in consumer.poll(timeout_ms=1_000).values():
            with database:  # one transaction: the alerts are remembered and acted on, or neither
                for record in records:
                    take(record, database)
        consumer.commit()


def take(record: Any, database: sqlite3.Connection) -> None:
    """Act on one record, unless it or a later one of its alert was acted on before."""
    if record.value is None:  # the alert is long over, or its customer was erased: nothing of it is kept here either
        for table in ("alerts", "tasks"):
            database.execute(f"DELETE FROM {table} WHERE alert_id = ?", (record.key.decode(),))  # noqa: S608
        return
    # Attributes are in the headers, the alert is the data. `event.get_id()` is the same whenever the record is written:
    # give it to a system of your own as its idempotency key.
    event = from_binary_event(KafkaMessage(dict(record.headers), record.key, record.value))
    alert: Any = event.get_data()
    if database.execute(KEEP_THE_GREATEST, alert).rowcount:
        act(event.get_type(), alert, database)


def act(what_happened: str, alert: dict[str, Any], database: sqlite3.Connection) -> None:
    """What is to be done about it: here, a task that is opened and closed."""
    # One that says `inhibited_by` is open, but another alert says more.
    if what_happened == "churnwatch.alert.opened" and "inhibited_by" not in alert:
        task = (alert["alert_id"], alert.get("customer_id"), alert.get("next_action", alert["rule"]), alert["severity"])
        database.execute("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, 0)", task)
    elif what_happened in OVER:
        database.execute("UPDATE tasks SET done = 1 WHERE alert_id = ?", (alert["alert_id"],))


if __name__ == "__main__":
    main()
