"""Conditions on a row: which rows an event is made of, and which are left out. Compiled once into plain functions."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from schemas.errors import ContractError
from streams.mapping_expressions import expression
from streams.mapping_fields import FileForm, column
from streams.mapping_paths import Row
from streams.mapping_values import Cells, number
from streams.rules_values import Field, flag, list_of, mapping_of, read_fields, text
from streams.rules_values import number as number_reader
from streams.yaml_nodes import Entries, Items, Node, Place, Reader, Refused, Scalar, shown

Condition = Callable[[Row, Row], bool]
"""Of a row, or an item of a list, and the record it is part of."""
_Test = Callable[[str], Condition]
"""Makes the condition of a column."""
CEL: Final = "cel"
_LARGEST: Final = 1e15


def read_conditions(form: FileForm) -> Reader:
    """A condition, or a list of them of which one must hold; each is `{column: test}`, and all of its tests must hold.

    A test is a value, a list of values, or `{prefix, not, missing, above, below}`; that of `cel` is an expression.

    Args:
        form: says what is missing, and gets the names that the conditions use.
    """

    def read(node: Node, place: Place) -> Condition:
        if isinstance(node, Items):
            found = [place.item(i).take(read_one, item) for i, item in enumerate(node.items)]
            return _any([condition for condition in found if condition is not None])
        return read_one(node, place)

    def read_one(node: Node, place: Place) -> Condition:
        if not isinstance(node, Entries) or not node.entries:
            raise Refused(node.line, f"{shown(node)} stands here; conditions are wanted: `column: value`")
        rest = _without_cel(node)
        tests: Mapping[str, _Test] = mapping_of(_test_reader(form.cells), column)(rest, place)
        form.uses(tests)
        conditions = [test(name) for name, test in tests.items()]
        if CEL in node.entries:
            found = place.at(CEL).take(lambda one, at: expression(one, at, form), node.entries[CEL])
            conditions += [] if found is None else [found]
        return _all(conditions)

    return read


def _without_cel(node: Entries) -> Entries:
    return Entries(
        node.line,
        {name: value for name, value in node.entries.items() if name != CEL},
        {name: line for name, line in node.key_lines.items() if name != CEL},
    )


def _any(conditions: list[Condition]) -> Condition:
    return conditions[0] if len(conditions) == 1 else lambda row, record: any(holds(row, record) for holds in conditions)


def _all(conditions: list[Condition]) -> Condition:
    match conditions:
        case [only]:
            return only
        case [first, second]:
            return lambda row, record: first(row, record) and second(row, record)
        case _:
            return lambda row, record: all(holds(row, record) for holds in conditions)


def _test_reader(cells: Cells) -> Reader:
    fields: dict[str, Field] = {
        "prefix": Field(text),
        "not": Field(lambda node, place: read(node, place)),  # noqa: PLW0108 - `read` is defined below
        "missing": Field(flag),
        "above": Field(number_reader(-_LARGEST, _LARGEST)),
        "below": Field(number_reader(-_LARGEST, _LARGEST)),
    }

    def read(node: Node, place: Place) -> _Test:
        if isinstance(node, Entries):
            wanted = read_fields(node, place, fields)
            return lambda column: _all([_named_test(cells, column, name, value) for name, value in wanted.items()])
        values = frozenset(_values(node, place))
        return lambda column: _is_one_of(cells, column, values)

    return read


def _is_one_of(cells: Cells, column: str, values: frozenset[str]) -> Condition:
    get = cells.texter(column)
    return lambda row, record: get(row, record) in values


def _values(node: Node, place: Place) -> list[str]:
    if isinstance(node, Scalar):
        return [text(node, place)]
    found: list[str] = list_of(text, 1)(node, place)
    return found


def _named_test(cells: Cells, column: str, name: str, wanted: Any) -> Condition:  # noqa: ANN401 - as its reader made it
    text_of, cell_of = cells.texter(column), cells.getter(column)
    match name:
        case "prefix":
            return lambda row, record: (text_of(row, record) or "").startswith(wanted)
        case "not":
            unwanted: Condition = wanted(column)
            return lambda row, record: not unwanted(row, record)
        case "missing":
            return lambda row, record: (cell_of(row, record) is None) == wanted
        case "above":
            least = Decimal(repr(wanted))
            return _compared(cells, column, lambda found: found > least)
        case _:
            most = Decimal(repr(wanted))
            return _compared(cells, column, lambda found: found < most)


def _compared(cells: Cells, column: str, holds: Callable[[Decimal], bool]) -> Condition:
    """What is no number is neither above nor below; the event's own field says what is wrong with it."""
    get = cells.getter(column)

    def compare(row: Row, record: Row) -> bool:
        cell = get(row, record)
        try:
            return cell is not None and holds(number(cell, column, cells.decimal))
        except ContractError:
            return False

    return compare
