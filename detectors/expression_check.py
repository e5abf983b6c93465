"""Whether an expression can ever be evaluated: found out before it is used, on events made for that."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import cel

from detectors.event_fields import FIELDS, Field, Kind
from detectors.expression_tokens import Token, placed_members
from detectors.features import NAMES

Wanted = Literal["truth", "number"]

_NUMBERS: Final = (0.8125, 3.1875, 48.5, 1234.5625, 87654.25, 3_000_000.5)
"""Of all sizes, so that a part of an expression that only a large or small number reaches is reached too."""
_TEXTS: Final = ("abc", "x-1", "Ünal")
_ERRORS: Final = (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError)
_NAMED: Final = {"number": "a number", "text": "text", "truth": "true or false"}
_ENDS: Final = frozenset({"&&", "||", "(", ")", "!", "?", ":", ""})
"""What may stand beside a whole comparison."""


def fault_of(program: cel.Program, tokens: Sequence[Token], types: Sequence[str], wanted: Wanted) -> str | None:
    """What is wrong with an expression, as the end of a sentence; None: nothing was found.

    Args:
        program: compiled.
        tokens: of the same expression.
        types: of the events that it will be asked of; empty: there is none.
        wanted: what it has to give.
    """
    return _mixed(tokens, types) or _tried(program, types, wanted)


def _mixed(tokens: Sequence[Token], types: Sequence[str]) -> str | None:
    """Two sides of `==` and `!=` that are never equal: CEL calls that false, not a fault."""
    for place, name in placed_members(tokens, "event"):
        fields = [fields[name] for fields in (FIELDS.get(event_type, {}) for event_type in types) if name in fields]
        literal = _compared_with(tokens, place)
        if not fields or literal is None:
            continue
        kind = _kind_of(literal)
        alike = [field for field in fields if field.kind == kind]
        if not alike:
            return f"compares event.{name}, which is {_NAMED[fields[0].kind]}, with {_NAMED[kind]}, {literal.text}"
        known = sorted({value for field in alike for value in field.values})
        is_free = literal.value is None or not all(field.values for field in alike) or not _stands_alone(tokens, place)
        if not is_free and literal.value not in known:
            return f"compares event.{name} with {literal.text}; its values are {', '.join(known)}"
    return None


def _compared_with(tokens: Sequence[Token], place: int) -> Token | None:
    """The literal on the other side of `event.NAME ==`; `place` is that of `event`."""
    if _text(tokens, place + 3) in ("==", "!="):
        other = tokens[place + 4 : place + 5]
    elif _text(tokens, place - 1) in ("==", "!=") and _text(tokens, place + 3) in _ENDS:
        other = tokens[place - 2 : place - 1] if place > 1 else []
    else:
        return None
    is_literal = other and (other[0].kind in ("number", "text") or other[0].text in ("true", "false"))
    return other[0] if is_literal else None


def _stands_alone(tokens: Sequence[Token], place: int) -> bool:
    if _text(tokens, place + 3) in ("==", "!="):
        return _text(tokens, place - 1) in _ENDS and _text(tokens, place + 5) in _ENDS
    return _text(tokens, place - 3) in _ENDS


def _text(tokens: Sequence[Token], place: int) -> str:
    return tokens[place].text if 0 <= place < len(tokens) else ""


def _kind_of(literal: Token) -> Kind:
    match literal.kind:
        case "number" | "text" as kind:
            return kind
        case _:
            return "truth"


def _tried(program: cel.Program, types: Sequence[str], wanted: Wanted) -> str | None:
    """Evaluate it on events with all their fields: then nothing is missing, and what fails has the wrong type."""
    error: str | None = None
    evaluated = False
    features = {name: _NUMBERS[place % len(_NUMBERS)] for place, name in enumerate(NAMES)}
    for fields in _samples(types):
        try:
            found = program.execute({"event": fields, "features": features})
        except TypeError as fault:
            return f"mixes types: {_said(fault)} (all numbers are doubles: write 1.0, not 1)"
        except _ERRORS as fault:
            error = error or _said(fault)
            continue
        evaluated = True
        is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
        if not (isinstance(found, bool) if wanted == "truth" else is_number):
            return f"gives {_result(found)}; wanted is {_NAMED[wanted]}"
    return None if evaluated else f"cannot be evaluated: {error}"


def _samples(types: Sequence[str]) -> Iterator[Mapping[str, object]]:
    if not types:
        yield {}
    for event_type in types:
        fields = FIELDS.get(event_type, {})
        for turn in range(len(_NUMBERS)):
            yield {
                name: event_type if name == "type" else _sample(field, turn + place)
                for place, (name, field) in enumerate(fields.items())
            }


def _sample(field: Field, turn: int) -> object:
    match field.kind:
        case "number":
            return _NUMBERS[turn % len(_NUMBERS)]
        case "truth":
            return turn % 2 == 0
        case _:
            values = field.values or _TEXTS
            return values[turn % len(values)]


def _result(found: object) -> str:
    match found:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case _:
            return f"a {type(found).__name__}"


def _said(fault: Exception) -> str:
    return " ".join(str(fault).split()).partition(" CEL does not coerce")[0].rstrip(".")
