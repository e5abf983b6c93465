"""`churnwatch import`: a file of any table, sorted by event time, into a source topic or into canonical JSON lines."""

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from schemas.codec import encode
from schemas.decisions import DeadLetter
from schemas.events import Event
from streams.dead_letters import dead_letter_row
from streams.import_progress import Advance, showing
from streams.import_topic import NamedImport, send_events, send_letters
from streams.mapped_rows import mapped_rows
from streams.mapping import load_mapping
from streams.row_mapping import RowMapping
from streams.settings import Settings
from streams.whole_file import replaced

_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class MappedEvent:
    """An event, as it is written."""

    at_ms: int
    customer_id: str
    value: bytes


@dataclass
class ImportSummary:
    """What became of a file."""

    name: str
    reading: str = ""
    """How the file was read, in words."""
    rows: int = 0
    skipped: int = 0
    """Rows of which the mapping makes no event on purpose."""
    events: Counter[str] = field(default_factory=Counter)
    """By type."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """Rows by reason."""
    first_ms: int | None = None
    last_ms: int | None = None
    already_there: int = 0
    """Events that an earlier, interrupted import of the same file has written."""

    def __str__(self) -> str:
        lines = [f"{self.name} ({self.reading}): {self.rows} rows, {self.events.total()} events"]
        lines += [f"  {kind}  {count}" for kind, count in sorted(self.events.items())]
        lines += [f"  skipped by the mapping  {self.skipped}"] if self.skipped else []
        lines += [f"  dead letter, {reason}  {count}" for reason, count in sorted(self.dead_letters.items())]
        lines += [f"  written by an earlier import already  {self.already_there}"] if self.already_there else []
        return "\n".join(lines)


def import_file(
    path: Path,
    mapping: Path | None = None,
    *,
    settings: Settings | None = None,
    topic: str | None = None,
    out: Path | None = None,
    progress: bool = False,
) -> ImportSummary:
    """Map a file, sort its events by time (those of the same time stay in the order of the file), and write them.

    Into a topic: keyed by customer; in each partition a watermark of the last event's time comes last. A row that cannot be
    used goes to `churn.deadletters` with its bytes, the file's name as topic and the row's number as offset.
    Into a file: one event a line; the other rows go to `OUT.deadletters.jsonl`. Both files appear whole, or not at all.

    The same file with the same mapping makes the same events in the same order, and each record in a topic names its import
    and its number there. An import that was interrupted, or is run again, goes on behind the last record that each partition
    has. Not covered: two of them at the same time, another mapping or name for the file, and a topic that has expired
    meanwhile; the engine then still drops an event whose id is among the last 16 of its customer.

    All events are held in memory until they are sorted.

    Args:
        path: CSV, Excel, Parquet, JSON lines or XES.
        mapping: a mapping file; None: the rows (JSON lines) are events already.
        settings: of the installation with the topic.
        topic: full name of the source topic.
        out: the file to write, in place of a topic.
        progress: show a bar on standard error.

    Raises:
        MappingError, TableError: neither file can be used.
        ImportRefused: the topic does not exist.
        OSError: a file cannot be read or written.
        KafkaError: the broker does not answer, or refuses.
    """
    if (topic is None) == (out is None):
        raise ValueError("an import goes to a topic or to a file")
    if topic is not None and settings is None:
        raise ValueError("a topic needs the settings of its installation")
    rules = None if mapping is None else load_mapping(mapping)
    summary = ImportSummary(path.name)
    with showing(progress) as advance:
        events, letters = _mapped(path, rules, summary, advance)
        if out is not None:
            _write_files(out, events, letters, advance)
        elif topic is not None and settings is not None:
            named = NamedImport(_digest(path, mapping))
            asyncio.run(_send(settings, topic, events, letters, summary, named, advance))
    return summary


def _mapped(
    path: Path, mapping: RowMapping | None, summary: ImportSummary, advance: Advance
) -> tuple[list[MappedEvent], list[DeadLetter]]:
    events: list[MappedEvent] = []
    letters: list[DeadLetter] = []
    with mapped_rows(path, mapping) as file:
        summary.reading = file.reading
        for _, found in file.rows:
            if isinstance(found, DeadLetter):
                letters.append(found)
            else:
                events += [MappedEvent(event.at_ms, event.customer_id, encode(event)) for event in found]
            _count(summary, found)
            advance(f"reading {path.name}", 1, None)
    events.sort(key=lambda event: event.at_ms)
    summary.first_ms, summary.last_ms = (events[0].at_ms, events[-1].at_ms) if events else (None, None)
    return events, letters


def _count(summary: ImportSummary, found: list[Event] | DeadLetter) -> None:
    summary.rows += 1
    if isinstance(found, DeadLetter):
        summary.dead_letters[found.reason] += 1
    else:
        summary.skipped += not found
        summary.events.update(event.type for event in found)


def _write_files(out: Path, events: list[MappedEvent], letters: list[DeadLetter], advance: Advance) -> None:
    with replaced(out.with_name(out.name + ".deadletters.jsonl"), remove=not letters) as file:
        for letter in letters:
            file.write(orjson.dumps(_letter_line(letter)) + b"\n")
    with replaced(out) as file:
        for event in events:
            file.write(event.value + b"\n")
            advance(f"writing {out.name}", 1, len(events))


def _letter_line(letter: DeadLetter) -> dict[str, Any]:
    raw = letter.value or b""
    try:
        value = {"value": raw.decode()}
    except UnicodeDecodeError:
        value = {"value_hex": raw.hex()}
    return {"reason": letter.reason, "message": letter.message, "file": letter.topic, "row": letter.offset, **value}


async def _send(
    settings: Settings,
    topic: str,
    events: list[MappedEvent],
    letters: list[DeadLetter],
    summary: ImportSummary,
    named: NamedImport,
    advance: Advance,
) -> None:
    if letters:
        await send_letters(settings, [dead_letter_row(letter) for letter in letters], named)
    records = [(event.customer_id.encode(), event.value) for event in events]
    summary.already_there = await send_events(settings, topic, records, summary.last_ms, named, advance)


def _digest(path: Path, mapping: Path | None) -> str:
    """Of the content of both files, and of the name that ids are made of."""
    digest = hashlib.sha256(path.name.encode() + b"\0")
    digest.update(b"" if mapping is None else hashlib.sha256(mapping.read_bytes()).digest())
    with path.open("rb") as file:
        while some := file.read(_READ_BYTES):
            digest.update(some)
    return digest.hexdigest()[:32]
