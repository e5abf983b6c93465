"""The SLA clock: a reduction over a ticket's moments that accumulates business time.

What was consumed is kept over pauses and changes of the target; no deadline is stored. An interval is half-open:
whatever happens at the deadline itself comes too late.

`first_response` runs from the beginning of the ticket to our first public answer, `next_response` from the first message
of the customer that follows an answer to the next answer, each time anew, `resolution` until the ticket is solved. What
solves a ticket counts as an answer. A message on a solved ticket waits until the ticket is open again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from detectors.sla_terms import ClockSpec, Target
from detectors.tickets import Carried, Moment
from schemas.events import Category, Priority

__all__ = ["Breached", "ClockSpec", "Crossing", "Episode", "Met", "Paused", "Reading", "Running", "SlaClock", "Target"]


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
    resumed: list[Moment] = field(default_factory=list)
    """The reopenings after ends that nothing had been crossed before."""


class SlaClock:
    """One clock of one ticket. `run` it over moments in order of time, then look at `episodes` and `reading`.

    Args:
        spec: of the rule.
        carried: what was used under other promises, which are not measured again.
    """

    def __init__(self, spec: ClockSpec, carried: Carried | None = None) -> None:
        self.episodes: list[Episode] = []
        self._spec = spec
        self._tier: str | None = None
        self._carried = carried
        self._priority: Priority = "normal"
        self._category: Category = "other"
        self._team: str | None = None
        self._status = "open"
        self._solved = False
        self._answered = False
        self._target: Target | None = None
        self._target_ms = 0
        self._measured: tuple[str | None, int] | None = None
        """Calendar and length of the promise that the consumed time was measured by."""
        self._consumed_ms = 0
        self._since_ms = 0
        self._warnings = list(spec.warn_at)

    def run(self, moments: Sequence[Moment], tiers: Sequence[tuple[int, str]] = ()) -> Self:
        """Take in moments of the ticket, and since when the customer has which tier; each by time."""
        place = 0
        for moment in moments:
            while place < len(tiers) and tiers[place][0] <= moment.at_ms:
                self._change_tier(*tiers[place])
                place += 1
            self._pass(moment.at_ms)
            self._take(moment)
        for since_ms, tier in tiers[place:]:
            self._change_tier(since_ms, tier)
        if self._carried is not None:
            self._carry(self._carried)
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

    def carry_over(self, at_ms: int) -> Carried:
        """What another rule has to go on with, after this one has run; no moment lies behind the instant."""
        self._advance(at_ms)
        calendar, target_ms = self._measured or (None, 0)
        return Carried(at_ms, self._consumed_ms, target_ms, calendar)

    @property
    def reading(self) -> Reading | None:
        """Where the clock stands after the last moment; None before it began, and without a target."""
        if not self.episodes or self._target is None:
            return None
        episode = self.episodes[-1]
        if episode.breach is not None:
            return Breached(episode.breach.at_ms)
        if episode.end is not None:
            return Met(episode.end.at_ms)
        if not self._runs:
            return Paused(max(0, self._target_ms - self._consumed_ms))
        return Running(self._crossing(self._target, 1.0).at_ms)

    @property
    def _runs(self) -> bool:
        if not self.episodes or self.episodes[-1].end is not None or self._carried is not None:
            return False
        return not self._solved and self._status not in self._spec.pause_on

    def _pass(self, to_ms: int) -> None:
        """Let time pass up to and including an instant, part of it maybe under other promises."""
        if self._carried is not None and to_ms > self._carried.at_ms:
            self._carry(self._carried)
        self._advance(to_ms)

    def _advance(self, to_ms: int) -> None:
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
        self._learn(moment)
        if self._begins_at(moment):
            self._begin(moment)
        if moment.reopens:
            self._reopen(moment)
        elif self._spec.ends_at(moment):
            self._answered = True
            if self.episodes and self.episodes[-1].end is None:
                self.episodes[-1].end = moment
        self._solved |= moment.ends
        if self.episodes:
            self._retarget()
            self._cross_at_once()

    def _learn(self, moment: Moment) -> None:
        self._priority = moment.priority or self._priority
        self._category = moment.category or self._category
        self._team = moment.team or self._team
        self._status = moment.status or self._status

    def _change_tier(self, since_ms: int, tier: str) -> None:
        self._pass(since_ms)
        self._tier = tier
        if self.episodes:
            self._retarget()
            self._cross_at_once()

    def _begins_at(self, moment: Moment) -> bool:
        if self._spec.clock != "next_response":
            return not self.episodes
        return moment.asks and self._answered and (not self.episodes or self.episodes[-1].end is not None)

    def _begin(self, moment: Moment) -> None:
        """A start of its own: nothing is used, and whole working days count from here."""
        self.episodes.append(Episode(moment, []))
        self._consumed_ms = 0
        self._target = self._measured = None
        self._warnings = list(self._spec.warn_at)

    def _reopen(self, moment: Moment) -> None:
        self._solved = False
        episode = self.episodes[-1] if self.episodes else None
        if self._spec.clock != "resolution" or episode is None or episode.end is None:
            return
        if episode.warnings or episode.breach is not None:
            self.episodes.append(Episode(moment, []))
        else:
            episode.end = None
            episode.resumed.append(moment)

    def _retarget(self) -> None:
        attributes = (self._priority, self._category, self._team, self._tier)
        found = next((target for target in self._spec.targets if target.matches(*attributes)), None)
        if found is self._target or found is None:
            self._target = found
            return
        start = self.episodes[-1 if self._spec.clock == "next_response" else 0].start
        self._target, self._target_ms = found, found.length_ms(start.at_ms)
        self._measure_by(found)

    def _measure_by(self, target: Target) -> None:
        """Hours of one calendar are not hours of another: what is carried over is the share of the promise."""
        calendar, before_ms = self._measured or (None, 0)
        if before_ms and calendar != target.meant_for.calendar:
            self._consumed_ms = self._consumed_ms * self._target_ms // before_ms
        self._measured = (target.meant_for.calendar, self._target_ms)

    def _carry(self, carried: Carried) -> None:
        """Go on from what was used up to an instant; what was crossed before it was crossed under other promises."""
        self._carried = None
        self._since_ms = carried.at_ms
        if not self.episodes:
            return
        self._consumed_ms = carried.consumed_ms
        if carried.target_ms:
            self._measured = (carried.calendar, carried.target_ms)
        if self._target is not None:
            self._measure_by(self._target)
        self._cross_at_once()

    def _cross_at_once(self) -> None:
        """A smaller target may be reached already."""
        if self._runs and self._target is not None:
            self._cross(self._target, self._consumed_ms)
