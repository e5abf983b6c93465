"""Reading the kind `sla`: a ticket's clock and its targets."""

from itertools import pairwise
from typing import Any, Final, get_args

from schemas.events import Category, Priority
from schemas.rule_kinds import PauseStatus
from streams.rules_common import MOST_EVENTS, Names, RuleAtHand, calendar_name, check_feeds, common_fields, never
from streams.rules_values import Field, exact_duration, list_of, name, number, one_of, read_fields, whole
from streams.yaml_nodes import Entries, Node, Place

_CLOCKS: Final = ("first_response", "next_response", "resolution")
_SELECTORS: Final = frozenset({"priority", "tier", "category", "team"})


def sla_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `sla`."""
    target = _target_fields(names)
    return common_fields(names) | {
        "clock": Field(one_of(_CLOCKS, "a clock"), required=True),
        "until": Field(one_of(("resolved", "closed"), "what a resolution clock waits for")),
        "target": target["target"],
        "workdays": target["workdays"],
        "calendar": target["calendar"],
        "targets": Field(list_of(lambda node, place: _target(node, place, names), 1)),
        "warn_at": Field(list_of(number(0, 1, or_least=False))),
        "pause_on": Field(list_of(one_of(get_args(PauseStatus), "a status to pause on"))),
        "dwell": Field(never("a breach is one at the deadline; make the target longer in place of `dwell`")),
        "cooldown": Field(never("each ticket has a clock and an alert of its own, and none is left out; take `cooldown` away")),
    }


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


def check_sla(rule: RuleAtHand) -> None:
    """Note what does not fit together in an sla, and give the calendar of the rule to targets without one."""
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
    clock = values.get("clock", "resolution")
    if "until" in values and clock != "resolution":
        rule.refuse("until", f"a {clock} clock waits for our answer; `until` goes with clock `resolution`")
    warn_at = values.get("warn_at", [])
    if any(later <= earlier for earlier, later in pairwise(warn_at)) or 1.0 in warn_at:
        rule.refuse("warn_at", "fractions of the target are below 1 and ascend, like [0.5, 0.9]")


def _check_reached(rule: RuleAtHand, targets: list[dict[str, Any]]) -> None:
    """The first target that matches counts: none may follow one that matches every ticket."""
    at_targets = rule.place.at("targets").path
    if any(fault.place.startswith(at_targets) for fault in rule.place.faults):
        return  # a selector with a fault would count as none
    for i, target in enumerate(targets[:-1], start=1):
        if not _SELECTORS & target.keys():
            rule.refuse("targets", f"target {i} matches every ticket, so those after it are never reached; put it last")
            return


def _check_target(rule: RuleAtHand, target: dict[str, Any], which: str) -> None:
    key = "targets" if which else "target"
    length = target.get("target")
    if length is not None and "calendar" in target and not length.startswith("PT"):
        rule.refuse(key, f"{length!r}{which} counts days; on a calendar write hours (PT16H) or `workdays: n`")
    if "workdays" in target and "calendar" not in target and "calendar" not in rule.node.key_lines:
        rule.refuse("targets" if which else "workdays", f"`workdays`{which} needs a `calendar`")
