"""What must be: one engine reads each partition of the log in one piece, and no broker is asked for anything else."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from chaos.comparison import Kept, Verdict, by_content, by_sequence, compare_logs, compare_maps, each_once
from chaos.load import Position, Sent

from detectors.engine import PartitionEngine
from streams.decision_rows import Decided, decision_rows
from streams.routing import log_partition
from streams.settings import Settings, Topic

BY_PARTITION: Final[tuple[Topic, ...]] = ("alerts", "shadow", "risk", "lifecycle")
"""Written to the customer's partition; the other decisions share the one partition of their topic."""

_WRITTEN_EVERY: Final = 1_000


@dataclass
class Expected:
    """What a partition of the log leads to."""

    partition: int
    rows: dict[str, list[Kept]] = field(default_factory=dict)
    """By full name of the topic, in order."""
    state: dict[bytes, bytes] = field(default_factory=dict)
    position: int = -1


@dataclass
class Found:
    """What the topics hold, as a reader of committed records sees it: by topic and partition, in order."""

    rows: dict[tuple[str, int], list[Kept]]
    offsets: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    def of(self, settings: Settings, topic: Topic, partition: int = 0) -> list[Kept]:
        """The records of a partition."""
        return self.rows.get((settings.topic(topic), partition), [])


def expected_of(settings: Settings, partition: int, log: Sequence[bytes | None]) -> Expected:
    """Read a partition from its first record to its last."""
    expected = Expected(partition)
    engine = PartitionEngine(partition, settings.topic("events"))
    for offset, value in enumerate(log):
        decided = engine.apply_bytes(offset, value)
        for place, rows in decision_rows(settings, partition, [Decided(decided)]).items():
            expected.rows.setdefault(place.topic, []).extend(Kept(row.key, row.value) for row in rows)
        if offset % _WRITTEN_EVERY == 0:  # where batches end must not matter
            _keep(expected.state, engine.take_changes())
    _keep(expected.state, [*engine.take_changes(), engine.head_change()])
    expected.position = engine.position
    return expected


def last_values(records: Iterable[Kept]) -> dict[bytes, bytes]:
    """What a compacted topic comes down to."""
    last: dict[bytes, bytes] = {}
    _keep(last, ((record.key or b"", record.value) for record in records))
    return last


def verdicts_on_detect(settings: Settings, expected: Sequence[Expected], found: Found) -> list[Verdict]:
    """Everything that detect has written."""
    verdicts = []
    for topic in BY_PARTITION:
        verdicts += [
            compare_logs(
                f"{topic}/{one.partition}", one.rows.get(settings.topic(topic), []), found.of(settings, topic, one.partition)
            )
            for one in expected
        ]
    verdicts += [
        compare_maps(f"state/{one.partition}", one.state, last_values(found.of(settings, "state", one.partition)))
        for one in expected
    ]
    examples, erasures = found.of(settings, "examples"), found.of(settings, "erasures")
    for one in expected:
        of_partition = [row for row in examples if log_partition(row.key or b"", settings.partitions) == one.partition]
        verdicts.append(compare_logs(f"examples/{one.partition}", one.rows.get(settings.topic("examples"), []), of_partition))
    wanted = [row for one in expected for row in one.rows.get(settings.topic("erasures"), [])]
    verdicts.append(compare_logs("erasures", sorted(wanted, key=repr), sorted(erasures, key=repr), by_content))
    names = [
        (by_sequence(row), topic)
        for topic in ("alerts", "shadow")
        for partition in range(settings.partitions)
        for row in found.of(settings, topic, partition)
        if row.value is not None
    ]
    verdicts.append(each_once("alert and sequence", names))
    return verdicts


def log_gaps(settings: Settings, found: Found) -> Verdict:
    """The log has every offset from 0 on: the oracle counts them, and detect checks each."""
    all_offsets = [found.offsets.get((settings.topic("events"), number), []) for number in range(settings.partitions)]
    missing = [
        (number, next(iter(set(range(offsets[-1] + 1)) - set(offsets))))
        for number, offsets in enumerate(all_offsets)
        if offsets != list(range(len(offsets)))
    ]
    return Verdict(
        "offsets of the log", sum(map(len, all_offsets)), len(missing), example=f"lost {missing[0]}" if missing else ""
    )


def verdicts_on_ingest(settings: Settings, sent: Sent, found: Found) -> list[Verdict]:
    """Every acknowledged source record is in the log, and not behind a later one of its source partition.

    An engine drops what is not above the greatest position it has seen of a source partition. So a record must come for
    the first time before those that were sent after it; whatever comes again is dropped, and counts for nothing.
    """
    applied: set[Position] = set()
    for partition in range(settings.partitions):
        greatest: dict[tuple[str, int], int] = {}
        for row in found.of(settings, "events", partition):
            source = orjson.loads(row.value or b"{}").get("src")
            if source is None:
                continue
            topic, _, lane, offset, *_ = source
            if offset > greatest.get((topic, lane), -1):
                greatest[topic, lane] = offset
                applied.add((topic, lane, offset))
    letters = {row.key for row in found.of(settings, "deadletters")}
    lost = sorted(sent.events - applied)
    lost_letters = [place for place in sorted(sent.broken) if "/".join(map(str, place)).encode() not in letters]
    return [
        Verdict("source records", len(sent.events), len(lost), example=f"lost {lost[0]}" if lost else ""),
        Verdict("dead letters", len(sent.broken), len(lost_letters), example=f"lost {lost_letters[0]}" if lost_letters else ""),
    ]


def _keep(state: dict[bytes, bytes], changes: Iterable[tuple[bytes, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
