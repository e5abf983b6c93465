"""CEL over a row: the conditions that a test of single columns cannot say."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import cel

from detectors.expression_tokens import Token, placed_members, tokens_of
from detectors.predicates import FUNCTIONS, MAX_LENGTH
from streams.mapping_fields import FileForm
from streams.mapping_paths import Row
from streams.yaml_nodes import Node, Place, Refused, Scalar, shown

ROW: Final = "row"
RECORD: Final = "record"
_VARIABLES: Final = frozenset({ROW, RECORD})
_MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})
"""Their first argument is a name of its own."""
_ERRORS: Final = (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError)
"""The library raises what it meets."""
_PLAIN: Final = (str, int, float, bool, bytes, dt.datetime, type(None))


def expression(node: Node, place: Place, form: FileForm) -> Callable[[Row, Row], bool]:  # noqa: ARG001 - a reader
    """An expression over `row`, where paths begin, and `record`, of which `row` may be an item.

    It sees both as they stand there: also what `missing` takes for nothing, and text that reads like a number as text. What
    cannot be evaluated (a name that this row does not have, a wrong type) does not hold.

    Raises:
        Refused: no expression, one that names or calls what there is not, or one that is never true or false.
    """
    if not isinstance(node, Scalar) or not node.text.strip():
        raise Refused(node.line, f"{shown(node)} stands here; a CEL expression is wanted, like 'row.op == \"u\"'")
    if len(node.text) > MAX_LENGTH:
        raise Refused(node.line, f"the expression has {len(node.text)} characters; {MAX_LENGTH} are allowed")
    try:
        program = cel.compile(node.text)
    except ValueError as error:
        raise Refused(node.line, f"{shown(node)} is no CEL expression: {' '.join(str(error).split())}") from None
    tokens = tokens_of(node.text)
    _check_names(node, program, tokens)
    used = {name: _members(tokens, name) for name in sorted(_VARIABLES & frozenset(program.variables()))}
    form.uses([*(used.get(ROW) or ()), *(f"$.{name}" for name in used.get(RECORD) or ())])

    def holds(row: Row, record: Row) -> bool:
        return _answer(program, used, {ROW: row, RECORD: record}) is True

    found = _answer(program, used, {ROW: {}, RECORD: {}})
    if found is not None and not isinstance(found, bool):
        raise Refused(node.line, f"{shown(node)} is {found!r}; what is true or false is wanted")
    return holds


def _check_names(node: Node, program: Any, tokens: Sequence[Token]) -> None:  # noqa: ANN401 - the library has no types
    own = {
        second.text
        for macro, mark, second in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if macro.text in _MACROS and mark.text == "(" and second.kind == "name"
    }
    if unknown := sorted(frozenset(program.variables()) - _VARIABLES - own):
        raise Refused(node.line, f"{shown(node)} names {unknown[0]!r}; allowed are `row` and `record`")
    called = frozenset(name for name in program.functions() if name.isidentifier())
    if unknown := sorted(called - FUNCTIONS):
        allowed = ", ".join((*sorted(FUNCTIONS), "has", *sorted(_MACROS)))
        raise Refused(node.line, f"{shown(node)} calls {unknown[0]!r}; allowed are {allowed}")


def _members(tokens: Sequence[Token], owner: str) -> frozenset[str] | None:
    """The names that an expression takes of an object; None if it takes it whole, or in another way than `owner.NAME`."""
    members = placed_members(tokens, owner)
    times = sum(
        token == ("name", owner, None) and (place == 0 or tokens[place - 1].text != ".") for place, token in enumerate(tokens)
    )
    return frozenset(name for _, name in members) if len(members) == times else None


def _answer(program: Any, used: Mapping[str, frozenset[str] | None], objects: Mapping[str, Row]) -> object:  # noqa: ANN401
    """What the library says, None if nothing."""
    # Only what is named: the library copies all that it is given, and a record may be large.
    variables = {
        name: {key: _plain(value) for key, value in objects[name].items() if names is None or key in names}
        for name, names in used.items()
    }
    try:
        return program.execute(cel.Context(variables=variables))
    except _ERRORS:
        return None


def _plain(value: Any) -> object:  # noqa: ANN401 - what the row has
    """What the library has a form for; numbers of any other kind are doubles."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    return value if isinstance(value, _PLAIN) else str(value)
