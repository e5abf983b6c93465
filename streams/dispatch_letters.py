"""Dead letters of what a lane could not read, or of what a sink will never take."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from aiokafka.structs import ConsumerRecord

from schemas.codec import encode
from schemas.decisions import AlertRecord, DeadLetter
from schemas.errors import ContractError
from sinks.base import Delivery, Notice
from streams.dead_letters import dead_letter_row
from streams.settings import Settings
from streams.traces import traceparent_of
from streams.transactions import Row


@dataclass
class AlertsAt:
    """Where the alerts of a batch stand in their topic."""

    unreadable: list[tuple[ConsumerRecord, ContractError]] = field(default_factory=list)
    _records: dict[tuple[str, int], ConsumerRecord] = field(default_factory=dict)

    def put(self, alert: AlertRecord, record: ConsumerRecord) -> None:
        """It was read from there."""
        self._records[alert.alert_id, alert.sequence] = record

    def of(self, delivery: Delivery) -> list[ConsumerRecord]:
        """The records that a delivery tells of, as far as they are in the batch: what waited came with an earlier one."""
        alerts = [item.alert for item in delivery.items] if isinstance(delivery, Notice) else [delivery]
        keys = [(alert.alert_id, alert.sequence) for alert in alerts if isinstance(alert, AlertRecord)]
        return [self._records[key] for key in keys if key in self._records]

    def traceparent_of(self, delivery: Delivery) -> str:
        """The trace of the first of them; empty if it has none."""
        return next(((traceparent_of(record.headers) or b"").decode() for record in self.of(delivery)), "")


def unreadable(record: ConsumerRecord, error: ContractError) -> Row:
    """Of a record that is no alert."""
    return _row(record, error.code, error.message)


def letters_of(sent: Sequence[Delivery], settings: Settings, places: AlertsAt, recipient: str, why: str) -> list[Row]:
    """Of each record that a refused delivery told of.

    Of what waited nobody knows any more where it stood: then the delivery itself is the letter, at the beginning of
    `churn.deliveries`.
    """
    message = f"{recipient} refuses it: {why}"
    records = [record for delivery in sent for record in places.of(delivery)]
    if records:
        return [_row(record, "sink_refused", message) for record in records]
    letter = DeadLetter(
        value=b"[" + b",".join(map(_encoded, sent)) + b"]",
        reason="sink_refused",
        message=message,
        stage="deliver",
        topic=settings.topic("deliveries"),
        partition=0,
        offset=0,
    )
    return [dead_letter_row(letter)]


def _encoded(delivery: Delivery) -> bytes:
    return encode(delivery) if isinstance(delivery, msgspec.Struct) else msgspec.json.encode(delivery)


def _row(record: ConsumerRecord, reason: str, message: str) -> Row:
    return dead_letter_row(
        DeadLetter(
            value=record.value or b"",
            reason=reason,
            message=message,
            stage="deliver",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
    )
