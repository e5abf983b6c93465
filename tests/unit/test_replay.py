"""`replay`: a file through the engine, the same bytes each time."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from engine_run import absence, complaint, order, rule_set, tick

from schemas.codec import Record, encode
from schemas.control import RulesPublished
from schemas.instants import DAY_MS
from schemas.rule_kinds import CountRule
from schemas.rules import RuleSet
from streams.replay import ReplayError, replay, replay_file

SILENT_9 = rule_set(absence(9))


def told(lines: Sequence[bytes], rules: RuleSet | None = SILENT_9, **options: int) -> list[tuple[str, float, float]]:
    alerts = replay(lines, rules, **options)  # type: ignore[arg-type]
    return [(alert.state, alert.at_ms / DAY_MS, alert.decided_ms / DAY_MS) for alert in alerts]


def lines_of(*records: Record) -> list[bytes]:
    return [encode(record) for record in records]


def test_lines_without_ticks_get_one_at_the_last_boundary_before_a_record_that_passes_one() -> None:
    #  order 0.5, and order 20.5: before it a tick at day 20, not one for each day
    assert told(lines_of(order(0.5), order(20.5)), tick_ms=DAY_MS) == [("opened", 9.5, 20), ("resolved", 20.5, 20)]


def test_a_tick_comes_at_the_last_record_if_nothing_else_is_said() -> None:
    assert told(lines_of(order(0), order(12, customer="bob"))) == [("opened", 9, 12)]


def test_until_moves_the_last_tick() -> None:
    assert told(lines_of(order(0)), until_ms=30 * DAY_MS) == [("opened", 9, 30)]


def test_until_before_the_last_record_is_refused() -> None:
    with pytest.raises(ReplayError, match="--until lies before it"):
        told(lines_of(order(0), order(12)), until_ms=3 * DAY_MS)


def test_lines_with_ticks_get_no_others_but_the_last() -> None:
    lines = lines_of(order(0), tick(10), order(40), tick(41))
    assert told(lines, tick_ms=DAY_MS) == [("opened", 9, 10), ("resolved", 40, 10)]


def test_at_may_be_text_and_empty_lines_do_not_count() -> None:
    line = b'{"type":"order.placed","id":"1","customer_id":"ann","at":"1970-01-02T00:00:00Z","order_id":"1","amount":1}'
    assert told([line, b"\n"], until_ms=30 * DAY_MS) == [("opened", 10, 30)]


def test_a_bad_line_is_named() -> None:
    with pytest.raises(ReplayError, match=r"lines, line 2: .*JSON"):
        told([*lines_of(order(0)), b"{"])


def test_the_lines_own_rules_hold_unless_others_are_given() -> None:
    own = RulesPublished(at_ms=0, version="1", revision=1, document=rule_set(absence(3)))
    lines = lines_of(own, order(0))
    assert told(lines, rules=None, until_ms=30 * DAY_MS) == [("opened", 3, 30)]
    assert told(lines, until_ms=30 * DAY_MS) == [("opened", 9, 30)]


def test_partitions_of_an_exported_log_are_engines_of_their_own() -> None:
    first, second = (encode(order(0, event_id=name)) for name in ("a", "b"))
    lines = [first[:-1] + b',"partition":0,"offset":0}', second[:-1] + b',"partition":1,"offset":0}']
    assert told(lines, until_ms=30 * DAY_MS) == [("opened", 9, 30), ("opened", 9, 30)]


def test_a_record_without_a_position_gets_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines_of(order(1), order(2, customer="bob"))))
    alerts = [alert for decided in replay_file(path, SILENT_9, until_ms=30 * DAY_MS) for alert in decided.alerts]
    positions = [evidence.src for alert in alerts for evidence in alert.evidence]
    assert [(src.topic, src.offset) for src in positions if src is not None] == [("events.jsonl", 1), ("events.jsonl", 2)]


def test_the_same_file_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    rules = rule_set(
        absence(3),
        absence(id="twice", for_="P5D", min_count=2),
        CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P9D"),
    )
    document = RulesPublished(at_ms=0, version="1", revision=1, document=rules)
    events = [build(day, customer=f"c{day % 7}") for day in range(60) for build in (order, complaint)]
    path.write_bytes(b"\n".join(lines_of(document, *events)))
    program = (
        "import sys; from pathlib import Path; from schemas.codec import encode; from streams.replay import replay_file\n"
        "for decided in replay_file(Path(sys.argv[1]), None):\n"
        "    for alert in decided.alerts: print(encode(alert).decode())"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    ]
    assert outputs[0].count(b"\n") > 50
    assert outputs[0] == outputs[1] == outputs[2]
