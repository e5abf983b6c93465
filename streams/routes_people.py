"""Kinds of destinations that people read: which keys they have in a file of routes, and the sinks that they are."""

from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from sinks.chat import ChatSink, ChatTerms, Vendor
from sinks.email import EmailSink, EmailTerms, address_fault
from sinks.messages import Messages
from sinks.routes import Routes
from streams.routes_calls import call_fields, call_terms, check_certificates
from streams.routes_common import DestinationKind, EntryAtHand, FileAt
from streams.rules_values import Field, list_of, text
from streams.settings import Settings
from streams.wallclock import now_ms
from streams.yaml_nodes import Node, Place, Refused

_USUAL_PORTS: Final = {"smtp": 587, "smtps": 465}
_SIGNING: Final = frozenset({"feishu", "dingtalk"})


def _chat_fields(file: FileAt) -> dict[str, Field]:
    return {**call_fields(file), "url": Field(file.secret, required=True), "secret": Field(file.secret)}


def _chat_terms(vendor: Vendor, entry: EntryAtHand) -> ChatTerms:
    if "secret" in entry.values and vendor not in _SIGNING:
        entry.refuse("secret", f"{vendor} signs nothing: its address is the secret")
    return ChatTerms(vendor, call_terms(entry), entry.values.get("secret"))


def _chat(name: str, terms: ChatTerms, routes: Routes, settings: Settings) -> ChatSink:  # noqa: ARG001 - as all kinds
    return ChatSink(name, terms, Messages(routes.templates), now_ms)


def _email_fields(file: FileAt) -> dict[str, Field]:
    return {
        "server": Field(_server, required=True),
        "allow": Field(list_of(text, 1)),
        "ca": Field(file.path),
        "user": Field(text),
        "password": Field(file.secret),
        "from": Field(_address, required=True),
    }


def _email_terms(entry: EntryAtHand) -> EmailTerms:
    values = entry.values
    scheme, host, port = values["server"]
    if ("user" in values) != ("password" in values):
        entry.refuse("user" if "user" in values else "password", "`user` and `password` go together")
    check_certificates(entry)
    return EmailTerms(
        host=host,
        port=port,
        sender=values["from"],
        implicit_tls=scheme == "smtps",
        plain_allowed=host in values.get("allow", ()),
        user=values.get("user", ""),
        password=values.get("password"),
        ca=values.get("ca"),
    )


def _email(name: str, terms: EmailTerms, routes: Routes, settings: Settings) -> EmailSink:  # noqa: ARG001 - as all kinds
    return EmailSink(name, terms, Messages(routes.templates), now_ms)


def _server(node: Node, place: Place) -> tuple[str, str, int]:
    """Scheme, host and port."""
    found = text(node, place)
    try:
        parts = urlsplit(found)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port or _USUAL_PORTS.get(parts.scheme, 0)
    except ValueError:
        scheme, host, port = "", "", 0
    if scheme not in _USUAL_PORTS or not host or "@" in found:
        raise Refused(node.line, f"{found!r} is no mail server; write smtp://mail.example.com:587, or smtps:// for TLS at once")
    return scheme, host, port


def _address(node: Node, place: Place) -> str:
    found = text(node, place)
    if fault := address_fault(found):
        raise Refused(node.line, fault)
    return found


PEOPLE: Final[Mapping[str, DestinationKind]] = {
    "slack": DestinationKind("people", _chat_fields, partial(_chat_terms, "slack"), _chat),
    "feishu": DestinationKind("people", _chat_fields, partial(_chat_terms, "feishu"), _chat),
    "dingtalk": DestinationKind("people", _chat_fields, partial(_chat_terms, "dingtalk"), _chat),
    "wecom": DestinationKind("people", _chat_fields, partial(_chat_terms, "wecom"), _chat),
    "email": DestinationKind("people", _email_fields, _email_terms, _email, address=_address),
}
