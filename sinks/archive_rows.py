"""What the archive keeps of a record: some columns to ask by, and the record itself as JSON."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from schemas.codec import encode
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from schemas.instants import DAY_MS, format_instant
from sinks.base import Forgotten
from sinks.stores import Partition, Told

Table = Literal["alerts", "risk", "lifecycle"]
Type = Literal["VARCHAR", "INTEGER", "BIGINT", "DOUBLE", "TIMESTAMP_MS"]

_COMMON: Final[dict[str, Type]] = {
    "customer_id": "VARCHAR",
    "sequence": "BIGINT",
    "at": "TIMESTAMP_MS",
    "topic": "VARCHAR",
    "partition": "INTEGER",
    "offset": "BIGINT",
    "record": "VARCHAR",
}
_OWN: Final[Mapping[Table, dict[str, Type]]] = {
    "alerts": {
        "alert_id": "VARCHAR",
        "state": "VARCHAR",
        "due": "TIMESTAMP_MS",
        "rule": "VARCHAR",
        "kind": "VARCHAR",
        "severity": "VARCHAR",
        "mode": "VARCHAR",
        "tier": "VARCHAR",
        "owner": "VARCHAR",
        "ticket_id": "VARCHAR",
        "contract_id": "VARCHAR",
        "feed": "VARCHAR",
        "risk": "DOUBLE",
        "value_at_risk": "DOUBLE",
    },
    "risk": {
        "probability": "DOUBLE",
        "band": "VARCHAR",
        "basis": "VARCHAR",
        "model": "VARCHAR",
        "tier": "VARCHAR",
        "owner": "VARCHAR",
        "value": "DOUBLE",
    },
    "lifecycle": {"stage": "VARCHAR", "before": "VARCHAR", "cause": "VARCHAR"},
}
COLUMNS: Final[Mapping[Table, dict[str, Type]]] = {table: {**_COMMON, **own} for table, own in _OWN.items()}
"""Names and types, by table; only ever added to."""
_NAMED_OTHERWISE: Final = {"at": "at_ms", "due": "due_ms"}
"""Times are instants in the archive, and milliseconds since the epoch in a record."""
ROW_BYTES: Final = 512
"""What a row takes in memory beside its record, about."""


class Row(NamedTuple):
    """A record of a partition, ready to be written."""

    table: Table
    day: str
    """Of when it came to be so, in UTC."""
    partition: Partition
    values: tuple[Any, ...]
    """In the order of the table's columns."""

    @property
    def customer_id(self) -> str | None:
        """Whom it is about."""
        found: str | None = self.values[0]
        return found

    @property
    def at_ms(self) -> int:
        """When it came to be so."""
        return int(self.values[2])

    @property
    def offset(self) -> int:
        """Where it stood."""
        return int(self.values[5])

    @property
    def bytes(self) -> int:
        """What it takes in memory, about."""
        return len(self.values[6]) + ROW_BYTES


class Erasure(NamedTuple):
    """A customer whose rows go: what happened up to an instant, and what stood before the word of it in its partition."""

    customer_id: str
    until_ms: int
    partition: Partition
    offset: int

    def reaches(self, row: Row) -> bool:
        """Whether a row goes."""
        stood_before = row.partition == self.partition and row.offset < self.offset
        return row.customer_id == self.customer_id and (row.at_ms <= self.until_ms or stood_before)


def row_of(told: Told) -> Row | None:
    """The row of a record; None: it is not kept.

    That an alert is only so long over that the topics forget it is no reason to forget it here.
    """
    record = told.record
    match record:
        case AlertRecord():
            table: Table = "alerts"
        case RiskRecord():
            table = "risk"
        case LifecycleRecord():
            table = "lifecycle"
        case _:
            return None
    topic, _, number = told.partition.rpartition("/")
    given: dict[str, Any] = {
        "topic": topic,
        "partition": int(number),
        "offset": told.offset,
        "record": encode(record).decode(),
    }
    values = tuple(
        given[name] if name in given else getattr(record, _NAMED_OTHERWISE.get(name, name)) for name in COLUMNS[table]
    )
    return Row(table, day_of(record.at_ms), told.partition, values)


def erasure_of(told: Told) -> Erasure | None:
    """The erasure that a record tells of."""
    record = told.record
    if not isinstance(record, Forgotten) or record.erased_ms is None:
        return None
    return Erasure(record.customer_id, record.erased_ms, told.partition, told.offset)


def day_of(at_ms: int) -> str:
    """The day of an instant, in UTC.

    >>> day_of(86_400_000)
    '1970-01-02'
    """
    return format_instant(at_ms - at_ms % DAY_MS)[:10]
