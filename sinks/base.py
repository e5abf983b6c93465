"""What a sink is: a place that decisions are told to, as often as the log repeats itself."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

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
    erased_ms: int | None = None
    """The customer was erased, with all that had happened until then; None: the alert is only so long over."""


Action = Literal["show", "ack", "snooze_1d", "snooze_7d", "false_alarm", "saved"]
"""What a link in a message offers."""
Language = Literal["en", "zh"]
NoticeKind = Literal["alert", "digest", "storm"]


@dataclass(frozen=True, slots=True)
class Item:
    """An alert as people are told of it."""

    alert: AlertRecord
    said: str
    """One line on what happened and why, in the language of the notice."""
    because: tuple[str, ...]
    """The clauses that held, in words."""
    clears_if: str
    """What would close it, in words; empty if nothing would."""
    links: Mapping[Action, str]
    """Signed addresses that expire; empty where no links are served."""


@dataclass(frozen=True, slots=True)
class Storm:
    """So many openings of a rule that one message stands for them all."""

    rule: str
    customers: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person or a room is told at once: a transition of an alert, a digest, or a storm."""

    key: str
    """The same notice has the same key, however often it is made: `<alert_id>/<sequence>`, `digest/<recipient>/<due_ms>`,
    `storm/<recipient>/<rule>/<began_ms>`, `release/<recipient>/<rule>/<at_ms of the order>`."""
    kind: NoticeKind
    recipient: str
    """Its name in the file of routes."""
    address: str
    """Where the sink sends it, e.g. an e-mail address; empty: where the sink always sends."""
    language: Language
    time_zone: str
    """IANA name, for times in words."""
    items: tuple[Item, ...] = ()
    """The alert; of a digest all of them, the most urgent first, and those that are over last."""
    storm: Storm | None = None


Delivery = AlertRecord | RiskRecord | LifecycleRecord | Forgotten | Notice
"""Machines are told records, people notices; a sink lets pass what is not for its kind of recipient."""

TRACEPARENT: Final[ContextVar[str]] = ContextVar("traceparent", default="")
"""While `deliver` is called: the W3C `traceparent` of what it is told, empty if it has none. It is no part of a record."""


class SinkError(Exception):
    """Records were not taken.

    Args:
        message: one sentence for the operator.
        retryable: the same records may be taken later: the sink is down, full, or starting.
        refused: if not, the indices of those that never will be; all others were taken.
        retry_after_s: how long the other side asks us to wait; None: it does not say.
    """

    def __init__(
        self, message: str, *, retryable: bool, refused: Sequence[int] = (), retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.refused = tuple(refused)
        self.retry_after_s = retry_after_s


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


@runtime_checkable
class StandingSink(Sink, Protocol):
    """A sink whose other side forgets an alert that is not told again: it keeps what is open, and is asked to repeat it.

    It has no clock and no task of its own. Who delivers to it calls `repeat` every `repeat_every_s`, also while nothing
    new comes, and treats its failures as those of `deliver`.
    """

    repeat_every_s: float

    async def resume(self, alerts: Sequence[AlertRecord]) -> None:
        """After a start, before anything else: the last record of each alert that the other side was told as open.

        Nothing is sent; the next `repeat` tells them.
        """

    async def repeat(self) -> None:
        """Tell again all that is open.

        Raises:
            SinkError: it was not taken; nothing is forgotten, and the next `repeat` tells it.
        """
