"""What the benchmarks compute apart from measuring: percentiles, paces, results, and the streams that they run on."""

import argparse
import importlib
import json
import math
import os
from collections import Counter
from pathlib import Path

import pytest
from benchmarks import bench_latency, figures
from benchmarks.bench_latency import Watch
from benchmarks.bench_recovery import PARTITIONS, state_lines, state_of, take_over_s
from benchmarks.figures import FIGURES, Figure, percentile
from benchmarks.flame_layers import START, WAITING, samples_by_layer
from benchmarks.machine import children, cpu_s, resident_bytes
from benchmarks.mix import FIXED, TRIVIAL, Workload, log_lines, source_lines
from benchmarks.workers import Moment, WorkerFailed, pace, parsed

from detectors.engine import PartitionEngine
from schemas.codec import decode_record
from schemas.control import RulesPublished
from schemas.events import Event

FOLDER = Path(figures.__file__).parent


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("bench_*.py")))
def test_each_program_can_be_imported_without_running(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}").__doc__


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0, 0.5, 0.99, 1)] == [1, 50, 99, 100]
    assert percentile([7.0], 0.5) == 7


def test_the_pace_begins_with_the_first_records_and_ends_with_the_last() -> None:
    #  at s      0    1    2    3
    #  records   0   10  110  110      start-up before, and whatever comes after, is not in it
    #  cpu s     9   10   11   99
    found = pace([Moment(0, 0, 9, 0), Moment(1, 10, 10, 1), Moment(2, 110, 11, 1.5), Moment(3, 110, 99, 9)])
    assert (found.per_s, found.cpu_us, found.broker_cpu_us) == (100, 10_000, 5_000)
    with pytest.raises(WorkerFailed, match="more are needed"):
        pace([Moment(0, 110, 9, 0), Moment(1, 110, 10, 1)])


def test_a_ratio_above_one_is_better_than_the_aim_whether_more_is_better_or_less() -> None:
    assert Figure("rate", "ev/s", 50.0, more_is_better=True).ratio(100.0) == 2
    assert Figure("latency", "ms", 50.0).ratio(100.0) == 0.5
    assert Figure("lost", "records", 1.0).ratio(0.0) == math.inf
    assert Figure("without an aim", "ms").ratio(1.0) is None


def test_a_result_is_one_line_that_says_what_when_where_and_of_which_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = argparse.Namespace(runs=2, events=10, results=tmp_path / "results.jsonl")
    figures.report("detect", options, {"detect_trivial_per_s": [40_000.0, 120_000.0]})
    figures.report("detect", options, {"engine_trivial_us": [3.0]})

    first, second = (json.loads(line) for line in options.results.read_text(encoding="utf-8").splitlines())
    assert first["figures"]["detect_trivial_per_s"] == {
        "median": 80_000,
        "unit": "ev/s",
        "runs": [40_000, 120_000],
        "ratio_to_aim": 1,
    }
    assert first["parameters"] == {"runs": 2, "events": 10}
    assert {"at", "commit", "machine"} <= first.keys()
    assert second["figures"]["engine_trivial_us"]["ratio_to_aim"] is None
    assert "aim 80,000: 1.00, met" in capsys.readouterr().out


def test_every_figure_can_be_told() -> None:
    for name in FIGURES:
        assert figures.described(name, [1.0, 2.0, 3.0]).startswith(FIGURES[name].title)


def test_metrics_are_read_with_their_labels() -> None:
    page = '# TYPE a counter\na_total{rule="x",state="opened"} 4.0\na_total{rule="y",state="opened"} 5\nb 1e3\n'
    assert parsed(page) == {
        "a_total": [({"rule": "x", "state": "opened"}, 4), ({"rule": "y", "state": "opened"}, 5)],
        "b": [({}, 1000)],
    }


def test_what_a_process_uses_is_read_from_proc() -> None:
    assert cpu_s(os.getpid()) > 0
    assert resident_bytes(os.getpid()) > 1 << 20
    assert os.getpid() in children(os.getppid())
    assert cpu_s(2**22 + 1) == 0, "no such process"


@pytest.mark.parametrize("workload", [TRIVIAL, FIXED])
def test_a_workload_is_the_same_each_time_and_the_engine_takes_all_of_it(workload: Workload) -> None:
    log = log_lines(workload, 2_000, 3)
    assert log == log_lines(workload, 2_000, 3)
    alerts = 0
    for partition, lines in enumerate(log):
        engine = PartitionEngine(partition)
        for offset, (_, value) in enumerate(lines):
            decided = engine.apply_bytes(offset, value)
            assert not decided.dead_letters
            alerts += len(decided.alerts)
    assert alerts


def test_the_mix_is_seven_logins_two_and_a_half_orders_and_half_an_event_of_a_ticket() -> None:
    records = [decode_record(value) for lines in log_lines(TRIVIAL, 10_000, 2) for _, value in lines]
    kinds = Counter(record.type.partition(".")[0] for record in records if isinstance(record, Event))
    assert kinds["login"] == 7_000
    assert kinds["order"] == pytest.approx(2_500, rel=0.1)
    assert kinds["ticket"] == pytest.approx(500, rel=0.01)


def test_sources_have_the_same_events_as_the_log() -> None:
    def ids(values: list[bytes]) -> list[str]:
        return sorted(record.id for record in map(decode_record, values) if isinstance(record, Event))

    sources = source_lines(TRIVIAL, 1_000, 2)
    in_sources = [value for partitions in sources.values() for lines in partitions for _, value in lines]
    in_log = [value for lines in log_lines(TRIVIAL, 1_000, 2) for _, value in lines]
    assert ids(in_sources) == ids(in_log)


def test_latencies_are_of_tickets_that_were_sent_when_it_counts() -> None:
    watch, sent = Watch("x-"), []
    for number in range(80):
        watch.begins_ms = 0 if number >= 40 else 2**53  # the first forty are the warm-up
        sent.append(watch.record(number))
    assert Counter(one.topic for one in sent) == {"x-tickets": 2, "x-orders": 20, "x-logins": 58}
    assert watch.missing == 1

    rules = RulesPublished(at_ms=0, version="1", revision=1, document=bench_latency.RULES)
    engine = PartitionEngine(0)
    engine.apply(0, rules)
    for offset, one in enumerate(sent, 1):
        for alert in engine.apply_bytes(offset, one.value).alerts:
            watch.take(alert, 0)
    assert len(watch.latencies_ms) == 1
    assert watch.missing == 0


def test_the_customers_of_a_recovery_are_what_an_engine_takes_back() -> None:
    state = state_of(FIXED, customers=20)
    engine = PartitionEngine(1)
    for key, value in state_lines(state, 7, range(1, 40, PARTITIONS)):
        assert key is not None
        engine.load(key, value)
    engine.restored()
    assert engine.position == 7
    names = {f"customer-{number:07}" for number in range(1, 40, PARTITIONS)}
    assert names == set(engine._state.customers.ids())
    assert all(engine._state.customers.find(name) for name in names)


def test_samples_of_a_flame_graph_are_told_by_layer() -> None:
    #  all of them, 10
    #  |- _run (asyncio) 7                          its own: 1
    #  |  |- apply (detectors) 6                    its own: 2
    #  |     |- decode_record (schemas) 3, of which 1 in msgspec
    #  |     |- something unknown 1
    #  |- importlib 2, of which 1 in detectors
    #  |- select 1
    frames = [
        (52, 0, 10, "all"),
        (68, 0, 7, "Handle._run (asyncio/events.py:80)"),
        (68, 7, 2, "_find_and_load (&lt;frozen importlib._bootstrap&gt;:1176)"),
        (84, 1, 6, "PartitionEngine.apply_bytes (detectors/engine.py:89)"),
        (68, 9, 1, "EpollSelector.select (selectors.py:468)"),
        (84, 8, 1, "&lt;module&gt; (detectors/engine.py:1)"),
        (100, 1, 3, "decode_record (schemas/codec.py:46)"),
        (100, 4, 1, "something (elsewhere.py:1)"),
        (116, 2, 1, "decode (msgspec/json.py:1)"),
    ]
    box = (
        '<g><title>{3} ({2} samples, 1.00%)</title><rect x="0%" y="{0}" width="1%" height="15" fill="rgb(1,2,3)" '
        'fg:x="{1}" fg:w="{2}"/></g>'
    )
    assert +samples_by_layer("".join(box.format(*frame) for frame in frames)) == {
        "event loop": 1,
        "engine: rules, features, timers": 2 + 1,
        "a record decoded": 3,
        START: 2,
        WAITING: 1,
    }
    with pytest.raises(ValueError, match="no frame"):
        samples_by_layer("<svg/>")


def test_the_time_of_a_recovery_is_from_the_first_beginning_to_the_last_end() -> None:
    log = """\
{"timestamp":"2026-11-26T07:00:02.500000Z","level":"info","logger":"churn.detect","event":"partition.taken_over","took_ms":1500}
{"timestamp":"2026-11-26T07:00:03.000000Z","level":"info","logger":"churn.worker","event":"worker.ready","roles":"detect"}
{"timestamp":"2026-11-26T07:00:04.000000Z","level":"info","logger":"churn.detect","event":"partition.taken_over","took_ms":1000}
"""
    assert take_over_s(log) == pytest.approx(3.0)
