"""The SLA clock: a reduction over a ticket's moments that accumulates business time.

What was consumed is kept over pauses and changes of the target; no deadline is stored. An interval is half-open:
whatever happens at the deadline itself comes too late.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from detectors.calendars import Calendar
from detectors.tickets import Moment
from schemas.events import Category, Priority
from schemas.rule_kinds import SlaTarget


@dataclass(frozen=True, slots=True)
class Running:
    """It runs, and is breached at the deadline."""

    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Paused:
    """It stands still, with so much business time left."""

    left_ms: int


@dataclass(frozen=True, slots=True)
class Met:
    """What it waited for came in time."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Breached:
    """The target was reached first."""

    at_ms: int


Reading = Running | Paused | Met | Breached


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: business time on a calendar, and whom it is for."""

    meant_for: SlaTarget
    calendar: Calendar
    calendar_version: str | None
    exact_ms: int | None
    """None: whole working days, as `meant_for` says."""

    def matches(self, priority: Priority, category: Category, team: str | None, tier: str | None) -> bool:
        """Whether the promise is for such a ticket; what it leaves open matches all."""
        wanted = self.meant_for
        pairs = ((wanted.priority, priority), (wanted.category, category), (wanted.team, team), (wanted.tier, tier))
        return all(want is None or want == have for want, have in pairs)

    def length_ms(self, start_ms: int) -> int:
        """Business time from a start to the target."""
        if self.exact_ms is not None:
            return self.exact_ms
        end_ms = self.calendar.workday_end_ms(start_ms, self.meant_for.workdays or 1)
        return self.calendar.consumed_ms(start_ms, end_ms)


@dataclass(frozen=True, slots=True)
class ClockSpec:
    """What a rule says about its clock."""

    clock: Literal["first_response", "next_response", "resolution"]
    until: Literal["resolved", "closed"]
    pause_on: frozenset[str]
    warn_at: tuple[float, ...]
    targets: tuple[Target, ...]

    def ends_at(self, moment: Moment) -> bool:
        """Whether the clock has waited for this."""
        kind = moment.occurrence.type
        if self.clock == "first_response":
            return moment.answers or kind in {"ticket.resolved", "ticket.closed"}
        return kind == "ticket.closed" or (kind == "ticket.resolved" and self.until == "resolved")


@dataclass(frozen=True, slots=True)
class Crossing:
    """The consumed time reaches a fraction of the target; 1 is the breach."""

    at_ms: int
    fraction: float
    consumed_ms: int
    target_ms: int
    target: Target

    @property
    def due_ms(self) -> int:
        """The deadline as it stood then."""
        return self.target.calendar.add_ms(self.at_ms, max(0, self.target_ms - self.consumed_ms))


@dataclass(slots=True)
class Episode:
    """From a start of the clock to its end; a reopening after a warning or a breach begins another one."""

    start: Moment
    warnings: list[Crossing]
    breach: Crossing | None = None
    end: Moment | None = None
    resumed: Moment | None = None
    """The last reopening after an end that nothing had been crossed before."""


class SlaClock:
    """One clock of one ticket. `run` it over moments in order of time, then look at `episodes` and `reading`.

    Args:
        spec: of the rule.
        tier: of the customer when the ticket began.
    """

    def __init__(self, spec: ClockSpec, tier: str | None) -> None:
        self.episodes: list[Episode] = []
        self._spec = spec
        self._tier = tier
        self._priority: Priority = "normal"
        self._category: Category = "other"
        self._team: str | None = None
        self._status = "open"
        self._resolved = False
        self._target: Target | None = None
        self._target_ms = 0
        self._consumed_ms = 0
        self._since_ms = 0
        self._warnings = list(spec.warn_at)

    def run(self, moments: Iterable[Moment]) -> "SlaClock":
        """Take moments in, by time."""
        for moment in moments:
            self._advance(moment.at_ms)
            self._take(moment)
        return self

    def ahead(self) -> list[Crossing]:
        """The crossings that lie ahead if nothing more happens, by time."""
        if not self._runs or self._target is None:
            return []
        episode = self.episodes[-1]
        if episode.breach is not None:
            return []
        breach = self._crossing(self._target, 1.0)
        warnings = [self._crossing(self._target, fraction) for fraction in self._warnings]
        return [*(warning for warning in warnings if warning.at_ms < breach.at_ms), breach]

    @property
    def reading(self) -> Reading | None:
        """Where the clock stands after the last moment; None before the first, and without a target."""
        if not self.episodes or self._target is None:
            return None
        episode = self.episodes[-1]
        if episode.breach is not None:
            return Breached(episode.breach.at_ms)
        if episode.end is not None:
            return Met(episode.end.at_ms)
        if not self._runs:
            return Paused(self._target_ms - self._consumed_ms)
        return Running(self._crossing(self._target, 1.0).at_ms)

    @property
    def _runs(self) -> bool:
        waits = self._status in self._spec.pause_on or self._resolved
        return bool(self.episodes) and self.episodes[-1].end is None and not waits

    def _advance(self, to_ms: int) -> None:
        """Let time pass up to and including an instant."""
        if self._runs and self._target is not None:
            gained_ms = self._target.calendar.consumed_ms(self._since_ms, to_ms)
            self._cross(self._target, self._consumed_ms + gained_ms)
            self._consumed_ms += gained_ms
        self._since_ms = to_ms

    def _cross(self, target: Target, reached_ms: int) -> None:
        """Note what is crossed on the way to so much consumed time."""
        episode = self.episodes[-1]
        if episode.breach is None and reached_ms >= self._target_ms:
            episode.breach = self._crossing(target, 1.0)
        while self._warnings and reached_ms >= self._needed_ms(self._warnings[0]):
            warning = self._crossing(target, self._warnings.pop(0))
            if episode.breach is None or warning.at_ms < episode.breach.at_ms:
                episode.warnings.append(warning)

    def _crossing(self, target: Target, fraction: float) -> Crossing:
        missing_ms = max(0, self._needed_ms(fraction) - self._consumed_ms)
        at_ms = target.calendar.add_ms(self._since_ms, missing_ms)
        return Crossing(at_ms, fraction, self._consumed_ms + missing_ms, self._target_ms, target)

    def _needed_ms(self, fraction: float) -> int:
        return self._target_ms if fraction == 1.0 else round(self._target_ms * fraction)

    def _take(self, moment: Moment) -> None:
        if not self.episodes:
            self.episodes.append(Episode(moment, []))
        self._learn(moment)
        kind = moment.occurrence.type
        episode = self.episodes[-1]
        if moment.reopens:
            self._reopen(episode, moment)
        elif episode.end is None and self._spec.ends_at(moment):
            episode.end = moment
        elif kind == "ticket.resolved":
            self._resolved = True
        self._retarget()
        if self._runs and self._target is not None:  # a smaller target may be reached already
            self._cross(self._target, self._consumed_ms)

    def _learn(self, moment: Moment) -> None:
        self._priority = moment.priority or self._priority
        self._category = moment.category or self._category
        self._team = moment.team or self._team
        self._status = moment.status or self._status
        self._tier = moment.tier or self._tier

    def _reopen(self, episode: Episode, moment: Moment) -> None:
        self._resolved = False
        if self._spec.clock == "first_response" or episode.end is None:
            return
        if episode.warnings or episode.breach is not None:
            self.episodes.append(Episode(moment, []))
        else:
            episode.end, episode.resumed = None, moment

    def _retarget(self) -> None:
        attributes = (self._priority, self._category, self._team, self._tier)
        found = next((target for target in self._spec.targets if target.matches(*attributes)), None)
        if found is self._target or found is None:
            self._target = found
            return
        before, before_ms = self._target, self._target_ms
        self._target, self._target_ms = found, found.length_ms(self.episodes[0].start.at_ms)
        if before is not None and before.calendar is not found.calendar and before_ms:
            # Hours of one calendar are not hours of another: what is carried is the share of the promise.
            self._consumed_ms = self._consumed_ms * self._target_ms // before_ms
