"""What a kind of rule says about one episode."""

import msgspec

from schemas.decisions import AlertState, Because, ClearsIf, Evidence


class Transition(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An episode began or ended, or comes near: the life of its alert makes of that what the rule wants told.

    A kind says `warned`, `opened`, `resolved` and `retracted`. While the alert is open, what opened it is kept: it stands
    in every later record of the alert.
    """

    state: AlertState
    at_ms: int
    episode_start_ms: int
    due_ms: int
    because: tuple[Because, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    clears_if: ClearsIf | None = None
    subject: str | None = None
    """Id of the ticket or contract, as the rule's `subject` says."""
    fraction: float | None = None
    notes: tuple[str, ...] = ()
    calendar: str | None = None
    """Version of the calendar that the decision rests on."""
