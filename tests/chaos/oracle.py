"""What must be: one engine reads each partition of the log in one piece, and no broker is asked for anything else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from chaos.comparison import Kept, Verdict, by_content, by_sequence, compare_logs, compare_maps, each_once
from chaos.load import Position, Sent

from detectors.engine import PartitionEngine
from sinks.profiles import OPEN_ALERTS, Change, Removal, change_of
from streams.decision_rows import decision_rows
from streams.routing import log_partition
from streams.settings import Settings, Topic

BY_PARTITION: Final[tuple[Topic, ...]] = ("alerts", "shadow", "risk", "lifecycle")
"""Written to the customer's partition; the other decisions share the one partition of their topic."""


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

    def of(self, settings: Settings, topic: Topic, partition: int = 0) -> list[Kept]:
        """The records of a partition."""
        return self.rows.get((settings.topic(topic), partition), [])


def expected_of(settings: Settings, partition: int, log: Sequence[bytes | None]) -> Expected:
    """Read a partition from its first record to its last."""
    expected = Expected(partition)
    engine = PartitionEngine(partition, settings.topic("events"))
    for offset, value in enumerate(log):
        decided = engine.apply_bytes(offset, value)
        for place, rows in decision_rows(settings, partition, [decided]).items():
            expected.rows.setdefault(place.topic, []).extend(Kept(row.key, row.value) for row in rows)
        _keep(expected.state, engine.take_changes())
    _keep(expected.state, [engine.head_change()])
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


def profiles_of(records: Iterable[object]) -> dict[str, dict[str, str]]:
    """The profiles that decisions lead to, by customer, each customer's in order."""
    profiles: dict[str, dict[str, str]] = {}
    for record in records:
        change = change_of(record)  # type: ignore[arg-type]  # a decision
        if change is None:
            continue
        profile = profiles.setdefault(change.customer_id, {})
        if isinstance(change, Removal):
            _remove(profile, change)
        elif int(profile.get(change.sequence_field, 0)) < change.sequence:
            _apply(profile, change)
    return {customer: profile for customer, profile in profiles.items() if profile}


def compare_profiles(expected: Mapping[str, dict[str, str]], found: Mapping[str, dict[str, str]]) -> Verdict:
    """What Redis holds of each customer."""
    return compare_maps(
        "profiles",
        *(
            {key.encode(): json.dumps(value, sort_keys=True).encode() for key, value in some.items()}
            for some in (expected, found)
        ),
    )


def _keep(state: dict[bytes, bytes], changes: Iterable[tuple[bytes, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


def _apply(profile: dict[str, str], change: Change) -> None:
    for name in change.removed:
        profile.pop(name, None)
    profile.update(change.fields)
    profile[change.sequence_field] = str(change.sequence)
    if change.counts:
        profile[OPEN_ALERTS] = str(sum(name.startswith("alert:") for name in profile))


def _remove(profile: dict[str, str], removal: Removal) -> None:
    if removal.alert is None:
        profile.clear()
        return
    for name in removal.alert:
        profile.pop(name, None)
    profile[OPEN_ALERTS] = str(sum(name.startswith("alert:") for name in profile))
    if set(profile) <= {OPEN_ALERTS} and profile[OPEN_ALERTS] == "0":
        profile.clear()
