"""`churnwatch route test`: who would be told of an alert, when and why, by the plans that deliver it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from textwrap import indent
from typing import Any, Final

import msgspec

from schemas.decisions import AlertRecord
from schemas.deliveries import ToldRecord, Wait
from schemas.instants import from_epoch_ms
from sinks.base import Notice
from sinks.media import PLAIN
from sinks.messages import Messages, Text
from sinks.plans import plan_for
from sinks.routes import Recipient, Route, Routes
from sinks.steps import Draft, Plan, Step
from streams.notices import writer_of

_ABOUT: Final = ("alert_id", "state", "rule", "severity", "tier", "owner", "value_at_risk")
_BY_THEMSELVES: Final = frozenset({"warned", "opened", "escalated"})
_WHY: Final = {
    "system": "systems are told of everything at once",
    "no_budget": "there is no budget: everything is told at once",
    "critical": "what is critical is told at once",
    "escalated": "what is escalated is told at once",
    "within_budget": "the budget of the day has room for it",
    "digest_only": "only what is critical or escalated is told at once",
    "over_budget": "the budget of the day is used up",
    "below_value": "its value at risk is below the limit of the budget",
    "no_value": "its value at risk is not known, and the budget has a limit",
    "storm": "its rule has opened for too many customers: held until `churnwatch storm release` or `storm drop`",
    "warning": "a warning says nothing any more when the digest comes",
    "inhibited": "another open alert says more",
}
_WAITS: Final[dict[Wait, str]] = {
    "quiet": "after quiet hours",
    "budget": "in the digest",
    "digest": "in the digest",
    "storm": "held",
}


@dataclass(frozen=True, slots=True)
class Telling:
    """What becomes of an alert for one recipient."""

    recipient: Recipient
    kind: str
    """Of its destination."""
    why: str
    wait: Wait | None = None
    due_ms: int | None = None
    told: bool = True
    """At once, or later; else never."""
    text: Text | None = None
    """What people read, as a message of its own and without links, which need a secret; systems get the record."""

    def __str__(self) -> str:
        return f"{self.recipient.name} ({self.kind}): {self._when()}: {_WHY.get(self.why, self.why)}"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        when = "never" if not self.told else "at_once" if self.wait is None else "later"
        about = {"recipient": self.recipient.name, "kind": self.kind, "when": when, "why": self.why}
        text = None if self.text is None else {"title": self.text.title, "body": self.text.body}
        return about | {"wait": self.wait, "due_ms": self.due_ms, "address": self.recipient.address, "text": text}

    def _when(self) -> str:
        if not self.told:
            return "not told"
        if self.wait is None:
            return "at once"
        if self.due_ms is None:
            return _WAITS[self.wait]
        due = from_epoch_ms(self.due_ms).astimezone(self.recipient.zone)
        return f"{_WAITS[self.wait]}, {due:%Y-%m-%d %H:%M} {self.recipient.zone.key}"


@dataclass(frozen=True, slots=True)
class Tried:
    """One alert."""

    alert: AlertRecord
    hits: tuple[tuple[Route, tuple[str, ...]], ...]
    tellings: tuple[Telling, ...]

    def shown(self, *, texts: bool) -> str:
        """For people; with what each recipient would read, or without."""
        return "\n".join(self._lines(texts=texts))

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        alert = self.alert
        about = {
            name: getattr(alert, name) for name in ("alert_id", "state", "rule", "severity", "tier", "owner", "value_at_risk")
        }
        routes = [{"route": route.number, "line": route.line, "to": list(names)} for route, names in self.hits]
        return about | {"routes": routes, "told": [one.as_json() for one in self.tellings]}

    def _lines(self, *, texts: bool) -> Iterator[str]:
        alert = self.alert
        about = [
            alert.rule,
            alert.severity,
            *(f"{name} {value}" for name, value in (("tier", alert.tier), ("owner", alert.owner)) if value),
        ]
        risk = [] if alert.value_at_risk is None else [f"{alert.value_at_risk:.0f} a year at risk"]
        yield f"alert {alert.alert_id}, {alert.state}: {', '.join([*about, *risk])}"
        for route, names in self.hits:
            on = ", and the search goes on" if route.goes_on else ""
            yield f"  route {route.number} (line {route.line}) takes it to {', '.join(names) or 'nobody'}{on}"
        for one in self.tellings:
            yield f"    {one}"
            if texts and one.text is not None:
                yield indent(f"{one.text.title}\n{one.text.body}", "      | ", lambda _: True)
        if not self.hits:
            yield "  no route takes it: nobody is told"


def tried(histories: Sequence[Sequence[AlertRecord]], routes: Routes, at_ms: int) -> list[Tried]:
    """What becomes of alerts that open at an instant, one after the other, with the budgets of a day that has just begun.

    Args:
        histories: the records of each alert, by sequence.
        routes: the file.
        at_ms: the instant.
    """
    plans = {name: plan_for(one, routes, _without_words, lambda: None) for name, one in routes.recipients.items()}
    return [_tried(_as_opened(records), routes, plans, at_ms) for records in histories]


def _tried(alert: AlertRecord, routes: Routes, plans: dict[str, Plan], at_ms: int) -> Tried:
    hits = tuple(routes.hits(alert))
    names = dict.fromkeys(name for _, names in hits for name in names)
    tellings = [_telling(alert, routes, name, plans[name].take([alert], at_ms)) for name in names]
    return Tried(alert, hits, tuple(tellings))


def _telling(alert: AlertRecord, routes: Routes, name: str, steps: Sequence[Step]) -> Telling:
    recipient = routes.recipients[name]
    kind = routes.destinations[recipient.destination].kind
    for step in steps:
        row = next((row for row in step.remember if isinstance(row, ToldRecord) and row.alert_id == alert.alert_id), None)
        if row is not None:
            return Telling(recipient, kind, step.why, row.wait, row.due_ms, text=_text(alert, recipient, routes, row.at_ms))
    return Telling(recipient, kind, "inhibited" if alert.inhibited_by is not None else "warning", told=False)


def _text(alert: AlertRecord, recipient: Recipient, routes: Routes, at_ms: int) -> Text | None:
    if recipient.audience == "machine":
        return None
    draft = Draft(f"{alert.alert_id}/{alert.sequence}", "alert", recipient, at_ms, (alert,))
    return Messages(routes.templates).text(writer_of(replace(routes, links=None))(draft), PLAIN)


def _as_opened(records: Sequence[AlertRecord]) -> AlertRecord:
    """The last record that is told by itself, with the owner of now; one of what people did is taken for an opening."""
    last = records[-1]
    found = next((one for one in reversed(records) if one.state in _BY_THEMSELVES and one.by is None), None)
    if found is None:
        found = msgspec.structs.replace(last, state="opened", by=None)
    return msgspec.structs.replace(found, owner=last.owner)


def _without_words(draft: Draft) -> Notice:
    recipient = draft.recipient
    return Notice(draft.key, draft.kind, recipient.name, recipient.address, recipient.language, recipient.zone.key)
