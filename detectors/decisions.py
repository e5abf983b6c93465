"""What one record of the log led to."""

from dataclasses import dataclass, field
from typing import Literal

from schemas.decisions import AlertRecord, DeadLetter, ErasureRecord, ExampleRecord, LifecycleRecord, RiskRecord


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Everything under a key is taken out of a compacted topic."""

    topic: Literal["alerts", "risk", "lifecycle"]
    key: str
    customer_id: str | None = None
    """Of an alert: whose it was, for readers who keep alerts by customer."""


@dataclass(slots=True)
class Decisions:
    """Records for the outside, each list in the order of the decisions."""

    alerts: list[AlertRecord] = field(default_factory=list)
    shadow: list[AlertRecord] = field(default_factory=list)
    """Alerts of rules in shadow mode, never to be acted on."""
    risk: list[RiskRecord] = field(default_factory=list)
    lifecycle: list[LifecycleRecord] = field(default_factory=list)
    examples: list[ExampleRecord] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)
    """They come after the records of their topics."""
    erasures: list[ErasureRecord] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)

    def add_alert(self, alert: AlertRecord) -> None:
        """Put an alert where its mode wants it."""
        (self.alerts if alert.mode == "live" else self.shadow).append(alert)
