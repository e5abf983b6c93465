"""Reading the kinds `all` and `any`: rules made of other rules."""

from collections.abc import Mapping
from typing import Final

from streams.rules_common import Names, RuleAtHand, common_fields, rule_id
from streams.rules_values import Field, list_of
from streams.yaml_nodes import Entries, Items, Node, Scalar

_COMPOSITE: Final = frozenset({"all", "any"})


def composite_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `all` or `any`."""
    return common_fields(names) | {"rules": Field(list_of(rule_id(names), 2), required=True)}


def check_composite(rule: RuleAtHand) -> None:
    """Note what does not fit together in a composite: it may not wait for itself."""
    own, parts = rule.values.get("id"), rule.values.get("rules", [])
    if len(set(parts)) < len(parts):
        twice = next(part for i, part in enumerate(parts) if part in parts[:i])
        rule.refuse("rules", f"{twice!r} stands here twice; a composite names different rules")
    if own is None:
        return
    if own in parts:
        rule.refuse("rules", f"{own!r} is this rule itself; a composite names other rules")
        return
    circle = circle_through(own, rule.names.parts)
    if circle and own == min(circle, key=rule.names.rules.index):  # told once, at the first of them
        rule.refuse("rules", f"{' needs '.join([*circle, own])}: a composite may not need itself; take one of these away")


def parts_by_id(rules: Node | None) -> dict[str, tuple[str, ...]]:
    """The rules that each composite of the file names, as far as they can be read."""
    found: dict[str, tuple[str, ...]] = {}
    for rule in rules.items if isinstance(rules, Items) else ():
        if not isinstance(rule, Entries):
            continue
        own, kind, parts = (rule.entries.get(key) for key in ("id", "kind", "rules"))
        if isinstance(own, Scalar) and isinstance(kind, Scalar) and kind.text in _COMPOSITE and isinstance(parts, Items):
            found.setdefault(own.text, tuple(part.text for part in parts.items if isinstance(part, Scalar)))
    return found


def circle_through(start: str, parts: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The rules from one, each naming the next, until the last names the first again; empty if there are none.

    >>> circle_through("a", {"a": ("b", "x"), "b": ("c",), "c": ("x", "a")})
    ['a', 'b', 'c']
    """
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop(0)
        for part in parts.get(way[-1], ()):
            if part == start:
                return way
            if part not in seen:
                seen.add(part)
                ways.append([*way, part])
    return []
