"""Reading one rule of the rules file: the fields of each kind, and what must fit together."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final, get_args

from schemas.events import Category, Priority
from schemas.rules import KINDS_BUILT, KINDS_PLANNED, PauseStatus
from streams.rules_common import (
    MOST_EVENTS,
    Names,
    RuleAtHand,
    calendar_name,
    check_feeds,
    check_predicate,
    common_fields,
    event_type,
)
from streams.rules_values import (
    Field,
    duration,
    exact_duration,
    flag,
    list_of,
    mapping_of,
    meant,
    name,
    number,
    one_of,
    read_fields,
    text,
    whole,
)
from streams.yaml_nodes import Entries, Node, Place, Refused, Scalar, shown

_LATER: Final = ("ack_by", "expire_after", "inhibits")
_CLOCKS: Final = ("first_response", "resolution")


def read_rule(node: Node, place: Place, names: Names) -> dict[str, Any] | None:
    """One rule, as plain values in the form of its struct; the faults are noted."""
    if not isinstance(node, Entries):
        raise Refused(node.line, f"{shown(node)} stands here; a rule is a mapping with `id` and `kind`")
    kind_node = node.entries.get("kind")
    if kind_node is None:
        raise Refused(node.line, f"`kind` is missing; built are {', '.join(KINDS_BUILT)}")
    kind = place.at("kind").take(_kind, kind_node)
    if kind is None:
        return None
    fields, later, check = _KINDS[kind]
    rule = read_fields(node, place, fields(names), [*_LATER, *later])
    check(RuleAtHand(node, place, rule, names))
    if "enabled_from" in rule:
        rule["enabled_from_ms"] = rule.pop("enabled_from")
    if names.severity is not None:
        rule.setdefault("severity", names.severity)
    return {"version": names.version, **rule}


def _kind(node: Node, place: Place) -> str:
    kind = text(node, place)
    built = ", ".join(KINDS_BUILT)
    if kind in KINDS_PLANNED:
        raise Refused(node.line, f"kind `{kind}` is not built yet in this release; built are {built}")
    if kind not in KINDS_BUILT:
        raise Refused(node.line, f"{kind!r} is not a kind of rule; {meant(kind, KINDS_BUILT)}")
    return kind


def _absence(names: Names) -> dict[str, Field]:
    return common_fields(names) | {
        "of": Field(list_of(event_type, 1), required=True),
        "for": Field(duration, required=True),
        "tiers": Field(_tiers),
        "where": Field(text),
        "after": Field(list_of(event_type, 1)),
        "where_after": Field(text),
        "restart": Field(flag),
        "calendar": Field(calendar_name(names)),
        "min_count": Field(whole(1, MOST_EVENTS)),
        "max_count": Field(whole(1, MOST_EVENTS)),
    }


def _tiers(node: Node, place: Place) -> Any:  # noqa: ANN401 - a list limits, a mapping gives another `for`
    return (mapping_of(duration) if isinstance(node, Entries) else list_of(name, 1))(node, place)


def _check_absence(rule: RuleAtHand) -> None:
    values = rule.values
    if isinstance(values.get("tiers"), dict):
        values["for_by_tier"] = values.pop("tiers")
    for key, text_of in (("for", values.get("for")), *(("tiers", other) for other in values.get("for_by_tier", {}).values())):
        if "calendar" in values and text_of is not None and not text_of.startswith("PT"):
            rule.refuse(key, f"{text_of!r} counts days or months; on a calendar write hours and minutes, like PT8H")
    for key in ("where_after", "restart"):
        if key in values and "after" not in rule.node.key_lines:
            rule.refuse(key, "this goes with `after`, which is not there")
    if values.get("min_count", 0) > values.get("max_count", MOST_EVENTS):
        rule.refuse(
            "max_count", f"{values['max_count']} is below `min_count`, which is {values['min_count']}: no customer has both"
        )
    check_predicate(rule, "where", "of")
    check_predicate(rule, "where_after", "after")
    check_feeds(rule, "of", rule.types("of"))
    check_feeds(rule, "after", rule.types("after"))


def _count(names: Names) -> dict[str, Field]:
    return common_fields(names) | {
        "of": Field(list_of(event_type, 1), required=True),
        "where": Field(text),
        "at_least": Field(whole(1, MOST_EVENTS), required=True),
        "within": Field(exact_duration, required=True),
        "cooldown": Field(exact_duration),
    }


def _check_count(rule: RuleAtHand) -> None:
    check_predicate(rule, "where", "of")
    check_feeds(rule, "of", rule.types("of"))


def _score(names: Names) -> dict[str, Field]:
    return common_fields(names) | {
        "above": Field(number(0, 1), required=True),
        "clear_below": Field(number(0, 1)),
        "dwell": Field(exact_duration),
        "cooldown": Field(exact_duration),
    }


def _check_score(rule: RuleAtHand) -> None:
    values = rule.values
    if "above" in values and values.setdefault("clear_below", values["above"]) > values["above"]:
        rule.refuse("clear_below", f"{values['clear_below']:g} is above `above`, which is {values['above']:g}")
    if not rule.names.has_churn:
        rule.refuse("kind", "kind `score` needs a risk model: write the section `churn`, with the horizon it predicts")


def _sla(names: Names) -> dict[str, Field]:
    target = _target_fields(names)
    return common_fields(names) | {
        "clock": Field(_clock, required=True),
        "until": Field(one_of(("resolved", "closed"), "what a resolution clock waits for")),
        "target": target["target"],
        "workdays": target["workdays"],
        "calendar": target["calendar"],
        "targets": Field(list_of(lambda node, place: _target(node, place, names), 1)),
        "warn_at": Field(list_of(number(0, 1, or_least=False))),
        "pause_on": Field(list_of(one_of(get_args(PauseStatus), "a status to pause on"))),
    }


def _clock(node: Node, place: Place) -> str:
    if isinstance(node, Scalar) and node.text == "next_response":
        raise Refused(node.line, f"clock `next_response` is not built yet in this release; built are {', '.join(_CLOCKS)}")
    return str(one_of(_CLOCKS, "a clock")(node, place))


def _target_fields(names: Names) -> dict[str, Field]:
    return {
        "priority": Field(one_of(get_args(Priority), "a priority")),
        "tier": Field(name),
        "category": Field(one_of(get_args(Category), "a category")),
        "team": Field(name),
        "target": Field(exact_duration),
        "workdays": Field(whole(1, MOST_EVENTS)),
        "calendar": Field(calendar_name(names)),
    }


def _target(node: Node, place: Place, names: Names) -> dict[str, Any]:
    found = read_fields(node, place, _target_fields(names))
    given = node.key_lines if isinstance(node, Entries) else {}
    if ("target" in given) == ("workdays" in given):
        place.refuse(node.line, "a target has either `target`, like PT8H, or `workdays`, like 5")
    return found


def _check_sla(rule: RuleAtHand) -> None:
    values, given = rule.values, rule.node.key_lines
    alone = {key: values.pop(key) for key in ("target", "workdays", "calendar") if key in values}
    if sum(key in given for key in ("target", "workdays", "targets")) != 1:
        rule.refuse("targets", "an sla has either `target`, like PT8H, or `workdays` with a calendar, or a list of `targets`")
    targets = values.setdefault("targets", [alone])
    for target in targets:
        if "calendar" in alone:
            target.setdefault("calendar", alone["calendar"])
    for i, target in enumerate(targets):
        _check_target(rule, target, f" of target {i + 1}" if "targets" in given else "")
    _check_reached(rule, targets)
    check_feeds(rule, "kind", frozenset({"ticket.opened"}))
    if "until" in values and values.get("clock") == "first_response":
        rule.refuse("until", "a first_response clock waits for our answer; `until` goes with clock `resolution`")
    warn_at = values.get("warn_at", [])
    if any(later <= earlier for earlier, later in pairwise(warn_at)) or 1.0 in warn_at:
        rule.refuse("warn_at", "fractions of the target are below 1 and ascend, like [0.5, 0.9]")


def _check_reached(rule: RuleAtHand, targets: list[dict[str, Any]]) -> None:
    """The first target that matches counts: none may follow one that matches every ticket."""
    at_targets = rule.place.at("targets").path
    if any(fault.place.startswith(at_targets) for fault in rule.place.faults):
        return  # a selector with a fault would count as none
    for i, target in enumerate(targets[:-1], start=1):
        if not {"priority", "tier", "category", "team"} & target.keys():
            rule.refuse("targets", f"target {i} matches every ticket, so those after it are never reached; put it last")
            return


def _check_target(rule: RuleAtHand, target: dict[str, Any], which: str) -> None:
    key = "targets" if which else "target"
    length = target.get("target")
    if length is not None and "calendar" in target and not length.startswith("PT"):
        rule.refuse(key, f"{length!r}{which} counts days; on a calendar write hours (PT16H) or `workdays: n`")
    if "workdays" in target and "calendar" not in target and "calendar" not in rule.node.key_lines:
        rule.refuse("targets" if which else "workdays", f"`workdays`{which} needs a `calendar`")


_KINDS: Final[Mapping[str, tuple[Callable[[Names], dict[str, Field]], tuple[str, ...], Callable[[RuleAtHand], None]]]] = {
    "absence": (_absence, ("workdays",), _check_absence),
    "count": (_count, (), _check_count),
    "score": (_score, (), _check_score),
    "sla": (_sla, (), _check_sla),
}
