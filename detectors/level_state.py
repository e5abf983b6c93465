"""What is remembered for `level` rules."""

import msgspec

from detectors.occurrence import Occurrence


class Point(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value that was seen."""

    occurrence: Occurrence
    value: float


class Level(msgspec.Struct, array_like=True):
    """State of one `level` rule for one customer."""

    episode_ms: int | None = None
    """The open episode: the event that crossed."""
    final_ms: int | None = None
    """The latest crossing, either way: what arrives for an instant before it changes nothing any more."""
    later: list[Point] = []
    """What was seen after that crossing, by time, and at the same instant as it came. It only confirmed what held
    already, unless the rule's limits have moved since."""
