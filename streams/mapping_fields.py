"""The fields of an event in a mapping file: each is read into a function that makes its value of a row."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from schemas.errors import ContractError
from streams.mapping_targets import Target
from streams.mapping_values import (
    NAMED_FORMATS,
    Cells,
    Kind,
    Row,
    TimeFormat,
    Value,
    flag,
    integer,
    looked_up,
    number,
    time_reader,
)
from streams.rules_values import Field, list_of, mapping_of, meant, read_fields, text, time_zone
from streams.rules_values import flag as flag_of_yaml
from streams.yaml_nodes import Entries, Node, Place, Refused, Scalar, shown

_SOURCES: Final = ("column", "constant", "position", "join", "multiply")
_ONLY_FOR: Final[Mapping[str, tuple[Kind, ...]]] = {
    "absolute": ("number", "integer"),
    "multiply": ("number", "integer"),
    "format": ("time",),
    "since": ("time",),
    "time_zone": ("time",),
    "position": ("text",),
    "join": ("text",),
}
_LOCAL: Final = "a local time needs its `time_zone`, here or for the whole file"


@dataclass(frozen=True, slots=True)
class FileForm:
    """What holds for all fields of a mapping."""

    cells: Cells
    zone: str | None = None
    columns: set[str] = field(default_factory=set)
    """Gets every column that is used."""


def read_value(node: Node, place: Place, target: Target, form: FileForm) -> Value:
    """The function for a field: the name of a column stands alone, else `{column: ..., ...}`.

    Raises:
        Refused: neither of them, or what does not fit the field.
    """
    if isinstance(node, Scalar):
        options: dict[str, Any] = {"column": text(node, place)}
    elif isinstance(node, Entries):
        faults = len(place.faults)
        options = read_fields(node, place, _FIELDS)
        _check(node, place, options, target)
        if len(place.faults) > faults:
            return _nothing
    else:
        raise Refused(
            node.line, f"{shown(node)} stands here; a column or a mapping with one of {', '.join(_SOURCES)} is wanted"
        )
    if target.kind == "time" and "constant" not in options:
        _check_zone(node, options, form)
    form.columns.update([options["column"]] if "column" in options else options.get("join", options.get("multiply", [])))
    return _value(options, target, form)


def _nothing(_row: Row, _position: str) -> None:
    """In place of a field with faults: the mapping is refused as a whole."""


def _any_text(node: Node, place: Place) -> str:
    if isinstance(node, Scalar) and not node.text and node.tag == "str":
        return ""
    return text(node, place)


def _date(node: Node, place: Place) -> date:
    found = text(node, place)
    try:
        return date.fromisoformat(found)
    except ValueError:
        raise Refused(node.line, f"{found!r} is not a date; write YYYY-MM-DD") from None


_FIELDS: Final = {
    "column": Field(text),
    "constant": Field(text),
    "position": Field(flag_of_yaml),
    "join": Field(list_of(text, 1)),
    "separator": Field(_any_text),
    "multiply": Field(list_of(text, 2)),
    "table": Field(mapping_of(text, text)),
    "other": Field(text),
    "absolute": Field(flag_of_yaml),
    "format": Field(text),
    "since": Field(_date),
    "time_zone": Field(time_zone),
}


def _check(node: Entries, place: Place, options: Mapping[str, Any], target: Target) -> None:
    named = [name for name in _SOURCES if name in node.key_lines]
    if len(named) != 1:
        place.refuse(node.line, f"{' and '.join(named) or 'none of them'} stands here; one of {', '.join(_SOURCES)} is wanted")
    for name, kinds in _ONLY_FOR.items():
        if name in node.key_lines and target.kind not in kinds:
            place.refuse(node.key_lines[name], f"`{name}` is for a {' or '.join(kinds)}, and this field is a {target.kind}")
    if "table" in options and "column" not in options:
        place.refuse(node.key_lines["table"], "`table` reads a `column`")
    if "other" in options and "table" not in options:
        place.refuse(node.key_lines["other"], "`other` stands for what the `table` does not have, and there is none")
    if target.kind == "time" and ("table" in options or "constant" in options):
        place.refuse(node.line, "a time is read from a column")
    outcomes = [*options.get("table", {}).values(), *(options[name] for name in ("other", "constant") if name in options)]
    for outcome in outcomes:
        _check_outcome(node, place, outcome, target)


def _check_outcome(node: Entries, place: Place, outcome: str, target: Target) -> None:
    if target.allowed and outcome not in target.allowed:
        place.refuse(node.line, f"{outcome!r} is not a value of this field; {meant(outcome, target.allowed)}")
    elif target.kind in {"number", "integer", "flag"}:
        try:
            _read_plain(target.kind, ".")(outcome, "constant")
        except ContractError:
            place.refuse(node.line, f"{outcome!r} is no {target.kind}, which this field is")


def _check_zone(node: Node, options: Mapping[str, Any], form: FileForm) -> None:
    name = options.get("format", "rfc3339")
    if "since" in options and name != "days":
        raise Refused(node.line, "`since` is for the format `days`")
    if name == "days" and "since" not in options:
        raise Refused(node.line, "the format `days` counts `since` a date: name it")
    if name not in NAMED_FORMATS and "%" not in name:
        raise Refused(node.line, f"{name!r} is not a format; write {', '.join(NAMED_FORMATS)} or a pattern like %Y-%m-%d %H:%M")
    local = name == "days" or ("%" in name and "%z" not in name)
    if local and "time_zone" not in options and form.zone is None:
        raise Refused(node.line, _LOCAL)


def _value(options: Mapping[str, Any], target: Target, form: FileForm) -> Value:
    if "position" in options:
        return _position
    if "join" in options:
        return _joined(form.cells, options["join"], options.get("separator", "-"))
    if "constant" in options:
        constant = _read_plain(target.kind, ".")(options["constant"], "constant")
        return lambda _row, _position: constant
    if "multiply" in options:
        return _product(form.cells, options["multiply"], options.get("absolute", False), target.kind)
    return _of_column(options["column"], options, target, form)


def _of_column(column: str, options: Mapping[str, Any], target: Target, form: FileForm) -> Value:
    cells = form.cells
    if "table" in options:
        table, other = options["table"], options.get("other")
        plain = _read_plain(target.kind, ".")
        return _through(lambda row: cells.text(row, column), lambda cell: plain(looked_up(cell, column, table, other), column))
    if target.kind == "text":
        return lambda row, _position: cells.text(row, column)
    if target.kind == "time":
        zone = options.get("time_zone", form.zone)
        read = time_reader(TimeFormat(options.get("format", "rfc3339"), zone, options.get("since")))
    else:
        read = _read_plain(target.kind, cells.decimal)
    if options.get("absolute"):
        return _through(lambda row: cells.get(row, column), lambda cell: abs(read(cell, column)))
    return _through(lambda row: cells.get(row, column), lambda cell: read(cell, column))


def _through(get: Callable[[Row], Any], read: Callable[[Any], Any]) -> Value:
    def value(row: Row, _position: str) -> Any:  # noqa: ANN401 - as `read` makes it
        cell = get(row)
        return None if cell is None else read(cell)

    return value


def _read_plain(kind: Kind, decimal: str) -> Callable[[Any, str], Any]:
    match kind:
        case "number":
            return lambda cell, column: finite(number(cell, column, decimal), column)
        case "integer":
            return lambda cell, column: integer(cell, column, decimal)
        case "flag":
            return flag
        case _:
            return _as_text


def finite(exact: Decimal, column: str) -> float:
    """The nearest float.

    Raises:
        ContractError: it is beyond all of them.
    """
    found = float(exact)
    if math.isinf(found):
        raise ContractError("bad_number", f"column {column!r} is {exact:e}, which is beyond every number that is taken")
    return found


def _position(_row: Row, position: str) -> str:
    if not position:
        raise ContractError("missing_field", "the mapping makes ids of positions in a file; name a column that has an id")
    return position


def _joined(cells: Cells, columns: list[str], separator: str) -> Value:
    def value(row: Row, _position: str) -> str | None:
        parts = [cells.text(row, column) for column in columns]
        return None if None in parts else separator.join(part for part in parts if part is not None)

    return value


def _product(
    cells: Cells,
    columns: list[str],
    absolute: bool,  # noqa: FBT001 - an option of the file
    kind: Kind,
) -> Value:
    """Exact: 6 times 2.55 is 15.3; nothing if a factor is missing."""

    def value(row: Row, _position: str) -> float | int | None:
        exact = Decimal(1)
        for column in columns:
            cell = cells.get(row, column)
            if cell is None:
                return None
            exact *= number(cell, column, cells.decimal)
        exact = abs(exact) if absolute else exact
        return integer(str(exact), columns[0], ".") if kind == "integer" else finite(exact, columns[0])

    return value


def _as_text(found: Any, _column: str) -> str:  # noqa: ANN401
    return str(found)
