"""Puts the words into notices: what happened, why, and what would clear it."""

from collections.abc import Mapping

from schemas.decisions import AlertRecord
from sinks.base import Action, Item, Notice
from sinks.routes import Routes
from sinks.steps import Draft, Write
from streams.links import links_for
from streams.words import Words, words_of


def writer_of(routes: Routes) -> Write:
    """What turns drafts into notices."""

    def links(alert: AlertRecord, draft: Draft) -> Mapping[Action, str]:
        return {} if routes.links is None else links_for(routes.links, alert, draft.recipient.name, draft.now_ms)

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
            items=tuple(_item(alert, words, links(alert, draft)) for alert in draft.alerts),
            storm=draft.storm,
        )

    return write


def _item(alert: AlertRecord, words: Words, links: Mapping[Action, str]) -> Item:
    clears_if = "" if alert.clears_if is None else words.clears_when(alert, alert.clears_if)
    return Item(alert, words.said(alert), tuple(words.clauses_of(alert)), clears_if, links)
