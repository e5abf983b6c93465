"""Puts the words into notices: what happened, why, and what would clear it."""

from schemas.decisions import AlertRecord
from sinks.base import Item, Notice
from sinks.routes import Routes
from sinks.steps import Draft, Write
from streams.words import Words, words_of


def writer_of(routes: Routes) -> Write:  # noqa: ARG001 - links come from there
    """What turns drafts into notices."""

    def write(draft: Draft) -> Notice:
        recipient = draft.recipient
        words = words_of(recipient.language, recipient.zone)
        return Notice(
            key=draft.key,
            kind=draft.kind,
            recipient=recipient.name,
            address=recipient.address,
            language=recipient.language,
            time_zone=recipient.zone.key,
            items=tuple(_item(alert, words) for alert in draft.alerts),
            storm=draft.storm,
        )

    return write


def _item(alert: AlertRecord, words: Words) -> Item:
    clears_if = "" if alert.clears_if is None else words.clears_when(alert, alert.clears_if)
    return Item(alert, words.said(alert), tuple(words.clauses_of(alert)), clears_if, {})
