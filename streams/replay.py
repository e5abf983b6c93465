"""A file of canonical JSON lines through the engine, without a broker: the same input gives the same bytes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import orjson

from detectors.decisions import Decisions
from detectors.engine import PartitionEngine
from schemas.codec import Record, decode_line
from schemas.control import RulesPublished, Tick
from schemas.decisions import AlertRecord
from schemas.errors import ContractError
from schemas.events import Event, SourcePosition
from schemas.instants import HOUR_MS, format_instant
from schemas.rules import RuleSet

DEFAULT_TICK_MS: Final = HOUR_MS


class ReplayError(ContractError):
    """A line cannot be replayed; the message begins with its number."""


def replay_file(
    path: Path, rules: RuleSet | None, *, tick_ms: int = DEFAULT_TICK_MS, until_ms: int | None = None
) -> Iterator[Decisions]:
    """Replay a file; see `replay`.

    Raises:
        OSError: it cannot be read.
        ReplayError: as `replay`.
    """
    with path.open("rb") as lines:
        has_ticks = any(b'"tick"' in line and _tag_of(line) == "tick" for line in lines)
    with path.open("rb") as lines:
        yield from _run(lines, path.name, rules, None if has_ticks else tick_ms, until_ms)


def replay(
    lines: Iterable[bytes],
    rules: RuleSet | None = None,
    *,
    tick_ms: int = DEFAULT_TICK_MS,
    until_ms: int | None = None,
    name: str = "lines",
) -> Iterator[AlertRecord]:
    """The alerts, those in shadow mode too, that the lines lead to, in the order of the decisions.

    Lines without ticks get them: before a record at or past the next boundary, one tick at the last boundary that is
    not after it. In any case one comes at the end. Lines that name a `partition`, as an exported log does, go to
    an engine of their own for each.

    Args:
        lines: one record each, in log order.
        rules: in place of those that the lines may contain, from the start; None: only the lines' own.
        tick_ms: between boundaries of the ticks made here.
        until_ms: instant of the tick at the end; by default that of the last record.
        name: stands in the position of records that have none.

    Raises:
        ReplayError: a line breaks the contract, or `until_ms` lies before the last record.
    """
    kept = [line for line in lines if line.strip()]
    has_ticks = any(b'"tick"' in line and _tag_of(line) == "tick" for line in kept)
    for decisions in _run(kept, name, rules, None if has_ticks else tick_ms, until_ms):
        yield from decisions.alerts
        yield from decisions.shadow


def _run(
    lines: Iterable[bytes], name: str, rules: RuleSet | None, tick_ms: int | None, until_ms: int | None
) -> Iterator[Decisions]:
    engines = _Engines(rules)
    last_ms: int | None = None
    boundary_ms: int | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record, partition = read_record(line, name, number)
        if isinstance(record, RulesPublished) and rules is not None:
            continue
        engine = engines.of(partition)
        if tick_ms is not None and (boundary_ms is None or record.at_ms >= boundary_ms):
            reached_ms = record.at_ms // tick_ms * tick_ms
            if boundary_ms is not None:
                yield from engines.tick(reached_ms)
            boundary_ms = reached_ms + tick_ms
        last_ms = record.at_ms if last_ms is None else max(last_ms, record.at_ms)
        yield engine.apply(engine.position + 1, record)
    if last_ms is None:
        return
    if until_ms is not None and until_ms < last_ms:
        raise ReplayError("bad_until", f"the last record is of {format_instant(last_ms)}: --until lies before it")
    yield from engines.tick(last_ms if until_ms is None else until_ms)


class _Engines:
    """One engine a partition, each of which gets the rules before anything else."""

    def __init__(self, rules: RuleSet | None) -> None:
        self._rules = rules
        self._engines: dict[int, PartitionEngine] = {}

    def of(self, partition: int) -> PartitionEngine:
        engine = self._engines.get(partition)
        if engine is None:
            engine = self._engines[partition] = PartitionEngine(partition)
            if self._rules is not None:
                document = RulesPublished(at_ms=0, version=self._rules.version, revision=1, document=self._rules)
                engine.apply(0, document)
        return engine

    def tick(self, at_ms: int) -> Iterator[Decisions]:
        for _, engine in sorted(self._engines.items()):
            yield engine.apply(engine.position + 1, Tick(at_ms=at_ms))


def read_record(line: bytes, name: str, number: int) -> tuple[Record, int]:
    """The record in a line, and its partition; an event without a position gets its place in the file.

    Raises:
        ReplayError: the line breaks the contract.
    """
    try:
        record = decode_line(line)
    except ContractError as error:
        raise ReplayError(error.code, f"{name}, line {number}: {error.message}") from None
    if isinstance(record, Event) and record.src is None:
        record = msgspec.structs.replace(record, src=SourcePosition(name, 0, 0, number))
    if b'"partition"' not in line:
        return record, 0
    partition = orjson.loads(line).get("partition", 0)
    if not isinstance(partition, int) or partition < 0:
        raise ReplayError("bad_field", f"{name}, line {number}: `partition` is {partition!r}; a number from 0 is wanted")
    return record, partition


def _tag_of(line: bytes) -> object:
    try:
        plain = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return plain.get("type") if isinstance(plain, dict) else None
