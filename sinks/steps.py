"""What a plan wants done next: something told, and what is to be remembered once it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.decisions import AlertRecord
from schemas.deliveries import AnyLedger, StormOrder
from sinks.base import Delivery, Notice, NoticeKind, Storm
from sinks.routes import Recipient


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. Steps of one subject are done in their order, each after the one before it was done."""

    subject: str
    """The alert's id; of a digest or storm its key."""
    send: tuple[Delivery, ...] = ()
    """Told first; nothing: only to be remembered."""
    remember: tuple[AnyLedger, ...] = ()
    """Written to `churn.deliveries` once it was told, in this order: a crash may leave only the first of them there."""
    forget: tuple[bytes, ...] = ()
    """Keys of `churn.deliveries` that are over: tombstones, written once the position is behind the record. A later step
    that remembers such a key takes it back."""
    why: str = ""
    """Why so, and not at another time: a code of `sinks.manners.Why`, or `system`, `storm`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice that has no words yet; the fields are those of `Notice`."""

    key: str
    kind: NoticeKind
    recipient: Recipient
    now_ms: int
    """From which its links are valid."""
    alerts: tuple[AlertRecord, ...] = ()
    storm: Storm | None = None


Write = Callable[[Draft], Notice]
"""Puts the words in."""


class Plan(Protocol):
    """Who is told what and when, of one recipient. Pure: it is told the time, and returns steps.

    It remembers what it was asked to take, so a step that was returned counts as done: whoever takes steps and cannot
    do them starts again from `churn.deliveries` with a new plan.
    """

    def restore(self, rows: Sequence[AnyLedger]) -> None:
        """What `churn.deliveries` has of this recipient, in any order, before anything is taken."""

    def take(self, alerts: Sequence[AlertRecord], now_ms: int) -> list[Step]:
        """A batch of transitions as they stand in the topic; one whose sequence was already decided about leads to nothing.

        All at once, since people are not told of an alert that is over by the end of the batch.
        """

    def caught_up(self) -> list[Step]:
        """All that stood in the topic when this plan was restored was taken: nothing can come again.

        Asked once; what was only kept against repeats is forgotten.
        """

    def forgotten(self, alert_id: str) -> list[Step]:
        """The alert was taken out of the topic: its customer was erased, or it is long over. Nothing more is told of it.

        Called in the order of the topic.
        """

    def order(self, order: StormOrder, now_ms: int) -> list[Step]:
        """People decided about a storm; an order not above the latest of its rule leads to nothing."""

    def due(self, now_ms: int) -> list[Step]:
        """What waited until now."""

    def next_due_ms(self) -> int | None:
        """When `due` has something; None: nothing waits for a time."""
