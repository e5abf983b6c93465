"""How one rule set differs from another: rules that were added, removed or changed, and sections that changed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas.instants import format_instant
from schemas.rule_kinds import RuleBase
from schemas.rules import RuleSet

_MOST_ITEMS: Final = 8
"""Of a longer list only what came and went is shown."""
_MOST_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is different; `old` or `new` is None where it is not there."""

    place: tuple[str, ...]
    """Like `("rules", "silent", "for")`, or `("lifecycle", "silent_after")`."""
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{'.'.join(self.place)}: {_values(self.old, self.new)}"


def changes_between(old: RuleSet, new: RuleSet) -> list[Change]:
    """Everything that is different, sections in the order of the document, then rules; empty if nothing is."""
    found: list[Change] = []
    for section in (name for name in old.__struct_fields__ if name != "rules"):
        found += _changes((section,), _plain(getattr(old, section)), _plain(getattr(new, section)))
    rules_before, rules_after = ({rule.id: rule for rule in rule_set.rules} for rule_set in (old, new))
    went_along = (old.version, new.version)  # of a rule without a version of its own: that is said above
    for rule_id in rules_before | rules_after:
        changes = _rule_changes(rule_id, rules_before.get(rule_id), rules_after.get(rule_id))
        found += (one for one in changes if one.place[2:] != ("version",) or (one.old, one.new) != went_along)
    orders = [[rule.id for rule in one.rules if rule.id in rules_before.keys() & rules_after.keys()] for one in (old, new)]
    if orders[0] != orders[1]:
        found.append(Change(("order of the rules",), *orders))
    return found


def told(changes: list[Change]) -> str:
    """The changes in lines: `+` for a rule that came, `-` for one that went, `~` for one that is different."""
    lines: list[str] = []
    changed_rule = None
    for change in changes:
        section, *place = change.place
        if section != "rules":
            lines.append(f"~ {change}")
        elif len(place) == 1:
            mark, rule = ("+", change.new) if change.old is None else ("-", change.old)
            lines.append(f"{mark} rule {place[0]} ({rule['kind']})")
        else:
            rule_id, *field = place
            if rule_id != changed_rule:
                lines.append(f"~ rule {rule_id}")
            changed_rule = rule_id
            lines.append(f"    {Change(tuple(field), change.old, change.new)}")
    return "\n".join(lines)


def places(changes: list[Change]) -> list[str]:
    """The sections and rules that differ, in a few words each."""
    named = (f"rule {change.place[1]}" if change.place[0] == "rules" else change.place[0] for change in changes)
    return list(dict.fromkeys(named))


def rule_fields(rule: RuleBase) -> dict[str, Any]:
    """All fields of a rule under the names that they have in the file, its defaults too."""
    names = zip(rule.__struct_encode_fields__, rule.__struct_fields__, strict=True)
    fields = {"kind": rule.kind, **{written: _plain(getattr(rule, name)) for written, name in names}}
    by_tier, from_ms = fields.pop("for_by_tier", None), fields.pop("enabled_from_ms")
    enabled_from = None if from_ms is None else format_instant(from_ms)
    return fields | {"tiers": by_tier or fields["tiers"], "enabled_from": enabled_from}


def _rule_changes(rule_id: str, old: RuleBase | None, new: RuleBase | None) -> Iterator[Change]:
    before, after = (None if rule is None else rule_fields(rule) for rule in (old, new))
    if before is None or after is None:
        yield Change(("rules", rule_id), before, after)
        return
    for field in before | after:
        yield from _changes(("rules", rule_id, field), before.get(field), after.get(field))


def _changes(place: tuple[str, ...], old: Any, new: Any) -> Iterator[Change]:  # noqa: ANN401 - plain values
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            yield from _changes((*place, key), old.get(key), new.get(key))
    else:
        yield Change(place, old, new)


def _plain(value: object) -> Any:  # noqa: ANN401 - plain values
    return msgspec.to_builtins(value)


def _values(old: Any, new: Any) -> str:  # noqa: ANN401 - plain values
    lists = isinstance(old, list) and isinstance(new, list)
    if not lists or max(len(old), len(new)) <= _MOST_ITEMS:
        return f"{_shown(old)} -> {_shown(new)}"
    came, went = ([item for item in one if item not in other] for one, other in ((new, old), (old, new)))
    parts = [f"{word} {_few(items)}" for word, items in (("added", came), ("gone", went)) if items]
    return "; ".join(parts) or "in another order"


def _few(items: list[Any]) -> str:
    more = f" and {len(items) - _MOST_SHOWN} more" if len(items) > _MOST_SHOWN else ""
    return ", ".join(map(_shown, items[:_MOST_SHOWN])) + more


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
