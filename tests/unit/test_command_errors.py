"""What a command says when it cannot do its work, and where."""

import json
import socket
from pathlib import Path

import pytest
import structlog

from streams import cli, mapping_check
from streams.mapping_findings import Findings


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["churnwatch", *map(str, arguments)])
    try:
        return cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture
def nowhere() -> str:
    """An address at which nothing answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("command", [("sources", "list"), ("rules", "show"), ("export",)])
def test_of_a_broker_that_is_away_a_command_says_which_it_is_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    nowhere: str,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setenv("CHURN_BOOTSTRAP", nowhere)
    monkeypatch.setattr("streams.topics._BOOTSTRAP_TIMEOUT_MS", 100)

    assert run(monkeypatch, *command) == 1
    assert capfd.readouterr() == ("", f"{nowhere} does not answer: start Kafka, or set CHURN_BOOTSTRAP\n")


def test_what_a_command_warns_of_does_not_stand_among_its_results(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "logins.yaml"
    path.write_text("events: [{type: login.succeeded, id: nr, customer_id: who, at: t}]", encoding="utf-8")
    looked_at = mapping_check.check(path)

    def warn_and_check(_: Path) -> Findings:
        structlog.get_logger("churn.ingest").warning("ingest.registry_unreachable", registry="schemas")
        return looked_at

    monkeypatch.setattr(mapping_check, "check", warn_and_check)

    assert run(monkeypatch, "mapping", "check", path, "--json") == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["reads"] == ["nr", "t", "who"]
    assert "ingest.registry_unreachable" in err
