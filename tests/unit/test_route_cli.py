"""`churnwatch route ...` on the command line, and what `doctor` says of the file."""

import json
from pathlib import Path

import pytest
from plan_run import record

from schemas.codec import encode
from schemas.decisions import AlertRecord
from streams import cli
from streams.doctor import examine_routes
from streams.settings import load_settings

FILE = """\
destinations:
  pager: {kind: alertmanager, url: "https://alerts.example.com"}
  room: {kind: slack, url: "env:ROUTE_CLI_ROOM", time_zone: Europe/Berlin, quiet: ["22:00-07:00"]}
people:
  ann: {via: room, time_zone: Asia/Shanghai, budget: {at_once: 1, above: 500}}
routes:
  - {severity: [critical], to: [pager], continue: true}
  - {rule: ["slow"], to: [room, owner]}
"""
LINKS = 'links: {url: "https://churn.example.com", secret: "env:ROUTE_CLI_LINKS"}\n'
NIGHT = "2026-01-30T23:00:00+01:00"


@pytest.fixture
def routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("CHURN_ROUTES", str(path))
    return path


def alerts(path: Path, *records: AlertRecord) -> Path:
    path.write_bytes(b"".join(encode(one) + b"\n" for one in records))
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["churnwatch", "route", *map(str, arguments)])
    try:
        return cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.usefixtures("routes")
def test_who_gets_what_when_and_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = alerts(
        tmp_path / "alerts.jsonl",
        record("first-alert", rule="slow@1", owner="ann", severity="critical", tier="gold", value_at_risk=900.0),
        record("second-one", rule="slow@2", owner="eve", inhibited_by="first-alert"),
        record("third-one!", rule="slow@2", owner="ann", value_at_risk=20.0),
        record("fourth-one", rule="other@1"),
    )
    assert run(monkeypatch, "test", "--from", file, "--at", NIGHT) == 0
    assert (
        capsys.readouterr().out
        == """\
alert first-alert, opened: slow@1, critical, tier gold, owner ann, 900 a year at risk
  route 1 (line 7) takes it to pager, and the search goes on
  route 2 (line 8) takes it to room, ann
    pager (alertmanager): at once: systems are told of everything at once
    room (slack): at once: there is no budget: everything is told at once
    ann (slack): at once: what is critical is told at once
alert second-one, opened: slow@2, high, owner eve
  route 2 (line 8) takes it to room
    room (slack): not told: another open alert says more
alert third-one!, opened: slow@2, high, owner ann, 20 a year at risk
  route 2 (line 8) takes it to room, ann
    room (slack): after quiet hours, 2026-01-31 07:00 Europe/Berlin: there is no budget: everything is told at once
    ann (slack): in the digest, 2026-01-31 09:00 Asia/Shanghai: its value at risk is below the limit of the budget
alert fourth-one, opened: other@1, high
  no route takes it: nobody is told
"""
    )


@pytest.mark.usefixtures("routes")
def test_of_an_alert_that_people_have_dealt_with_its_last_opening_is_tried_with_its_owner_of_now(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    steps = [
        record("the-alert", 1, rule="slow@1", owner="eve"),
        record("the-alert", 2, "escalated", rule="slow@1", owner="eve"),
        record("the-alert", 3, "escalated", rule="slow@1", owner="ann", by="eve"),
        record("the-alert", 4, "resolved", rule="slow@1", owner="ann"),
    ]
    file = alerts(tmp_path / "alerts.jsonl", *steps)
    assert run(monkeypatch, "test", "the-aler", "--from", file, "--at", NIGHT, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["alerts"]
    assert (found["state"], found["owner"]) == ("escalated", "ann")
    assert [(one["recipient"], one["when"], one["why"]) for one in found["told"]] == [
        ("room", "later", "no_budget"),
        ("ann", "at_once", "escalated"),
    ]
    assert found["routes"] == [{"route": 2, "line": 8, "to": ["room", "ann"]}]


def test_the_text_that_people_would_read_is_shown_in_their_language(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, routes: Path
) -> None:
    routes.write_text(FILE.replace("{via: room,", "{via: room, language: zh,") + LINKS, encoding="utf-8")
    file = alerts(tmp_path / "alerts.jsonl", record("the-alert", rule="slow@1", owner="ann", severity="critical"))
    assert run(monkeypatch, "test", "--from", file, "--at", NIGHT, "--text") == 0
    shown = capsys.readouterr().out.split("    ann (slack)")
    assert "      | " in shown[0]
    assert "critical" in shown[0].split("    room (slack)")[1]
    assert "紧急" in shown[1]
    assert run(monkeypatch, "test", "--from", file, "--at", NIGHT, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["alerts"]
    assert [bool(one["text"]) for one in found["told"]] == [False, True, True]  # a system gets the record


def test_a_file_is_checked_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], routes: Path
) -> None:
    assert run(monkeypatch, "check") == 0
    assert (
        capsys.readouterr().out
        == f"""\
{routes}: 2 routes, 3 recipients
  pager  alertmanager  everything at once
  room   slack         everything at once, quiet hours in Europe/Berlin
  ann    slack         the first 1 of a day from 500 at risk at once, the rest at 09:00 Asia/Shanghai
  route 1 (line 7): severity critical to pager, and goes on
  route 2 (line 8): rule slow to room, owner
"""
    )


def test_faults_are_told_at_once_and_are_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], routes: Path
) -> None:
    routes.write_text(FILE.replace("critical", "crtical").replace("owner]", "onwer]"), encoding="utf-8")
    assert run(monkeypatch, "check", routes) == 1
    heading, first, second = capsys.readouterr().err.splitlines()
    assert heading == f"{routes} has 2 faults:"
    assert first.startswith("  line 7: routes[0].severity[0]: 'crtical' is not a severity; did you mean `critical`?")
    assert second.startswith("  line 8: routes[1].to[1]: 'onwer' is neither a destination nor a person of this file")
    assert run(monkeypatch, "test", "--from", routes) == 2


def test_what_is_not_said_is_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CHURN_ROUTES", raising=False)
    assert run(monkeypatch, "check") == 2
    assert "CHURN_ROUTES" in capsys.readouterr().err
    assert run(monkeypatch, "test") == 2
    assert run(monkeypatch, "test", "a", "--at", "tomorrow") == 2


def test_the_doctor_names_a_secret_that_is_not_there(monkeypatch: pytest.MonkeyPatch, routes: Path) -> None:
    def says() -> list[tuple[bool, str]]:
        return [(one.good, one.says) for one in examine_routes(load_settings())]

    monkeypatch.delenv("ROUTE_CLI_ROOM", raising=False)
    assert says() == [
        (False, f"{routes}, line 3: destinations.room.url: the variable ROUTE_CLI_ROOM has no secret: one a line is wanted")
    ]
    monkeypatch.setenv("ROUTE_CLI_ROOM", "https://hooks.slack.com/services/hunter2")
    assert says() == [(True, f"{routes} tells pager, room, ann")]
    monkeypatch.setenv("CHURN_ROUTES", str(routes.parent / "none.yaml"))
    assert says() == [(False, f"{routes.parent / 'none.yaml'} cannot be read: No such file or directory")]
    monkeypatch.delenv("CHURN_ROUTES")
    assert says() == [(True, "CHURN_ROUTES is not set: nobody is told of alerts")]
