"""Puts the words into notices: what happened, why, and what would clear it."""

from schemas.decisions import AlertRecord
from sinks.base import Item, Notice
from sinks.routes import Routes
from sinks.steps import Draft, Write
from streams.words import clauses_of, clears_when, said


def writer_of(routes: Routes) -> Write:  # noqa: ARG001 - links and languages come from there
    """What turns drafts into notices."""

    def write(draft: Draft) -> Notice:
        recipient = draft.recipient
        return Notice(
            key=draft.key,
            kind=draft.kind,
            recipient=recipient.name,
            address=recipient.address,
            language=recipient.language,
            time_zone=recipient.zone.key,
            items=tuple(map(_item, draft.alerts)),
            storm=draft.storm,
        )

    return write


def _item(alert: AlertRecord) -> Item:
    clears_if = "" if alert.clears_if is None else clears_when(alert, alert.clears_if)
    return Item(alert, said(alert), tuple(clauses_of(alert)), clears_if, {})
