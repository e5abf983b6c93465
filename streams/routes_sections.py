"""Sections of a file of routes that stand for themselves: how many are a storm, and how links are signed."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.instants import HOUR_MS, exact_ms, format_duration
from sinks.routes import LinkTerms, StormLimit
from streams.routes_common import FileAt
from streams.rules_values import Field, exact_duration, mapping_of, number, read_fields, text, whole
from streams.yaml_nodes import Node, Place, Refused

USUAL_STORM: Final = StormLimit(within_ms=HOUR_MS, customers=200)
"""Of a file that says nothing of storms."""
_MOST_CUSTOMERS: Final = 1_000_000_000


_NO_LIMIT: Final = "`customers` or `share` is missing: how many are a storm"
_STORM: Final = {
    "customers": Field(whole(1, _MOST_CUSTOMERS)),
    "share": Field(number(0, 1, or_least=False)),
    "within": Field(exact_duration),
}


def read_storms(node: Node, place: Place) -> tuple[StormLimit, Mapping[str, StormLimit]] | None:
    """The limit of every rule, and those of single rules, which stand for themselves: of the others only `within` holds."""
    fields = {**_STORM, "rules": Field(mapping_of(lambda node, at: read_fields(node, at, _STORM)))}
    read = read_fields(node, place, fields)
    by_rule: dict[str, dict[str, Any]] = read.pop("rules", {})
    within = read.get("within", format_duration(USUAL_STORM.within_ms))
    limits = {rule: _storm({"within": within} | own) for rule, own in by_rule.items()}
    for rule, limit in limits.items():
        if limit is None:
            place.at("rules").at(rule).refuse(node.line, _NO_LIMIT)
    usual = _storm({"within": within} | read) or StormLimit(exact_ms(within), USUAL_STORM.customers)
    return usual, {rule: limit for rule, limit in limits.items() if limit is not None}


def _storm(values: dict[str, Any]) -> StormLimit | None:
    if "customers" not in values and "share" not in values:
        return None
    return StormLimit(exact_ms(values["within"]), values.get("customers"), values.get("share"))


def links_field(file: FileAt) -> Field:
    """Section `links`."""
    fields = {
        "url": Field(_link_url, required=True),
        "secret": Field(file.secrets, required=True),
        "valid": Field(exact_duration),
    }

    def read(node: Node, place: Place) -> LinkTerms | None:
        found = read_fields(node, place, fields)
        if "url" not in found or "secret" not in found:
            return None
        return LinkTerms(found["url"], found["secret"], exact_ms(found.get("valid", "P7D")))

    return Field(read)


def _link_url(node: Node, place: Place) -> str:
    found = text(node, place).rstrip("/")
    if not found.startswith(("https://", "http://")):
        raise Refused(node.line, f"{found!r} is no address; write where people reach the door, like https://churn.example.com")
    return found
