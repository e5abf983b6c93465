"""Reading one rule of the rules file: its kind says which fields it has, and what must fit together."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.rules_ahead import check_renewal, check_score, renewal_fields, score_fields
from streams.rules_common import Names, RuleAtHand
from streams.rules_composites import check_composite, composite_fields
from streams.rules_silences import absence_fields, check_absence, check_rhythm, rhythm_fields
from streams.rules_sla import check_sla, sla_fields
from streams.rules_values import Field, meant, read_fields, text
from streams.rules_windows import (
    check_count,
    check_decline,
    check_level,
    check_share,
    count_fields,
    decline_fields,
    level_fields,
    share_fields,
)
from streams.yaml_nodes import Entries, Node, Place, Refused, shown


def read_rule(node: Node, place: Place, names: Names) -> dict[str, Any] | None:
    """One rule, as plain values in the form of its struct; the faults are noted."""
    if not isinstance(node, Entries):
        raise Refused(node.line, f"{shown(node)} stands here; a rule is a mapping with `id` and `kind`")
    kind_node = node.entries.get("kind")
    if kind_node is None:
        raise Refused(node.line, f"`kind` is missing; allowed are {', '.join(KINDS)}")
    kind = place.at("kind").take(_kind, kind_node)
    if kind is None:
        return None
    fields, check = KINDS[kind]
    rule = read_fields(node, place, fields(names))
    at_hand = RuleAtHand(node, place, rule, names)
    check(at_hand)
    _check_common(at_hand)
    if "enabled_from" in rule:
        rule["enabled_from_ms"] = rule.pop("enabled_from")
    return {"version": names.version, **names.defaults, **rule}


def _kind(node: Node, place: Place) -> str:
    kind = text(node, place)
    if kind not in KINDS:
        raise Refused(node.line, f"{kind!r} is not a kind of rule; {meant(kind, KINDS)}")
    return kind


def _check_common(rule: RuleAtHand) -> None:
    if rule.values.get("id") in rule.values.get("inhibits", ()):
        rule.refuse("inhibits", "a rule cannot inhibit itself: its alerts would never be delivered")


KINDS: Final[Mapping[str, tuple[Callable[[Names], dict[str, Field]], Callable[[RuleAtHand], None]]]] = {
    "absence": (absence_fields, check_absence),
    "rhythm": (rhythm_fields, check_rhythm),
    "sla": (sla_fields, check_sla),
    "count": (count_fields, check_count),
    "share": (share_fields, check_share),
    "level": (level_fields, check_level),
    "decline": (decline_fields, check_decline),
    "renewal": (renewal_fields, check_renewal),
    "score": (score_fields, check_score),
    "all": (composite_fields, check_composite),
    "any": (composite_fields, check_composite),
}
"""How each kind is read, and what is checked across its fields."""
