"""What a mapping made of the records that were looked at: counts, examples, and what is wrong with that."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from schemas.codec import encode
from schemas.decisions import DeadLetter
from schemas.events import Event
from schemas.instants import format_instant
from streams.row_mapping import RowMapping

_SHOWN_CHARACTERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Looked:
    """A record before and after."""

    place: str
    before: object
    """As plain JSON; as text if it is none."""
    events: tuple[bytes, ...] = ()
    refused: str = ""
    """The reason, and what is wrong with it."""

    def lines(self) -> list[str]:
        """For people."""
        before = self.before if isinstance(self.before, str) else _json(self.before).decode()
        after = [f"  event        {event.decode()}" for event in self.events]
        after += [f"  dead letter  {self.refused}"] if self.refused else []
        return [f"{self.place}  {_cut(before)}", *(after or ["  ignored"])]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        after = {"dead_letter": self.refused} if self.refused else {"events": [orjson.loads(event) for event in self.events]}
        return {"place": self.place, "before": orjson.loads(_json(self.before)), **after}


@dataclass
class Findings:
    """What a mapping says, and what became of the records."""

    path: Path
    mapping: RowMapping
    source: str = ""
    """Where the records came from, in words; empty: none were looked at."""
    records: int = 0
    ignored: int = 0
    """Of which the mapping makes no event on purpose, and those without a value."""
    events: Counter[str] = field(default_factory=Counter)
    """By type."""
    customers: set[str] = field(default_factory=set)
    first_ms: int | None = None
    last_ms: int | None = None
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""
    examples: dict[str, Looked] = field(default_factory=dict)
    """The first dead letter of each reason."""
    samples: list[Looked] = field(default_factory=list)

    def add(self, place: str, before: object, found: list[Event] | DeadLetter, sample: int) -> None:
        """Count a record.

        Args:
            place: of the record.
            before: what stands there.
            found: its events, or what is wrong with it.
            sample: how many records are shown.
        """
        self.records += 1
        if isinstance(found, DeadLetter):
            looked = Looked(place, before, refused=f"{found.reason}: {found.message}")
            self.dead_letters[found.reason] += 1
            self.examples.setdefault(found.reason, looked)
        else:
            looked = Looked(place, before, tuple(encode(event) for event in found))
            self.ignored += not found
            for event in found:
                self._count(event)
        if len(self.samples) < sample:
            self.samples.append(looked)

    def _count(self, event: Event) -> None:
        self.events[event.type] += 1
        self.customers.add(event.customer_id)
        self.first_ms = event.at_ms if self.first_ms is None else min(event.at_ms, self.first_ms)
        self.last_ms = event.at_ms if self.last_ms is None else max(event.at_ms, self.last_ms)

    @property
    def warnings(self) -> list[str]:
        """Why the mapping should not be used as it is."""
        if not self.source:
            return []
        if not self.records:
            return [f"{self.source}: there is no record to look at"]
        found = [] if self.events else [f"the mapping matches nothing: none of {self.records} records makes an event"]
        if self.dead_letters:
            found.append(f"{self.dead_letters.total()} of {self.records} records would be dead letters")
        return found

    def __str__(self) -> str:
        lines = [line for looked in self.samples for line in looked.lines()]
        lines += [""] if lines else []
        lines += [str(self.path), f"  reads  {', '.join(self.mapping.columns)}"]
        lines += [f"  makes  {kind}: {', '.join(names)}" for kind, names in self.mapping.makes]
        return "\n".join([*lines, *self._counts()])

    def _counts(self) -> list[str]:
        if not self.source:
            return []
        lines = [f"{self.source}: {self.records} records, {self.events.total()} events of {len(self.customers)} customers"]
        if self.first_ms is not None and self.last_ms is not None:
            lines.append(f"  from {format_instant(self.first_ms)} to {format_instant(self.last_ms)}")
        lines += [f"  {kind}  {self.events[kind]}" for kind in self._kinds()]
        lines.append(f"  ignored  {self.ignored}")
        for reason, count in sorted(self.dead_letters.items()):
            lines.append(f"  dead letter, {reason}  {count}, the first of them:")
            lines += [f"    {line}" for line in self.examples[reason].lines()]
        return [*lines, *(f"warning: {warning}" for warning in self.warnings)]

    def _kinds(self) -> list[str]:
        """Also those that the mapping can make and did not."""
        return sorted({kind for kind, _ in self.mapping.makes})

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        found: dict[str, Any] = {
            "mapping": str(self.path),
            "reads": list(self.mapping.columns),
            "makes": [{"type": kind, "fields": list(names)} for kind, names in self.mapping.makes],
        }
        if not self.source:
            return found
        return found | {
            "source": self.source,
            "records": self.records,
            "ignored": self.ignored,
            "events": {kind: self.events[kind] for kind in self._kinds()},
            "customers": len(self.customers),
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
            "dead_letters": {
                reason: {"count": count, "example": self.examples[reason].as_json()}
                for reason, count in sorted(self.dead_letters.items())
            },
            "warnings": self.warnings,
            "samples": [looked.as_json() for looked in self.samples],
        }


def _json(plain: object) -> bytes:
    return orjson.dumps(plain, default=str)  # a table has dates and decimals


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}... ({len(text)} characters)"
