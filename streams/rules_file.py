"""The rules file: YAML in, a validated rule set out, or every fault of the file at once.

The one reader of the format that `deploy/rules/example.yaml` shows.
"""

import re
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from detectors.predicates import event_types
from schemas.instants import exact_ms
from schemas.rule_kinds import Severity
from schemas.rules import DEFAULT_FEEDS, NO_TIME, Bands, Feed, Lifecycle, RuleSet
from streams.rules_calendars import read_calendar
from streams.rules_common import Names, event_type
from streams.rules_composites import parts_by_id
from streams.rules_kinds import read_rule
from streams.rules_values import (
    Field,
    exact_duration,
    is_rule_id,
    list_of,
    mapping_of,
    name,
    number,
    one_of,
    read_fields,
    text,
    time_zone,
    whole,
)
from streams.yaml_nodes import Entries, FaultyFileError, Items, Node, Place, Refused, Scalar, read_yaml, shown

_PERIOD: Final = re.compile(r"(\d{4}-\d\d-\d\d)/(\d{4}-\d\d-\d\d)", re.ASCII)


class RulesFileError(FaultyFileError):
    """A rules file that cannot be used."""


def load_rules(path: Path | str) -> RuleSet:
    """The rule set of a file.

    Raises:
        RulesFileError: with all faults.
        OSError: the file cannot be read.
    """
    return parse_rules(Path(path).read_bytes(), str(path))


def parse_rules(content: bytes, path: str = "rules") -> RuleSet:
    """The rule set of a file's content; `path` only names it in messages.

    Raises:
        RulesFileError: with all faults.
    """
    place = Place([])
    root = read_yaml(content, place)
    document = place.take(_document, root) if root is not None else None
    if place.faults:
        raise RulesFileError(path, place.faults)
    return msgspec.convert(document, RuleSet)


def _document(root: Node, place: Place) -> dict[str, Any]:
    if not isinstance(root, Entries):
        raise Refused(root.line, f"{shown(root)} stands here; a rules file is a mapping with `version`, `tenant` and `rules`")
    rule_ids = _rule_ids(root.entries.get("rules"), place)
    document = read_fields(root, place, _sections(rule_ids))
    names = Names(
        version=document.get("version", ""),
        time_zone=document.get("time_zone", "UTC"),
        defaults=document.pop("defaults", {}),
        feeds=_feeds_known(root, document, place),
        teams=tuple(document.get("teams", ())),
        calendars=_keys(root.entries.get("calendars")),
        rules=rule_ids,
        parts=parts_by_id(root.entries.get("rules")),
        has_churn="churn" in root.key_lines,
    )
    document["rules"] = _rules(root.entries.get("rules"), place.at("rules"), names)
    return document


def _sections(rule_ids: tuple[str, ...]) -> dict[str, Field]:
    return {
        "version": Field(name, required=True),
        "tenant": Field(name, required=True),
        "time_zone": Field(time_zone),
        "forget_after": Field(exact_duration),
        "churn": Field(_churn),
        "feeds": Field(_feeds),
        "lifecycle": Field(lambda node, place: _lifecycle(node, place, rule_ids)),
        "bands": Field(_bands),
        "freeze": Field(list_of(_freeze)),
        "teams": Field(mapping_of(list_of(name, 1))),
        "defaults": Field(_defaults),
        "calendars": Field(mapping_of(read_calendar)),
        "rules": Field(_skipped, required=True),
    }


def _skipped(_node: Node, _place: Place) -> None:
    """The rules are read last, once it is known what they may name."""


def _rules(node: Node | None, place: Place, names: Names) -> list[dict[str, Any]]:
    if node is None:
        return []
    if not isinstance(node, Items):
        place.refuse(node.line, f"{shown(node)} stands here; a list of rules is wanted, each beginning with `- id:`")
        return []
    read: list[dict[str, Any]] = []
    for i, item in enumerate(node.items):
        at_rule = place.item(_id_of(item) or i)
        rule = at_rule.take(lambda rule_node, rule_place: read_rule(rule_node, rule_place, names), item)
        if rule is not None:
            read.append(rule)
    return read


def _rule_ids(node: Node | None, place: Place) -> tuple[str, ...]:
    """The ids of all rules that have a proper one; one that stands twice is a fault."""
    lines: dict[str, int] = {}
    for item in node.items if isinstance(node, Items) else ():
        found = _id_of(item)
        if found is None or not isinstance(item, Entries) or not is_rule_id(found):
            continue
        line = item.key_lines["id"]
        if found in lines:
            place.at("rules").item(found).refuse(line, f"the id {found!r} stands in line {lines[found]} already")
        lines.setdefault(found, line)
    return tuple(lines)


def _id_of(node: Node) -> str | None:
    found = node.entries.get("id") if isinstance(node, Entries) else None
    return found.text if isinstance(found, Scalar) and found.text else None


def _keys(node: Node | None) -> tuple[str, ...]:
    return tuple(node.entries) if isinstance(node, Entries) else ()


def _churn(node: Node, place: Place) -> dict[str, Any]:
    types = list_of(event_type)
    found = read_fields(node, place, {"horizon": Field(exact_duration), "of": Field(types), "or": Field(types)})
    if isinstance(node, Entries) and isinstance(of := node.entries.get("of"), Items) and not of.items and not found.get("or"):
        place.at("of").refuse(of.line, "`of` is empty, so silence is no churn, and `or` names no event that is: nothing is")
    return found


def _feeds(node: Node, place: Place) -> dict[str, Any]:
    return dict(mapping_of(_feed)(node, place))


def _feed(node: Node, place: Place) -> dict[str, Any]:
    return read_fields(node, place, {"types": Field(list_of(event_type, 1), required=True), "lateness": Field(_lateness)})


def _lateness(node: Node, place: Place) -> str:
    return NO_TIME if isinstance(node, Scalar) and node.text == NO_TIME else exact_duration(node, place)


def _feeds_known(root: Entries, document: dict[str, Any], place: Place) -> Mapping[str, Feed] | None:
    """The feeds that rules may name; None if that cannot be said. A type that two feeds deliver is a fault."""
    if "feeds" not in root.key_lines:
        return DEFAULT_FEEDS
    here = place.at("feeds")
    if any(fault.place.startswith(here.path) for fault in place.faults):
        return None
    feeds = {feed: Feed(**fields) for feed, fields in document["feeds"].items()}
    owners: dict[str, str] = {}
    section = root.entries["feeds"]
    for feed, known in feeds.items():
        for event in sorted(event_types(known.types)):
            if event in owners and isinstance(section, Entries):
                here.at(feed).refuse(section.key_lines[feed], f"the feed `{owners[event]}` delivers {event!r} already")
            owners.setdefault(event, feed)
    return feeds


def _lifecycle(node: Node, place: Place, rule_ids: tuple[str, ...]) -> dict[str, Any]:
    found = read_fields(
        node,
        place,
        {
            "silent_after": Field(exact_duration),
            "churned_after": Field(exact_duration),
            "high_risk_above": Field(number(0, 1)),
            "high_risk_clear": Field(number(0, 1)),
            "high_risk_rules": Field(list_of(one_of(rule_ids, "a rule of this file"))),
        },
    )
    limits = msgspec.convert(found, Lifecycle)
    if limits.high_risk_clear > limits.high_risk_above:
        place.refuse(
            node.line, f"high_risk_clear {limits.high_risk_clear:g} is above high_risk_above {limits.high_risk_above:g}"
        )
    if exact_ms(limits.silent_after) >= exact_ms(limits.churned_after):
        place.refuse(node.line, f"silent_after {limits.silent_after} is not below churned_after {limits.churned_after}")
    return found


def _bands(node: Node, place: Place) -> dict[str, Any]:
    found = read_fields(node, place, {key: Field(_band) for key in ("elevated", "high", "critical")})
    limits = msgspec.convert(found, Bands)
    numbers = [limit for limit in (limits.elevated, limits.high, limits.critical) if isinstance(limit, float)]
    if any(one >= following for one, following in pairwise(numbers)):
        place.refuse(node.line, f"the limits {', '.join(f'{number:g}' for number in numbers)} do not ascend")
    return found


_BAND_FIELDS: Final = ({"top"}, {"contact", "saves"}, {"contact", "saves", "value"})
"""What stands together where a band does not begin at a number."""


def _band(node: Node, place: Place) -> float | dict[str, Any]:
    """A probability, so many a day, or what a contact costs and brings."""
    if not isinstance(node, Entries):
        limit: float = number(0, 1, or_least=False)(node, place)
        return limit
    fields = {
        "top": Field(whole(1, 10**9)),
        "contact": Field(number(0, 1e15, or_least=False)),
        "saves": Field(number(0, 1, or_least=False)),
        "value": Field(number(0, 1e15, or_least=False)),
    }
    found = read_fields(node, place, fields)
    given = set(node.key_lines)
    if given <= set(fields) and given not in _BAND_FIELDS:
        place.refuse(
            node.line,
            "a band begins at a number, or at {top: 50}, the 50 highest a day, or at {contact: 5, saves: 0.3, value: 60}, "
            "where a contact pays; `value` may be left out for the customer's own",
        )
    return found


def _freeze(node: Node, place: Place) -> str:
    """A period of local dates, `[first, after last)`."""
    found = text(node, place)
    parts = _PERIOD.fullmatch(found)
    try:
        first, after = map(date.fromisoformat, parts.groups() if parts is not None else ("", ""))
    except ValueError:
        raise Refused(
            node.line, f"{found!r} is not a period; write the first date and the one after the last, 2026-02-15/2026-02-24"
        ) from None
    if after <= first:
        raise Refused(node.line, f"{found!r} is empty: the second date is the one after the last")
    return found


def _defaults(node: Node, place: Place) -> dict[str, Any]:
    fields = {
        "severity": Field(one_of(get_args(Severity), "a severity")),
        "ack_by": Field(exact_duration),
        "expire_after": Field(exact_duration),
    }
    return read_fields(node, place, fields)
