"""Mapping files: rows of any table, or objects of any topic, to events. Compiled once; `deploy/mappings` shows the format."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.errors import ContractError
from streams.mapping_conditions import Condition, read_conditions
from streams.mapping_fields import FileForm, read_value
from streams.mapping_targets import TARGETS, Target
from streams.mapping_values import Cells, Row, Value, looked_up
from streams.rules_values import Field, list_of, mapping_of, meant, one_of, read_fields, text, time_zone
from streams.yaml_nodes import Entries, FaultyFileError, Items, Node, Place, Refused, Scalar, read_yaml, shown

FORMATS: Final = ("csv", "excel", "parquet", "jsonl", "xes")
_REASONS: Final = {"customer_id": "no_customer", "at_ms": "bad_time"}
_ALWAYS: Final = ("id", "customer_id", "at")


class MappingError(FaultyFileError):
    """A mapping file that cannot be used."""


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a file is read; what is None is found out."""

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class _Setter:
    target: Target
    value: Value


@dataclass(frozen=True, slots=True)
class _Maker:
    """One event of a row."""

    when: Condition | None
    column: str
    """Of the type, if a table gives it; else the table has one entry, for the empty text."""
    types: Mapping[str, str]
    setters: Mapping[str, tuple[_Setter, ...]]


class RowMapping:
    """Makes events of rows. A row gives all of its events, or none and a reason."""

    def __init__(self, table: TableForm, form: FileForm, skip: Condition | None, makers: list[_Maker]) -> None:
        self.table = table
        self.columns = tuple(sorted(form.columns))
        """Every column that is used: a file that lacks one is not what the mapping is for."""
        self._cells = form.cells
        self._skip = skip
        self._makers = tuple(makers)

    @property
    def makes(self) -> list[tuple[str, tuple[str, ...]]]:
        """The types of events, each with the fields that it gets, in the order of the file."""
        return [
            (tag, tuple(setter.target.name.removesuffix("_ms") for setter in setters))
            for maker in self._makers
            for tag, setters in maker.setters.items()
        ]

    def events(self, row: Row, position: str = "") -> list[dict[str, Any]]:
        """The events of a row as plain objects with `at_ms`; none for a row to be skipped.

        Args:
            row: values by column: text, or what Excel, Parquet or JSON make of it.
            position: of the row, like `orders.csv:17`; ids may be made of it.

        Raises:
            ContractError: no event can be made; the message names the column and what is allowed there.
        """
        if self._skip is not None and self._skip(row):
            return []
        found = [self._event(maker, row, position) for maker in self._makers if maker.when is None or maker.when(row)]
        if not found:
            raise ContractError(
                "no_type", "no event of the mapping has a `when` that holds; `skip_when` leaves rows out on purpose"
            )
        return found

    def _event(self, maker: _Maker, row: Row, position: str) -> dict[str, Any]:
        tag = maker.types.get("")
        if tag is None:
            cell = self._cells.text(row, maker.column)
            if cell is None:
                raise ContractError("no_type", f"column {maker.column!r}, which gives the type, is empty")
            tag = looked_up(cell, maker.column, maker.types, None)
        event: dict[str, Any] = {"type": tag}
        for setter in maker.setters[tag]:
            value = setter.value(row, position)
            if value is not None:
                event[setter.target.name] = value
            elif setter.target.required:
                name = setter.target.name
                raise ContractError(_REASONS.get(name, "missing_field"), f"the row has nothing for `{name}` of {tag}")
        return event


def load_mapping(path: Path | str) -> RowMapping:
    """The mapping of a file.

    Raises:
        MappingError: with all faults.
        OSError: the file cannot be read.
    """
    return parse_mapping(Path(path).read_bytes(), str(path))


def parse_mapping(content: bytes, path: str = "mapping") -> RowMapping:
    """The mapping of a file's content; `path` only names it in messages.

    Raises:
        MappingError: with all faults.
    """
    place = Place([])
    root = read_yaml(content, place)
    found: RowMapping | None = place.take(_document, root) if root is not None else None
    if place.faults or found is None:
        raise MappingError(path, place.faults)
    return found


def _document(root: Node, place: Place) -> RowMapping:
    if not isinstance(root, Entries):
        raise Refused(root.line, f"{shown(root)} stands here; a mapping file has a list `events`")
    read = read_fields(root, place, _SECTIONS)
    cells = Cells(frozenset(("", *read.get("missing", ()))), read.get("decimal", "."))
    form = FileForm(cells, read.get("time_zone"))
    conditions = read_conditions(cells, form.columns)
    skip_node = root.entries.get("skip_when")
    skip = None if skip_node is None else place.at("skip_when").take(conditions, skip_node)
    makers: list[_Maker] = []
    events = root.entries.get("events")
    if isinstance(events, Items) and events.items:
        for index, node in enumerate(events.items):
            maker = place.at("events").item(index).take(lambda node, at: _maker(node, at, form), node)
            makers += [] if maker is None else [maker]
    elif events is not None:
        place.at("events").refuse(events.line, f"{shown(events)} stands here; a list of events is wanted")
    return RowMapping(TableForm(**read.get("file", {})), form, skip, makers)


def _maker(node: Node, place: Place, form: FileForm) -> _Maker | None:
    if not isinstance(node, Entries):
        raise Refused(node.line, f"{shown(node)} stands here; an event is a mapping with `type`, {', '.join(_ALWAYS)}")
    type_node, when_node = node.entries.get("type"), node.entries.get("when")
    if type_node is None:
        place.refuse(node.line, "`type` is missing: a type of event, or {column, table}")
        return None
    typed: tuple[str, dict[str, str]] | None = place.at("type").take(lambda one, at: _types(one, at, form), type_node)
    when = None if when_node is None else place.at("when").take(read_conditions(form.cells, form.columns), when_node)
    if typed is None:
        return None
    column, types = typed
    tags = sorted(set(types.values()))
    values = _values(node, place, tags, form)
    for tag in tags:
        for name, target in TARGETS[tag].items():
            if target.required and name not in node.key_lines:
                place.refuse(node.line, f"`{name}` is missing: {tag} must have it")
    setters = {
        tag: tuple(_Setter(target, values[name]) for name, target in TARGETS[tag].items() if name in values) for tag in tags
    }
    return _Maker(when, column, types, setters)


def _types(node: Node, place: Place, form: FileForm) -> tuple[str, dict[str, str]] | None:
    if isinstance(node, Scalar):
        return "", {"": _event_type(node, place)}
    read = read_fields(node, place, {"column": Field(text, required=True), "table": Field(_type_table, required=True)})
    if "column" not in read or not read.get("table"):
        return None
    form.columns.add(read["column"])
    return read["column"], read["table"]


def _type_table(node: Node, place: Place) -> dict[str, str]:
    found: dict[str, str] = mapping_of(_event_type, text)(node, place)
    if isinstance(node, Entries) and not node.key_lines:
        raise Refused(node.line, "the table is empty; it names an event type for each value")
    return found


def _values(node: Entries, place: Place, tags: list[str], form: FileForm) -> dict[str, Value]:
    known = {name: target for tag in tags for name, target in TARGETS[tag].items()}
    found: dict[str, Value] = {}
    for name, value_node in node.entries.items():
        if name in {"type", "when"}:
            continue
        target = known.get(name)
        if target is None:
            place.refuse(node.key_lines[name], f"`{name}` is not a field of {', '.join(tags)}; {meant(name, ['when', *known])}")
            continue
        value = place.at(name).take(_reader_for(target, form), value_node)
        if value is not None:
            found[name] = value
    return found


def _reader_for(target: Target, form: FileForm) -> Any:  # noqa: ANN401 - a Reader
    return lambda node, place: read_value(node, place, target, form)


def _missing(node: Node, place: Place) -> list[str]:
    found: list[str] = list_of(_token)(node, place)
    return found


def _token(node: Node, place: Place) -> str:
    """Unlike other text it may be empty, and `null` and `~` stand for what is written."""
    del place
    if not isinstance(node, Scalar):
        raise Refused(node.line, f"{shown(node)} stands here; what is written for `nothing` is wanted, like '?'")
    return node.text.strip()


def _skipped(_node: Node, _place: Place) -> None:
    """Read later, once it is known what is missing and which time zone holds."""


def _delimiter(node: Node, _place: Place) -> str:
    if not isinstance(node, Scalar) or len(node.text) != 1 or node.text in '"\r\n':
        raise Refused(node.line, f"{shown(node)} is not a delimiter; one character is wanted, like ';'")
    return node.text


def _encoding(node: Node, place: Place) -> str:
    found = text(node, place)
    try:
        if isinstance("a".encode(found), bytes):
            return found
    except (LookupError, ValueError):
        pass
    raise Refused(node.line, f"{found!r} is not an encoding; write a name like utf-8, gb18030 or cp1252")


_event_type: Final = one_of(TARGETS, "an event type")
_FILE: Final = {
    "format": Field(one_of(FORMATS, "a format")),
    "encoding": Field(_encoding),
    "delimiter": Field(_delimiter),
    "sheet": Field(text),
}
_SECTIONS: Final = {
    "file": Field(lambda node, place: read_fields(node, place, _FILE)),
    "missing": Field(_missing),
    "decimal": Field(one_of((".", ","), "a decimal sign")),
    "time_zone": Field(time_zone),
    "skip_when": Field(_skipped),
    "events": Field(_skipped, required=True),
}
