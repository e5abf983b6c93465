"""Mapping files: rows of any table, or objects of any topic, to events. Compiled once; `deploy/mappings` shows the format."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from schemas.errors import ContractError
from streams.mapping_conditions import read_conditions
from streams.mapping_fields import FileForm, column, read_value
from streams.mapping_paths import RECORD, Get, Row, getter, steps_of
from streams.mapping_targets import TARGETS, Target
from streams.mapping_values import Cells, Value, looked_up
from streams.mapping_values import shown as shown_cell
from streams.record_formats import RecordForm, read_record_form
from streams.row_mapping import Entry, RowMapping, Setter, TableForm, TypeOf
from streams.rules_values import Field, list_of, mapping_of, meant, one_of, read_fields, text, time_zone
from streams.yaml_nodes import Entries, FaultyFileError, Items, Node, Place, Refused, Scalar, read_yaml, shown

FORMATS: Final = ("csv", "excel", "parquet", "jsonl", "xes")
_ALWAYS: Final = ("id", "customer_id", "at")


class MappingError(FaultyFileError):
    """A mapping file that cannot be used."""


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
    skip_node = root.entries.get("skip_when")
    skip = None if skip_node is None else place.at("skip_when").take(read_conditions(form), skip_node)
    entries: list[Entry] = []
    events = root.entries.get("events")
    if isinstance(events, Items) and events.items:
        for index, node in enumerate(events.items):
            entry = place.at("events").item(index).take(lambda node, at: _entry(node, at, form), node)
            entries += [] if entry is None else [entry]
    elif events is not None:
        place.at("events").refuse(events.line, f"{shown(events)} stands here; a list of events is wanted")
    table, record = TableForm(**read.get("file", {})), read.get("record", RecordForm())
    return RowMapping(table, record, sorted(form.columns), skip, entries)


def _entry(node: Node, place: Place, form: FileForm) -> Entry | None:
    if not isinstance(node, Entries):
        raise Refused(node.line, f"{shown(node)} stands here; an event is a mapping with `type`, {', '.join(_ALWAYS)}")
    type_node, when_node, each_node = (node.entries.get(name) for name in ("type", "when", "each"))
    each: str | None = None if each_node is None else place.at("each").take(_list, each_node)
    if each is not None:
        form.uses([each])
        form = form.of_items(each)
    if type_node is None:
        place.refuse(node.line, "`type` is missing: a type of event, or {column, table}")
        return None
    typed: tuple[str, dict[str, str]] | None = place.at("type").take(lambda one, at: _types(one, at, form), type_node)
    when = None if when_node is None else place.at("when").take(read_conditions(form), when_node)
    if typed is None:
        return None
    source, types = typed
    tags = sorted(set(types.values()))
    values = _values(node, place, tags, form)
    for tag in tags:
        for name, target in TARGETS[tag].items():
            if target.required and name not in node.key_lines:
                place.refuse(node.line, f"`{name}` is missing: {tag} must have it")
    setters = {
        tag: tuple(Setter(target, values[name]) for name, target in TARGETS[tag].items() if name in values) for tag in tags
    }
    type_of = _type_reader(form.cells, source, types)
    return Entry(when, type_of, setters, None if each is None else _items_of(each))


def _list(node: Node, place: Place) -> str:
    found = column(node, place)
    if steps_of(found.removeprefix(RECORD)) is None:
        raise Refused(node.line, f"{found!r} is no path to a list; write one like lines or order.lines")
    return found


def _items_of(path: str) -> Callable[[Row], Sequence[Row]]:
    get: Get = getter(path)

    def items(record: Row) -> Sequence[Row]:
        found = get(record, record)
        if found is None:
            return []
        if not isinstance(found, list):
            raise ContractError("bad_field", f"{path!r} is {shown_cell(str(found))}; `each` wants a list of objects there")
        for index, item in enumerate(found):
            if not isinstance(item, dict):
                raise ContractError("bad_field", f"{path}[{index}] is {shown_cell(str(item))}; an object is wanted")
        return found

    return items


def _type_reader(cells: Cells, source: str, types: Mapping[str, str]) -> TypeOf:
    if "" in types:
        return types[""]
    get = cells.texter(source)

    def type_of(row: Row, record: Row) -> str:
        cell = get(row, record)
        if cell is None:
            raise ContractError("no_type", f"column {source!r}, which gives the type, is empty")
        return looked_up(cell, source, types, None)

    return type_of


def _types(node: Node, place: Place, form: FileForm) -> tuple[str, dict[str, str]] | None:
    if isinstance(node, Scalar):
        return "", {"": _event_type(node, place)}
    read = read_fields(node, place, {"column": Field(column, required=True), "table": Field(_type_table, required=True)})
    if "column" not in read or not read.get("table"):
        return None
    form.uses([read["column"]])
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
        if name in {"type", "when", "each"}:
            continue
        target = known.get(name)
        if target is None:
            place.refuse(
                node.key_lines[name], f"`{name}` is not a field of {', '.join(tags)}; {meant(name, ['when', 'each', *known])}"
            )
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
    "record": Field(read_record_form),
    "file": Field(lambda node, place: read_fields(node, place, _FILE)),
    "missing": Field(_missing),
    "decimal": Field(one_of((".", ","), "a decimal sign")),
    "time_zone": Field(time_zone),
    "skip_when": Field(_skipped),
    "events": Field(_skipped, required=True),
}
