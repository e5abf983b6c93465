"""Kinds of destinations that people read: which keys they have in a file of routes, and the sinks that they are."""

from collections.abc import Mapping
from typing import Final

from streams.routes_common import DestinationKind, EntryAtHand, FileAt
from streams.rules_values import Field, text


def _chat_fields(file: FileAt) -> dict[str, Field]:
    return {"url": Field(file.secret, required=True), "secret": Field(file.secret)}


def _email_fields(file: FileAt) -> dict[str, Field]:
    return {
        "server": Field(text, required=True),
        "user": Field(text),
        "password": Field(file.secret),
        "from": Field(text, required=True),
    }


def _plain(entry: EntryAtHand) -> dict[str, object]:
    return entry.values


PEOPLE: Final[Mapping[str, DestinationKind]] = {
    "slack": DestinationKind("people", _chat_fields, _plain),
    "feishu": DestinationKind("people", _chat_fields, _plain),
    "dingtalk": DestinationKind("people", _chat_fields, _plain),
    "wecom": DestinationKind("people", _chat_fields, _plain),
    "email": DestinationKind("people", _email_fields, _plain, address=text),
}
