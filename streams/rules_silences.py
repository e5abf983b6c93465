"""Reading the kinds `absence` and `rhythm`: something does not happen for too long."""

from typing import Any

from streams.rules_common import (
    MOST_EVENTS,
    Names,
    RuleAtHand,
    calendar_name,
    check_feeds,
    common_fields,
    event_type,
    never,
)
from streams.rules_predicates import check_predicate
from streams.rules_values import (
    Field,
    duration,
    exact_duration,
    flag,
    list_of,
    mapping_of,
    name,
    number,
    text,
    whole,
)
from streams.yaml_nodes import Entries, Node, Place

_MOST_TIMES = 1_000.0


def absence_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `absence`."""
    return common_fields(names) | {
        "of": Field(list_of(event_type, 1), required=True),
        "for": Field(duration),
        "workdays": Field(whole(1, MOST_EVENTS)),
        "tiers": Field(_tiers),
        "where": Field(text),
        "after": Field(list_of(event_type, 1)),
        "where_after": Field(text),
        "restart": Field(flag),
        "calendar": Field(calendar_name(names)),
        "min_count": Field(whole(1, MOST_EVENTS)),
        "max_count": Field(whole(1, MOST_EVENTS)),
        "dwell": Field(never("an absence lasts already when its alert opens: make `for` longer in place of `dwell`")),
    }


def _tiers(node: Node, place: Place) -> Any:  # noqa: ANN401 - a list limits, a mapping gives another `for`
    return (mapping_of(duration) if isinstance(node, Entries) else list_of(name, 1))(node, place)


def check_absence(rule: RuleAtHand) -> None:
    """Note what does not fit together in an absence."""
    values = rule.values
    if isinstance(values.get("tiers"), dict):
        values["for_by_tier"] = values.pop("tiers")
    _check_length(rule)
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


def _check_length(rule: RuleAtHand) -> None:
    """How long the silence has to be is said once, and on a calendar in hours or working days."""
    values, given = rule.values, rule.node.key_lines
    if "for" not in given and "workdays" not in given:
        rule.refuse("for", "`for` is missing, like P90D; or `workdays`, like 5, with a `calendar`")
    if "for" in given and "workdays" in given:
        rule.refuse("workdays", "an absence has either `for`, like PT8H, or `workdays`, like 5; both stand here")
    if "workdays" in given and "calendar" not in given:
        rule.refuse("workdays", "`workdays` needs a `calendar`, which says which days are worked")
    if "workdays" in given and "for_by_tier" in values:
        rule.refuse("tiers", "lengths by tier go with `for`; beside `workdays` write a list of tiers: [vip, key]")
    for key, length in (("for", values.get("for")), *(("tiers", other) for other in values.get("for_by_tier", {}).values())):
        if "calendar" in values and length is not None and not length.startswith("PT"):
            rule.refuse(
                key, f"{length!r} counts days or months; on a calendar write hours and minutes, like PT8H, or `workdays: n`"
            )


def rhythm_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `rhythm`."""
    return common_fields(names) | {
        "of": Field(list_of(event_type, 1), required=True),
        "where": Field(text),
        "times": Field(number(0, _MOST_TIMES, or_least=False), required=True),
        "min_count": Field(whole(2, MOST_EVENTS)),  # one event has no gap
        "min_gap": Field(exact_duration),
        "dwell": Field(never("a silence lasts already when its alert opens: raise `times` or `min_gap` in place of `dwell`")),
    }


def check_rhythm(rule: RuleAtHand) -> None:
    """Note what does not fit together in a rhythm."""
    check_predicate(rule, "where", "of")
    check_feeds(rule, "of", rule.types("of"))
