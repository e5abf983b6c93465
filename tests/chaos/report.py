"""What a run is told as: a small table for people, one object for machines."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any, Final

from chaos.comparison import Verdict
from chaos.faults import Fault
from chaos.watch import Watch
from chaos.workers import Exit, Workers

EXIT_WITHIN_S: Final = 5.0
_OF_ONE_WORKER: Final = frozenset({"kill", "zombie"})
_NOT_OF_DETECT: Final = frozenset({"redis gone"})
_BEFORE_MS: Final = 300
"""A commit that was on its way when a worker was killed is still seen after it."""


@dataclass(frozen=True)
class Stall:
    """How long partitions stood still."""

    kind: str
    faults: int
    partitions: int
    median_s: float | None
    max_s: float | None


@dataclass
class Report:
    """Everything that a run says."""

    seconds: float
    source_records: int
    not_acknowledged: int
    log_records: int
    alert_records: int
    examples: int
    models: int
    faults: dict[str, int]
    spared: int
    """Faults that found nobody to do them to."""
    gave_up: int
    ended: dict[str, int]
    """Workers that ended without being asked to, by name."""
    reasons: dict[str, int]
    """What they said of it."""
    seeks_back: int
    lost_partitions: int
    take_overs: int
    stalls: list[Stall] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether nothing was lost, wrong or twice."""
        return all(verdict.is_right for verdict in self.verdicts)

    @property
    def ends_well(self) -> bool:
        """Whether every worker that was asked to end did so in time, and called it success."""
        return all(one.status == 0 and one.seconds <= EXIT_WITHIN_S for one in self.exits)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self) | {"right": self.is_right}

    def __str__(self) -> str:
        return "\n".join([*self._counts(), *self._stalls(), *self._exits(), *self._verdicts()])

    def _counts(self) -> list[str]:
        faults = ", ".join(f"{count} {kind}" for kind, count in self.faults.items())
        ended = ", ".join(f"{name} {count}" for name, count in self.ended.items()) or "none"
        return [
            f"{self.seconds:.0f} s, {self.source_records:,} source records ({self.not_acknowledged} not acknowledged)",
            f"log {self.log_records:,}, alerts {self.alert_records:,}, examples {self.examples}, models {self.models} records",
            f"faults: {faults}; {self.spared} had nobody to be done to; brokers that gave up on a full disk: {self.gave_up}",
            f"workers that ended by themselves: {ended}",
            *(f"  {count} x {reason}" for reason, count in self.reasons.items()),
            f"partitions taken over {self.take_overs}, lost {self.lost_partitions}, seeks back {self.seeks_back}",
        ]

    def _stalls(self) -> list[str]:
        lines = [
            "",
            "longest time without a commit of an affected partition, seconds",
            f"{'fault':<14}{'faults':>8}{'cases':>8}{'median':>9}{'max':>8}",
        ]
        for stall in self.stalls:
            told = f"{stall.median_s:9.1f}{stall.max_s:8.1f}" if stall.median_s is not None else f"{'-':>9}{'-':>8}"
            lines.append(f"{stall.kind:<14}{stall.faults:8}{stall.partitions:8}{told}")
        return lines

    def _exits(self) -> list[str]:
        times = [one.seconds for one in self.exits]
        if not times:
            return []
        failed, late = sum(one.status != 0 for one in self.exits), sum(one.seconds > EXIT_WITHIN_S for one in self.exits)
        told = f"median {median(times):.1f} s, max {max(times):.1f} s; over {EXIT_WITHIN_S:g} s: {late}, failed: {failed}"
        return ["", f"SIGTERM to exit, {len(times)} times: {told}"]

    def _verdicts(self) -> list[str]:
        lines = ["", f"{'compared':<24}{'expected':>10}{'lost':>7}{'wrong':>7}{'twice':>7}"]
        for name, group in _grouped(self.verdicts).items():
            lost, wrong, twice = (sum(getattr(one, word) for one in group) for word in ("lost", "wrong", "twice"))
            lines.append(f"{name:<24}{sum(one.expected for one in group):>10,}{lost:>7}{wrong:>7}{twice:>7}")
        lines += [f"  {one.what}: {one.example}" for one in self.verdicts if not one.is_right]
        return [*lines, "", "right: nothing lost, nothing wrong, nothing twice" if self.is_right else "WRONG"]


def stalls_of(faults: Sequence[Fault], end_ms: int, watch: Watch, workers: Workers) -> list[Stall]:
    """By kind of fault, the longest time without a commit between a fault and the next, for each affected partition."""
    owners = _owners(workers)
    found: dict[str, list[float]] = {}
    ends = [*(fault.began_ms for fault in faults[1:]), end_ms]
    for fault, next_ms in zip(faults, ends, strict=True):
        if fault.done and fault.kind not in _NOT_OF_DETECT:
            found.setdefault(_name(fault), []).extend(
                longest_s(watch.commits_ms[number], fault.began_ms, next_ms) for number in _affected(fault, owners, watch)
            )
    counts = Counter(_name(fault) for fault in faults if fault.done)
    return [
        Stall(kind, counts[kind], len(times), median(times) if times else None, max(times, default=None))
        for kind, times in sorted(found.items())
    ]


def _name(fault: Fault) -> str:
    """The kind, and the role where it is of one worker."""
    return f"{fault.kind} {fault.target.split('-')[0]}" if fault.kind in _OF_ONE_WORKER else fault.kind


def _affected(fault: Fault, owners: dict[int, list[tuple[int, str]]], watch: Watch) -> list[int]:
    """The partitions of a worker that runs detect, all of them if the fault is of ingest, the clock, a broker or a network."""
    if fault.kind not in _OF_ONE_WORKER or not fault.target.startswith("detect"):
        return sorted(watch.commits_ms) if not fault.target.startswith(("learn", "deliver")) else []
    return [number for number, taken in owners.items() if _owner_at(taken, fault.began_ms) == fault.target]


def _owner_at(taken: Sequence[tuple[int, str]], at_ms: int) -> str | None:
    return next((name for since_ms, name in reversed(taken) if since_ms <= at_ms), None)


def _owners(workers: Workers) -> dict[int, list[tuple[int, str]]]:
    owners: dict[int, list[tuple[int, str]]] = {}
    for name, fields in workers.logged("partition.taken_over"):
        at_ms = int(datetime.fromisoformat(fields["timestamp"]).timestamp() * 1000)
        owners.setdefault(int(fields["partition"]), []).append((at_ms, name))
    return {number: sorted(taken) for number, taken in owners.items()}


def longest_s(commits_ms: Sequence[int], begin_ms: int, end_ms: int) -> float:
    """The longest time without a commit from just before `begin_ms` to `end_ms`: what comes then is the next fault's."""
    inside = [at_ms for at_ms in commits_ms if begin_ms - _BEFORE_MS <= at_ms <= end_ms]
    times = [begin_ms - _BEFORE_MS, *inside, max(begin_ms, end_ms)]
    return max(after - before for before, after in pairwise(times)) / 1000


def _grouped(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(re.sub(r"/\d+$", "", verdict.what), []).append(verdict)
    return groups
