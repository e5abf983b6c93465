"""What one record of the log led to."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from schemas.decisions import AlertRecord, DeadLetter, ErasureRecord, ExampleRecord, LifecycleRecord, RiskRecord


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Everything under a key is taken out of a compacted topic."""

    topic: Literal["alerts", "risk", "lifecycle"]
    key: str
    customer_id: str | None = None
    """Of an alert: whose it was, for readers who keep alerts by customer."""
    erased_ms: int | None = None
    """The customer was erased, with all that had happened until then; None: it is only so long over."""


class Decisions(msgspec.Struct):
    """Records for the outside, each list in the order of the decisions."""

    alerts: list[AlertRecord] = []
    shadow: list[AlertRecord] = []
    """Alerts of rules in shadow mode, never to be acted on."""
    risk: list[RiskRecord] = []
    lifecycle: list[LifecycleRecord] = []
    examples: list[ExampleRecord] = []
    dead_letters: list[DeadLetter] = []
    tombstones: list[Tombstone] = []
    """They come after the records of their topics."""
    erasures: list[ErasureRecord] = []

    def __bool__(self) -> bool:
        """Asked for each record, and nearly always false: a chain is a third of a loop over the fields."""
        told = self.alerts or self.shadow or self.risk or self.lifecycle or self.examples
        return bool(told or self.dead_letters or self.tombstones or self.erasures)

    def add_alert(self, alert: AlertRecord) -> None:
        """Put an alert where its mode wants it."""
        (self.alerts if alert.mode == "live" else self.shadow).append(alert)
