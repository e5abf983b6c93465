"""A compiled mapping at work: rows become events, as plain objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import ContractError
from streams.mapping_conditions import Condition
from streams.mapping_paths import Row
from streams.mapping_targets import Target
from streams.mapping_values import Value
from streams.record_formats import RecordForm, row_of

_REASONS: Final = {"customer_id": "no_customer", "at_ms": "bad_time"}


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a file is read; what is None is found out."""

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class Setter:
    """Fills a field."""

    target: Target
    value: Value


TypeOf = str | Callable[[Row, Row], str]
"""The type of all events of an entry, or a function that reads it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one entry of a mapping makes of a record: an event, or one of each item of a list in it."""

    when: Condition | None
    type_of: TypeOf
    setters: Mapping[str, tuple[Setter, ...]]
    """By type."""
    each: Callable[[Row], Sequence[Row]] | None = None
    """The items of the list."""


_MakeEvent = Callable[[Row, Row, str], dict[str, Any]]
_Make = Callable[[Row, str, list[dict[str, Any]]], None]
"""Appends what an entry makes of a record at a position."""


class RowMapping:
    """Makes events of rows. A row gives all of its events, or none and a reason.

    Args:
        table: how a file is read.
        record: how the records of a topic are.
        columns: every column that is used: a file that lacks one is not what the mapping is for.
        skip: the rows of which no event is made.
        entries: in the order of their events.
    """

    def __init__(
        self,
        table: TableForm,
        record: RecordForm,
        columns: Sequence[str],
        skip: Condition | None,
        entries: Sequence[Entry],
    ) -> None:
        self.table = table
        self.record = record
        self.columns = tuple(columns)
        self._skip = skip
        self._entries = tuple(entries)
        self._make = tuple(_compiled(entry) for entry in entries)
        self._one_is_due = all(entry.each is None for entry in entries)

    @property
    def makes(self) -> list[tuple[str, tuple[str, ...]]]:
        """The types of events, each with the fields that it gets, in the order of the file."""
        return [
            (tag, tuple(setter.target.name.removesuffix("_ms") for setter in setters))
            for entry in self._entries
            for tag, setters in entry.setters.items()
        ]

    def events(self, row: Row, position: str = "") -> list[dict[str, Any]]:
        """The events of a row as plain objects with `at_ms`; none for a row to be skipped, or whose lists have no items.

        Args:
            row: values by column: text, or what Excel, Parquet or JSON make of it.
            position: of the row, like `orders.csv:17`; ids may be made of it. Items of lists have their number behind it.

        Raises:
            ContractError: no event can be made; the message names the column and what is allowed there.
        """
        found: list[dict[str, Any]] = []
        if self._skip is not None and self._skip(row, row):
            return found
        for make in self._make:
            make(row, position, found)
        if not found and self._one_is_due:
            raise ContractError(
                "no_type", "no event of the mapping has a `when` that holds; `skip_when` leaves rows out on purpose"
            )
        return found

    def events_of(self, found: dict[str, Any], position: str = "") -> list[dict[str, Any]]:
        """The same of an object that may have an envelope around its row, as a file of JSON lines has it."""
        row = row_of(self.record, found)
        return [] if row is None else self.events(row, position)


def _compiled(entry: Entry) -> _Make:
    when, each = entry.when, entry.each
    event_of = _chosen(entry.type_of, {tag: _event_maker(tag, setters) for tag, setters in entry.setters.items()})

    def make(record: Row, position: str, found: list[dict[str, Any]]) -> None:
        if when is None or when(record, record):
            found.append(event_of(record, record, position))

    def make_each(record: Row, position: str, found: list[dict[str, Any]]) -> None:
        for index, item in enumerate(each(record) if each is not None else ()):
            if when is None or when(item, record):
                found.append(event_of(item, record, f"{position}#{index}" if position else ""))

    return make if each is None else make_each


def _chosen(type_of: TypeOf, makers: Mapping[str, _MakeEvent]) -> _MakeEvent:
    if isinstance(type_of, str):
        return makers[type_of]
    return lambda row, record, position: makers[type_of(row, record)](row, record, position)


def _event_maker(tag: str, setters: Sequence[Setter]) -> _MakeEvent:
    fields = [(setter.target.name, setter.value, setter.target.required) for setter in setters]

    def event_of(row: Row, record: Row, position: str) -> dict[str, Any]:
        event: dict[str, Any] = {"type": tag}
        for name, value_of, required in fields:
            value = value_of(row, record, position)
            if value is not None:
                event[name] = value
            elif required:
                raise ContractError(_REASONS.get(name, "missing_field"), f"the row has nothing for `{name}` of {tag}")
        return event

    return event_of
