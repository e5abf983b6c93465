"""Who is told of an alert: the parsed file of routes, and matching. Pure: nothing here sends anything."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import time
from fnmatch import translate
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from schemas.decisions import AlertRecord
from schemas.rule_kinds import Severity
from schemas.secret import Secret
from sinks.base import Language
from sinks.local_hours import NEVER_QUIET, QuietHours

Audience = Literal["machine", "people"]
OWNER: Final = "owner"
"""In `to`: the person whom the alert's owner names."""
USUAL_DIGEST: Final = time(9)
LEAST_STORM: Final = 10
"""A share of a few customers is no storm."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many alerts a day reach somebody at once."""

    at_once: int
    above: float = 0.0
    """Least value at risk of such an alert, in currency units; an alert whose value is not known has none."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What people are spared. Machines have none."""

    quiet: QuietHours = NEVER_QUIET
    wake_for: frozenset[Severity] = frozenset({"critical"})
    """Told in quiet hours all the same."""
    digest: time = USUAL_DIGEST
    """On the wall of the recipient: when what did not go at once is told together."""
    budget: Budget | None = None
    """None: everything goes at once."""


@dataclass(frozen=True)
class Recipient:
    """Somebody, a room, or a system that can be told of alerts."""

    name: str
    """In the file, in `churn.deliveries`, in metrics."""
    audience: Audience
    destination: str
    """Whose sink is used: its own name, or of a person the destination that it is reached by."""
    zone: ZoneInfo
    language: Language
    address: str = ""
    """E.g. an e-mail address; empty: where the destination always sends."""
    is_person: bool = False
    """An owner: alerts that name it are its own."""
    manners: Manners = field(default_factory=Manners)


@dataclass(frozen=True)
class Destination:
    """Where a sink sends."""

    name: str
    kind: str
    audience: Audience
    terms: Any
    """Those of its kind: `streams.routes_kinds` makes a sink of them."""


@dataclass(frozen=True)
class Route:
    """Which alerts go to whom; a condition that is not given always holds."""

    number: int
    """From 1, by its place in the file."""
    line: int
    to: tuple[str, ...]
    """Names of recipients, and `owner`."""
    otherwise: tuple[str, ...] = ()
    """In place of `owner` where the alert has none, or one that the file does not know."""
    goes_on: bool = False
    """Whether the routes below are asked as well."""
    severity: frozenset[Severity] | None = None
    tier: frozenset[str] | None = None
    rule: tuple[str, ...] | None = None
    """Patterns with `*` and `?`, of ids without a version."""
    owner: frozenset[str] | None = None

    def matches(self, alert: AlertRecord) -> bool:
        """Whether all its conditions hold."""
        return (
            (self.severity is None or alert.severity in self.severity)
            and (self.tier is None or alert.tier in self.tier)
            and (self.owner is None or alert.owner in self.owner)
            and (self._rules is None or self._rules.fullmatch(rule_id(alert)) is not None)
        )

    @property
    def takes_all(self) -> bool:
        """Whether no route below it is ever asked."""
        return not self.goes_on and (self.severity, self.tier, self.rule, self.owner) == (None, None, None, None)

    @cached_property
    def _rules(self) -> re.Pattern[str] | None:
        return None if self.rule is None else re.compile("|".join(translate(pattern) for pattern in self.rule))


@dataclass(frozen=True, slots=True)
class StormLimit:
    """So many customers of a rule within a while are a storm."""

    within_ms: int
    customers: int | None = None
    """More than so many."""
    share: float | None = None
    """Or more than such a part of all that are known."""

    def most(self, known: int | None) -> int | None:
        """So many customers are no storm yet; None: nothing is one, as long as it is not known how many there are."""
        limits = [] if self.customers is None else [self.customers]
        if self.share is not None and known is not None:
            limits.append(max(LEAST_STORM, int(self.share * known)))
        return min(limits, default=None)


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """Links in messages, by which people act on an alert."""

    url: str
    """Where the door is seen from outside, without a slash at its end."""
    secrets: tuple[Secret, ...]
    """The first signs; all are accepted."""
    valid_ms: int


@dataclass(frozen=True)
class Routes:
    """The whole file."""

    destinations: Mapping[str, Destination]
    recipients: Mapping[str, Recipient]
    """Whom a route can reach."""
    routes: tuple[Route, ...]
    storm: StormLimit | None = None
    storm_by_rule: Mapping[str, StormLimit] = field(default_factory=dict)
    links: LinkTerms | None = None
    templates: Path | None = None
    """Folder of templates that take the place of ours."""

    def storm_limit(self, rule: str) -> StormLimit | None:
        """Of a rule, by its id without version."""
        return self.storm_by_rule.get(rule, self.storm)

    @property
    def counts_customers(self) -> bool:
        """Whether a limit is a share of all customers."""
        return any(limit is not None and limit.share is not None for limit in (self.storm, *self.storm_by_rule.values()))

    def hits(self, alert: AlertRecord) -> Iterator[tuple[Route, tuple[str, ...]]]:
        """The routes that hold for an alert, from the top, each with the names of those whom it reaches."""
        for route in self.routes:
            if route.matches(alert):
                yield route, tuple(self._names(route, alert))
                if not route.goes_on:
                    return

    def reaches(self, alert: AlertRecord, recipient: str) -> bool:
        """Whether a recipient is to be told of an alert."""
        return any(recipient in names for _, names in self.hits(alert))

    def _names(self, route: Route, alert: AlertRecord) -> Iterator[str]:
        for name in route.to:
            if name != OWNER:
                yield name
                continue
            person = self.recipients.get(alert.owner or "")
            if person is not None and person.is_person:
                yield person.name
            else:
                yield from route.otherwise


def rule_id(alert: AlertRecord) -> str:
    """The id of its rule, without the version."""
    return alert.rule.rpartition("@")[0] or alert.rule
