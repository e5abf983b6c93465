"""The fields of an event in a mapping file: each is read into a function that makes its value of a row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Self

from schemas.errors import ContractError
from streams.mapping_numbers import Amount, Factor, amount_reader, plain_reader, product
from streams.mapping_paths import RECORD, Get, Row, steps_of
from streams.mapping_targets import Target
from streams.mapping_values import NAMED_FORMATS, Cells, Kind, TimeFormat, Value, looked_up, time_reader
from streams.rules_values import Field, list_of, mapping_of, meant, read_fields, text, time_zone, whole
from streams.rules_values import flag as flag_of_yaml
from streams.yaml_nodes import Entries, Node, Place, Refused, Scalar, shown

_SOURCES: Final = ("column", "constant", "position", "join", "multiply")
_ONLY_FOR: Final[Mapping[str, tuple[Kind, ...]]] = {
    "absolute": ("number", "integer"),
    "multiply": ("number", "integer"),
    "divide_by": ("number", "integer"),
    "unscaled": ("number", "integer"),
    "currency": ("number",),
    "rates": ("number",),
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
    items: str = ""
    """The list whose items the fields are looked for in, like `lines[].`; empty: they are looked for in the record."""

    def uses(self, names: Iterable[str]) -> None:
        """Note columns."""
        self.columns.update(name.removeprefix(RECORD) if name.startswith(RECORD) else self.items + name for name in names)

    def of_items(self, path: str) -> Self:
        """The same for the items of a list."""
        return replace(self, items=f"{path.removeprefix(RECORD)}[].")


def column(node: Node, place: Place) -> str:
    """The name of a column, or a path."""
    found = text(node, place)
    if found.startswith(RECORD) and steps_of(found[len(RECORD) :]) is None:
        raise Refused(node.line, f"{found!r} is no path; write one like $.customer.id or $.lines[0].price")
    return found


def read_value(node: Node, place: Place, target: Target, form: FileForm) -> Value:
    """The function for a field: the name of a column stands alone, else `{column: ..., ...}`.

    Raises:
        Refused: neither of them, or what does not fit the field.
    """
    if isinstance(node, Scalar):
        options: dict[str, Any] = {"column": column(node, place)}
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
    form.uses([options[name] for name in ("column", "currency") if name in options])
    form.uses([*options.get("join", ()), *(factor.column for factor in options.get("multiply", ()))])
    return _value(options, target, form)


def _nothing(_row: Row, _record: Row, _position: str) -> None:
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


def _exact(node: Node, place: Place) -> Decimal:
    """A number above 0, exactly as it is written."""
    found = text(node, place)
    try:
        exact = Decimal(found)
    except InvalidOperation:
        exact = Decimal(0)
    if not exact.is_finite() or exact <= 0:
        raise Refused(node.line, f"{shown(node)} stands here; a number above 0 is wanted")
    return exact


def _rates(node: Node, place: Place) -> dict[str, Decimal]:
    found: dict[str, Decimal] = mapping_of(_exact, text)(node, place)
    if isinstance(node, Entries) and not node.key_lines:
        raise Refused(node.line, "the table is empty; it says what one unit of each currency is worth: {EUR: 1, USD: 0.92}")
    return found


_FACTOR: Final = {"column": Field(column, required=True), "unscaled": Field(whole(0, 100))}


def _factor(node: Node, place: Place) -> Factor | None:
    """A column, or `{column, unscaled}`."""
    if not isinstance(node, Entries):
        return Factor(column(node, place))
    read = read_fields(node, place, _FACTOR)
    return Factor(read["column"], read.get("unscaled")) if "column" in read else None


_FIELDS: Final = {
    "column": Field(column),
    "constant": Field(text),
    "position": Field(flag_of_yaml),
    "join": Field(list_of(column, 1)),
    "separator": Field(_any_text),
    "multiply": Field(list_of(_factor, 2)),
    "divide_by": Field(_exact),
    "unscaled": Field(whole(0, 100)),
    "currency": Field(column),
    "rates": Field(_rates),
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
    _check_amount(node, place, named)
    if target.kind == "time" and ("table" in options or "constant" in options):
        place.refuse(node.line, "a time is read from a column")
    outcomes = [*options.get("table", {}).values(), *(options[name] for name in ("other", "constant") if name in options)]
    for outcome in outcomes:
        _check_outcome(node, place, outcome, target)


def _check_amount(node: Entries, place: Place, named: Sequence[str]) -> None:
    computed = [name for name in ("divide_by", "unscaled", "currency", "rates") if name in node.key_lines]
    if computed and ("table" in node.key_lines or list(named) not in (["column"], ["multiply"])):
        place.refuse(node.key_lines[computed[0]], f"`{computed[0]}` is for the number of a `column` or a product")
    if "unscaled" in computed and list(named) == ["multiply"]:
        place.refuse(node.key_lines["unscaled"], "`unscaled` stands with its factor: multiply: [a, {column: b, unscaled: 2}]")
    for name, other in (("currency", "rates"), ("rates", "currency")):
        if name in computed and other not in computed:
            place.refuse(
                node.key_lines[name], f"`{name}` needs `{other}`: {{column, currency: COLUMN, rates: {{EUR: 1, USD: 0.92}}}}"
            )


def _check_outcome(node: Entries, place: Place, outcome: str, target: Target) -> None:
    if target.allowed and outcome not in target.allowed:
        place.refuse(node.line, f"{outcome!r} is not a value of this field; {meant(outcome, target.allowed)}")
    elif target.kind in {"number", "integer", "flag"}:
        try:
            plain_reader(target.kind, "constant", ".")(outcome)
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
    cells = form.cells
    if "position" in options:
        return _position
    if "join" in options:
        return _joined(cells, options["join"], options.get("separator", "-"))
    if "constant" in options:
        constant = plain_reader(target.kind, "constant", ".")(options["constant"])
        return lambda _row, _record, _position: constant
    amount = Amount(
        scale=options.get("unscaled"),
        divide_by=options.get("divide_by"),
        currency=options.get("currency"),
        rates=options.get("rates", {}),
        absolute=options.get("absolute", False),
        whole=target.kind == "integer",
    )
    if "multiply" in options:
        return product(cells, options["multiply"], amount)
    if target.kind in {"number", "integer"} and amount.computed:
        return amount_reader(cells, options["column"], amount)
    return _of_column(options["column"], options, target, form)


def _of_column(column: str, options: Mapping[str, Any], target: Target, form: FileForm) -> Value:
    cells = form.cells
    if "table" in options:
        table, other = options["table"], options.get("other")
        plain = plain_reader(target.kind, column, ".")
        return _through(cells.texter(column), lambda cell: plain(looked_up(cell, column, table, other)))
    if target.kind == "text":
        return cells.texter(column)
    if target.kind == "time":
        zone = options.get("time_zone", form.zone)
        read = time_reader(TimeFormat(options.get("format", "rfc3339"), zone, options.get("since")), column)
    else:
        read = plain_reader(target.kind, column, cells.decimal)
    return _through(cells.getter(column), read)


def _through(get: Get, read: Callable[[Any], Any]) -> Value:
    def value(row: Row, record: Row, _position: str) -> Any:  # noqa: ANN401 - as `read` makes it
        cell = get(row, record)
        return None if cell is None else read(cell)

    return value


def _position(_row: Row, _record: Row, position: str) -> str:
    if not position:
        raise ContractError("missing_field", "the mapping makes ids of positions in a file; name a column that has an id")
    return position


def _joined(cells: Cells, columns: list[str], separator: str) -> Value:
    texters = [cells.texter(column) for column in columns]

    def value(row: Row, record: Row, _position: str) -> str | None:
        parts = [text for get in texters if (text := get(row, record)) is not None]
        return separator.join(parts) if len(parts) == len(texters) else None

    return value
