"""The arithmetic of the clock: heartbeats in, ticks and feed changes out. It knows no time but what it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from schemas.control import FeedChanged, FeedConfirmed, FeedStatus, Tick
from schemas.instants import MINUTE_MS, exact_ms
from schemas.progress import Arrivals, Heartbeat
from schemas.rules import RuleSet
from schemas.zones import load_zone
from streams.arrivals import FeedArrivals

Mode = Literal["broker", "event"]

_FRESH_MS: Final = 15 * MINUTE_MS
"""After a silence: events no older than this, and the feed's lateness, come as they happen, and not out of a backlog."""


@dataclass(frozen=True)
class ClockForm:
    """What the clock watches, and how patient it is."""

    mode: Mode
    """`broker`: a feed that was read to its end is as far as the broker's time; `event`: as far as its events."""
    topics: Mapping[str, tuple[str, ...]]
    """The source topics of each feed."""
    lagging_after_ms: int
    dead_after_ms: int


@dataclass(slots=True)
class _Lane:
    """A source partition."""

    generation: int
    heard_ms: int
    """The broker's append time of its last heartbeat."""
    reached_ms: int | None = None
    """Nothing older is expected, leaving the feed's lateness aside. Never goes back."""
    paused: str | None = None
    """Why ingest does not read it; None: it does."""
    paused_ms: int = 0
    """Since when."""


@dataclass(slots=True)
class _Told:
    """What the log was told last."""

    at_ms: int | None = None
    marks_ms: dict[str, int | None] = field(default_factory=dict)
    status: dict[str, FeedStatus] = field(default_factory=dict)
    reason: dict[str, str | None] = field(default_factory=dict)


class ClockState:
    """Marks and status of every feed.

    The same calls in the same order give the same ticks. Marks never go back, whatever arrives.
    """

    def __init__(self, form: ClockForm) -> None:
        self._form = form
        self._lanes: dict[str, dict[int, _Lane]] = {topic: {} for topics in form.topics.values() for topic in topics}
        self._partitions: dict[str, int] = {}
        self._lateness_ms: dict[str, int] = {}
        self._broker_ms: int | None = None
        self._first_ms: int | None = None  # of the time that moves in this mode
        self._told = _Told()
        self._feeds = {topic: feed for feed, topics in form.topics.items() for topic in topics}
        self._arrivals = {feed: FeedArrivals() for feed in form.topics} if form.mode == "broker" else {}
        self._confirmed: dict[str, list[FeedConfirmed]] = {}
        self._has_decided = False

    def heartbeat(self, beat: Heartbeat, appended_ms: int) -> None:
        """Ingest reports about a source partition; `appended_ms` is the broker's time of the report."""
        self.broker_time(appended_ms)
        lanes = self._lanes.get(beat.topic)
        if lanes is None:  # a topic that was a source once
            return
        lane = lanes.setdefault(beat.partition, _Lane(beat.generation, appended_ms))
        # Generations start over when the broker has forgotten the group, which takes longer than any zombie lives.
        if beat.generation < lane.generation and appended_ms - lane.heard_ms <= self._form.dead_after_ms:
            return
        lane.generation = beat.generation
        lane.heard_ms = max(lane.heard_ms, appended_ms)
        if beat.paused != lane.paused:
            lane.paused, lane.paused_ms = beat.paused, appended_ms
        self._arrived(beat, appended_ms)
        lane.reached_ms = _greater(lane.reached_ms, self._reached_ms(beat, appended_ms))
        self._partitions[beat.topic] = beat.partitions

    def broker_time(self, at_ms: int) -> None:
        """An append time of the broker that was seen somewhere."""
        self._broker_ms = _greater(self._broker_ms, at_ms)
        if self._form.mode == "broker" and self._first_ms is None:
            self._first_ms = at_ms

    def rules(self, rules: RuleSet) -> None:
        """The lateness of each feed from here on; a longer one makes marks stand still, not go back."""
        self._lateness_ms = {name: _lateness_ms(feed.lateness) for name, feed in rules.feeds.items()}
        for arrivals in self._arrivals.values():
            arrivals.zone = load_zone(rules.time_zone)

    def confirm(self, span: FeedConfirmed) -> None:
        """Somebody says that a silence of a feed is true: it is no reason to hold its mark."""
        self._confirmed.setdefault(span.source, []).append(span)

    def recall(self, kept: Arrivals) -> None:
        """What an earlier clock had learned of a feed; what this one wrote itself is nothing new to it."""
        if not self._has_decided and kept.feed in self._arrivals:
            self._arrivals[kept.feed].resume(kept)

    def learned(self) -> list[Arrivals]:
        """What a later clock has to know, of the feeds of which that is something new."""
        return [arrivals.snapshot(feed) for feed, arrivals in self._arrivals.items() if arrivals.changed]

    def resume(self, tick: Tick) -> None:
        """A tick that an earlier clock wrote into the log: this one goes on from there."""
        told = self._told
        told.at_ms = _greater(told.at_ms, tick.at_ms)
        for feed, mark_ms in tick.marks_ms.items():
            told.marks_ms[feed] = _greater(told.marks_ms.get(feed), mark_ms)

    def decide(self, *, idle: bool = False) -> list[FeedChanged | Tick]:
        """What the log must be told now: changes of feeds, then a tick if a mark moved; often nothing.

        Args:
            idle: the last tick is so long ago that one is due even if no mark moved. It still needs the broker's
                time to have moved, and means nothing while marks follow the events.
        """
        self._has_decided = True
        self._look_for_silence()
        marks_ms = {feed: self._mark_ms(feed) for feed in sorted(self._form.topics)}
        now_ms = _greater(self._told.at_ms, self._now_ms(marks_ms))
        if now_ms is None:
            return []
        if self._first_ms is None:
            self._first_ms = now_ms
        decided: list[FeedChanged | Tick] = [*self._changes(marks_ms, now_ms)]
        if marks_ms != self._told_marks() or (idle and now_ms != self._told.at_ms):
            self._told.at_ms = now_ms
            self._told.marks_ms.update(marks_ms)
            decided.append(Tick(at_ms=now_ms, marks_ms=marks_ms))
        return decided

    def lags_ms(self) -> dict[str, int | None]:
        """How far each feed's mark is behind the last tick; None while it has none."""
        at_ms, marks_ms = self._told.at_ms, self._told_marks()
        return {
            feed: None if mark_ms is None or at_ms is None else max(0, at_ms - mark_ms) for feed, mark_ms in marks_ms.items()
        }

    def statuses(self) -> dict[str, FeedStatus]:
        """The status of each feed as the log was told last."""
        return dict(self._told.status)

    def _told_marks(self) -> dict[str, int | None]:
        return {feed: self._told.marks_ms.get(feed) for feed in sorted(self._form.topics)}

    def _reached_ms(self, beat: Heartbeat, appended_ms: int) -> int | None:
        if self._form.mode == "event":
            return beat.max_event_ms
        feed = self._feeds[beat.topic]
        arrivals = self._arrivals[feed]
        if arrivals.silent_since_ms is not None:
            return None
        if beat.caught_up and not arrivals.catching_up:
            return appended_ms
        return None if beat.max_event_ms is None else min(beat.max_event_ms, appended_ms)

    def _arrived(self, beat: Heartbeat, appended_ms: int) -> None:
        """Take in what a report says about arrivals."""
        feed = self._feeds[beat.topic]
        arrivals = self._arrivals.get(feed)
        if arrivals is None:
            return
        arrivals.report(f"{beat.topic}/{beat.partition}", beat.position, appended_ms, caught_up=beat.caught_up)
        old_ms = appended_ms - _FRESH_MS - self._lateness_ms.get(feed, 0)
        if beat.max_event_ms is not None and beat.max_event_ms >= old_ms:
            arrivals.is_up_to_date()

    def _look_for_silence(self) -> None:
        now_ms = self._broker_ms
        if now_ms is None:
            return
        for feed, arrivals in self._arrivals.items():
            for span in self._confirmed.get(feed, ()):
                if span.from_ms <= now_ms:
                    arrivals.excuse(span.from_ms, min(span.until_ms, now_ms))
            arrivals.look(now_ms)

    def _is_silent(self, feed: str) -> bool:
        return feed in self._arrivals and self._arrivals[feed].silent_since_ms is not None

    def _mark_ms(self, feed: str) -> int | None:
        told_ms = self._told.marks_ms.get(feed)
        if self._is_silent(feed):
            return told_ms
        least_ms: int | None = None
        for lane in self._feed_lanes(feed):
            if lane is None or lane.reached_ms is None:
                return told_ms
            least_ms = lane.reached_ms if least_ms is None else min(least_ms, lane.reached_ms)
        return told_ms if least_ms is None else _greater(told_ms, max(0, least_ms - self._lateness_ms.get(feed, 0)))

    def _feed_lanes(self, feed: str) -> list[_Lane | None]:
        """All source partitions of a feed, None for one that has not reported."""
        return [
            self._lanes[topic].get(partition)
            for topic in self._form.topics[feed]
            for partition in range(self._partitions.get(topic, 1))
        ]

    def _now_ms(self, marks_ms: Mapping[str, int | None]) -> int | None:
        if self._form.mode == "broker":
            return self._broker_ms
        return max((mark_ms for mark_ms in marks_ms.values() if mark_ms is not None), default=None)

    def _changes(self, marks_ms: Mapping[str, int | None], now_ms: int) -> list[FeedChanged]:
        changes = []
        for feed, mark_ms in marks_ms.items():
            since_ms = self._heard_ms(feed) if self._form.mode == "broker" else mark_ms
            status, reason = self._status(since_ms, now_ms), None
            if status == "live" and self._is_silent(feed):
                status, since_ms = "silent", self._arrivals[feed].silent_since_ms
            if (paused := self._paused(feed)) is not None:
                status, since_ms, reason = "dead", paused.paused_ms, paused.paused
            if status is None or (status, reason) == (self._told.status.get(feed), self._told.reason.get(feed)):
                continue
            self._told.status[feed], self._told.reason[feed] = status, reason
            since_ms = now_ms if status == "live" else self._or_first(since_ms, now_ms)
            changes.append(FeedChanged(at_ms=now_ms, source=feed, status=status, since_ms=since_ms, reason=reason))
        return changes

    def _paused(self, feed: str) -> _Lane | None:
        """The source partition that ingest has paused for longest: nobody needs to wait to know that the feed is dead."""
        paused = [lane for lane in self._feed_lanes(feed) if lane is not None and lane.paused is not None]
        return min(paused, key=lambda lane: lane.paused_ms, default=None)

    def _heard_ms(self, feed: str) -> int | None:
        """The last heartbeat of the source partition that is quiet for longest; None if one has never reported."""
        lanes = [lane for lane in self._feed_lanes(feed) if lane is not None]
        if not lanes or len(lanes) < len(self._feed_lanes(feed)):
            return None
        return min(lane.heard_ms for lane in lanes)

    def _status(self, since_ms: int | None, now_ms: int) -> FeedStatus | None:
        """None: it has not reported yet, and there was hardly time to."""
        behind_ms = now_ms - self._or_first(since_ms, now_ms)
        if behind_ms > self._form.dead_after_ms:
            return "dead"
        if behind_ms > self._form.lagging_after_ms:
            return "lagging"
        return None if since_ms is None else "live"

    def _or_first(self, since_ms: int | None, now_ms: int) -> int:
        if since_ms is not None:
            return since_ms
        return now_ms if self._first_ms is None else self._first_ms


def _greater(one_ms: int | None, other_ms: int | None) -> int | None:
    if one_ms is None or other_ms is None:
        return other_ms if one_ms is None else one_ms
    return max(one_ms, other_ms)


def _lateness_ms(text: str) -> int:
    return exact_ms(text) if text.strip("PTDHMS0") else 0  # none at all is no duration anywhere else
