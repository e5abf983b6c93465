"""What is remembered of a customer for the risk: reviews, the last record sent, watches of `score` rules, the stage."""

from typing import Literal

import msgspec

from schemas.decisions import Band

Basis = Literal["model", "rules"]


class Pending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A review whose label is not known yet; its features stand in a record of their own."""

    at_ms: int
    horizon_ms: int

    @property
    def due_ms(self) -> int:
        """When the label is known."""
        return self.at_ms + self.horizon_ms


class Span(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The earliest and the latest of some events."""

    first_ms: int
    last_ms: int


class LabelState(msgspec.Struct, array_like=True):
    """Reviews of one customer.

    Of all activity between two reviews the earliest instant says everything that a label may ask:
    whether there was any at or after a review, and before the end of its horizon.
    """

    reviewed_ms: int | None = None
    """Reviews up to this instant are over, held or not; None: none was due so far."""
    pending: list[Pending] = []
    """By time."""
    stays: list[Span] = []
    """Activity, one span between two reviews, by time; only what a label or a review may still ask for."""
    leaves: list[Span] = []
    """Likewise, of the events that mean an end."""
    stayed_ms: int | None = None
    """The latest activity before those spans."""
    left_ms: int | None = None


class RiskState(msgspec.Struct, array_like=True):
    """The last risk record that went out."""

    sequence: int = 0
    probability: float | None = None
    band: Band = "low"
    basis: Basis = "rules"
    about_changed: bool = False
    """What it says of tier, owner or value is not so any more."""


class ScoreWatch(msgspec.Struct, array_like=True):
    """State of one `score` rule for one customer."""

    above_since_ms: int | None = None
    """The look that crossed the limit, until one finds it cleared."""


class Turn(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An activity, or an event that means an end, which the clock has yet to pass."""

    at_ms: int
    type: str
    leaves: bool = False


class LifecycleState(msgspec.Struct, array_like=True):
    """Where a customer stands; the stage itself is the customer's."""

    sequence: int = 0
    since_ms: int = 0
    """Start of the stage."""
    cause: str = ""
    active_ms: int | None = None
    """The last activity that the clock has passed."""
    returned: bool = False
    """There was more than one."""
    ahead: list[Turn] = []
    """By time."""
