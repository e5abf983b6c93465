"""Reading the kinds that weigh events of a while: `count`, `share`, `level`, `decline`."""

from typing import Final

from detectors.event_fields import event_types, fields_of
from schemas.instants import exact_ms
from streams.rules_common import (
    MOST_COUNTED,
    MOST_EVENTS,
    Names,
    RuleAtHand,
    check_feeds,
    common_fields,
    event_type,
)
from streams.rules_predicates import check_predicate, check_value
from streams.rules_values import (
    Field,
    any_number,
    exact_duration,
    list_of,
    meant,
    number,
    one_of,
    text,
    whole,
    whole_days,
)

_MOST_CHANGE: Final = 1_000.0
_TICKETS: Final = event_types(["ticket.*"])


def _counted_fields(names: Names) -> dict[str, Field]:
    return common_fields(names) | {"of": Field(list_of(event_type, 1), required=True), "where": Field(text)}


def _check_counted(rule: RuleAtHand) -> None:
    check_predicate(rule, "where", "of")
    check_feeds(rule, "of", rule.types("of"))


def count_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `count`."""
    return _counted_fields(names) | {
        "at_least": Field(whole(1, MOST_EVENTS), required=True),
        "within": Field(exact_duration, required=True),
    }


def check_count(rule: RuleAtHand) -> None:
    """Note what does not fit together in a count."""
    _check_counted(rule)


def share_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `share`."""
    return _counted_fields(names) | {
        "unless": Field(list_of(event_type, 1)),
        "for": Field(exact_duration),
        "share": Field(number(0, 1, or_least=False), required=True),
        "among": Field(whole(1, MOST_COUNTED), required=True),
        "within": Field(whole_days, required=True),
        "clear_below": Field(number(0, 1, or_least=False)),
    }


def check_share(rule: RuleAtHand) -> None:
    """Note what does not fit together in a share."""
    values, given = rule.values, rule.node.key_lines
    by_end = [key for key in ("unless", "for") if key in given]
    if ("where" in given) == bool(by_end):
        rule.refuse("where", "a share has either `where`, which says what matches, or `unless` and `for`")
    elif len(by_end) == 1:
        rule.refuse(by_end[0], "`unless` and `for` go together: matching is what no `unless` event followed for so long")
    for key in ("of", "unless"):
        others = sorted(rule.types(key) - _TICKETS) if by_end else []
        if others:
            rule.refuse(key, f"{others[0]!r} is not of a ticket; with `unless`, allowed are {', '.join(sorted(_TICKETS))}")
    if values.get("clear_below", 0) > values.get("share", 1):
        rule.refuse("clear_below", f"{values['clear_below']:g} is above `share`, which is {values['share']:g}")
    waited, within = values.get("for"), values.get("within")
    if waited is not None and within is not None and exact_ms(waited) >= exact_ms(within):
        rule.refuse("for", f"{waited} is not shorter than `within`, which is {within}; nothing would match in time")
    check_feeds(rule, "unless", rule.types("unless"))
    _check_counted(rule)


def level_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `level`."""
    limits = ("below", "above", "clear_above", "clear_below")
    return _counted_fields(names) | {"value": Field(text, required=True)} | {key: Field(any_number) for key in limits}


def check_level(rule: RuleAtHand) -> None:
    """Note what does not fit together in a level."""
    values, given = rule.values, rule.node.key_lines
    if ("below" in given) == ("above" in given):
        rule.refuse("above", "a level has either `below` or `above`, a number")
    for limit, clear in (("below", "clear_above"), ("above", "clear_below")):
        if clear in given and limit not in given:
            rule.refuse(clear, f"this goes with `{limit}`, which is not there")
    if values.get("clear_above", 0) < values.get("below", 0) and {"clear_above", "below"} <= values.keys():
        rule.refuse("clear_above", f"{values['clear_above']:g} is under `below`, which is {values['below']:g}")
    if values.get("clear_below", 0) > values.get("above", 0) and {"clear_below", "above"} <= values.keys():
        rule.refuse("clear_below", f"{values['clear_below']:g} is over `above`, which is {values['above']:g}")
    check_value(rule, "value", "of")
    _check_counted(rule)


def decline_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `decline`."""
    return _counted_fields(names) | {
        "distinct": Field(text),
        "recent": Field(whole_days, required=True),
        "baseline": Field(whole_days, required=True),
        "by": Field(number(0, _MOST_CHANGE, or_least=False), required=True),
        "direction": Field(one_of(("down", "up", "both"), "a direction")),
        "min_count": Field(whole(1, MOST_COUNTED)),
    }


def check_decline(rule: RuleAtHand) -> None:
    """Note what does not fit together in a decline."""
    values = rule.values
    if values.get("by", 0) > 1 and values.get("direction", "down") != "up":
        rule.refuse(
            "by", f"a rate cannot fall by more than all of it; {values['by']:g} goes with `direction: up`, else write 0.5"
        )
    types = rule.types("of")
    distinct = values.get("distinct")
    if distinct is not None and types:
        common = sorted(frozenset.intersection(*(fields_of([name]) for name in types)))
        if distinct not in common:
            rule.refuse("distinct", f"{distinct!r} is not a field that all these events have; {meant(distinct, common)}")
    _check_counted(rule)
