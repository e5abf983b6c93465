"""Reading one destination of a file of routes: its kind says which keys it has, and which sink it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.zones import load_zone
from sinks.base import Language, Sink
from sinks.routes import Destination, Manners, Recipient, Routes
from streams.routes_common import DestinationKind, EntryAtHand, FileAt
from streams.routes_machines import MACHINES
from streams.routes_manners import MANNERS, manners_of
from streams.routes_people import PEOPLE
from streams.rules_common import never
from streams.rules_values import Field, meant, read_fields, text
from streams.settings import Settings
from streams.yaml_nodes import Entries, Node, Place, Refused, shown

KINDS: Final[Mapping[str, DestinationKind]] = {**MACHINES, **PEOPLE}
_NOT_FOR_MACHINES: Final = Field(never("a system is told of everything at once, at any hour: this is for people and rooms"))


@dataclass(frozen=True, slots=True)
class Usual:
    """What everybody has who does not say otherwise."""

    language: Language
    time_zone: str


@dataclass(frozen=True, slots=True)
class Read:
    """A destination, and who is told if a route names it."""

    destination: Destination
    recipient: Recipient
    needs_address: bool
    """Nobody is told by its own name: it reaches people by their addresses, and has none itself."""


def sink_of(destination: Destination, routes: Routes, settings: Settings) -> Sink:
    """The sink of a destination."""
    return KINDS[destination.kind].sink(destination.name, destination.terms, routes, settings)


def read_destination(node: Node, place: Place, name: str, file: FileAt, usual: Usual) -> Read | None:
    """One entry of `destinations`; the faults are noted."""
    if not isinstance(node, Entries):
        raise Refused(node.line, f"{shown(node)} stands here; a destination is a mapping with `kind`")
    kind_node = node.entries.get("kind")
    if kind_node is None:
        raise Refused(node.line, f"`kind` is missing; allowed are {', '.join(KINDS)}")
    word: str | None = place.at("kind").take(_kind, kind_node)
    if word is None:
        return None
    kind, before = KINDS[word], len(place.faults)
    values = read_fields(node, place, _fields(kind, file, node))
    if len(place.faults) > before:
        return None
    own = {key: value for key, value in values.items() if key not in {"kind", "address", *MANNERS}}
    destination = Destination(name, word, kind.audience, kind.terms(EntryAtHand(node, place, own)))
    entry = EntryAtHand(node, place, values)
    recipient = recipient_of(entry, name, destination, usual)
    return Read(destination, recipient, kind.address is not None and not recipient.address)


def recipient_of(
    entry: EntryAtHand, name: str, destination: Destination, usual: Usual, *, is_person: bool = False
) -> Recipient:
    """Whom an entry of `destinations` or of `people` makes one that can be told."""
    values = entry.values
    return Recipient(
        name=name,
        audience=destination.audience,
        destination=destination.name,
        zone=load_zone(values.get("time_zone", usual.time_zone)),
        language=values.get("language", usual.language),
        address=values.get("address", ""),
        is_person=is_person,
        manners=Manners() if destination.audience == "machine" else manners_of(entry),
    )


def _fields(kind: DestinationKind, file: FileAt, node: Entries) -> dict[str, Field]:
    fields = {"kind": Field(text, required=True), **kind.fields(file)}
    if kind.audience == "people":
        address = {} if kind.address is None else {"address": Field(kind.address)}
        return fields | address | dict(MANNERS)
    return fields | {key: _NOT_FOR_MACHINES for key in (*MANNERS, "storms") if key in node.key_lines}


def _kind(node: Node, place: Place) -> str:
    found = text(node, place)
    if found not in KINDS:
        raise Refused(node.line, f"{found!r} is not a kind of destination; {meant(found, KINDS)}")
    return found
