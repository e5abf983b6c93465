"""`churnwatch explain`: what an alert is about, how it came to be, and what would close it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

from schemas.decisions import CLOSED_STATES, AlertRecord, ClearsIf, Evidence
from schemas.events import SourcePosition
from schemas.instants import format_instant
from streams.words import clauses_of, clears_when, minute, said

_LABEL_WIDTH = 12


@dataclass(frozen=True)
class Explanation:
    """One alert.

    Args:
        records: its transitions that are known, by sequence; at least one. Compaction may have taken the first ones.
    """

    records: Sequence[AlertRecord]

    @property
    def last(self) -> AlertRecord:
        """How it stands."""
        return self.records[-1]

    @property
    def opening(self) -> AlertRecord:
        """The record that says best why there is an alert: the latest one before its end."""
        return next((record for record in reversed(self.records) if record.state not in CLOSED_STATES), self.last)

    @property
    def clears_if(self) -> ClearsIf | None:
        """None: it is closed, or nothing that can be named closes it."""
        return None if self.last.state in CLOSED_STATES else self.opening.clears_if

    def as_json(self) -> dict[str, Any]:
        """For machines: the last record's fields, with what led there."""
        opening, clears_if = self.opening, self.clears_if
        steps = zip(self.records, self._steps(), strict=True)
        about = msgspec.to_builtins(self.last)
        return {
            **about,
            "because": [
                {**msgspec.to_builtins(clause), "words": words}
                for clause, words in zip(opening.because, clauses_of(opening), strict=True)
            ],
            "evidence": [_evidence_json(evidence) for evidence in self._evidence()],
            "transitions": [_step_json(record, words) for record, words in steps],
            "clears_if": None if clears_if is None else {**msgspec.to_builtins(clears_if), "words": self._clears_words()},
            "closed": self.last.state in CLOSED_STATES,
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"alert {self.last.alert_id}"
        yield from (f"  {label:<{_LABEL_WIDTH}} {value}" for label, value in self._about() if value)
        yield "what happened"
        if self.records[0].sequence > 1:
            yield f"  (what came before number {self.records[0].sequence} is not kept any more)"
        for record, words in zip(self.records, self._steps(), strict=True):
            yield f"  {record.sequence:>2}  {record.state:<9}  {minute(record.at_ms)}  {words}"
        yield "why"
        yield from self._clauses()
        yield "from these records"
        yield from (f"  {_evidence_line(evidence)}" for evidence in self._evidence())
        yield "what would close it"
        yield f"  {self._clears_words()}"

    def _about(self) -> Iterator[tuple[str, str | None]]:
        last, opening = self.last, self.opening
        yield "rule", f"{last.rule} ({last.kind}, {last.severity}{', shadow' if last.mode == 'shadow' else ''})"
        yield "customer", f"{last.customer_id}{f', {last.tier}' if last.tier else ''}" if last.customer_id else None
        yield from (("ticket", last.ticket_id), ("contract", last.contract_id), ("feed", last.feed))
        yield "state", f"{last.state} since {minute(last.at_ms)}"
        yield "episode", f"from {minute(opening.episode_start_ms)}, due {minute(opening.due_ms)} (all times are UTC)"
        yield from (("owner", last.owner), ("next action", last.next_action))
        yield (
            "answer by",
            next((minute(record.ack_by_ms) for record in self.records[::-1] if record.ack_by_ms is not None), None),
        )
        yield "put off", f"until {minute(last.snoozed_until_ms)}" if last.snoozed_until_ms is not None else None
        yield "inhibited", f"by alert {last.inhibited_by}: not delivered" if last.inhibited_by else None
        yield "risk", f"{last.risk:.0%}{_value_at_risk(last)}" if last.risk is not None else None
        yield "decided by", _versions(opening)
        yield "feeds", ", ".join(f"{feed} {status}" for feed, status in opening.feeds.items())
        yield "doubts", ", ".join(opening.notes)

    def _clauses(self) -> Iterator[str]:
        width = max((len(clause.clause) for clause in self.opening.because), default=0)
        for clause, words in zip(self.opening.because, clauses_of(self.opening), strict=True):
            limit = "" if clause.threshold is None else f", limit {clause.threshold}"
            yield f"  {clause.clause:<{width}}  {words}  [{clause.value}{limit}]"
        if not self.opening.because:
            yield "  no clause is recorded"

    def _evidence(self) -> list[Evidence]:
        """Of all known transitions, each once, in the order in which they came in."""
        return list(dict.fromkeys(evidence for record in self.records for evidence in record.evidence))

    def _steps(self) -> list[str]:
        """Each transition in words; what people did shows against the record before it."""
        before = (None, *(one for one, _ in pairwise(self.records)))
        return [_step(earlier, record) for earlier, record in zip(before, self.records, strict=True)]

    def _clears_words(self) -> str:
        if self.last.state in CLOSED_STATES:
            return "nothing: it is closed"
        return "nothing that can be named" if self.clears_if is None else clears_when(self.last, self.clears_if)


def _step(before: AlertRecord | None, record: AlertRecord) -> str:
    who = record.by or "somebody"
    if record.note is not None and (before is None or record.note != before.note):
        return f"{who} noted: {record.note}"
    if record.verdict is not None and (before is None or record.verdict != before.verdict):
        return f"{who} judged: {record.verdict.replace('_', ' ')}"
    if before is not None and record.state == before.state and record.owner != before.owner:
        return f"{who} gave it to {record.owner}"
    return said(record)


def _versions(record: AlertRecord) -> str:
    versions = record.versions
    optional = (("calendar", versions.calendar), ("model", versions.model))
    named = "".join(f", {name} {version}" for name, version in optional if version is not None)
    return f"rules {versions.rules}, engine {versions.engine}{named}"


def _value_at_risk(record: AlertRecord) -> str:
    return "" if record.value_at_risk is None else f", {record.value_at_risk:.2f} a year at risk"


def _evidence_line(evidence: Evidence) -> str:
    return f"{evidence.type} {evidence.id} at {format_instant(evidence.at_ms)}{_source(evidence.src)}"


def _source(src: SourcePosition | None) -> str:
    if src is None:
        return ""
    event = f", event {src.index} of the record" if src.index else ""
    epoch = f", epoch {src.epoch}" if src.epoch else ""
    return f" (topic {src.topic}, partition {src.partition}, offset {src.offset}{event}{epoch})"


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    src = evidence.src
    position = None if src is None else {name: getattr(src, name) for name in src.__struct_fields__}
    return {"type": evidence.type, "id": evidence.id, "at_ms": evidence.at_ms, "src": position}


def _step_json(record: AlertRecord, words: str) -> dict[str, Any]:
    optional = ("by", "note", "verdict", "fraction", "snoozed_until_ms", "owner")
    given = {name: value for name in optional if (value := getattr(record, name)) is not None}
    return {
        "sequence": record.sequence,
        "state": record.state,
        "at_ms": record.at_ms,
        "decided_ms": record.decided_ms,
        **given,
        "words": words,
    }
