"""What stores are told: the records of the topics of decisions, decoded, and what cannot be told of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka.structs import ConsumerRecord
from faust.types import TP

from schemas.codec import decode_decision
from schemas.decisions import AlertRecord, DeadLetter, LifecycleRecord, RiskRecord
from schemas.errors import ContractError
from sinks.base import Delivery, Forgotten
from sinks.stores import Partition, Told
from streams.chunks import Chunk
from streams.decision_rows import CUSTOMER_HEADER, ERASED_HEADER
from streams.settings import Settings, Topic

DELIVERED: Final[tuple[Topic, ...]] = ("alerts", "risk", "lifecycle")


@dataclass(frozen=True)
class Batch:
    """Some chunks, at most one of each partition after the other."""

    records: list[ConsumerRecord]
    """As they were read; of the same length as `told`."""
    told: list[Told]
    letters: list[DeadLetter]
    """What cannot be told."""
    reached: dict[Partition, int]
    """The offset behind the last record of each partition."""


def partition_of(tp: TP) -> Partition:
    """As stores name it.

    >>> partition_of(TP("churn.alerts", 3))
    'churn.alerts/3'
    """
    return f"{tp.topic}/{tp.partition}"


def batch_of(settings: Settings, chunks: Sequence[Chunk]) -> Batch:
    """What can be told of some chunks."""
    batch = Batch([], [], [], {})
    for chunk in chunks:
        name = partition_of(chunk.tp)
        for record in chunk.records:
            try:
                found = delivery_of(settings, record)
            except ContractError as error:
                batch.letters.append(letter_of(record, error.code, error.message))
                continue
            if found is not None:
                batch.records.append(record)
                batch.told.append(Told(name, record.offset, found))
        batch.reached[name] = chunk.records[-1].offset + 1
    return batch


def delivery_of(settings: Settings, record: ConsumerRecord) -> Delivery | None:
    """What a record says; None: nothing about a customer.

    Raises:
        ContractError: it cannot be read, or has no business in its topic.
    """
    if record.value is None:
        return _forgotten(settings, record)
    decision = decode_decision(record.value)
    if isinstance(decision, AlertRecord | RiskRecord | LifecycleRecord):
        return decision
    message = f"the topic {record.topic} does not carry records of the type {decision.__struct_config__.tag}"
    raise ContractError("unexpected_type", message)


def letter_of(record: ConsumerRecord, reason: str, message: str) -> DeadLetter:
    """The dead letter of a record."""
    return DeadLetter(
        value=record.value or b"",
        reason=reason,
        message=message,
        stage="deliver",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )


def _forgotten(settings: Settings, record: ConsumerRecord) -> Forgotten | None:
    key, headers = (record.key or b"").decode(errors="replace"), dict(record.headers)
    erased = headers.get(ERASED_HEADER)
    erased_ms = int(erased) if erased is not None and erased.isdigit() else None
    if record.topic != settings.topic("alerts"):
        is_risk = record.topic == settings.topic("risk")
        return Forgotten(key, "risk" if is_risk else "stage", erased_ms=erased_ms) if key else None
    customer = headers.get(CUSTOMER_HEADER)
    return None if customer is None else Forgotten(customer.decode(errors="replace"), "alert", key, erased_ms)
