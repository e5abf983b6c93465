"""Numbers of a mapping: exact until the nearest float is taken, with units and currencies."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from schemas.errors import ContractError
from streams.mapping_paths import Get, Row
from streams.mapping_values import Cells, Kind, Read, Value, flag, integer, number, shown, unscaled

_MOST_EXACT = 2**53
"""Every whole number up to it is a float."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How a number is made of what is written."""

    scale: int | None = None
    """Of an unscaled decimal; None: it is written as a number."""
    divide_by: Decimal | None = None
    currency: str | None = None
    """The column with the currency."""
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    """What one unit of each currency is worth."""
    absolute: bool = False
    whole: bool = False
    """The field takes whole numbers."""

    @property
    def computed(self) -> bool:
        """Whether it is anything but the number as it is written."""
        return self.scale is not None or self.divide_by is not None or self.currency is not None or self.absolute


def plain_reader(kind: Kind, column: str, decimal: str) -> Read:
    """A function that reads a cell as it is written."""
    match kind:
        case "number":
            return _number_reader(column, decimal)
        case "integer":
            return lambda cell: cell if type(cell) is int else integer(cell, column, decimal)
        case "flag":
            return lambda cell: cell if type(cell) is bool else flag(cell, column)
        case _:
            return str


def _number_reader(column: str, decimal: str) -> Read:
    def read(cell: Any) -> float:  # noqa: ANN401 - what the file has
        kind = type(cell)
        if (kind is float and math.isfinite(cell)) or (kind is int and -_MOST_EXACT <= cell <= _MOST_EXACT):
            return float(cell)
        return finite(number(cell, column, decimal), column)

    return read


def amount_reader(cells: Cells, column: str, amount: Amount) -> Value:
    """A function for the number of one column."""
    get, exact_of, finish = cells.getter(column), _exact_reader(cells, column, amount.scale), _finisher(cells, column, amount)

    def value(row: Row, record: Row, _position: str) -> float | int | None:
        cell = get(row, record)
        return None if cell is None else finish(exact_of(cell), row, record)

    return value


@dataclass(frozen=True, slots=True)
class Factor:
    """Of a product."""

    column: str
    scale: int | None = None
    """Of an unscaled decimal."""


def product(cells: Cells, factors: Sequence[Factor], amount: Amount) -> Value:
    """A function for a product, exact: 6 times 2.55 is 15.3; nothing if a factor is missing."""
    readers: list[tuple[Get, Read]] = [
        (cells.getter(factor.column), _exact_reader(cells, factor.column, factor.scale)) for factor in factors
    ]
    finish = _finisher(cells, factors[0].column, amount)

    def value(row: Row, record: Row, _position: str) -> float | int | None:
        exact = Decimal(1)
        for get, exact_of in readers:
            cell = get(row, record)
            if cell is None:
                return None
            exact *= exact_of(cell)
        return finish(exact, row, record)

    return value


def _exact_reader(cells: Cells, column: str, scale: int | None) -> Callable[[Any], Decimal]:
    if scale is not None:
        return lambda cell: unscaled(cell, column, scale)
    return lambda cell: number(cell, column, cells.decimal)


def _finisher(cells: Cells, column: str, amount: Amount) -> Callable[[Decimal, Row, Row], float | int]:
    """Currency, unit, sign, and the nearest number that the field takes."""
    worth = None if amount.currency is None else _worth(cells, amount.currency, amount.rates)
    divide_by, absolute, whole = amount.divide_by, amount.absolute, amount.whole

    def finish(exact: Decimal, row: Row, record: Row) -> float | int:
        if worth is not None:
            exact *= worth(row, record)
        if divide_by is not None:
            exact /= divide_by
        if absolute:
            exact = abs(exact)
        return integer(exact, column, ".") if whole else finite(exact, column)

    return finish


def _worth(cells: Cells, column: str, rates: Mapping[str, Decimal]) -> Callable[[Row, Row], Decimal]:
    currency_of = cells.texter(column)

    def worth(row: Row, record: Row) -> Decimal:
        currency = currency_of(row, record)
        rate = None if currency is None else rates.get(currency)
        if rate is None:
            found = "empty" if currency is None else shown(currency)
            raise ContractError("unknown_currency", f"column {column!r} is {found}; there are rates for {', '.join(rates)}")
        return rate

    return worth


def finite(exact: Decimal, column: str) -> float:
    """The nearest float.

    Raises:
        ContractError: it is beyond all of them.
    """
    found = float(exact)
    if math.isinf(found):
        raise ContractError("bad_number", f"column {column!r} is {exact:e}, which is beyond every number that is taken")
    return found
