"""Rows of a file: CSV, Excel, Parquet, JSON lines or XES, also with gzip. One that cannot be read is a row with a fault."""

import contextlib
import datetime as dt
import decimal
import gzip
import importlib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import orjson

from schemas.errors import ContractError
from streams.csv_rows import CsvForm, csv_form, csv_rows, is_utf8
from streams.row_mapping import TableForm
from streams.xes_rows import XesError, xes_rows

_FORMAT_BY_SUFFIX: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xes": "xes",
}
_PARQUET_ROWS_AT_ONCE: Final = 2_000


class TableError(ValueError):
    """A file cannot be read at all; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row, or why there is none."""

    number: int
    """From 1, without the heading; rows that cannot be read count."""
    values: dict[str, Any]
    raw: bytes
    """As it stands in the file; where rows have no bytes of their own (Excel, Parquet, XES), as JSON."""
    fault: ContractError | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """An open file; its rows can be read once."""

    columns: tuple[str, ...] | None
    """None: each row has its own."""
    rows: Iterator[TableRow]
    reading: str
    """How it is read, in words: what was found out can be wrong, and can then be given."""


@contextlib.contextmanager
def open_table(path: Path, form: TableForm | None = None) -> Iterator[Table]:
    """Open a file as a table.

    Args:
        path: a suffix tells the format, unless the form does; `.gz` after it is unpacked.
        form: what is known of the file; the rest is found out.

    Raises:
        TableError: of no known format, an extra is not installed, or there is no heading.
        OSError: it cannot be read.
    """
    form = form or TableForm()
    is_packed = path.suffix.lower() == ".gz"
    suffix = Path(path.stem).suffix.lower() if is_packed else path.suffix.lower()
    kind = form.format or _FORMAT_BY_SUFFIX.get(suffix)
    if kind is None:
        raise TableError(f"{path}: the suffix {suffix!r} says no format; name it in the mapping: `file: {{format: csv}}`")
    if is_packed and kind in {"excel", "parquet"}:
        raise TableError(f"{path}: {kind} files are packed already; unpack the .gz first")
    with contextlib.ExitStack() as stack:
        try:
            if kind == "excel":
                yield _excel(path, form, stack)
            elif kind == "parquet":
                yield _parquet(path, stack)
            else:
                packed = stack.enter_context(path.open("rb"))
                lines = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=packed))) if is_packed else packed
                yield _of_lines(kind, path, lines, form)
        except XesError as error:
            raise TableError(f"{path}: {error}") from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise TableError(f"{path}: the gzip file is damaged: {error}") from None


def _of_lines(kind: str, path: Path, lines: IO[bytes], form: TableForm) -> Table:
    match kind:
        case "jsonl":
            return _json_lines(lines)
        case "xes":
            return _xes(lines)
        case _:
            return _csv(path, lines, form)


def _xes(file: IO[bytes]) -> Table:
    """Each event has the attributes that it has: no columns are the log's."""
    rows = (TableRow(n, values, _as_json(values), fault) for n, (values, fault) in enumerate(xes_rows(file), 1))
    return Table(None, rows, "XES")


def _csv(path: Path, lines: IO[bytes], form: TableForm) -> Table:
    found: CsvForm = csv_form(lines, form.encoding, form.delimiter)
    if not found.columns:
        raise TableError(f"{path}: there is no heading; the first line names the columns")
    twice = sorted({column for column in found.columns if found.columns.count(column) > 1})
    if twice:
        raise TableError(f"{path}: the heading has the column {twice[0]!r} more than once")
    rows = (TableRow(number, *row) for number, row in enumerate(csv_rows(lines, found), 1))
    return Table(found.columns, rows, f"CSV, {found.encoding}, delimiter {found.delimiter!r}")


def _json_lines(lines: IO[bytes]) -> Table:
    def rows() -> Iterator[TableRow]:
        number = 0
        for line in lines:
            raw = line.rstrip(b"\r\n")
            if raw.strip():
                number += 1
                yield _json_row(number, raw)

    return Table(None, rows(), "JSON lines")


def _json_row(number: int, raw: bytes) -> TableRow:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        code = "bad_json" if is_utf8(raw) else "bad_utf8"
        return TableRow(number, {}, raw, ContractError(code, f"the line is not JSON: {error}"))
    if not isinstance(found, dict):
        return TableRow(number, {}, raw, ContractError("not_an_object", "the line is JSON, but not one object"))
    return TableRow(number, found, raw)


def _excel(path: Path, form: TableForm, stack: contextlib.ExitStack) -> Table:
    openpyxl = _extra("openpyxl", "excel", path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise TableError(f"{path}: not an Excel file (.xlsx): {error}") from None
    stack.callback(book.close)
    if form.sheet is not None and form.sheet not in book.sheetnames:
        raise TableError(f"{path}: there is no sheet {form.sheet!r}; it has {', '.join(book.sheetnames)}")
    sheet = book[form.sheet] if form.sheet is not None else book.worksheets[0]
    cells = sheet.iter_rows(values_only=True)
    heading = next(cells, ())
    columns = tuple("" if cell is None else str(cell).strip() for cell in heading)
    if not any(columns):
        raise TableError(f"{path}: sheet {sheet.title!r} has no heading; the first row names the columns")
    rows = (_typed_row(number, columns, row) for number, row in enumerate(filter(_has_anything, cells), 1))
    return Table(columns, rows, f"Excel, sheet {sheet.title!r}")


def _has_anything(row: tuple[Any, ...]) -> bool:
    """Excel files end in rows that were only ever formatted."""
    return any(cell is not None for cell in row)


def _parquet(path: Path, stack: contextlib.ExitStack) -> Table:
    duckdb = _extra("duckdb", "parquet", path)
    connection = stack.enter_context(duckdb.connect())
    try:
        # Local times stay local, whatever the zone of this machine.
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
        cursor = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
    except duckdb.Error as error:
        raise TableError(f"{path}: not a Parquet file: {error}") from None
    columns = tuple(str(column[0]) for column in cursor.description)

    def rows() -> Iterator[TableRow]:
        number = 0
        while some := cursor.fetchmany(_PARQUET_ROWS_AT_ONCE):
            for row in some:
                number += 1
                yield _typed_row(number, columns, row)

    return Table(columns, rows(), "Parquet")


def _typed_row(number: int, columns: tuple[str, ...], row: tuple[Any, ...]) -> TableRow:
    values = {column: cell for column, cell in zip(columns, row, strict=False) if column}
    return TableRow(number, values, _as_json(values))


def _as_json(values: dict[str, Any]) -> bytes:
    return orjson.dumps(values, default=_plain)


def _plain(cell: object) -> str:
    """What JSON has no form for: decimals, intervals, bytes."""
    return str(cell) if isinstance(cell, (decimal.Decimal, dt.timedelta)) else repr(cell)


def _extra(module: str, extra: str, path: Path) -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module(module)
    except ImportError:
        raise TableError(f"{path}: {extra} files need an extra: pip install 'churnwatch[{extra}]'") from None
