"""How far each source partition has been read, and what is reported about it to the clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.progress import Heartbeat


class Lane(NamedTuple):
    """A source partition."""

    topic: str
    partition: int


@dataclass(frozen=True)
class Reading:
    """What the consumer knows of a lane at one moment."""

    position: int
    """Next offset to be handed to ingest."""
    end: int | None
    """Where the partition ended when it was last fetched; None before that, and if that is too long ago to go by."""
    idle: bool
    """Nothing that was handed to ingest is still in work."""


@dataclass(slots=True)
class _Read:
    next_offset: int | None = None
    """Everything before it is in the log; None until something was read since the assignment."""
    max_event_ms: int | None = None
    reported: int = 0
    """The last position that was reported, by whichever process."""
    seen_idle_at: int | None = None
    """Position at the last report, if the lane was idle then."""


class Progress:
    """Of all lanes of this process. A new generation of the group begins anew, keeping only the times of events."""

    def __init__(self, feeds: Mapping[str, str]) -> None:
        """`feeds`: of each source topic."""
        self._feeds = feeds
        self._lanes: dict[Lane, _Read] = {}
        self._generation = -1
        self.behind = False
        """Whether the last reports said of some lane that it is not read to its end."""

    def recall(self, reports: Iterable[Heartbeat]) -> None:
        """Take over what earlier processes reported: after a restart the lane may stay quiet for long."""
        for beat in reports:
            found = self._lane(Lane(beat.topic, beat.partition))
            self._saw_event(found, beat.max_event_ms)
            found.reported = beat.position

    def begin(self, lane: Lane) -> None:
        """The lane is read from some place on, perhaps from another one than before."""
        found = self._lane(lane)
        found.next_offset = found.seen_idle_at = None

    def read(self, lane: Lane, next_offset: int, max_event_ms: int | None, generation: int) -> None:
        """Records were forwarded and acknowledged; what an earlier generation did is read again by somebody."""
        self._enter(generation)
        found = self._lane(lane)
        self._saw_event(found, max_event_ms)
        if generation == self._generation:
            found.next_offset = next_offset

    def reports(
        self,
        readings: Mapping[Lane, Reading],
        partitions: Mapping[str, int],
        generation: int,
        paused: Mapping[Lane, str] | None = None,
    ) -> list[Heartbeat]:
        """A heartbeat for each lane whose position is certain, or that is paused.

        Args:
            readings: of the assigned lanes that are read.
            partitions: how many each topic has; of one that is left out nothing is reported.
            generation: of the group, at the time of the readings.
            paused: the assigned lanes that are not, and why; they are as far as they were.
        """
        self._enter(generation)
        beats = []
        for lane in sorted(lane for lane in readings if lane.topic in partitions):
            position = self._position(lane, readings[lane])
            if position is not None:
                is_read = readings[lane].end is not None and position >= (readings[lane].end or 0)
                beats.append(self._heartbeat(lane, position, partitions[lane.topic], caught_up=is_read))
        self.behind = len(beats) < len(readings) or not all(beat.caught_up for beat in beats)
        for lane, reason in sorted((paused or {}).items()):
            position = self._lane(lane).next_offset
            position = self._lane(lane).reported if position is None else position
            count = partitions.get(lane.topic, lane.partition + 1)
            beats.append(self._heartbeat(lane, position, count, paused=reason))
        return beats

    def _heartbeat(
        self, lane: Lane, position: int, partitions: int, *, caught_up: bool = False, paused: str | None = None
    ) -> Heartbeat:
        self._lane(lane).reported = position
        return Heartbeat(
            feed=self._feeds[lane.topic],
            topic=lane.topic,
            partition=lane.partition,
            partitions=partitions,
            generation=self._generation,
            position=position,
            max_event_ms=self._lane(lane).max_event_ms,
            caught_up=caught_up,
            paused=paused,
        )

    def _position(self, lane: Lane, reading: Reading) -> int | None:
        """Up to where all is in the log.

        The consumer may be ahead of what was read although nothing is in work: the markers of transactions are no
        records. One report later that is certain, because by then whatever was on its way has arrived.
        """
        found = self._lane(lane)
        settled = reading.idle and found.seen_idle_at == reading.position
        found.seen_idle_at = reading.position if reading.idle else None
        return reading.position if settled else found.next_offset

    def _lane(self, lane: Lane) -> _Read:
        return self._lanes.setdefault(lane, _Read())

    def _enter(self, generation: int) -> None:
        if generation > self._generation:
            self._generation = generation
            for found in self._lanes.values():
                found.next_offset = found.seen_idle_at = None

    @staticmethod
    def _saw_event(found: _Read, at_ms: int | None) -> None:
        if at_ms is not None and (found.max_event_ms is None or at_ms > found.max_event_ms):
            found.max_event_ms = at_ms
