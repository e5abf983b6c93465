"""What an `sla` rule promises, and to whom: targets with their calendars, and which clock they are for."""

from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from detectors.calendars import Calendar
from detectors.tickets import Moment
from schemas.events import Category, Priority
from schemas.rule_kinds import SlaTarget


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
        if self.clock != "resolution":
            return moment.answers or moment.ends
        return moment.occurrence.type == "ticket.closed" or (moment.ends and self.until == "resolved")

    @property
    def fingerprint(self) -> int:
        """The same for the same promises; another one moves the clocks that run."""
        calendars = [target.calendar.fingerprint for target in self.targets]
        meant_for = [target.meant_for for target in self.targets]
        return crc32(repr((sorted(self.pause_on), self.warn_at, meant_for, calendars)).encode())
