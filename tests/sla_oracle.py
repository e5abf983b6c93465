"""The SLA clocks, naively: a stopwatch that is looked at every minute, and a desk that is told what it shows.

The stopwatch is told the whole history, sorted by time, each time anew; `Desk` knows beside it only what was told so far.
Everything happens at even minutes, and promises are such that a share carried from one calendar to the other is a whole
number of minutes.
"""

from dataclasses import dataclass, field
from typing import Any

from engine_run import rule_set

from schemas.calendars import CalendarDocument
from schemas.rule_kinds import SlaRule, SlaTarget
from schemas.rules import RuleSet

HOURS = ["00:00-00:40", "01:10-02:00", "05:00-05:30"]
OFFICE = CalendarDocument(time_zone="UTC", weekly=dict.fromkeys(("mon", "tue", "wed"), HOURS))
OPEN_MINUTES = {minute for start, end in ((0, 40), (70, 120), (300, 330)) for minute in range(start, end)}
MONDAY = 4 * 1440  # 1970-01-05
HORIZON = MONDAY + 1440 + 400
WARNINGS = (0.25, 0.75)
CHANGES: dict[str, dict[str, str]] = {
    "pending": {"status": "pending"},
    "open": {"status": "open"},
    "hold": {"status": "hold"},
    "low": {"priority": "low"},
    "normal": {"priority": "normal"},
    "abroad": {"team": "abroad"},
    "home": {"team": "home"},
}
TIERS = ("vip", "plain")
REPLIES: dict[str, dict[str, Any]] = {
    "answer": {"by": "agent"},
    "note": {"by": "agent", "public": False},
    "message": {"by": "customer"},
}


@dataclass(frozen=True)
class Step:
    minute: int
    what: str
    name: str = ""


@dataclass(frozen=True)
class Promise:
    """A clock, and how many minutes the office has for a ticket that is neither low nor a VIP's nor abroad."""

    clock: str
    until: str
    minutes: int
    pause_on: tuple[str, ...] = ("pending",)

    def of(self, *, low: bool, abroad: bool, vip: bool) -> tuple[str, int]:
        """Calendar and minutes: around the clock and twice the time abroad and for VIPs, twice the time for what is low."""
        if abroad or vip:
            return "always", 2 * self.minutes
        return "office", 2 * self.minutes if low else self.minutes

    @property
    def targets(self) -> list[SlaTarget]:
        return [
            SlaTarget(team="abroad", target=f"PT{2 * self.minutes}M"),
            SlaTarget(tier="vip", target=f"PT{2 * self.minutes}M"),
            SlaTarget(priority="low", target=f"PT{2 * self.minutes}M", calendar="c"),
            SlaTarget(target=f"PT{self.minutes}M", calendar="c"),
        ]

    @property
    def rules(self) -> RuleSet:
        fields: Any = {"clock": self.clock, "until": self.until, "pause_on": list(self.pause_on), "warn_at": list(WARNINGS)}
        rule = SlaRule(id="sla", version="1", targets=self.targets, **fields)
        return rule_set(rule, calendars={"c": OFFICE})


# -- the stopwatch


@dataclass
class Run:
    """From a start to an end, with the minutes at which something was reached."""

    start: int
    crossed: list[tuple[int, float]] = field(default_factory=list)
    end: int | None = None
    resumed: list[int] = field(default_factory=list)

    @property
    def breach(self) -> int | None:
        return next((minute for minute, fraction in self.crossed if fraction == 1.0), None)


@dataclass
class Stopwatch:
    promise: Promise
    runs: list[Run] = field(default_factory=list)
    status: str = "open"
    low: bool = False
    abroad: bool = False
    vip: bool = False
    solved: bool = False
    answered: bool = False
    used: int = 0
    measured: tuple[str, int] | None = None
    warnings: list[float] = field(default_factory=lambda: list(WARNINGS))
    published: dict[int, Promise] = field(default_factory=dict)
    """Other promises, by the minute from which on they hold."""

    def watch(self, steps: list[Step], until: int = HORIZON) -> list[Run]:
        """Look every minute: what was reached by then comes first, then tiers, then whatever happens, in log order."""
        happens: dict[int, list[Step]] = {}
        for step in sorted(steps, key=lambda step: step.what not in TIERS):
            happens.setdefault(step.minute, []).append(step)
        for minute in range(min(happens), until):
            for step in happens.get(minute, ()):
                self.take(step)
                self.note_reached(minute)
            if minute in self.published:
                self.promise = self.published[minute]
                self.measure()
                self.note_reached(minute)
            if self.ticks and self.is_open(minute):
                self.used += 1
                self.note_reached(minute + 1)
        return self.runs

    @property
    def ticks(self) -> bool:
        waits = self.solved or self.status in self.promise.pause_on
        return bool(self.runs) and self.runs[-1].end is None and not waits

    def is_open(self, minute: int) -> bool:
        """1970 began on a Thursday."""
        return self.abroad or self.vip or ((minute // 1440 + 3) % 7 < 3 and minute % 1440 in OPEN_MINUTES)

    def note_reached(self, minute: int) -> None:
        if not self.ticks or self.runs[-1].breach is not None:
            return
        _, target = self.promise.of(low=self.low, abroad=self.abroad, vip=self.vip)
        if self.used >= target:
            self.runs[-1].crossed.append((minute, 1.0))
        while self.warnings and self.used >= self.warnings[0] * target:
            fraction = self.warnings.pop(0)
            if self.used < target:
                self.runs[-1].crossed.append((minute, fraction))

    def take(self, step: Step) -> None:
        if step.what in TIERS:
            self.vip = step.what == "vip"
            if self.runs:
                self.measure()
            return
        what, clock = step.what, self.promise.clock
        self.change({"status": "open", "priority": "normal"} if what == "opened" else CHANGES.get(what, {}))
        run = self.runs[-1] if self.runs else None
        if clock == "next_response":
            if what == "message" and self.answered and (run is None or run.end is not None):
                self.runs.append(Run(step.minute))
                self.used, self.measured, self.warnings = 0, None, list(WARNINGS)
        elif run is None:
            self.runs.append(Run(step.minute))
        if what == "reopened" or "status" in CHANGES.get(what, {}):
            self.reopen(step)
        elif self.ends(what):
            self.answered = True
            if self.runs and self.runs[-1].end is None:
                self.runs[-1].end = step.minute
        self.solved = self.solved or what in {"resolved", "closed"}
        if self.runs:
            self.measure()

    def change(self, changes: dict[str, str]) -> None:
        self.status = changes.get("status", self.status)
        self.low = changes["priority"] == "low" if "priority" in changes else self.low
        self.abroad = changes["team"] == "abroad" if "team" in changes else self.abroad

    def reopen(self, step: Step) -> None:
        self.solved = False
        self.status = "open" if step.what == "reopened" else self.status
        if self.promise.clock == "resolution" and self.runs[-1].end is not None:
            if self.runs[-1].crossed:
                self.runs.append(Run(step.minute))
            else:
                self.runs[-1].end = None
                self.runs[-1].resumed.append(step.minute)

    def ends(self, what: str) -> bool:
        if self.promise.clock != "resolution":
            return what in {"answer", "resolved", "closed"}
        return what == "closed" or (what == "resolved" and self.promise.until == "resolved")

    def measure(self) -> None:
        """By another calendar, the share of the promise is kept."""
        calendar, minutes = self.promise.of(low=self.low, abroad=self.abroad, vip=self.vip)
        if self.measured is not None and self.measured[0] != calendar:
            assert self.used * minutes % self.measured[1] == 0, "the drawn promises keep it whole"
            self.used = self.used * minutes // self.measured[1]
        self.measured = (calendar, minutes)


# -- what a desk is told


@dataclass
class Alert:
    start: int
    warned: list[float] = field(default_factory=list)
    due: int | None = None
    over: int | None = None
    retracted: bool = False


@dataclass
class Desk:
    """What is to be told after each record, from the whole history and from what was told; all else is forgotten."""

    promise: Promise
    alerts: list[Alert] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    now: int | None = None
    told: list[str] = field(default_factory=list)
    published: dict[int, Promise] = field(default_factory=dict)

    def publish(self, promise: Promise) -> None:
        """Another promise holds from now on."""
        assert self.now is not None
        self.published[self.now] = promise
        self.look()

    def hear(self, record: Step) -> None:
        if record.what == "tick":
            self.now = max(self.now or 0, record.minute)
        elif record not in self.steps:
            self.steps.append(record)
        self.look()

    def look(self) -> None:
        if self.now is None or not self.steps:
            return
        runs = Stopwatch(self.promise, published=self.published).watch(self.steps)
        known = [place for place, run in enumerate(runs) if self.alerts and run.start <= self.alerts[-1].start]
        for run in runs[known[-1] if known else 0 :]:
            alert = self.alert_of(run)
            if alert is None:
                continue
            self.speak(alert, run, self.now)
            if run.end is None or (alert.due is None and any(minute > self.now for minute, _ in self.ahead(alert, run))):
                break

    def alert_of(self, run: Run) -> Alert | None:
        """The last one, or another when the run began after that was over."""
        if not self.alerts:
            return Alert(run.start)
        last = self.alerts[-1]
        if last.over is None:
            return last
        if run.start > last.start:
            return Alert(run.start)
        resumed = [minute for minute in run.resumed if minute >= last.over and minute > last.start]
        return Alert(resumed[0]) if resumed else last

    def ahead(self, alert: Alert, run: Run) -> list[tuple[int, float]]:
        """What is reached and was not told; a warning is given once in a ticket, or once in a run of messages."""
        given = alert.warned if self.promise.clock == "next_response" else [one for old in self.alerts for one in old.warned]
        return [(minute, fraction) for minute, fraction in run.crossed if fraction not in [*given, *alert.warned]]

    def speak(self, alert: Alert, run: Run, now: int) -> None:
        if alert.retracted:
            return
        if alert.due is not None and run.end is not None and run.end < alert.due and run.breach is None:
            alert.retracted, alert.over = True, run.end
            self.tell(alert, "retracted", run.end)
            return
        news = False
        for minute, fraction in sorted(self.ahead(alert, run)):
            if minute <= now and alert.due is None:
                news = True
                if fraction == 1.0:
                    alert.due = minute
                else:
                    alert.warned.append(fraction)
                self.tell(alert, "opened" if fraction == 1.0 else f"warned{fraction}", minute)
        waits = alert.due is None and any(minute > now for minute, _ in self.ahead(alert, run))
        if run.end is not None and not waits and alert in self.alerts:
            if news or alert.over is None:
                self.tell(alert, "resolved", run.end)
            alert.over = run.end

    def tell(self, alert: Alert, state: str, minute: int) -> None:
        if all(known is not alert for known in self.alerts):
            self.alerts.append(alert)
        self.told.append(f"{state}@{minute - MONDAY} of {alert.start - MONDAY}")
