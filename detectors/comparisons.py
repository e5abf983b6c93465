"""Simple comparisons of a CEL expression, evaluated without the library, with the same answers.

Simple is what consists of `event.NAME OP literal` and `features.NAME OP literal` either way round, a field by itself,
`true`, `false`, `!`, `&&`, `||` and parentheses. As in CEL numbers, text and truth values are never equal to each other,
have no order among each other, and an unknown side of `&&` or `||` does not matter where the other side decides.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from detectors.expression_tokens import Token
from schemas.events import Event

Features = Callable[[], Mapping[str, float]]
Check = Callable[[Event | None, Features | None], bool | None]
Look = Callable[[Event | None, Features | None], object]
Literal = float | str | bool

MAX_DEPTH: Final = 32
"""Of parentheses and `!`; the library takes what is deeper."""
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TURNED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_BETWEEN_KINDS: Final = {"==": False, "!=": True}


class _NotSimpleError(Exception):
    """Only the library can evaluate it."""


def simple_check(tokens: Sequence[Token], event_fields: frozenset[str]) -> Check | None:
    """The expression as a function; None: it is not simple.

    Args:
        tokens: of an expression that the library takes.
        event_fields: every name that an event may have.
    """
    reader = _Reader(tokens, event_fields)
    try:
        check = reader.any_of(0)
    except _NotSimpleError:
        return None
    return check if reader.at_end() else None


def simple_value(tokens: Sequence[Token], event_fields: frozenset[str]) -> Look | None:
    """A single field as a function that gives its value, None if it is not there; None: the expression is not simple."""
    reader = _Reader(tokens, event_fields)
    try:
        look = reader.field()
    except _NotSimpleError:
        return None
    return look if reader.at_end() else None


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: Sequence[Token], event_fields: frozenset[str]) -> None:
        self._tokens = tokens
        self._event_fields = event_fields
        self._place = 0

    def at_end(self) -> bool:
        return self._place == len(self._tokens)

    def any_of(self, depth: int) -> Check:
        checks = [self._all_of(depth)]
        while self._took("||"):
            checks.append(self._all_of(depth))
        return checks[0] if len(checks) == 1 else _decided_by(tuple(checks), deciding=True)

    def field(self) -> Look:
        """`event.NAME` or `features.NAME`."""
        owner, name = self._next(), None
        if owner.kind == "name" and self._took("."):
            name = self._next()
        if name is None or name.kind != "name":
            raise _NotSimpleError
        if owner.text == "event" and name.text in self._event_fields:
            return _event_field(name.text)
        if owner.text == "features":
            return _feature(name.text)
        raise _NotSimpleError

    def _all_of(self, depth: int) -> Check:
        checks = [self._unit(depth)]
        while self._took("&&"):
            checks.append(self._unit(depth))
        return checks[0] if len(checks) == 1 else _decided_by(tuple(checks), deciding=False)

    def _unit(self, depth: int) -> Check:
        if depth > MAX_DEPTH:
            raise _NotSimpleError
        if self._took("!"):
            return _not(self._operand_of_not(depth + 1))
        if self._took("("):
            return self._closed(depth + 1)
        literal = self._literal()
        if literal is not None:
            return self._after_literal(literal)
        look = self.field()
        compare = self._operator()
        if compare is None:
            return _truth(look)
        literal = self._literal()
        if literal is None:
            raise _NotSimpleError
        return _compared(look, compare, literal)

    def _after_literal(self, literal: Literal) -> Check:
        compare = self._operator()
        if compare is not None:
            return _compared(self.field(), _TURNED[compare], literal)
        if isinstance(literal, bool):
            return lambda _event, _features: literal
        raise _NotSimpleError

    def _operand_of_not(self, depth: int) -> Check:
        """What binds tighter than a comparison: in `!event.public == true` the `!` concerns the field alone."""
        if depth > MAX_DEPTH:
            raise _NotSimpleError
        if self._took("!"):
            return _not(self._operand_of_not(depth + 1))
        if self._took("("):
            return self._closed(depth + 1)
        return _truth(self.field())

    def _closed(self, depth: int) -> Check:
        check = self.any_of(depth)
        if not self._took(")"):
            raise _NotSimpleError
        return check

    def _literal(self) -> Literal | None:
        start, sign = self._place, -1.0 if self._took("-") else 1.0
        if not self.at_end():
            token = self._next()
            if token.kind == "number" and isinstance(token.value, float):
                return sign * token.value
            if self._place == start + 1:
                if token.kind == "text" and isinstance(token.value, str):
                    return token.value
                if token.kind == "name" and token.text in ("true", "false"):
                    return token.text == "true"
        self._place = start
        return None

    def _operator(self) -> str | None:
        if self.at_end() or self._tokens[self._place].text not in _OPERATORS:
            return None
        return self._next().text

    def _took(self, mark: str) -> bool:
        if self.at_end() or self._tokens[self._place].text != mark:
            return False
        self._place += 1
        return True

    def _next(self) -> Token:
        if self.at_end():
            raise _NotSimpleError
        self._place += 1
        return self._tokens[self._place - 1]


def _event_field(name: str) -> Look:
    return lambda event, _features: getattr(event, name, None)


def _feature(name: str) -> Look:
    return lambda _event, features: features().get(name) if features is not None else None


def _compared(look: Look, compare: str, literal: Literal) -> Check:
    kinds: tuple[type, ...] = (float, int) if type(literal) is float else (type(literal),)
    holds, otherwise = _OPERATORS[compare], _BETWEEN_KINDS.get(compare)

    def check(event: Event | None, features: Features | None) -> bool | None:
        value = look(event, features)
        if type(value) in kinds:
            return holds(value, literal)
        return otherwise if isinstance(value, (float, int, str)) else None

    return check


def _truth(look: Look) -> Check:
    def check(event: Event | None, features: Features | None) -> bool | None:
        value = look(event, features)
        return value if isinstance(value, bool) else None

    return check


def _not(operand: Check) -> Check:
    def check(event: Event | None, features: Features | None) -> bool | None:
        found = operand(event, features)
        return None if found is None else not found

    return check


def _decided_by(checks: tuple[Check, ...], *, deciding: bool) -> Check:
    """`||`, which one true side decides, or `&&`, which one false side decides."""

    def check(event: Event | None, features: Features | None) -> bool | None:
        unknown = False
        for one in checks:
            found = one(event, features)
            if found is deciding:
                return deciding
            unknown = unknown or found is None
        return None if unknown else not deciding

    return check
