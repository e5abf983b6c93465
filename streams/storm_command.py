"""`churnwatch storm list`, `release` and `drop`: alerts that are held because a rule opened for too many customers at once."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aiokafka.structs import TopicPartition

from schemas.codec import encode
from schemas.decisions import AlertRecord
from schemas.deliveries import StormOrder, StormRecord, ToldRecord
from schemas.instants import format_instant
from sinks.routes import rule_id
from streams.actions import time_of
from streams.columns import in_columns
from streams.ledger import EVERYBODY, Ledger
from streams.log_writer import write_once
from streams.settings import Settings
from streams.topic_tail import read_through, reader
from streams.topics import partition_count
from streams.transactions import Place, Row


class StormRefused(RuntimeError):  # noqa: N818 - what became of the order
    """Nothing was sent; the message says why."""


@dataclass(frozen=True)
class Held:
    """What is held of a rule for one recipient."""

    rule: str
    recipient: str
    since_ms: int
    customers: int
    """For whom it had opened when it began."""
    held: int
    """Alerts that wait for a decision now."""

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "rule": self.rule,
            "recipient": self.recipient,
            "since": format_instant(self.since_ms),
            "customers": self.customers,
            "held": self.held,
        }


@dataclass(frozen=True)
class OrderSent:
    """What all in-sync replicas of `churn.deliveries` have."""

    order: StormOrder
    held: list[Held]

    def as_json(self) -> dict[str, Any]:
        """For machines: the order, and what it was about."""
        return {
            "order": self.order.order,
            "rule": self.order.rule,
            "by": self.order.by,
            "held": [one.as_json() for one in self.held],
        }

    def __str__(self) -> str:
        done = "are told now, together" if self.order.order == "release" else "are dropped: nobody is told of them"
        about = ", ".join(f"{one.held} for {one.recipient}" for one in self.held)
        return f"the alerts of {self.order.rule} that are held {done}: {about}"


def held(settings: Settings) -> list[Held]:
    """Every storm that is not over, by rule and recipient.

    Raises:
        StormRefused: there is no topic of deliveries.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    topic = settings.topic("deliveries")
    if partition_count(settings, topic) is None:
        raise StormRefused(f"the topic {topic} does not exist: `churnwatch topics` creates it")
    return _storms(asyncio.run(_read(settings)))


def order(settings: Settings, rule: str, what: str, by: str) -> OrderSent:
    """Have the held alerts of a rule told (`release`) or not (`drop`), to everybody for whom they are held.

    Raises:
        StormRefused: nothing of this rule is held.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    storms = held(settings)
    about = [storm for storm in storms if storm.rule == rule]
    if not about:
        known = sorted({storm.rule for storm in storms})
        raise StormRefused(f"no alerts of {rule!r} are held" + (f"; held are those of {', '.join(known)}" if known else ""))
    # An order ends the storms that began up to it: also where this machine's clock is behind.
    at_ms = max(time_of(settings), *(storm.since_ms for storm in about))
    sent = StormOrder(recipient=EVERYBODY, rule=rule, order="release" if what == "release" else "drop", at_ms=at_ms, by=by)
    row = Row(sent.key(), encode(sent))
    asyncio.run(write_once(settings, {Place(settings.topic("deliveries"), 0): [row]}))
    return OrderSent(sent, about)


def as_text(storms: list[Held]) -> str:
    """A table, or that there is nothing."""
    if not storms:
        return "no alerts are held"
    rows = [(one.rule, one.recipient, format_instant(one.since_ms), str(one.customers), str(one.held)) for one in storms]
    return "\n".join(in_columns([("rule", "recipient", "since", "customers", "held"), *rows]))


async def _read(settings: Settings) -> Ledger:
    ledger = Ledger()
    async with reader(settings) as consumer:
        async for record in read_through(consumer, TopicPartition(settings.topic("deliveries"), 0)):
            ledger.take(record)
    return ledger


def _storms(ledger: Ledger) -> list[Held]:
    rows = list(ledger.rows())
    waiting = Counter(
        (row.recipient, rule_id(row.alert))
        for row in rows
        if isinstance(row, ToldRecord) and row.wait == "storm" and row.told == "waits" and isinstance(row.alert, AlertRecord)
    )
    storms = [row for row in rows if isinstance(row, StormRecord) and not row.over]
    return sorted(
        (Held(row.rule, row.recipient, row.began_ms, row.customers, waiting[row.recipient, row.rule]) for row in storms),
        key=lambda one: (one.rule, one.recipient),
    )
