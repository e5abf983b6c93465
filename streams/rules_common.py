"""What the kinds of rules have in common in the file: the fields of every rule, and the checks across fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, get_args

from detectors.predicates import event_types
from schemas.events import EVENT_TYPES
from schemas.instants import parse_instant
from schemas.rule_kinds import Mode, Severity, Stage
from schemas.rules import Feed
from schemas.zones import from_wall_clock, load_zone
from streams.rules_values import Field, exact_duration, list_of, meant, name, new_rule_id, one_of, text
from streams.yaml_nodes import Entries, Node, Place, Reader, Refused

RULE_TYPES: Final = tuple(event for event in EVENT_TYPES if not event.startswith("alert.") and event != "customer.erased")
"""What a rule may look at: actions on alerts and erasures say nothing about how a customer fares."""
_GROUPS: Final = tuple(sorted({event.split(".")[0] + ".*" for event in RULE_TYPES}))
MOST_EVENTS: Final = 1_000
"""The instants of so many events are kept for a customer."""
MOST_COUNTED: Final = 1_000_000
"""So many events are counted where days have numbers, not instants."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the rest of the document defines, as far as it could be read."""

    version: str
    time_zone: str
    defaults: Mapping[str, str]
    """What a rule has that does not say it itself, by field."""
    feeds: Mapping[str, Feed] | None
    """None if the section has faults: then nothing is said about feeds."""
    teams: tuple[str, ...]
    calendars: tuple[str, ...]
    rules: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]
    """The rules that each composite names, by its id."""
    has_churn: bool


@dataclass(frozen=True, slots=True)
class RuleAtHand:
    """A rule that is being read, for the checks across its fields."""

    node: Entries
    place: Place
    values: dict[str, Any]
    names: Names

    def refuse(self, key: str, message: str) -> None:
        """Note a fault at one of its fields, or at the rule if it does not have that."""
        at_field = key in self.node.key_lines
        where = self.place.at(key) if at_field else self.place
        where.refuse(self.node.key_lines[key] if at_field else self.node.line, message)

    def types(self, *keys: str) -> frozenset[str]:
        """The event types that some of its fields name."""
        return event_types([pattern for key in keys for pattern in self.values.get(key, [])])


def common_fields(names: Names) -> dict[str, Field]:
    """The fields of every kind; a kind adds its own."""
    return {
        "id": Field(new_rule_id, required=True),
        "kind": Field(text, required=True),
        "version": Field(name),
        "severity": Field(one_of(get_args(Severity), "a severity")),
        "mode": Field(one_of(get_args(Mode), "a mode")),
        "needs": Field(list_of(one_of(names.feeds, "a feed") if names.feeds is not None else text)),
        "tiers": Field(list_of(name, 1)),
        "stages": Field(list_of(one_of(get_args(Stage), "a stage"), 1)),
        "owner": Field(list_of(_owner(names), 1)),
        "next_action": Field(text),
        "enabled_from": Field(_instant(names)),
        "dwell": Field(exact_duration),
        "cooldown": Field(exact_duration),
        "ack_by": Field(exact_duration),
        "expire_after": Field(exact_duration),
        "inhibits": Field(list_of(rule_id(names), 1)),
    }


def rule_id(names: Names) -> Reader:
    """The id of a rule of this file."""
    return one_of(names.rules, "a rule of this file")


def never(reason: str) -> Reader:
    """The reader of a field that other kinds have, and this one cannot: it says why."""

    def read(node: Node, place: Place) -> None:  # noqa: ARG001 - a reader
        raise Refused(node.line, reason)

    return read


def _owner(names: Names) -> Reader:
    def read(node: Node, place: Place) -> str:
        found = name(node, place)
        place_name, _, rest = found.partition(".")
        if place_name == "customer" and found != "customer.owner":
            raise Refused(node.line, f"{found!r} is no owner; allowed are customer.owner, team.NAME, or a name")
        if place_name == "team" and rest not in names.teams:
            raise Refused(node.line, f"the team {rest!r} is not defined; {meant(rest, names.teams)}")
        return found

    return read


def _instant(names: Names) -> Reader:
    """A date, which is its midnight in the tenant's zone, or an RFC 3339 time."""

    def read(node: Node, place: Place) -> int:
        found = text(node, place)
        try:
            if len(found) == len("2026-01-01"):
                at_ms = from_wall_clock(datetime.strptime(found, "%Y-%m-%d"), load_zone(names.time_zone))  # noqa: DTZ007
            else:
                at_ms = parse_instant(found)
        except ValueError:
            at_ms = -1
        if at_ms < 0:
            raise Refused(node.line, f"{found!r} is no time from 1970 on; write a date, 2026-01-31, or 2026-01-31T12:00:00Z")
        return at_ms

    return read


def calendar_name(names: Names) -> Reader:
    """A calendar that the file defines."""
    return one_of(names.calendars, "a calendar of this file")


def event_type(node: Node, place: Place) -> str:
    """A type of event that rules look at, or all of a group."""
    found = text(node, place)
    if found not in RULE_TYPES and found not in _GROUPS:
        raise Refused(node.line, f"{found!r} is not an event type; {meant(found, [*RULE_TYPES, *_GROUPS])}")
    return found


def check_feeds(rule: RuleAtHand, key: str, types: frozenset[str]) -> None:
    """Note which types no feed delivers: without `needs`, the clock of a rule is that of the feeds which deliver them."""
    feeds = rule.names.feeds
    if feeds is None or "needs" in rule.node.key_lines:
        return
    delivered = event_types([pattern for feed in feeds.values() for pattern in feed.types])
    for missing in sorted(types - delivered):
        rule.refuse(key, f"no feed delivers {missing!r}; add it to a feed under `feeds`, or give the rule `needs`")
