"""An alert as Alertmanager knows it: labels that say which one it is, annotations that say the rest."""

from collections.abc import Callable, Mapping
from typing import Final, TypedDict
from urllib.parse import quote

from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.instants import format_instant

_LONGEST_TEXT: Final = 1_000

Words = Callable[[AlertRecord], str]
"""What happened and why, in one line."""


class Postable(TypedDict, total=False):
    """`postableAlert` of the API; without `endsAt` it is open for as long as Alertmanager believes it."""

    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: str
    endsAt: str
    generatorURL: str


def is_open(record: AlertRecord) -> bool:
    """Whether Alertmanager is to show it: a warning is not open yet, and who acked it only knows of it."""
    return record.state not in CLOSED_STATES and record.state != "warned"


def postable(record: AlertRecord, words: Words, link: str) -> Postable:
    """What is posted of a record; `{alert_id}` and `{customer_id}` in the link are filled in."""
    # Every record of an alert has the same `due_ms`, so each tells the same start. One that ends by a late event, or after
    # a warning alone, may end before.
    made: Postable = {
        "labels": _given(_labels(record)),
        "annotations": {name: _cut(text) for name, text in _given(_annotations(record, words)).items()},
        "startsAt": format_instant(min(record.due_ms, record.at_ms)),
    }
    if not is_open(record):
        made["endsAt"] = format_instant(record.at_ms)
    if link:
        made["generatorURL"] = _filled(link, record)
    return made


def ended(made: Postable, at_ms: int) -> Postable:
    """The same, over since an instant not before its start."""
    return {**made, "endsAt": format_instant(at_ms)}


def _labels(record: AlertRecord) -> Mapping[str, str | None]:
    """Which alert it is, and what routes, silences and inhibitions of Alertmanager go by.

    They are no metric, so that ids may be among them. State, notes and who acked it are not: another label is another alert.
    """
    return {
        "alertname": record.rule.rpartition("@")[0] or record.rule,
        "job": "churnwatch",
        "alert_id": record.alert_id,
        "customer_id": record.customer_id,
        "feed": record.feed,
        "severity": record.severity,
        "tier": record.tier,
        "owner": record.owner,
    }


def _annotations(record: AlertRecord, words: Words) -> Mapping[str, str | None]:
    return {
        "summary": words(record),
        "next_action": record.next_action,
        "state": record.state,
        "by": record.by,
        "note": record.note,
        "snoozed_until": None if record.snoozed_until_ms is None else format_instant(record.snoozed_until_ms),
        "value_at_risk": None if record.value_at_risk is None else f"{record.value_at_risk:g}",
    }


def _given(texts: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def _filled(link: str, record: AlertRecord) -> str:
    for name, value in (("alert_id", record.alert_id), ("customer_id", record.customer_id)):
        link = link.replace(f"{{{name}}}", quote(value or "", safe=""))
    return link
