"""What is remembered of the alerts of a customer."""

from typing import Literal

import msgspec

from detectors.transition import Transition
from schemas.decisions import AlertState

SlotState = AlertState | Literal["held", "dropped"]
"""`held`: an opening or warning that waits, nothing was told; `dropped`: it waited in vain."""


class AlertSlot(msgspec.Struct, array_like=True):
    """The latest alert of a rule and subject: enough to go on with its life, and with numbering its records."""

    episode_start_ms: int
    due_ms: int
    sequence: int
    """Of the last record; 0: nothing was told."""
    state: SlotState
    at_ms: int = 0
    """Of the last change of state."""
    wake_ms: int | None = None
    """When something happens to it by itself: let out, escalated, woken from a snooze, expired."""
    ack_by_ms: int | None = None
    until_ms: int | None = None
    """Held: when it is let out, None: once the customer is one that the rule is for. Snoozed: until when."""
    expires_ms: int | None = None
    cooldown_until_ms: int | None = None
    owner: str | None = None
    """Assigned by somebody."""
    said: Transition | None = None
    """What was said at the opening, or waits to be; None once it is closed."""
    ahead: list[Transition] = []
    """What was said meanwhile of later instants, by time: it waits too, so that everything is decided in that order."""
    over: AlertState | None = None
    """While the same alert waits to be opened again: how it was over before."""
    ripe_ms: int = 0
    """Held: dwell, cooldown and freeze are over at it, and only the customer may not be one that the rule is for."""


def waits(slot: AlertSlot | None, episode_start_ms: int, at_ms: int) -> bool:
    """Whether the opening of an episode waits at an instant (dwell, cooldown), so that nobody was told of it yet.

    A kind with a clear limit asks this: while an opening waits, it is over as soon as the opening limit is not reached.
    """
    if slot is None or slot.state != "held" or slot.episode_start_ms != episode_start_ms:
        return False
    return slot.until_ms is None or slot.until_ms > at_ms


class PastAlert(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An alert that is over, and another has its slot: what is kept until it is forgotten everywhere."""

    key: str
    """The slot that it had."""
    episode_start_ms: int
    due_ms: int
    sequence: int
    """Of its last record: should the same alert begin once more, its numbers go on."""
    state: AlertState
    closed_ms: int
    shadow: bool = False
    """Nothing has to be taken out."""
