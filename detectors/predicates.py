"""Predicates of the rules file: CEL over `event` and `features`, with *unknown* as a third answer.

All numbers reach an expression as doubles. What cannot be evaluated (a field that this event does not have, a wrong
type) is unknown, never false: each kind of rule says what it makes of that.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, get_args

import cel
import msgspec

from schemas.errors import ContractError
from schemas.events import AnyEvent, Event

CODE: Final = "bad_predicate"
_FIELD = re.compile(r"""(?<![\w."'])event\.([A-Za-z_]\w*)""")
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_HIDDEN: Final = frozenset({"src"})
_FIELDS_BY_TYPE: Final[Mapping[str, frozenset[str]]] = {
    str(event.__struct_config__.tag): frozenset(event.__struct_fields__) - _HIDDEN | {"type"} for event in get_args(AnyEvent)
}


class Predicate:
    """A compiled expression.

    >>> large = Predicate("event.amount >= 1000.0")
    >>> from schemas.events import LoginSucceeded, OrderPlaced
    >>> large.holds(OrderPlaced(id="1", customer_id="c", at_ms=0, order_id="1", amount=1200))
    True
    >>> large.holds(LoginSucceeded(id="1", customer_id="c", at_ms=0)) is None
    True

    Raises:
        ContractError: not an expression, or one that names anything but `event` and `features`.
    """

    def __init__(self, text: str) -> None:
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise ContractError(CODE, f"{text!r} is no CEL expression: {' '.join(str(error).split())}") from None
        names = set(self._program.variables())
        if unknown := sorted(names - {"event", "features"}):
            raise ContractError(CODE, f"{text!r} names {unknown[0]!r}; allowed are `event` and `features`")
        self.text = text
        self.needs_features = "features" in names
        self.event_fields = frozenset(_FIELD.findall(_STRING.sub("''", text)))

    def check_types(self, types: Iterable[str]) -> None:
        """Refuse fields of `event` that none of these event types has, so that a typing error is not *unknown* for ever.

        Raises:
            ContractError: with the fields that there are.
        """
        allowed: set[str] = set().union(*(_FIELDS_BY_TYPE.get(name, frozenset()) for name in types))
        if missing := sorted(self.event_fields - allowed):
            fields = ", ".join(sorted(allowed))
            raise ContractError(CODE, f"{self.text!r} names event.{missing[0]}; the fields of these events are {fields}")

    def holds(self, event: Event, features: Mapping[str, float] | None = None) -> bool | None:
        """Whether it is true of the event; None if that is unknown."""
        if self.needs_features and features is None:
            return None
        variables = {"event": plain_fields(event), "features": features or {}}
        # The library raises what it meets: KeyError for a missing field, TypeError, ValueError or RuntimeError.
        try:
            found = self._program.execute(variables)
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError):
            return None
        return found if isinstance(found, bool) else None


def event_types(patterns: Iterable[str]) -> frozenset[str]:
    """The event types that some patterns (`order.*`, `order.placed`) cover.

    >>> sorted(event_types(["login.*"]))
    ['login.succeeded']
    """
    return frozenset(
        name
        for pattern in patterns
        for name in _FIELDS_BY_TYPE
        if name == pattern or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
    )


def plain_fields(event: Event) -> dict[str, object]:
    """An event as an expression sees it: fields that are set, numbers as doubles."""
    fields: dict[str, object] = {"type": event.type}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if value is None or value is msgspec.UNSET or name in _HIDDEN:
            continue
        fields[name] = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return fields
