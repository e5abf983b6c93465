"""What a sink is: a place that decisions are told to, as often as the log repeats itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Something was taken out of the topics: an alert that is long over, or what was said of a customer who was erased.

    Each topic speaks for itself. A customer may be known again, and then one topic can be ahead of another.
    """

    customer_id: str
    what: Literal["alert", "risk", "stage"]
    alert_id: str = ""
    """Of the alert, if it is one."""


Delivery = AlertRecord | RiskRecord | LifecycleRecord | Forgotten


class SinkError(Exception):
    """Records were not taken.

    Args:
        message: one sentence for the operator.
        retryable: the same records may be taken later: the sink is down, full, or starting.
        refused: if not, the indices of those that never will be; all others were taken.
    """

    def __init__(self, message: str, *, retryable: bool, refused: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.refused = tuple(refused)


class Sink(Protocol):
    """Idempotent: the same records once more, or older ones after newer ones, change nothing.

    A record is older than another if its `sequence` is smaller, among the transitions of one alert, the risks of one
    customer, or the stages of one customer. What is forgotten comes after all records about it, or together with them
    once more.
    """

    name: str
    """In logs and metrics."""

    async def deliver(self, records: Sequence[Delivery]) -> None:
        """Take a batch; when it returns, the records are where the sink keeps them.

        Raises:
            SinkError: some were not taken.
        """

    async def close(self) -> None:
        """Let go of connections."""
