"""What it costs detect to write its decisions as CloudEvents: without headers, with ours, with those of the library.

`make bench-headers`. The engine applies the fixed mix in one piece; what it decides is then put into batches as detect's
producer builds them, without a broker. Processor time, the least of some rounds, for each event of the log.
"""

from collections.abc import Callable, Iterable, Sequence
from time import process_time
from typing import Final

from aiokafka.producer.message_accumulator import BatchBuilder
from benchmarks.figures import parser, report, say
from benchmarks.mix import FIXED, log_lines
from cloudevents.core.bindings.kafka import to_binary_event
from cloudevents.core.v1.event import CloudEvent

from detectors.decisions import Decisions
from detectors.engine import PartitionEngine
from schemas.cloud_events import attributes_of, source_of
from schemas.codec import encode
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from schemas.instants import from_epoch_ms
from streams.decision_rows import event_row
from streams.transactions import Row

ROUNDS: Final = 7
BATCH_BYTES: Final = 900_000
SOURCE: Final = source_of("churn.")

Told = AlertRecord | RiskRecord | LifecycleRecord


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=3)
    made.add_argument("--events", type=int, default=50_000, help="of the fixed mix (50,000)")
    options = made.parse_args()
    lines = log_lines(FIXED, options.events, 1)[0]
    events = sum(key is not None for key, _ in lines)
    runs: dict[str, list[float]] = {}
    for _ in range(options.runs):
        engine_us, told = decided(value for _, value in lines)
        engine_us /= events
        kinds: dict[str, Callable[[Told], Row]] = {"plain": plain, "ours": ours, "library": by_the_library}
        spent_us = {name: spent(told, row_of) / events for name, row_of in kinds.items()}
        for name, each_us in spent_us.items():
            say(f"{name}: {each_us:.3f} us/event, {each_us * events / len(told):.2f} us/decision")
            runs.setdefault(f"headers_{name}_us", []).append(each_us)
        more_us = spent_us["ours"] - spent_us["plain"]
        runs.setdefault("headers_share_percent", []).append(more_us / (engine_us + spent_us["ours"]) * 100)
        runs.setdefault("headers_decisions", []).append(len(told) / events * 1_000)
        runs.setdefault("headers_bytes", []).append(header_bytes(told))
    report("headers", options, runs)


def decided(values: Iterable[bytes]) -> tuple[float, list[Told]]:
    """The engine's microseconds, and what it tells."""
    engine, all_of_it = PartitionEngine(0), list[Decisions]()
    began_s = process_time()
    for offset, value in enumerate(values):
        if more := engine.apply_bytes(offset, value):
            all_of_it.append(more)
    took_us = (process_time() - began_s) * 1e6
    told: list[Told] = []
    for one in all_of_it:
        told += [*one.alerts, *one.shadow, *one.risk, *one.lifecycle]
    return took_us, told


def spent(told: Sequence[Told], row_of: Callable[[Told], Row]) -> float:
    """Microseconds of the quickest round."""
    return min(_round(told, row_of) for _ in range(ROUNDS))


def plain(record: Told) -> Row:
    """The record alone."""
    return Row((record.alert_id if isinstance(record, AlertRecord) else record.customer_id).encode(), encode(record))


def ours(record: Told) -> Row:
    """As detect writes it."""
    return event_row(record, SOURCE)


def by_the_library(record: Told) -> Row:
    """As the library would."""
    attributes = {**attributes_of(record, SOURCE), "time": from_epoch_ms(record.at_ms), "datacontenttype": "application/json"}
    message = to_binary_event(CloudEvent(attributes, encode(record)))
    return Row(str(message.key).encode(), message.value, list(message.headers.items()))


def header_bytes(told: Sequence[Told]) -> float:
    """Of names and values, for a decision."""
    return sum(len(name) + len(text) for record in told for name, text in ours(record).headers) / len(told)


def _round(told: Sequence[Told], row_of: Callable[[Told], Row]) -> float:
    batch = _batch()
    began_s = process_time()
    for record in told:
        row = row_of(record)
        if batch.append(key=row.key, value=row.value, timestamp=None, headers=list(row.headers)) is None:
            batch = _batch()
            batch.append(key=row.key, value=row.value, timestamp=None, headers=list(row.headers))
    return (process_time() - began_s) * 1e6


def _batch() -> BatchBuilder:
    return BatchBuilder(BATCH_BYTES, 0, is_transactional=True)


if __name__ == "__main__":
    main()
