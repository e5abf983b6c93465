"""`churnwatch mapping check` on the command line: what it shows, counts and warns of, and the exit status."""

import json
from pathlib import Path

import pytest

from streams import cli

MAPPING = """\
skip_when: {kind: test}
events:
  - when: {kind: sale}
    type: order.placed
    id: nr
    order_id: nr
    customer_id: who
    at: {column: t, format: epoch_s}
    amount: {constant: 1}
  - {when: {kind: login}, type: login.succeeded, id: nr, customer_id: who, at: {column: t, format: epoch_s}}
"""
ROWS = """\
nr,kind,who,t
1,sale,ann,10
2,test,ann,20
3,sale,,30
4,refund,bob,40
5,sale,bob,50
6,sale,,60
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(MAPPING, encoding="utf-8")
    return path


def rows(folder: Path, content: str, name: str = "shop.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["churnwatch", "mapping", "check", *map(str, arguments)])
    try:
        return cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)


def test_a_mapping_alone_says_what_it_reads_and_makes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mapping: Path
) -> None:
    assert run(monkeypatch, mapping) == 0
    assert capsys.readouterr().out == (
        f"{mapping}\n"
        "  reads  kind, nr, t, who\n"
        "  makes  order.placed: id, customer_id, at, order_id, amount\n"
        "  makes  login.succeeded: id, customer_id, at\n"
    )


def test_rows_are_shown_before_and_after_and_counted_and_what_is_wrong_is_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mapping: Path, tmp_path: Path
) -> None:
    assert run(monkeypatch, mapping, "--from", rows(tmp_path, ROWS), "--sample", 3) == 1
    shown, _, counted = capsys.readouterr().out.partition("\n\n")
    assert shown.splitlines() == [
        'row 1  {"nr":"1","kind":"sale","who":"ann","t":"10"}',
        '  event        {"type":"order.placed","id":"1","customer_id":"ann","at_ms":10000,"order_id":"1","amount":1.0}',
        'row 2  {"nr":"2","kind":"test","who":"ann","t":"20"}',
        "  ignored",
        'row 3  {"nr":"3","kind":"sale","who":"","t":"30"}',
        "  dead letter  no_customer: the row has nothing for `customer_id` of order.placed",
    ]
    assert counted.splitlines()[4:] == [
        "shop.csv (CSV, utf-8, delimiter ','): 6 records, 2 events of 2 customers",
        "  from 1970-01-01T00:00:10Z to 1970-01-01T00:00:50Z",
        "  login.succeeded  0",
        "  order.placed  2",
        "  ignored  1",
        "  dead letter, no_customer  2, the first of them:",
        '    row 3  {"nr":"3","kind":"sale","who":"","t":"30"}',
        "      dead letter  no_customer: the row has nothing for `customer_id` of order.placed",
        "  dead letter, no_type  1, the first of them:",
        '    row 4  {"nr":"4","kind":"refund","who":"bob","t":"40"}',
        "      dead letter  no_type: no event of the mapping has a `when` that holds; `skip_when` leaves rows out on purpose",
        "warning: 3 of 6 records would be dead letters",
    ]


def test_rows_that_all_become_events_or_are_ignored_are_status_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mapping: Path, tmp_path: Path
) -> None:
    assert run(monkeypatch, mapping, "--from", rows(tmp_path, "\n".join(ROWS.splitlines()[:3]))) == 0
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "warnings"),
    [
        ("nr,kind,who,t\n1,test,ann,10\n", ["the mapping matches nothing: none of 1 records makes an event"]),
        ("nr,kind,who,t\n", ["shop.csv (CSV, utf-8, delimiter ','): there is no record to look at"]),
        (
            "nr,kind,who,t\n1,refund,ann,10\n",
            [
                "the mapping matches nothing: none of 1 records makes an event",
                "1 of 1 records would be dead letters",
            ],
        ),
    ],
)
def test_a_mapping_that_matches_nothing_is_a_warning_and_status_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mapping: Path,
    tmp_path: Path,
    content: str,
    warnings: list[str],
) -> None:
    assert run(monkeypatch, mapping, "--from", rows(tmp_path, content), "--json") == 1
    assert json.loads(capsys.readouterr().out)["warnings"] == warnings


def test_machines_get_one_object_with_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mapping: Path, tmp_path: Path
) -> None:
    assert run(monkeypatch, mapping, "--from", rows(tmp_path, ROWS), "--sample", 1, "--json") == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {name: found[name] for name in ("records", "ignored", "customers", "first_ms", "last_ms")} == {
        "records": 6,
        "ignored": 1,
        "customers": 2,
        "first_ms": 10_000,
        "last_ms": 50_000,
    }
    assert found["events"] == {"login.succeeded": 0, "order.placed": 2}
    assert {reason: letter["count"] for reason, letter in found["dead_letters"].items()} == {"no_customer": 2, "no_type": 1}
    assert found["dead_letters"]["no_type"]["example"]["before"] == {"nr": "4", "kind": "refund", "who": "bob", "t": "40"}
    assert [sample["events"][0]["type"] for sample in found["samples"]] == ["order.placed"]


def test_lines_that_are_no_json_are_shown_as_they_stand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mapping: Path, tmp_path: Path
) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_bytes(b'{"nr": 1, "kind": "sale", "who": "ann", "t": 10}\n{"nr": \n\xff\xfe\n')
    assert run(monkeypatch, mapping, "--from", path, "--json") == 1
    samples = json.loads(capsys.readouterr().out)["samples"]
    assert [sample["before"] for sample in samples[1:]] == ['{"nr": ', "fffe"]
    assert [sample["dead_letter"].partition(":")[0] for sample in samples[1:]] == ["bad_json", "bad_utf8"]


def test_files_that_cannot_be_used_are_status_2_with_all_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mapping: Path, tmp_path: Path
) -> None:
    other = rows(tmp_path, "number,kind\n1,sale\n", "other.csv")
    assert run(monkeypatch, mapping, "--from", other) == 2
    assert "does not have 'nr', 't', 'who', which the mapping reads; it has 'number', 'kind'" in capsys.readouterr().err
    broken = rows(tmp_path, MAPPING.replace("order.placed", "order.paid").replace("login.succeeded", "login"), "broken.yaml")
    assert run(monkeypatch, broken) == 2
    assert "has 2 faults" in capsys.readouterr().err
    assert run(monkeypatch, mapping, "--from", other, "--topic", "orders") == 2
    assert "not from both" in capsys.readouterr().err
