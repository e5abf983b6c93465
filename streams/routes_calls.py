"""Keys in a file of routes of whatever is called over HTTP, and of what a recipient does not get."""

import re
from typing import Final

from schemas.instants import SECOND_MS, exact_ms
from schemas.secret import Secret
from sinks.http_calls import USUAL_TIMEOUT_S, CallTerms, host_of, tls_context, url_fault
from sinks.redaction import REMOVABLE, Redaction
from streams.dispatch_calls import CALL_WITHIN_S
from streams.routes_common import EntryAtHand, FileAt
from streams.rules_values import Field, exact_duration, list_of, one_of, text
from streams.yaml_nodes import Node, Place, Reader, Refused

_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_LEAST_KEY_CHARACTERS: Final = 16


def call_fields(file: FileAt) -> dict[str, Field]:
    """Where it is, and how far a call may go."""
    return {
        "url": Field(_url(file), required=True),
        "allow": Field(list_of(_host, 1)),
        "ca": Field(file.path),
        "timeout": Field(_timeout_s),
        "authorization": Field(file.secret),
    }


def call_terms(entry: EntryAtHand, *, is_neighbour: bool = False) -> CallTerms:
    """Of an entry with these keys; what does not fit together is noted.

    Args:
        entry: that was read.
        is_neighbour: whether its host is meant to be called where it is, also in a private network and without TLS.
    """
    values = entry.values
    url: Secret = values["url"]
    allow = tuple(values.get("allow", ()))
    if url.is_read:
        if is_neighbour and not allow and (host := host_of(url.reveal())) is not None:
            allow = (host,)
        if fault := url_fault(url.reveal(), allow):
            entry.refuse("url", fault)
    check_certificates(entry)
    authorization: Secret | None = values.get("authorization")
    if authorization is not None and authorization.is_read and _HEADER_VALUE.fullmatch(authorization.reveal()) is None:
        entry.refuse("authorization", f"{authorization} is not the value of a header, like: Bearer TOKEN")
    return CallTerms(url, allow, values.get("ca"), values.get("timeout", USUAL_TIMEOUT_S), authorization)


def check_certificates(entry: EntryAtHand) -> None:
    """Note a `ca` that no sink could be made with."""
    if "ca" in entry.values:
        try:
            tls_context(entry.values["ca"])
        except ValueError as error:
            entry.refuse("ca", str(error))


def redaction_fields(file: FileAt) -> dict[str, Field]:
    """What a recipient does not get."""
    return {
        "redact": Field(list_of(one_of(sorted(REMOVABLE), "a field that can be left out"), 1)),
        "hash_customers": Field(file.secret),
    }


def redaction_of(entry: EntryAtHand) -> Redaction:
    """Of an entry with these keys; a key that can be guessed is noted."""
    key: Secret | None = entry.values.get("hash_customers")
    if key is not None and key.is_read and len(key.reveal()) < _LEAST_KEY_CHARACTERS:
        entry.refuse("hash_customers", f"{key} is short enough to be guessed: {_LEAST_KEY_CHARACTERS} characters are wanted")
    return Redaction(frozenset(entry.values.get("redact", ())), key)


def _url(file: FileAt) -> Reader:
    """An address, or where it stands: that of some receivers is their password."""

    def read(node: Node, place: Place) -> Secret:
        found = text(node, place)
        return file.secret(node, place) if found.startswith(("env:", "file:")) else Secret(found)

    return read


def _host(node: Node, place: Place) -> str:
    found = text(node, place).lower()
    if host_of(f"https://[{found}]" if ":" in found else f"https://{found}") != found:
        raise Refused(node.line, f"{found!r} is not a host; write erp.example.com or 10.0.0.7, without scheme, port and path")
    return found


def _timeout_s(node: Node, place: Place) -> float:
    found_s = exact_ms(exact_duration(node, place)) / SECOND_MS
    if not 1 <= found_s <= CALL_WITHIN_S:
        raise Refused(node.line, f"{found_s:g} s is out of range; PT1S to PT{CALL_WITHIN_S:g}S are allowed")
    return found_s
