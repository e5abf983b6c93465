"""The rows of a file, each with the events that it makes, or with the dead letter that it is instead."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.codec import Record, convert_record, decode_line, encode
from schemas.decisions import DeadLetter
from schemas.errors import ContractError
from schemas.events import Event
from streams.mapping_paths import first_step
from streams.row_mapping import RowMapping, TableForm
from streams.tabular import Table, TableError, TableRow, open_table
from streams.topics import MAX_VALUE_BYTES

_MESSAGE_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class MappedFile:
    """An open file; its rows can be read once."""

    reading: str
    """How it is read, in words."""
    rows: Iterator[tuple[TableRow, list[Event] | DeadLetter]]
    """Each with all of its events, or, if one of them is bad, with a dead letter in place of all."""


@contextlib.contextmanager
def mapped_rows(path: Path, mapping: RowMapping | None) -> Iterator[MappedFile]:
    """Open a file and map it, row by row.

    Args:
        path: of the table.
        mapping: None: the rows (JSON lines) are events already.

    Raises:
        TableError: it cannot be read at all, or lacks a column that the mapping reads.
        OSError: it cannot be read.
    """
    with open_table(path, TableForm(format="jsonl") if mapping is None else mapping.table) as table:
        _check_columns(path, table, mapping)
        yield MappedFile(table.reading, ((row, _events_of(row, path.name, mapping)) for row in table.rows))


def _check_columns(path: Path, table: Table, mapping: RowMapping | None) -> None:
    if mapping is None or table.columns is None:
        return
    lacking = [name for name in mapping.columns if not {name, first_step(name)} & set(table.columns)]
    if lacking:
        raise TableError(
            f"{path} ({table.reading}) does not have {', '.join(map(repr, lacking))}, which the mapping reads; "
            f"it has {', '.join(map(repr, table.columns))}"
        )


def _events_of(row: TableRow, name: str, mapping: RowMapping | None) -> list[Event] | DeadLetter:
    try:
        if row.fault is not None:
            raise row.fault
        position = f"{name}:{row.number}"
        if mapping is None:
            return [_checked(decode_line(row.raw))]
        return [_checked(convert_record(event)) for event in mapping.events_of(row.values, position)]
    except ContractError as error:
        return DeadLetter(
            value=row.raw,
            reason=error.code,
            message=error.message[:_MESSAGE_CHARACTERS],
            stage="import",
            topic=name,
            partition=0,
            offset=row.number,
        )


def _checked(event: Record) -> Event:
    if not isinstance(event, Event):
        raise ContractError("control_type", f"{event.type} is a control record: only the clock writes those")
    size = len(encode(event))
    if size > MAX_VALUE_BYTES:
        raise ContractError("too_large", f"the event has {size} bytes: at most {MAX_VALUE_BYTES} are taken")
    return event
