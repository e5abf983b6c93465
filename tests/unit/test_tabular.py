"""Files as tables: encodings, delimiters, broken lines, Excel, Parquet, JSON lines."""

import gzip
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from streams.row_mapping import TableForm
from streams.tabular import Table, TableError, TableRow, open_table

CHINESE = "客户,金额,备注\r\n" + "".join(f"张伟{n},{n}.5,订单已经取消请尽快联系客户服务\r\n" for n in range(40))


def rows(path: Path, form: TableForm | None = None) -> list[TableRow]:
    with open_table(path, form) as table:
        return list(table.rows)


def written(tmp_path: Path, content: bytes, name: str = "shop.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def heading(path: Path, form: TableForm | None = None) -> Table:
    with open_table(path, form) as table:
        return table


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-32"])
def test_chinese_text_is_read_whatever_its_encoding(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path, CHINESE.encode(encoding))
    form = TableForm(encoding=encoding) if encoding == "utf-16-le" else None  # without a mark nobody can know
    found = rows(path, form)
    assert [row.values["客户"] for row in found] == [f"张伟{n}" for n in range(40)]
    assert all(row.fault is None for row in found)


def test_a_mark_at_the_beginning_is_no_part_of_a_name_even_if_the_encoding_is_given(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,2\n".encode("utf-8-sig"))
    assert heading(path, TableForm(encoding="utf-8")).columns == ("a", "b")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(delimiter: str, tmp_path: Path) -> None:
    content = delimiter.join(["id", '"a;b,c|d"', "x"]) + "\n" + delimiter.join(["1", '"2,5"', "3"]) + "\n"
    assert [row.values for row in rows(written(tmp_path, content.encode()))] == [{"id": "1", "a;b,c|d": "2,5", "x": "3"}]


def test_gzip_is_unpacked_and_damage_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(b"a\n" + b"1\n" * 10_000)
    assert len(rows(written(tmp_path, packed, "shop.csv.gz"))) == 10_000
    with pytest.raises(TableError, match="damaged"):
        rows(written(tmp_path, packed[:-20], "cut.csv.gz"))
    with pytest.raises(TableError, match="damaged"):
        rows(written(tmp_path, packed[:20] + b"\xff\x00\xff" + packed[23:], "changed.csv.gz"))


def test_broken_lines_are_rows_with_a_fault_and_their_bytes_and_the_others_are_read(tmp_path: Path) -> None:
    good = b"".join(b"%d,x\n" % n for n in range(200))
    content = b'a,b\n1,2\n1\n1,2,3\n\n7,\xff\n"un,closed\n8,"two\nlines"\n' + good
    found = rows(written(tmp_path, content))
    assert [(row.number, row.raw, row.fault.code if row.fault else row.values) for row in found[:6]] == [
        (1, b"1,2", {"a": "1", "b": "2"}),
        (2, b"1", "bad_row"),
        (3, b"1,2,3", "bad_row"),
        (4, b"7,\xff", "bad_utf8"),
        (5, b'"un,closed', "bad_row"),
        (6, b'8,"two\nlines"', {"a": "8", "b": "two\nlines"}),
    ]
    assert [row.values["a"] for row in found[6:]] == [str(n) for n in range(200)]


def test_a_quote_that_is_never_closed_does_not_swallow_the_file(tmp_path: Path) -> None:
    content = b'a,b\n1,"open\n' + b"".join(b"%d,x\n" % n for n in range(50_000))
    found = rows(written(tmp_path, content))
    assert [row.number for row in found if row.fault] == [1]
    assert found[0].raw == b'1,"open'
    assert len(found) == 50_001


def test_a_few_broken_lines_do_not_make_the_encoding_a_guess(tmp_path: Path) -> None:
    content = b"a,b\n" + b"1,x\n" * 500 + b"2,\xe9\n" + b"3,x\n" * 500
    found = rows(written(tmp_path, content))
    assert [(row.number, row.fault.code) for row in found if row.fault] == [(501, "bad_utf8")]


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "no heading"), (b"\n1,2\n", "no heading"), (b"a,b,a\n1,2,3\n", "'a' more than once")]
)
def test_a_heading_that_names_no_columns_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=words):
        rows(written(tmp_path, content))


def test_excel_has_typed_cells_and_sheets(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    first, second = book.worksheets[0], book.create_sheet("Orders")
    first.append(["x"])
    second.append(["id", "at", "amount"])
    second.append([17, datetime(2026, 1, 2, 3, 4), 1.5])  # noqa: DTZ001 - Excel has no zones
    second.append([None, None, None])
    second.append([18, None, "7,5"])
    book.save(tmp_path / "shop.xlsx")
    found = rows(tmp_path / "shop.xlsx", TableForm(sheet="Orders"))
    assert [row.values for row in found] == [
        {"id": 17, "at": datetime(2026, 1, 2, 3, 4), "amount": 1.5},  # noqa: DTZ001
        {"id": 18, "at": None, "amount": "7,5"},
    ]
    assert found[0].raw == b'{"id":17,"at":"2026-01-02T03:04:00","amount":1.5}'
    with pytest.raises(TableError, match="no sheet 'Ordrs'; it has Sheet, Orders"):
        rows(tmp_path / "shop.xlsx", TableForm(sheet="Ordrs"))
    with pytest.raises(TableError, match="not an Excel file"):
        rows(written(tmp_path, b"a,b\n", "text.xlsx"))


def test_parquet_has_typed_columns(tmp_path: Path) -> None:
    path = tmp_path / "shop.parquet"
    select = "SELECT i AS id, i * 1.5::DOUBLE AS amount, TIMESTAMP '2026-01-02 03:04:00' AS at FROM range(5000) t(i)"
    duckdb.sql(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    found = rows(path)
    assert [row.values["id"] for row in found] == list(range(5000))
    assert found[2].values == {"id": 2, "amount": 3.0, "at": datetime(2026, 1, 2, 3, 4)}  # noqa: DTZ001
    with pytest.raises(TableError, match="not a Parquet file"):
        rows(written(tmp_path, b"a,b\n", "text.parquet"))


def test_json_lines_have_their_own_columns_and_faults(tmp_path: Path) -> None:
    found = rows(written(tmp_path, b'{"a": 1}\n\n[1]\n{"a"\n{"a": "\xff"}\n', "shop.jsonl"))
    assert [row.fault.code if row.fault else row.values for row in found] == [
        {"a": 1},
        "not_an_object",
        "bad_json",
        "bad_utf8",
    ]


@pytest.mark.parametrize(("module", "name", "extra"), [("openpyxl", "x.xlsx", "excel"), ("duckdb", "x.parquet", "parquet")])
def test_a_missing_extra_says_what_to_install(
    module: str, name: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent: Any = None
    monkeypatch.setitem(sys.modules, module, absent)
    with pytest.raises(TableError, match=rf"pip install 'churnwatch\[{extra}\]'"):
        rows(written(tmp_path, b"", name))


def test_a_file_of_no_known_format_says_how_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"'\.dat' says no format"):
        rows(written(tmp_path, b"a\n1\n", "shop.dat"))
    assert len(rows(tmp_path / "shop.dat", TableForm(format="csv"))) == 1
