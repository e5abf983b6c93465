"""The life of the alerts of one rule for one customer, told naively: hour by hour, asking at each whether something is due.

Written from the contract alone, as the oracle of `test_alert_life_machine.py`. Hours are whole numbers since the epoch.
"""

from dataclasses import dataclass, field

OPEN = ("opened", "escalated", "acked", "snoozed")
CLOSED = ("resolved", "expired", "retracted")


@dataclass(frozen=True)
class Promise:
    """What a rule says of its alerts, in hours."""

    dwell: int = 0
    cooldown: int = 0
    ack_by: int | None = None
    expire_after: int | None = None
    tier: str | None = None
    """Only customers of this tier."""


@dataclass
class Episode:
    """One alert: what was told of it, and what lies ahead."""

    start: int
    began: int
    """When what the rule looks for began to hold."""
    state: str = "held"
    told: list[tuple[str, int]] = field(default_factory=list)
    release: int = 0
    ack_by: int | None = None
    until: int | None = None
    expires: int | None = None

    def move(self, state: str, hour: int) -> None:
        self.state = state
        self.told.append((state, hour))


@dataclass
class Life:
    """All alerts of one rule for one customer."""

    promise: Promise
    episodes: dict[int, Episode] = field(default_factory=dict)
    """By start."""
    latest: Episode | None = None
    cooldown_until: int = 0

    def pass_hour(self, hour: int, tier: str | None) -> None:
        """Whatever happens by itself at an hour."""
        one = self.latest
        if one is None:
            return
        if one.state == "held":
            self._let_out(one, hour, tier)
        if one.state in OPEN and one.expires == hour:
            self._close(one, "expired", hour)
        elif one.state == "snoozed" and one.until == hour:
            self._open(one, hour)
        elif one.state == "opened" and one.ack_by == hour:
            one.move("escalated", hour)

    def begin(self, start: int, hour: int, tier: str | None) -> None:
        """What the rule looks for begins to hold."""
        if self.latest is None or self.latest.start != start:
            self.latest = self.episodes[start] = Episode(start, hour)
        one = self.latest
        if one.state in OPEN:
            return
        one.state, one.release = "held", max(hour + self.promise.dwell, self.cooldown_until)
        self._let_out(one, hour, tier)

    def end(self, start: int, state: str, hour: int) -> None:
        """What the rule looked for no longer holds, or never did."""
        one = self.latest
        if one is None or one.start != start:
            return
        if one.state == "held":
            one.state = one.told[-1][0] if one.told else "dropped"
        if one.state in OPEN or (state == "retracted" and one.state in {"resolved", "expired"}):
            self._close(one, state, hour)

    def go(self, hour: int) -> None:
        """The rule is taken out."""
        one = self.latest
        if one is not None and one.state == "held":
            one.state = one.told[-1][0] if one.told else "dropped"
        elif one is not None and one.state in OPEN:
            self._close(one, "expired", hour)

    def pass_tier(self, hour: int, tier: str | None) -> None:
        """The customer is of another tier from now on: what was withheld may be let out."""
        if self.latest is not None and self.latest.state == "held":
            self._let_out(self.latest, hour, tier)

    def is_latest(self, start: int) -> bool:
        """Whether an episode is the latest that began: only that can be acted on."""
        return self.latest is not None and self.latest.start == start

    def act(self, action: str, hour: int, until: int) -> bool:
        """Somebody does something with the latest alert; whether that means anything."""
        one = self.latest
        assert one is not None
        if action in {"noted", "judged"}:
            one.told.append((one.told[-1][0] if one.state in {"held", "dropped"} else one.state, hour))
            return True
        if one.state not in OPEN:
            return False
        if action == "assigned":
            one.told.append((one.state, hour))
        elif action == "snoozed":
            one.until = until
            one.move("snoozed", hour)
        elif one.state != "acked":
            one.move("acked", hour)
        return True

    def _let_out(self, one: Episode, hour: int, tier: str | None) -> None:
        if hour >= one.release and self.promise.tier in {None, tier}:
            expires_after = self.promise.expire_after
            one.expires = None if expires_after is None else hour + expires_after
            self._open(one, hour)

    def _open(self, one: Episode, hour: int) -> None:
        one.ack_by = None if self.promise.ack_by is None else hour + self.promise.ack_by
        one.move("opened", hour)

    def _close(self, one: Episode, state: str, hour: int) -> None:
        if one.state in OPEN:
            self.cooldown_until = hour + self.promise.cooldown
        one.move(state, hour)


@dataclass
class Mood:
    """A rule that holds from a bad score to the next good one."""

    life: Life
    here: bool = True
    bad_since: int | None = None

    def on_score(self, *, bad: bool, hour: int, tier: str | None) -> None:
        """A score arrives."""
        if not self.here:
            return
        if bad and self.bad_since is None:
            self.bad_since = hour
            self.life.begin(hour, hour, tier)
        elif not bad and self.bad_since is not None:
            since, self.bad_since = self.bad_since, None
            self.life.end(since, "resolved", hour)

    def publish(self, *, here: bool, hour: int) -> None:
        """A rule set arrives, with the rule or without it."""
        if self.here and not here:
            self.life.go(hour)
            self.bad_since = None
        self.here = here


@dataclass
class Quiet:
    """A rule that holds when nothing was ordered for so many hours."""

    life: Life
    patience: int
    here: bool = True
    last: int | None = None
    """The last order."""
    passed: bool = False
    """The silence since then is over its time."""
    due: int | None = None
    """Of the silence that was told last, with its start; None if that cannot be taken back."""
    start: int = 0
    enabled_from: int = 0

    def pass_hour(self, hour: int) -> None:
        """The silence may be over its time; then it was so from its due hour on."""
        if not self.here or self.last is None or self.passed or self.last + self.patience > hour:
            return
        self.passed, self.start, self.due = True, self.last, self.last + self.patience
        if self.due >= self.enabled_from:
            self.life.begin(self.start, self.due, None)
            for later in range(self.due + 1, hour + 1):
                self.life.pass_hour(later, None)

    def on_order(self, hour: int) -> None:
        """An order arrives, in time."""
        if self.passed:
            self.life.end(self.start, "resolved", hour)
        self.last, self.passed = hour, False

    def on_late_order(self, hour: int, clock: int) -> None:
        """An order from inside the silence that was told last."""
        assert self.due is not None
        assert self.start < hour < self.due
        self.life.end(self.start, "retracted", hour)
        self.due = None
        if self.passed:
            self.last, self.passed = hour, False
            self.pass_hour(clock)

    def publish(self, *, here: bool, patience: int, hour: int) -> None:
        """A rule set arrives, with the rule or without it; perhaps it waits longer now."""
        if self.here and not here:
            self.life.go(hour)
            self.passed, self.due = False, None
        if here and not self.here:
            self.enabled_from = hour
        self.here, self.patience = here, patience
        self.pass_hour(hour)
