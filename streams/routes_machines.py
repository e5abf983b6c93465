"""Kinds of destinations that are systems: which keys they have in a file of routes, and the sinks that they are."""

import re
from collections.abc import Mapping
from typing import Final

from schemas.cloud_events import source_of
from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.secret import Secret
from sinks.alertmanager import AlertmanagerSink, AlertmanagerTerms
from sinks.routes import Routes
from sinks.webhook import WebhookSink, WebhookTerms, key_of
from streams.routes_calls import call_fields, call_terms, redaction_fields, redaction_of
from streams.routes_common import DestinationKind, EntryAtHand, FileAt
from streams.rules_values import Field, text
from streams.settings import Settings
from streams.wallclock import now_ms
from streams.words import because_of, said
from streams.yaml_nodes import Node, Place, Refused

_FILLED_IN: Final = frozenset({"alert_id", "customer_id"})


def _webhook_fields(file: FileAt) -> dict[str, Field]:
    return {**call_fields(file), "secret": Field(file.secrets, required=True), **redaction_fields(file)}


def _webhook_terms(entry: EntryAtHand) -> WebhookTerms:
    secrets: tuple[Secret, ...] = entry.values["secret"]
    for secret in (one for one in secrets if one.is_read):
        try:
            key_of(secret)
        except ValueError as error:
            entry.refuse("secret", str(error))
    return WebhookTerms(call_terms(entry), secrets, redaction_of(entry))


def _webhook(name: str, terms: WebhookTerms, routes: Routes, settings: Settings) -> WebhookSink:  # noqa: ARG001 - as all kinds
    return WebhookSink(name, terms, source_of(settings.prefix), now_ms)


def _alertmanager_fields(file: FileAt) -> dict[str, Field]:
    return {**call_fields(file), "link": Field(_link), **redaction_fields(file)}


def _alertmanager_terms(entry: EntryAtHand) -> AlertmanagerTerms:
    # It stands beside us, as a rule in the same network.
    return AlertmanagerTerms(call_terms(entry, is_neighbour=True), redaction_of(entry), entry.values.get("link", ""))


def _alertmanager(name: str, terms: AlertmanagerTerms, routes: Routes, settings: Settings) -> AlertmanagerSink:  # noqa: ARG001
    return AlertmanagerSink(name, terms, _summary)


def _summary(alert: AlertRecord) -> str:
    """Why it is open, also once somebody acked it; in the end, what ended it."""
    return said(alert) if alert.state in CLOSED_STATES else because_of(alert)


def _link(node: Node, place: Place) -> str:
    found = text(node, place)
    if not found.startswith(("https://", "http://")):
        raise Refused(node.line, f"{found!r} is no address; write it like https://grafana.example.com/d/alerts?id={{alert_id}}")
    unknown = set(re.findall(r"{([^{}]*)}", found)) - _FILLED_IN
    if unknown:
        raise Refused(node.line, f"{{{min(unknown)}}} is not filled in; {{alert_id}} and {{customer_id}} are")
    return found


MACHINES: Final[Mapping[str, DestinationKind]] = {
    "webhook": DestinationKind("machine", _webhook_fields, _webhook_terms, _webhook),
    "alertmanager": DestinationKind("machine", _alertmanager_fields, _alertmanager_terms, _alertmanager),
}
