"""Event logs of process mining: which row each event is, and what is said of a file that is none."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from streams.import_file import import_file
from streams.row_mapping import TableForm
from streams.tabular import TableError, TableRow, open_table

LOG = b"""\
<?xml version="1.0" encoding="UTF-8"?>
<!-- of the desk -->
<log xes.version="2.0" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <global scope="event"><string key="concept:name" value="a default that is nobody's"/></global>
  <string key="creator" value="of the log, of no case"/>
  <trace>
    <string key="concept:name" value="T1"/>
    <string key="customer" value="ann"/>
    <event>
      <string key="concept:name" value="Open &amp; assign"/>
      <date key="time:timestamp" value="2026-01-05T09:00:00.000+01:00"/>
      <int key="cost" value="12"/><float key="hours" value="1.5"/><boolean key="urgent" value="true"/>
      <string key="org:resource" value="desk"><string key="city" value="Turin"/></string>
    </event>
    <event>
      <string key="concept:name" value="Closed"/>
      <date key="time:timestamp" value="2026-01-06T09:00:00.000+01:00"/>
      <list key="parts"><values><string key="part" value="a"/><string key="part" value="b"/></values></list>
    </event>
    <int key="age" value="7"/>
  </trace>
  <trace/>
  <event><string key="concept:name" value="of no case"/></event>
</log>
"""
MAPPING = """\
events:
  - when: {concept:name: {prefix: Open}}
    type: ticket.opened
    id: {position: true}
    customer_id: case:customer
    ticket_id: case:concept:name
    at: time:timestamp
  - when: {concept:name: Closed}
    type: ticket.closed
    id: {position: true}
    customer_id: case:customer
    ticket_id: case:concept:name
    at: time:timestamp
"""


def rows(tmp_path: Path, content: bytes, name: str = "log.xes", form: TableForm | None = None) -> list[TableRow]:
    (tmp_path / name).write_bytes(content)
    with open_table(tmp_path / name, form) as table:
        assert table.columns is None
        return list(table.rows)


def test_a_row_is_an_event_with_what_its_case_says_of_itself_wherever_it_stands(tmp_path: Path) -> None:
    case = {"case:concept:name": "T1", "case:customer": "ann", "case:age": 7}
    opened: dict[str, Any] = {
        **case,
        "event:number": 1,
        "concept:name": "Open & assign",
        "time:timestamp": "2026-01-05T09:00:00.000+01:00",
        "cost": 12,
        "hours": 1.5,
        "urgent": True,
        "org:resource": "desk",
        "org:resource/city": "Turin",
    }
    closed = {
        **case,
        "event:number": 2,
        "concept:name": "Closed",
        "time:timestamp": "2026-01-06T09:00:00.000+01:00",
        "parts/part": ["a", "b"],
    }
    found = rows(tmp_path, LOG)
    assert [(row.number, row.values, row.fault) for row in found] == [
        (1, opened, None),
        (2, closed, None),
        (3, {"concept:name": "of no case"}, None),
    ]
    assert json.loads(found[0].raw) == opened


def test_it_may_be_packed_and_the_mapping_may_say_what_the_suffix_does_not(tmp_path: Path) -> None:
    assert len(rows(tmp_path, gzip.compress(LOG), "log.xes.gz")) == 3
    assert len(rows(tmp_path, LOG, "log.xml", TableForm(format="xes"))) == 3


def test_a_value_that_is_not_of_its_kind_is_a_fault_of_its_event_and_one_of_a_case_of_all_its_events(tmp_path: Path) -> None:
    of_event = rows(tmp_path, LOG.replace(b'value="12"', b'value="a dozen"'))
    assert [row.fault.message if row.fault else None for row in of_event] == [
        "'cost' is 'a dozen', which is no int",
        None,
        None,
    ]
    assert json.loads(of_event[0].raw)["cost"] == "a dozen"
    of_case = rows(tmp_path, LOG.replace(b'value="7"', b'value="old"'))
    said = "'case:age' is 'old', which is no int"
    assert [row.fault.message if row.fault else None for row in of_case] == [said, said, None]
    assert [row.fault.code for row in of_case if row.fault] == ["bad_row", "bad_row"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no element found"),
        (LOG[:-20], "unclosed token|no element found"),
        (LOG.replace(b"</global>", b""), "mismatched tag: line 25"),
        (b"<html><body/></html>", "begins with <html>, not with <log>"),
        (b'<!DOCTYPE log [<!ENTITY a "ha">]><log>&a;</log>', "declares a document type"),
        (LOG.replace(b"UTF-8", b"GB18030"), "multi-byte encodings are not supported; save it as UTF-8"),
        (LOG.replace(b"UTF-8", b"UTF-9"), "unknown encoding: UTF-9; save it as UTF-8"),
        (b"<log><event><event/></event></log>", "a <event> stands within an <event>"),
        (b"<log><trace><trace/></trace></log>", "a <trace> stands within a <trace>"),
    ],
)
def test_a_file_that_is_no_whole_log_is_refused_with_its_name_and_the_place(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=words) as caught:
        rows(tmp_path, content)
    assert "log.xes" in str(caught.value)


def test_a_log_that_breaks_off_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "log.xes").write_bytes(LOG[:-20])
    with pytest.raises(TableError):
        import_file(tmp_path / "log.xes", tmp_path / "map.yaml", out=tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_an_import_makes_the_events_that_its_mapping_says(tmp_path: Path) -> None:
    #  T1   opened ------------ closed          and one event that no entry is for
    (tmp_path / "map.yaml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "log.xes").write_bytes(LOG)
    summary = import_file(tmp_path / "log.xes", tmp_path / "map.yaml", out=tmp_path / "out.jsonl")
    assert (summary.reading, summary.rows, dict(summary.dead_letters)) == ("XES", 3, {"no_type": 1})
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()] == [
        {"type": "ticket.opened", "id": "log.xes:1", "customer_id": "ann", "at_ms": 1767600000000, "ticket_id": "T1"},
        {"type": "ticket.closed", "id": "log.xes:2", "customer_id": "ann", "at_ms": 1767686400000, "ticket_id": "T1"},
    ]
