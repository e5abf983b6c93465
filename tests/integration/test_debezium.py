"""A real shop's invoice lines as the changes of a table: what a customer ordered equals an oracle over the table itself."""

import asyncio
import base64
import csv
import gzip
import itertools
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from detect_log import new_installation, reading, until
from real_data import real_file

from schemas.instants import HOUR_MS, to_epoch_ms
from streams.settings import Settings, load_settings
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

LINES = 12_000
"""Of the file; a third of them are guests'."""

# create table lines (id bigint primary key, quantity int, price numeric(10, 2), customer text, placed_at timestamp);
# alter table lines replica identity full;
MAPPING = """\
record: {format: debezium}
events:
  - when:
      - {op: [c, r], after.quantity: {above: 0}}
      - {cel: "row.op == 'u' && row.before.customer == null"}   # a guest who has registered since
    type: order.placed
    id: {join: [after.id, source.lsn]}
    order_id: after.id
    customer_id: after.customer
    at: {column: after.placed_at, format: epoch_us}
    amount: {multiply: [after.quantity, {column: after.price, unscaled: 2}]}
  - when: {op: [c, r], after.quantity: {below: 0}}
    type: order.returned
    id: {join: [after.id, source.lsn]}
    order_id: after.id
    customer_id: after.customer
    at: {column: after.placed_at, format: epoch_us}
    amount: {multiply: [after.quantity, {column: after.price, unscaled: 2}], absolute: true}
  - when: {cel: "row.op == 'u' && row.before.customer != null"}
    type: order.corrected
    id: {join: [after.id, source.lsn]}
    order_id: after.id
    customer_id: after.customer
    at: {column: ts_ms, format: epoch_ms}
    amount: {multiply: [after.quantity, {column: after.price, unscaled: 2}]}
  - when: {op: d}
    type: order.cancelled
    id: {join: [before.id, source.lsn]}
    order_id: before.id
    customer_id: before.customer
    at: {column: ts_ms, format: epoch_ms}
"""


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    id: int
    quantity: int
    price: Decimal
    customer: str | None
    at_ms: int

    def plain(self) -> dict[str, object]:
        """As Debezium writes it with a connector's defaults."""
        cents = int(self.price * 100)
        price = base64.b64encode(cents.to_bytes((cents.bit_length() + 8) // 8, "big", signed=True)).decode()
        return {
            "id": self.id,
            "quantity": self.quantity,
            "price": price,
            "customer": self.customer,
            "placed_at": self.at_ms * 1_000,
        }


@dataclass(frozen=True)
class Change:
    """Of a row, from what to what."""

    at_ms: int
    before: Line | None
    after: Line | None

    @property
    def key(self) -> bytes:
        """Of its records: changes of a row stay in order."""
        row = self.after or self.before
        assert row is not None
        return json.dumps({"id": row.id}).encode()

    def record(self, number: int) -> bytes:
        """The change event: with the schema around it every third time, a read of the snapshot for the first rows."""
        op = "u" if self.before and self.after else "d" if self.before else "r" if number < 500 else "c"
        event = {
            "before": self.before and self.before.plain(),
            "after": self.after and self.after.plain(),
            "source": {"connector": "postgresql", "table": "lines", "lsn": number, "ts_ms": self.at_ms},
            "op": op,
            "ts_ms": self.at_ms,
        }
        return json.dumps({"schema": {"type": "struct"}, "payload": event} if number % 3 == 0 else event).encode()


def lines() -> Iterator[Line]:
    with gzip.open(real_file("online_retail/lines_2010-12_2011-01.csv.gz"), "rt", encoding="utf-8", newline="") as file:
        for number, row in enumerate(itertools.islice(csv.DictReader(file), LINES), 1):
            at_ms = to_epoch_ms(datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC))
            yield Line(number, int(row["Quantity"]), Decimal(row["UnitPrice"]), row["CustomerID"] or None, at_ms)


def history() -> list[Change]:
    """Every line is inserted; some are corrected later, some guests register, some lines are deleted."""
    chance, found = random.Random(7), []
    for first in lines():
        row, at_ms = first, first.at_ms
        found.append(Change(at_ms, None, row))
        if row.quantity <= 0:
            continue
        if row.customer is None and chance.random() < 0.04:
            registered = replace(row, customer=f"registered-{row.id % 50}")
            at_ms += chance.randint(1, 200) * HOUR_MS
            found.append(Change(at_ms, row, registered))
            row = registered
        while chance.random() < 0.12:
            corrected = replace(row, quantity=chance.randint(1, 40), price=row.price + Decimal("0.05"))
            at_ms += chance.randint(1, 200) * HOUR_MS
            found.append(Change(at_ms, row, corrected))
            row = corrected
        if chance.random() < 0.06:
            at_ms += chance.randint(1, 200) * HOUR_MS
            found.append(Change(at_ms, row, None))
    return sorted(found, key=lambda change: change.at_ms)


Amounts = dict[str, dict[str, float]]


def oracle(changes: list[Change]) -> tuple[Amounts, Amounts, int]:
    """The table at the end by customer: orders and returns; and how many changes were those of guests."""
    table: dict[int, Line] = {}
    guests = 0
    for change in changes:
        row = change.after or change.before
        assert row is not None
        guests += row.customer is None
        if change.after is None:
            del table[row.id]
        else:
            table[row.id] = change.after
    orders: Amounts = defaultdict(dict)
    returns: Amounts = defaultdict(dict)
    for row in table.values():
        if row.customer is not None:
            side = orders if row.quantity > 0 else returns
            side[row.customer][str(row.id)] = float(abs(row.quantity * row.price))
    return orders, returns, guests


def ordered(events: list[dict[str, object]]) -> tuple[Amounts, Amounts]:
    """What the events of the log say, in their order."""
    orders: Amounts = defaultdict(dict)
    returns: Amounts = defaultdict(dict)
    for event in events:
        customer, order = str(event["customer_id"]), str(event["order_id"])
        match event["type"]:
            case "order.cancelled":
                del orders[customer][order]
            case "order.returned":
                returns[customer][order] = float(str(event["amount"]))
            case kind:
                assert (order in orders[customer]) == (kind == "order.corrected")
                orders[customer][order] = float(str(event["amount"]))
    return {customer: left for customer, left in orders.items() if left}, returns


async def send(settings: Settings, topic: str, changes: list[Change]) -> None:
    """Each change, and a tombstone after each that deletes."""
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, linger_ms=20) as producer:
        for number, change in enumerate(changes):
            await producer.send(topic, change.record(number), key=change.key)
            if change.after is None:
                await producer.send(topic, None, key=change.key)


async def stored(settings: Settings, topic: str, partitions: int) -> list[ConsumerRecord]:
    found: list[ConsumerRecord] = []
    for partition in range(partitions):
        async with reading(settings, TopicPartition(settings.prefix + topic, partition)) as records:
            found += records
    return found


async def test_orders_per_customer_are_those_of_the_table_and_guests_are_nobody(
    bootstrap: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    changes = history()
    orders, returns, guests = oracle(changes)
    assert min(guests, len(returns), len([1 for change in changes if change.before])) > 20

    name = unique("debezium")
    (tmp_path / "lines.yaml").write_text(MAPPING, encoding="utf-8")
    sources = tmp_path / "sources.yaml"
    sources.write_text(f"sources: [{{topic: {name}-orders, feed: orders, mapping: lines.yaml}}]", encoding="utf-8")
    made = new_installation(bootstrap, name)
    settings = load_settings(
        **{**made.model_dump(), "sources": sources, "clock": "event", "max_dead_letter_share": 1, "heartbeat_ms": 200}
    )
    await send(settings, f"{name}-orders", changes)
    async with running_roles(settings, ["ingest"]):

        async def all_are_there() -> bool:
            found = await asyncio.gather(stored(settings, "events", settings.partitions), stored(settings, "deadletters", 1))
            return sum(map(len, found)) >= len(changes)

        await until(all_are_there, every_s=0.5)
    events = [json.loads(record.value) for record in await stored(settings, "events", settings.partitions)]
    letters = Counter(dict(record.headers)["reason"] for record in await stored(settings, "deadletters", 1))

    assert ordered(events) == (orders, returns)
    assert letters == {b"no_customer": guests}
    assert len({event["id"] for event in events}) == len(events) == len(changes) - guests
