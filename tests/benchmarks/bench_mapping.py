"""What a mapping costs: from the bytes of a source record to the bytes of its events in the log, without Kafka.

`make bench-mapping`. The records are the orders of the benchmarks' mix: as flat rows with RFC 3339 times, nested as a shop
sends them, as change events of Debezium, and flat with two conditions in CEL. Each is routed on one core; what is told is
the least of some rounds, in processor time, for an event.
"""

from collections.abc import Callable, Mapping, Sequence
from time import process_time
from typing import Final

import orjson
from aiokafka.structs import ConsumerRecord
from benchmarks.bench_ingest import DEBEZIUM_MAPPING, NESTED_MAPPING, changed, nested
from benchmarks.figures import parser, report, say
from benchmarks.mix import TRIVIAL, source_lines

from schemas.decisions import DeadLetter
from schemas.instants import HOUR_MS, format_instant
from streams.mapping import parse_mapping
from streams.routing import Terms, route
from streams.source_terms import with_mapping
from streams.sources import Source

ROUNDS: Final = 7
FLAT_MAPPING: Final = """\
events:
  - when: {status: {not: [cancelled]}}
    type: order.placed
    id: number
    order_id: number
    customer_id: customer
    at: bought
    amount: total
    items: count
  - when: {status: cancelled}
    type: order.cancelled
    id: number
    order_id: number
    customer_id: customer
    at: bought
"""
CEL_MAPPING: Final = """\
events:
  - when: {cel: "row.status != 'cancelled' && row.total >= 0"}
    type: order.placed
    id: number
    order_id: number
    customer_id: customer
    at: bought
    amount: total
  - when: {cel: "row.status == 'cancelled'"}
    type: order.cancelled
    id: number
    order_id: number
    customer_id: customer
    at: bought
"""


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=3)
    made.add_argument("--events", type=int, default=20_000, help="of each kind (20,000)")
    options = made.parse_args()
    # The mix has logins and tickets too: more events than are wanted have orders enough.
    lines = source_lines(TRIVIAL, options.events * 8, 1)["orders"][0][: options.events]
    rows = [orjson.loads(value) for _, value in lines]
    kinds: Mapping[str, tuple[str, Callable[[Mapping[str, object]], bytes]]] = {
        "flat": (FLAT_MAPPING, flat),
        "nested": (NESTED_MAPPING, nested),
        "debezium": (DEBEZIUM_MAPPING, changed),
        "cel": (CEL_MAPPING, flat),
    }
    runs: dict[str, list[float]] = {}
    for _ in range(options.runs):
        for name, (mapping, shape) in kinds.items():
            found = spent_us([shape(row) for row in rows], terms(mapping), int(str(rows[-1]["at_ms"])))
            say(f"{name}: {found:.2f} us")
            runs.setdefault(f"mapping_{name}_us", []).append(found)
    report("mapping", options, runs)


def flat(order: Mapping[str, object]) -> bytes:
    """An order as a row of a table."""
    return orjson.dumps(
        {
            "number": order["id"],
            "customer": order["customer_id"],
            "bought": format_instant(int(str(order["at_ms"]))),
            "total": order["amount"],
            "count": 3,
            "status": "paid",
            "note": "leave it at the door",
        }
    )


def terms(mapping: str) -> Terms:
    """Those of a source with this mapping."""
    return with_mapping(Terms(Source("orders", "orders"), 4, max_ahead_ms=HOUR_MS), parse_mapping(mapping.encode()))


def spent_us(values: Sequence[bytes], read_by: Terms, at_ms: int) -> float:
    """Processor time for an event, in microseconds; every record has to make one."""
    records = [
        ConsumerRecord("orders", 0, place, at_ms, 0, None, value, None, 0, len(value), ()) for place, value in enumerate(values)
    ]
    for found in (route(record, read_by) for record in records):
        if isinstance(found, DeadLetter) or len(found.records) != 1:
            raise SystemExit(f"a record makes no event: {found}")
    return min(round_us(records, read_by) for _ in range(ROUNDS))


def round_us(records: Sequence[ConsumerRecord], read_by: Terms) -> float:
    """Of one round."""
    began_s = process_time()
    for record in records:
        route(record, read_by)
    return (process_time() - began_s) / len(records) * 1e6


if __name__ == "__main__":
    main()
