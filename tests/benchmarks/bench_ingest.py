"""How fast ingest is: from source topics that were filled before to `churn.events`, in a worker process of its own.

`make bench-ingest`. Once with records that are events already, once with nested orders of a shop through a mapping, once
with change events of Debezium. Rates are of the clock on the wall, beside the broker on the same cores; CPU is of the
worker process, all threads. Everything is acknowledged by the broker before it counts.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson
from benchmarks.figures import parser, report, say
from benchmarks.mix import TRIVIAL, Line, log_lines, source_lines
from benchmarks.topics_filled import broker, fill, installation
from benchmarks.workers import caught_up, worker

PARTITIONS: Final = 4
INGESTED: Final = "churn_ingest_events_total"
NESTED_MAPPING: Final = """\
events:
  - when: {kind: placed}
    type: order.placed
    id: order.id
    order_id: order.id
    customer_id: customer.id
    at: {column: order.created, format: epoch_ms}
    amount: order.total.amount
"""
DEBEZIUM_MAPPING: Final = """\
record: {format: debezium}
events:
  - when: {op: [c, r]}
    type: order.placed
    id: {join: [op, after.id]}
    order_id: after.id
    customer_id: after.customer_id
    at: {column: after.created_at, format: epoch_ms}
    amount: after.total
  - when: {op: u}
    type: order.corrected
    id: {join: [op, after.id, ts_ms]}
    order_id: after.id
    customer_id: after.customer_id
    at: {column: ts_ms, format: epoch_ms}
    amount: after.total
"""


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=3)
    made.add_argument("--events", type=int, default=400_000, help="of each kind (400,000)")
    options = made.parse_args()
    lines = source_lines(TRIVIAL, options.events, PARTITIONS)
    rows = [orjson.loads(value) for part in lines["orders"] for _, value in part]
    runs: dict[str, list[float]] = {}
    with broker() as bootstrap:
        for _ in range(options.runs):
            measure(bootstrap, "events", lines, {}, runs)
            measure(bootstrap, "nested", {"orders": dealt(map(nested, rows))}, {"orders": NESTED_MAPPING}, runs)
            measure(bootstrap, "debezium", {"orders": dealt(map(changed, rows))}, {"orders": DEBEZIUM_MAPPING}, runs)
    report("ingest", options, runs)


def measure(
    bootstrap: str,
    name: str,
    lines: Mapping[str, Sequence[Sequence[Line]]],
    mappings: Mapping[str, str],
    runs: dict[str, list[float]],
) -> None:
    """A worker with the role ingest, from the start of its sources to their ends; the log holds the rules already."""
    with tempfile.TemporaryDirectory() as folder, installation(bootstrap, partitions=PARTITIONS) as made:
        topics = {made.source_prefix + feed: parts for feed, parts in lines.items()}
        sources = sources_file(Path(folder), made.source_prefix, mappings) if mappings else None
        asyncio.run(fill(bootstrap, {made.topic("events"): log_lines(TRIVIAL, 0, PARTITIONS)}))
        events = asyncio.run(fill(bootstrap, topics))
        with worker(made.model_copy(update={"sources": sources}), "ingest") as one:
            found = caught_up([one], events, INGESTED)
    say(f"{name}: {found.per_s:,.0f} events/s, {found.cpu_us:.1f} us, broker {found.broker_cpu_us:.1f} us")
    runs.setdefault(f"ingest_{name}_per_s", []).append(found.per_s)
    runs.setdefault(f"ingest_{name}_us", []).append(found.cpu_us)
    if found.broker_cpu_us:  # what a broker uses that is not our own cannot be seen
        runs.setdefault(f"ingest_{name}_broker_us", []).append(found.broker_cpu_us)


def sources_file(folder: Path, prefix: str, mappings: Mapping[str, str]) -> Path:
    """A file of sources whose mappings stand beside it."""
    entries = []
    for feed, mapping in mappings.items():
        (folder / f"{feed}.yaml").write_text(mapping, encoding="utf-8")
        entries.append(f"  - {{topic: {prefix}{feed}, feed: {feed}, mapping: {feed}.yaml}}")
    path = folder / "sources.yaml"
    path.write_text("\n".join(["sources:", *entries, ""]), encoding="utf-8")
    return path


def dealt(rows: "map[bytes]") -> list[list[Line]]:
    """Records over the partitions in turn."""
    parts: list[list[Line]] = [[] for _ in range(PARTITIONS)]
    for place, value in enumerate(rows):
        parts[place % PARTITIONS].append((None, value))
    return parts


def nested(order: Mapping[str, object]) -> bytes:
    """An order as a shop sends it: what is asked for lies deep, beside what nobody asks for."""
    return orjson.dumps(
        {
            "kind": "placed",
            "customer": {"id": order["customer_id"], "email": "somebody@example.org", "tags": ["a", "b"]},
            "order": {
                "id": order["id"],
                "created": order["at_ms"],
                "total": {"amount": order["amount"], "currency": "EUR"},
                "lines": [{"sku": f"sku-{n}", "quantity": n, "price": "19.90"} for n in range(1, 4)],
            },
        }
    )


def changed(order: Mapping[str, object]) -> bytes:
    """The same order as Debezium tells of its row."""
    row = {
        "id": order["id"],
        "customer_id": order["customer_id"],
        "created_at": order["at_ms"],
        "total": order["amount"],
        "status": "paid",
    }
    source = {"version": "2.7.0.Final", "connector": "postgresql", "name": "shop", "ts_ms": order["at_ms"], "table": "orders"}
    return orjson.dumps({"op": "c", "before": None, "after": row, "source": source, "ts_ms": order["at_ms"]})


if __name__ == "__main__":
    main()
