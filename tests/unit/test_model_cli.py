"""`churnwatch model ...` on the command line: what goes where, and the exit status."""

import json

import pytest
from standing_run import model

from schemas.model_pin import ModelAction
from streams import cli, model_command
from streams.model_command import ModelNotFound, PinRefused
from streams.model_words import Changed, InForce, Models

ROLLED_BACK = ModelAction(action="rollback", version="m1", at_ms=86_400_000, by="lena", why="the new shop")
IN_FORCE = InForce(model(), revision=7, since_ms=86_400_000)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["churnwatch", "model", *arguments])
    try:
        return cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)


def test_the_models_are_told_with_what_is_held_and_who_decided_so() -> None:
    kept = (("m2", None), ("m1", model()))
    assert str(Models(IN_FORCE, kept, (ROLLED_BACK,), ROLLED_BACK)) == (
        "in force: m1, revision 7, since 1970-01-02T00:00:00Z, held until `churnwatch model resume`\n"
        "kept, the newest first:\n"
        "  m2  cannot be read by this release\n"
        "* m1  1 examples, 1 churned, AUC 0.900, log loss 0.100 against 0.200 of the base rate, may decide\n"
        "decided by people, the latest first:\n"
        "  1970-01-02T00:00:00Z  lena went back to m1: the new shop"
    )


def test_a_model_that_may_not_decide_is_told_as_that_when_it_comes_in_force() -> None:
    said = str(Changed(ROLLED_BACK, InForce(model(usable=False), revision=7, since_ms=0)))
    assert said.endswith("held there until `churnwatch model resume`; it may not decide, so rules alone do")


@pytest.mark.parametrize("error", [ModelNotFound("no model m9 is kept. There is: m1"), PinRefused("m1 is held already")])
def test_what_is_refused_is_status_1_and_goes_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(model_command, "rollback", refuse)
    assert run(monkeypatch, "rollback", "m9") == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{error}\n")


def test_for_machines_the_last_line_is_one_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[str, str, str]] = []

    def rollback(_settings: object, version: str, *, by: str, why: str) -> Changed:
        asked.append((version, by, why))
        return Changed(ROLLED_BACK, IN_FORCE)

    monkeypatch.setattr(model_command, "rollback", rollback)
    assert run(monkeypatch, "rollback", "m1", "--by", "lena", "--why", "the new shop", "--json") == 0
    assert asked == [("m1", "lena", "the new shop")]
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "action": "rollback",
        "version": "m1",
        "at_ms": 86_400_000,
        "by": "lena",
        "why": "the new shop",
        "in_force": {"version": "m1", "revision": 7, "since_ms": 86_400_000},
    }
