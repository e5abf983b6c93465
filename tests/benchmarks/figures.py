"""Figures of the benchmarks: medians and percentiles, what is aimed at, how they are told and where they are kept."""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import machine

RESULTS: Final = Path(__file__).parent / "results.jsonl"
"""One JSON object a line, only ever appended to: what was measured, when, where, of which commit."""


@dataclass(frozen=True)
class Figure:
    """What is measured under a name, and what is aimed at: the least where more is better, else the most."""

    title: str
    unit: str
    aim: float | None = None
    more_is_better: bool = False

    def ratio(self, value: float) -> float | None:
        """How many times as good as the aim; 1 and above meets it. None: nothing is aimed at."""
        if self.aim is None:
            return None
        if self.more_is_better:
            return value / self.aim
        return self.aim / value if value else math.inf


def rate(title: str, aim: float | None = None) -> Figure:
    """Events per second."""
    return Figure(title, "ev/s", aim, more_is_better=True)


def cost(title: str, aim: float | None = None) -> Figure:
    """Processor time for an event."""
    return Figure(title, "us/event", aim)


def times(title: str, aim: float) -> Figure:
    """How many times as many events per second as somebody else."""
    return Figure(title, "times", aim, more_is_better=True)


LATENESS_MS: Final = 2_000
TICK_MS: Final = 5_000
"""Of the feed, and between two ticks, where it is measured how late timers are."""

FIGURES: Final[Mapping[str, Figure]] = {
    "detect_trivial_per_s": rate("detect, trivial rules", 80_000),
    "detect_trivial_us": cost("detect, trivial rules, worker's CPU", 12),
    "detect_trivial_broker_us": cost("detect, trivial rules, broker's CPU"),
    "detect_fixed_per_s": rate("detect, the fixed mix", 45_000),
    "detect_fixed_us": cost("detect, the fixed mix, worker's CPU", 20),
    "detect_fixed_broker_us": cost("detect, the fixed mix, broker's CPU"),
    "ingest_detect_per_s": rate("ingest and detect in one process, trivial rules", 50_000),
    "ingest_detect_us": cost("ingest and detect, worker's CPU", 20),
    "ingest_detect_broker_us": cost("ingest and detect, broker's CPU"),
    "ingest_events_per_s": rate("ingest, records that are events", 100_000),
    "ingest_events_us": cost("ingest, records that are events, worker's CPU", 8),
    "ingest_events_broker_us": cost("ingest, records that are events, broker's CPU"),
    "ingest_nested_per_s": rate("ingest, nested orders through a mapping"),
    "ingest_nested_us": cost("ingest, nested orders through a mapping, worker's CPU"),
    "ingest_nested_broker_us": cost("ingest, nested orders through a mapping, broker's CPU"),
    "ingest_debezium_per_s": rate("ingest, change events of Debezium"),
    "ingest_debezium_us": cost("ingest, change events of Debezium, worker's CPU"),
    "ingest_debezium_broker_us": cost("ingest, change events of Debezium, broker's CPU"),
    "mapping_flat_us": cost("record to log bytes without Kafka, a flat row", 8),
    "mapping_nested_us": cost("record to log bytes without Kafka, a nested order", 8),
    "mapping_debezium_us": cost("record to log bytes without Kafka, a change event", 8),
    "mapping_cel_us": cost("record to log bytes without Kafka, two conditions in CEL"),
    "headers_plain_us": cost("decisions into a batch, no headers"),
    "headers_ours_us": cost("decisions into a batch, headers of CloudEvents"),
    "headers_library_us": cost("decisions into a batch, headers by the library"),
    "headers_share_percent": Figure("of the engine and the batch, what headers take", "%"),
    "headers_decisions": Figure("decisions for a thousand events", "records"),
    "headers_bytes": Figure("headers of a decision, mean", "bytes"),
    "engine_trivial_us": cost("engine alone, trivial rules"),
    "engine_fixed_us": cost("engine alone, the fixed mix"),
    "latency_p50_ms": Figure("source record to alert, median", "ms", 50),
    "latency_p90_ms": Figure("source record to alert, p90", "ms"),
    "latency_p99_ms": Figure("source record to alert, p99", "ms", 120),
    "latency_max_ms": Figure("source record to alert, most", "ms"),
    "latency_cores": Figure("worker under this load", "cores"),
    "on_time_p50_ms": Figure("timer's due instant to alert, median", "ms"),
    "on_time_p99_ms": Figure("timer's due instant to alert, p99", "ms", LATENESS_MS + TICK_MS + 1_000),
    "peers_churnwatch_per_s": rate("the peers' job, churnwatch"),
    "peers_churnwatch_us": cost("the peers' job, churnwatch, CPU"),
    "peers_kafka_streams_per_s": rate("the peers' job, Kafka Streams"),
    "peers_kafka_streams_us": cost("the peers' job, Kafka Streams, CPU"),
    "peers_kafka_streams_times": times("churnwatch against Kafka Streams", 2),
    "peers_quix_per_s": rate("the peers' job, Quix Streams"),
    "peers_quix_us": cost("the peers' job, Quix Streams, CPU"),
    "peers_quix_times": times("churnwatch against Quix Streams", 2),
    "peers_faust_per_s": rate("the peers' job, stock Faust"),
    "peers_faust_us": cost("the peers' job, stock Faust, CPU"),
    "peers_faust_times": times("churnwatch against stock Faust", 15),
    "idle_detect_percent": Figure("idle, 8 partitions, detect alone", "% core", 3),
    "idle_all_percent": Figure("idle, 8 partitions, all roles", "% core", 3),
    "recovery_trivial_s": Figure("a million customers back, trivial rules", "s", 5),
    "recovery_trivial_us": Figure("a customer back, trivial rules, CPU", "us"),
    "recovery_trivial_bytes": Figure("memory of a customer then, trivial rules", "bytes", 700),
    "recovery_trivial_record_bytes": Figure("a customer in churn.state, trivial rules", "bytes"),
    "recovery_fixed_s": Figure("a million customers back, the fixed mix", "s", 5),
    "recovery_fixed_us": Figure("a customer back, the fixed mix, CPU", "us"),
    "recovery_fixed_bytes": Figure("memory of a customer then, the fixed mix", "bytes", 700),
    "recovery_fixed_record_bytes": Figure("a customer in churn.state, the fixed mix", "bytes"),
    "kill_median_s": Figure("kill -9 to the next alert, session 6 s, median", "s"),
    "kill_max_s": Figure("kill -9 to the next alert, session 6 s, most", "s", 8),
    "door_per_s": Figure("webhooks taken", "requests/s", more_is_better=True),
    "door_us": Figure("a webhook, worker's CPU", "us"),
    "door_p50_ms": Figure("webhook to its 202, median", "ms"),
    "door_p99_ms": Figure("webhook to its 202, p99", "ms"),
    "door_lost": Figure("answered 202 and not stored, worker killed and stopped by turns", "records"),
    "webhook_per_s": Figure("webhooks sent, 8 at once", "alerts/s", more_is_better=True),
    "webhook_us": Figure("a webhook sent, sender's CPU", "us"),
    "redis_rebuild_per_s": Figure("rebuild redis, into an empty one", "records/s", more_is_better=True),
    "redis_rebuild_again_per_s": Figure("rebuild redis, over what is there", "records/s", more_is_better=True),
    "redis_deliver_per_s": Figure("deliver to Redis, from the beginning", "records/s", more_is_better=True),
    "redis_customer_bytes": Figure("a customer in Redis, with 1/5 of an alert", "bytes"),
    "redis_rebuild_memory_mb": Figure("memory of the benchmark's process, most", "MB"),
    "soak_slope_mb_per_h": Figure("memory at 2,000 ev/s, all roles, slope", "MB/h"),
    "soak_drift_mb": Figure("memory, last tenth less the first", "MB"),
    "soak_memory_mb": Figure("memory, median", "MB"),
    "soak_cores": Figure("worker with all roles under this load", "cores"),
    "model_learn_us": Figure("an example judged and learned, median", "us", 60),
    "model_learn_mean_us": Figure("an example judged and learned, mean", "us"),
    "model_predict_us": Figure("a score, median", "us", 8),
    "model_scaler_us": Figure("scaling an example and learning its scale, ours", "us"),
    "model_scaler_river_us": Figure("the same, River's StandardScaler", "us"),
    "model_snapshot_ms": Figure("a training state as bytes", "ms"),
    "model_snapshot_bytes": Figure("a training state", "bytes"),
    "model_pending_bytes": Figure("a pending example with its key, mean", "bytes"),
    "model_pending_most_bytes": Figure("a pending example with its key, most", "bytes", 200),
    "scale_1_per_s": rate("1 worker, 1 partition"),
    "scale_1_us": cost("1 worker, CPU"),
    "scale_2_per_s": rate("2 workers, 2 partitions"),
    "scale_2_us": cost("2 workers, CPU"),
    "scale_4_per_s": rate("4 workers, 4 partitions"),
    "scale_4_us": cost("4 workers, CPU"),
}


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of the values does not exceed.

    >>> percentile([30.0, 10.0, 20.0, 40.0], 0.5), percentile([30.0, 10.0, 20.0, 40.0], 0.99)
    (20.0, 40.0)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def described(name: str, runs: Sequence[float]) -> str:
    """A figure as a line of the report: median, unit, single runs, ratio to the aim."""
    figure, middle = FIGURES[name], median(runs)
    line = f"{figure.title:48} {short(middle):>10} {figure.unit:9}"
    if len(runs) > 1:
        line += f" runs {' '.join(short(run) for run in runs)}"
    ratio = figure.ratio(middle)
    if ratio is not None:
        line += f"  aim {figure.aim:,.10g}: {ratio:.2f}, {'met' if ratio >= 1 else 'missed'}"
    return line.rstrip()


def short(value: float) -> str:
    """Four digits or so.

    >>> short(63210.4), short(12.345), short(0.02714)
    ('63,210', '12.3', '0.027')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def result(bench: str, parameters: Mapping[str, Any], runs: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What is kept of a benchmark, without when and where."""
    figures = {}
    for name, values in runs.items():
        ratio = FIGURES[name].ratio(median(values))
        figures[name] = {
            "median": round(median(values), 4),
            "unit": FIGURES[name].unit,
            "runs": [round(value, 4) for value in values],
            "ratio_to_aim": None if ratio is None else round(ratio, 3),
        }
    return {"bench": bench, "parameters": dict(parameters), "figures": figures}


def parser(description: str | None, *, runs: int) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--runs", type=int, default=runs, help=f"how often each figure is measured ({runs}); medians are told")
    made.add_argument("--results", type=Path, default=RESULTS, help=f"file that a line is appended to ({RESULTS.name})")
    return made


def report(bench: str, options: argparse.Namespace, runs: Mapping[str, Sequence[float]]) -> None:
    """Tell the figures, and append them to the results."""
    say()
    for name, values in runs.items():
        say(described(name, values))
    chosen = {name: value for name, value in vars(options).items() if name != "results"}
    line = machine.here_and_now() | result(bench, chosen, runs)
    with options.results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, sort_keys=True) + "\n")


def say(line: str = "") -> None:
    """A line of a report, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
