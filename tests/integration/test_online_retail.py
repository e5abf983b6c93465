"""Raw invoice lines of a shop: guests and broken rows become dead letters, and nothing else is lost."""

import csv
import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from real_data import MAPPINGS, real_file

from streams.import_file import import_file
from streams.mapping_check import check_file


@pytest.fixture(scope="module")
def lines() -> Path:
    return real_file("online_retail/lines_2010-12_2011-01.csv.gz")


def test_guests_become_dead_letters_and_nothing_else_is_lost(lines: Path, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    summary = import_file(lines, MAPPINGS / "online_retail_lines.yaml", out=out)

    guests, amounts = 0, Counter[tuple[str, str, str]]()
    with gzip.open(lines, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["CustomerID"]:
                guests += 1
                continue
            returned = row["InvoiceNo"].startswith("C") or int(row["Quantity"]) < 0
            amount = abs(int(row["Quantity"]) * Decimal(row["UnitPrice"]))
            kind = "order.returned" if returned else "order.placed"
            amounts[row["CustomerID"], kind, f"{row['InvoiceNo']} {float(amount)}"] += 1
    imported = [json.loads(line) for line in out.read_bytes().splitlines()]
    letters = (tmp_path / "events.jsonl.deadletters.jsonl").read_bytes().splitlines()

    assert guests > 20_000
    assert summary.dead_letters == {"no_customer": guests}
    assert len(letters) == guests
    assert Counter((e["customer_id"], e["type"], f"{e['order_id']} {e['amount']}") for e in imported) == amounts
    assert len({event["id"] for event in imported}) == len(imported)
    assert [event["at_ms"] for event in imported] == sorted(event["at_ms"] for event in imported)


def test_rows_that_were_broken_are_dead_letters_with_their_reason_and_bytes(lines: Path, tmp_path: Path) -> None:
    with gzip.open(lines, "rb") as file:
        content = file.read().splitlines(keepends=True)
    with_customer = [i for i, line in enumerate(content) if i and line.rsplit(b",", 2)[1]]
    broken = {
        "bad_row": (with_customer[10], b"536365,only,three\r\n"),
        "bad_utf8": (with_customer[20], content[with_customer[20]].replace(b",", b",\xff\xfe", 1)),
        "bad_time": (with_customer[30], content[with_customer[30]].replace(b"2010-12-01", b"2010-13-01")),
        "bad_number": (with_customer[40], b"536370,1,x,many,2010-12-01 08:45:00,3.75,12583,France\r\n"),
    }
    for index, line in broken.values():
        content[index] = line
    path = tmp_path / "lines.csv"
    path.write_bytes(b"".join(content))
    whole = check_file(MAPPINGS / "online_retail_lines.yaml", lines, sample=0)
    summary = import_file(path, MAPPINGS / "online_retail_lines.yaml", out=tmp_path / "events.jsonl")

    assert summary.dead_letters == whole.dead_letters + Counter(dict.fromkeys(broken, 1))
    assert summary.events.total() == whole.events.total() - len(broken)
    letters = [json.loads(line) for line in (tmp_path / "events.jsonl.deadletters.jsonl").read_bytes().splitlines()]
    for reason, (index, line) in broken.items():
        letter = next(letter for letter in letters if letter["reason"] == reason)
        value = bytes.fromhex(letter["value_hex"]) if "value_hex" in letter else letter["value"].encode()
        assert (letter["row"], value) == (index, line.rstrip(b"\r\n"))
