"""Conditions on a row: which rows an event is made of, and which are left out."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from schemas.errors import ContractError
from streams.mapping_values import Cells, Row, number
from streams.rules_values import Field, flag, list_of, mapping_of, read_fields, text
from streams.rules_values import number as number_reader
from streams.yaml_nodes import Entries, Items, Node, Place, Reader, Refused, Scalar, shown

Condition = Callable[[Row], bool]
_Test = Callable[[Row, str], bool]
_LARGEST: Final = 1e15


def read_conditions(cells: Cells, columns: set[str]) -> Reader:
    """A condition, or a list of them of which one must hold; each is `{column: test}`, and all of its tests must hold.

    A test is a value, a list of values, or `{prefix, not, missing, above, below}`.

    Args:
        cells: says what is missing.
        columns: gets the names that the conditions use.
    """

    def read(node: Node, place: Place) -> Condition:
        if isinstance(node, Items):
            found = [place.item(i).take(read_one, item) for i, item in enumerate(node.items)]
            some = [condition for condition in found if condition is not None]
            return lambda row: any(condition(row) for condition in some)
        return read_one(node, place)

    def read_one(node: Node, place: Place) -> Condition:
        if not isinstance(node, Entries) or not node.entries:
            raise Refused(node.line, f"{shown(node)} stands here; conditions are wanted: `column: value`")
        tests = mapping_of(_test_reader(cells), text)(node, place)
        columns.update(tests)
        return lambda row: all(test(row, column) for column, test in tests.items())

    return read


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
            tests = [_named_test(cells, name, value) for name, value in read_fields(node, place, fields).items()]
            return lambda row, column: all(test(row, column) for test in tests)
        values = frozenset(_values(node, place))
        return lambda row, column: cells.text(row, column) in values

    return read


def _values(node: Node, place: Place) -> list[str]:
    if isinstance(node, Scalar):
        return [text(node, place)]
    found: list[str] = list_of(text, 1)(node, place)
    return found


def _named_test(cells: Cells, name: str, wanted: Any) -> _Test:  # noqa: ANN401 - as its reader made it
    match name:
        case "prefix":
            return lambda row, column: (cells.text(row, column) or "").startswith(wanted)
        case "not":
            return lambda row, column: not wanted(row, column)
        case "missing":
            return lambda row, column: (cells.get(row, column) is None) == wanted
        case "above":
            return lambda row, column: _compared(cells, row, column, lambda found: found > Decimal(repr(wanted)))
        case _:
            return lambda row, column: _compared(cells, row, column, lambda found: found < Decimal(repr(wanted)))


def _compared(cells: Cells, row: Row, column: str, holds: Callable[[Decimal], bool]) -> bool:
    """What is no number is neither above nor below; the event's own field says what is wrong with it."""
    cell = cells.get(row, column)
    try:
        return cell is not None and holds(number(cell, column, cells.decimal))
    except ContractError:
        return False
