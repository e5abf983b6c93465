"""`churnwatch rules ...` on the command line: what goes where, and the exit status."""

import json
from pathlib import Path

import pytest

from streams import cli

RULES = "version: '1'\ntenant: shop\nrules:\n  - {id: silent, kind: absence, of: [order.placed], for: P90D}\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(RULES, encoding="utf-8")
    other.write_text(RULES.replace("P90D", "P60D"), encoding="utf-8")
    return one, other


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["churnwatch", "rules", *map(str, arguments)])
    try:
        return cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)


def test_a_difference_is_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: tuple[Path, Path]
) -> None:
    one, other = files
    assert run(monkeypatch, "diff", one, other) == 1
    assert capsys.readouterr().out == f"from {one} to {other}:\n~ rule silent\n    for: P90D -> P60D\n"


def test_no_difference_is_status_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: tuple[Path, Path]
) -> None:
    one, _ = files
    assert run(monkeypatch, "diff", one, one) == 0
    assert capsys.readouterr().out == f"{one} and {one} are the same\n"


def test_for_machines_the_last_line_is_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: tuple[Path, Path]
) -> None:
    one, other = files
    assert run(monkeypatch, "diff", one, other, "--json") == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found == {
        "old": str(one),
        "new": str(other),
        "changes": [{"place": ["rules", "silent", "for"], "old": "P90D", "new": "P60D"}],
    }


@pytest.mark.parametrize("command", ["check", "diff", "publish"])
def test_a_file_with_faults_is_status_2_and_its_faults_go_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: tuple[Path, Path], command: str
) -> None:
    one, _ = files
    one.write_text(RULES.replace("P90D", "P2W"), encoding="utf-8")
    assert run(monkeypatch, command, one) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "line 4: rules[silent].for: 'P2W' counts weeks" in said.err


def test_a_check_lists_the_rules(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: tuple[Path, Path]
) -> None:
    one, _ = files
    assert run(monkeypatch, "check", one) == 0
    assert capsys.readouterr().out == f"{one}: version 1 of shop, 1 rule\n  silent  absence  needs orders\n"
