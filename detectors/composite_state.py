"""What is remembered for `all` and `any` rules."""

import msgspec

from schemas.decisions import AlertState, Evidence


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """A part opened or closed."""

    at_ms: int
    part: str
    """The slot of its alert: the rule, and the subject."""
    state: AlertState
    evidence: tuple[Evidence, ...] = ()


class Composite(msgspec.Struct, array_like=True):
    """State of one `all` or `any` rule for one customer."""

    open: list[str] = []
    """Slots of parts that are open, in the order of their opening."""
    ahead: list[Turn] = []
    """Not passed by the clock yet, by time."""
    episode_ms: int | None = None
