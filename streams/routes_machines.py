"""Kinds of destinations that are systems: which keys they have in a file of routes, and the sinks that they are."""

from collections.abc import Mapping
from typing import Final

from streams.routes_common import DestinationKind, EntryAtHand, FileAt
from streams.rules_values import Field, list_of, text


def _webhook_fields(file: FileAt) -> dict[str, Field]:
    return {"url": Field(text, required=True), "secret": Field(file.secrets, required=True), "redact": Field(list_of(text))}


def _alertmanager_fields(file: FileAt) -> dict[str, Field]:  # noqa: ARG001 - has no secrets
    return {"url": Field(text, required=True)}


def _plain(entry: EntryAtHand) -> dict[str, object]:
    return entry.values


MACHINES: Final[Mapping[str, DestinationKind]] = {
    "webhook": DestinationKind("machine", _webhook_fields, _plain),
    "alertmanager": DestinationKind("machine", _alertmanager_fields, _plain),
}
