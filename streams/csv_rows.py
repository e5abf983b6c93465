"""CSV as people export it: any encoding and delimiter, and lines that are broken, each with its bytes."""

import codecs
import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

from charset_normalizer import from_bytes

from schemas.errors import ContractError

DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_BYTES: Final = 1 << 18
_GUESS_BYTES: Final = 1 << 15
_BROKEN_SHARE: Final = 0.1
_BROKEN_OF_ALL: Final = 0.01
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BY_LINE: Final = ("utf-16", "utf-32")
"""Not ASCII in their single bytes, so that lines cannot be told by bytes."""

CsvRow = tuple[dict[str, Any], bytes, ContractError | None]
"""The values, the bytes, and what is wrong."""


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How a file is read."""

    encoding: str
    delimiter: str
    columns: tuple[str, ...]


def csv_form(lines: IO[bytes], encoding: str | None, delimiter: str | None) -> CsvForm:
    """Find out what is not given; the file stands at its beginning afterwards."""
    sample = lines.read(_SAMPLE_BYTES)
    lines.seek(0)
    encoding = _with_bom(encoding, sample) if encoding is not None else detected_encoding(sample)
    heading = next(_decoded(iter(sample.splitlines(keepends=True)), encoding), ("", b"", None))[0] if sample else ""
    if encoding.startswith(_BY_LINE):
        heading = sample[: len(sample) // 4 * 4].decode(encoding, "replace").partition("\n")[0]
    if delimiter is None:
        delimiter = max(DELIMITERS, key=_outside_quotes(heading).count)
    columns = next(csv.reader([heading], delimiter=delimiter), [])
    return CsvForm(encoding, delimiter, tuple(column.strip() for column in columns))


def detected_encoding(sample: bytes) -> str:
    """The encoding of a file that begins so.

    UTF-8 if nearly all lines agree, whether they are nearly all of those with other characters than ASCII, or of all: a few
    broken lines shall become dead letters, not make every name in the file a guess.
    """
    for mark, encoding in _BOMS:
        if sample.startswith(mark):
            return encoding
    lines = sample.splitlines()[:-1] or [sample]  # the last one may be cut off
    telling = [line for line in lines if not line.isascii()]
    other = [line for line in telling if not is_utf8(line)]
    if len(other) <= _BROKEN_SHARE * len(telling) or len(other) <= _BROKEN_OF_ALL * len(lines):
        return "utf-8"
    best = from_bytes(b"\n".join(other)[:_GUESS_BYTES]).best()
    return "utf-8" if best is None else best.encoding


def csv_rows(lines: IO[bytes], form: CsvForm) -> Iterator[CsvRow]:
    """The rows after the heading.

    A row that cannot be read takes only its first line with it: a quote that is never closed does not swallow the file.
    """
    source: Iterable[bytes] = lines
    encoding = form.encoding
    if encoding.startswith(_BY_LINE):
        source, encoding = (line.encode() for line in codecs.getreader(encoding)(lines, "replace")), "utf-8"
    tape = _Tape(_decoded(iter(source), encoding))
    reader = csv.reader(tape, delimiter=form.delimiter, strict=True)
    is_heading = True
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield {}, tape.give_up(), ContractError("bad_row", f"the row is not CSV: {error}")
            reader = csv.reader(tape, delimiter=form.delimiter, strict=True)
            continue
        raw, fault = tape.taken()
        if cells and not is_heading:
            yield _row(form.columns, cells, raw, fault)
        is_heading = False


def _row(columns: tuple[str, ...], cells: list[str], raw: bytes, fault: ContractError | None) -> CsvRow:
    if fault is None and len(cells) != len(columns):
        fault = ContractError("bad_row", f"the row has {len(cells)} columns; the heading has {len(columns)}")
    return ({} if fault else dict(zip(columns, cells, strict=True))), raw.rstrip(b"\r\n"), fault


class _Tape:
    """Hands lines to the parser, and remembers those of the row that it is at."""

    def __init__(self, lines: Iterator["_Line"]) -> None:
        self._lines = lines
        self._back: deque[_Line] = deque()
        self._row: list[_Line] = []

    def __iter__(self) -> "_Tape":
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self._row.append(line)
        return line[0]

    def taken(self) -> tuple[bytes, ContractError | None]:
        """The bytes of the row that was just parsed, and what is wrong with them."""
        row, self._row = self._row, []
        return b"".join(line[1] for line in row), next((line[2] for line in row if line[2] is not None), None)

    def give_up(self) -> bytes:
        """The first line of the row that could not be parsed; the others will be read again."""
        row, self._row = self._row, []
        self._back.extendleft(reversed(row[1:]))
        return row[0][1].rstrip(b"\r\n") if row else b""


_Line = tuple[str, bytes, ContractError | None]


def _decoded(lines: Iterator[bytes], encoding: str) -> Iterator[_Line]:
    plain = "utf-8" if encoding == "utf-8-sig" else encoding
    for number, line in enumerate(lines):
        content = line.removeprefix(codecs.BOM_UTF8) if number == 0 and plain == "utf-8" else line
        try:
            yield content.decode(plain), line, None
        except UnicodeDecodeError as error:
            code = "bad_utf8" if plain == "utf-8" else "bad_row"
            fault = ContractError(code, f"byte {error.start} of the row is not {plain}; is another `encoding` right?")
            yield content.decode(plain, "replace"), line, fault


def _with_bom(encoding: str, sample: bytes) -> str:
    name = codecs.lookup(encoding).name
    return "utf-8-sig" if name == "utf-8" and sample.startswith(codecs.BOM_UTF8) else name


def _outside_quotes(heading: str) -> str:
    return "".join(part for index, part in enumerate(heading.split('"')) if index % 2 == 0)


def is_utf8(line: bytes) -> bool:
    """Whether these bytes are UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
