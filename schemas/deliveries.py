"""Records of `churn.deliveries`: what each recipient was told of each alert, what waits, and up to where it was read."""

from typing import Literal

import msgspec

from schemas.decisions import AlertRecord, Sequence
from schemas.events import Count, EpochMs, Id

Told = Literal["sent", "waits", "dropped", "refused", "telling"]
"""`sent`: the recipient has it; `telling`: perhaps it has it, for the step is under way, or a crash ended it; `waits`: until
`due_ms`, or until a storm is released; `dropped`: will never be told; `refused`: the sink will never take it, and it is a
dead letter."""
Wait = Literal["quiet", "budget", "digest", "storm"]


class Ledger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all records of the topic have in common; the key is made by the class's own `key`."""

    recipient: Id
    """Name of a destination or of a person in the file of routes."""


class ToldRecord(Ledger, frozen=True, kw_only=True, tag="told"):
    """How far a recipient was told of an alert; a tombstone once the alert is closed and nothing waits."""

    alert_id: Id
    sequence: Sequence
    """Of the latest transition that was decided about."""
    told: Told
    at_ms: EpochMs
    opened: bool = False
    """Whether the recipient knows the alert as not over: then it must hear of its end."""
    over: bool = False
    """Nothing will be told of it: the row is kept for a repeat after a crash, and as long as it is counted."""
    wait: Wait | None = None
    """Why it waits, or waited before it was sent: its end goes the same way."""
    due_ms: EpochMs | None = None
    """When what waits is looked at again; None: when its storm is released."""
    alert: AlertRecord | None = None
    """While it waits: what will be told."""
    counted_ms: EpochMs | None = None
    """When it was counted as an opening of its rule, as long as that may still make a storm; with the next two."""
    rule: Id | None = None
    """Without its version."""
    customer_id: Id | None = None

    def key(self) -> bytes:
        """Of the record in the topic."""
        return f"{self.recipient}/alert/{self.alert_id}".encode()

    def closed(self) -> "ToldRecord":
        """The same once nothing more will be told of the alert, and nothing is known of its customer."""
        return ToldRecord(
            recipient=self.recipient,
            alert_id=self.alert_id,
            sequence=self.sequence,
            told="dropped",
            at_ms=self.at_ms,
            over=True,
        )


class PositionRecord(Ledger, frozen=True, kw_only=True, tag="position"):
    """Up to where the recipient was told: all before it was decided about, and what was decided stands in the topic."""

    offsets: list[Count]
    """Next offset of each partition of `churn.alerts`, by its number."""

    def key(self) -> bytes:
        """Of the record in the topic."""
        return f"{self.recipient}/position".encode()


class BudgetRecord(Ledger, frozen=True, kw_only=True, tag="budget"):
    """How many alerts a recipient got at once on a day of its own time zone."""

    day: str
    """`YYYY-MM-DD`."""
    used: Count
    last: str = ""
    """Key of the notice that was counted last: told again after a crash, it is not counted twice."""

    def key(self) -> bytes:
        """Of the record in the topic: the latest day is kept."""
        return f"{self.recipient}/budget".encode()


class StormRecord(Ledger, frozen=True, kw_only=True, tag="storm"):
    """A rule opened for so many customers that its alerts are held; a tombstone once it is over."""

    rule: Id
    began_ms: EpochMs
    customers: Count
    """That it had opened for within the window when it began."""
    due_ms: EpochMs | None = None
    """When it will be told of, after quiet hours; None: it was."""
    over: bool = False
    """It ended by itself."""

    def key(self) -> bytes:
        """Of the record in the topic."""
        return f"{self.recipient}/storm/{self.rule}".encode()


class StormOrder(Ledger, frozen=True, kw_only=True, tag="storm_order"):
    """What people decided about the held alerts of a rule, for every recipient (`*`); of two the later `at_ms` holds."""

    rule: Id
    order: Literal["release", "drop"]
    at_ms: EpochMs
    by: Id

    def key(self) -> bytes:
        """Of the record in the topic."""
        return f"*/order/{self.rule}".encode()


AnyLedger = ToldRecord | PositionRecord | BudgetRecord | StormRecord | StormOrder
