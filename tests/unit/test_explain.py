"""What `churnwatch explain` says of an alert."""

from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from alert_records import alert
from typer.testing import CliRunner

from detectors.features import NAMES
from schemas.codec import decode_decision, encode
from schemas.decisions import AlertRecord, Because, ClearsIf, Evidence, Versions
from schemas.events import SourcePosition
from schemas.instants import DAY_MS, HOUR_MS
from streams.alert_lookup import chosen
from streams.cli import app
from streams.explain import Explanation
from streams.words import clears_when
from streams.words_en import ENGLISH

#  last order      due         acked     given to bob   noted       order
#  day 0 --------- day 90 ---- day 91 -- day 92 ------- day 93 ---- day 94
ORDERED = Evidence(type="order.placed", at_ms=0, id="o1", src=SourcePosition("shop", 1, 2, 30, 4))
CAME_BACK = Evidence(type="order.placed", at_ms=94 * DAY_MS, id="o2", src=SourcePosition("shop", 0, 2, 77))
OPENED = msgspec.structs.replace(
    alert(because=[Because(clause="silence_ms", value=90 * DAY_MS, threshold="P90D")], evidence=[ORDERED]),
    alert_id="aaaaaaaa-1",
    at_ms=90 * DAY_MS,
    due_ms=90 * DAY_MS,
    owner="ann",
    ack_by_ms=90 * DAY_MS + 8 * HOUR_MS,
    next_action="Call.",
    inhibited_by="bbbbbbbb-2",
    clears_if=ClearsIf(code="event", of=["order.placed"]),
    feeds={"orders": "live"},
    risk=0.8,
    value_at_risk=960.0,
    versions=Versions(engine=3, rules="7", calendar="2026", model="m5"),
)


def after(before: AlertRecord, **fields: Any) -> AlertRecord:
    """The next transition of an alert, a day later."""
    moved = {"sequence": before.sequence + 1, "at_ms": before.at_ms + DAY_MS, **fields}
    return msgspec.structs.replace(before, **moved)


ACKED = after(OPENED, state="acked", by="ann", ack_by_ms=None)
GIVEN = after(ACKED, owner="bob")
NOTED = after(GIVEN, by="bob", note="Called, no answer.")
RESOLVED = after(NOTED, state="resolved", by=None, note=None, evidence=[CAME_BACK], clears_if=None)


def test_every_step_of_a_life_is_told_in_order_and_in_words() -> None:
    told = Explanation([OPENED, ACKED, GIVEN, NOTED, RESOLVED]).as_json()["transitions"]
    assert [(step["sequence"], step["state"], step["words"]) for step in told] == [
        (1, "opened", "silent for 90 days (limit 90 days)"),
        (2, "acked", "acknowledged by ann"),
        (3, "acked", "ann gave it to bob"),
        (4, "acked", "bob noted: Called, no answer."),
        (5, "resolved", "over: order.placed at 1970-04-05 00:00"),
    ]


def test_the_text_names_clauses_records_versions_feeds_and_whom_it_is_for() -> None:
    text = str(Explanation([OPENED]))
    for part in (
        "alert aaaaaaaa-1",
        "rule         r@1 (absence, high)",
        "owner        ann",
        "next action  Call.",
        "answer by    1970-04-01 08:00",
        "inhibited    by alert bbbbbbbb-2: not delivered",
        "risk         80%, 960.00 a year at risk",
        "decided by   rules 7, engine 3, calendar 2026, model m5",
        "feeds        orders live",
        "silence_ms  silent for 90 days (limit 90 days)  [7776000000, limit P90D]",
        "order.placed o1 at 1970-01-01T00:00:00Z (topic shop, partition 2, offset 30, event 4 of the record, epoch 1)",
        "order.placed of customer c",
    ):
        assert f"  {part}\n" in f"  {text}\n", part


def test_a_closed_alert_needs_nothing_and_still_says_why_it_was_opened() -> None:
    explained = Explanation([OPENED, msgspec.structs.replace(RESOLVED, because=[])])
    assert explained.as_json()["clears_if"] is None
    assert [clause["clause"] for clause in explained.as_json()["because"]] == ["silence_ms"]
    assert [record["id"] for record in explained.as_json()["evidence"]] == ["o1", "o2"]
    assert str(explained).endswith("what would close it\n  nothing: it is closed")


def test_steps_that_compaction_took_are_missed() -> None:
    assert "(what came before number 4 is not kept any more)" in str(Explanation([NOTED]))


def test_an_alert_about_a_feed_has_no_customer() -> None:
    clears_if = ClearsIf(code="feed_live", of=["orders"])
    about_feed = msgspec.structs.replace(OPENED, customer_id=None, feed="orders", clears_if=clears_if)
    text = str(Explanation([about_feed]))
    assert "  feed         orders\n" in text
    assert "customer" not in text
    assert text.endswith("  the feed orders is live again")


@pytest.mark.parametrize("code", get_args(get_type_hints(ClearsIf)["code"]))
def test_every_way_to_close_has_words_of_its_own(code: Any) -> None:
    clears_if = ClearsIf(code=code, of=["first", "second"], at_ms=DAY_MS, below=0.5, above=4.0, where="event.amount > 9.0")
    words = clears_when(OPENED, clears_if)
    assert "{" not in words
    assert words.endswith("1970-01-02 00:00") or code == "window_empties"


@pytest.mark.parametrize(
    ("kind", "words"), [("all", "one of a, b is not open any more"), ("any", "none of a, b is open any more")]
)
def test_a_composite_closes_with_one_of_its_rules_or_with_all(kind: str, words: str) -> None:
    composite = msgspec.structs.replace(OPENED, kind=kind)
    assert clears_when(composite, ClearsIf(code="rules_close", of=["a", "b"])) == words


def test_the_command_finds_the_alert_in_a_file_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b"".join(encode(record) + b"\n" for record in (OPENED, ACKED)))
    shown = CliRunner().invoke(app, ["explain", "aaaaaaaa", "--from", str(path), "--json"])
    assert shown.exit_code == 0
    told = msgspec.json.decode(shown.stdout)
    assert (told["alert_id"], told["state"], told["sequence"]) == ("aaaaaaaa-1", "acked", 2)
    assert told["clears_if"] == {"code": "event", "of": ["order.placed"], "words": "order.placed of customer c"}
    assert told["evidence"][0]["src"] == {"topic": "shop", "epoch": 1, "partition": 2, "offset": 30, "index": 4}


STORIES = sorted((Path(__file__).parents[1] / "golden" / "stories").iterdir())


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_every_alert_of_the_golden_stories_can_be_explained(story: Path) -> None:
    records = [decode_decision(line) for line in (story / "alerts.jsonl").read_bytes().splitlines()]
    alerts = [record for record in records if isinstance(record, AlertRecord)]
    for alert_id in {record.alert_id for record in alerts}:
        explained = Explanation(chosen(alerts, alert_id, "the story"))
        told = explained.as_json()
        assert len(told["transitions"]) == sum(record.alert_id == alert_id for record in alerts)
        for word in (*(step["words"] for step in told["transitions"]), str(explained)):
            assert word
            assert "{" not in word
        assert {clause["clause"] for clause in told["because"]} <= ENGLISH.clauses.keys() | set(NAMES)
        assert told["closed"] or told["clears_if"] is not None
