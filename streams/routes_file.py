"""The file of routes: YAML in, who is told of which alerts and how out, or every fault of the file at once.

The one reader of the format that `deploy/routes.example.yaml` shows.
"""

from functools import partial
from pathlib import Path
from typing import Final, get_args

from schemas.rule_kinds import Severity
from sinks.base import Language
from sinks.messages import faults_in
from sinks.routes import OWNER, Recipient, Route, Routes
from streams.routes_common import EntryAtHand, FileAt, recipient_name
from streams.routes_kinds import KINDS, Read, Usual, read_destination, recipient_of
from streams.routes_manners import MANNERS
from streams.routes_sections import USUAL_STORM, links_field, read_storms
from streams.rules_values import (
    Field,
    flag,
    list_of,
    meant,
    one_of,
    read_fields,
    text,
    time_zone,
)
from streams.settings import Settings
from streams.yaml_nodes import Entries, FaultyFileError, Items, Node, Place, Reader, Refused, Scalar, read_yaml, shown


class RoutesFileError(FaultyFileError):
    """A file of routes that cannot be used."""


def routes_of(settings: Settings) -> Routes | None:
    """The routes of an installation, with their secrets; None if it tells nobody.

    Raises:
        RoutesFileError: with all faults, also of secrets that are not where the file says.
        OSError: the file cannot be read.
    """
    return None if settings.routes is None else load_routes(settings.routes)


def load_routes(path: Path | str, *, reads_secrets: bool = True) -> Routes:
    """The routes of a file.

    Args:
        path: of the file.
        reads_secrets: if not, secrets are only named, and no sink can be made.

    Raises:
        RoutesFileError: with all faults.
        OSError: the file cannot be read.
    """
    path = Path(path)
    return parse_routes(path.read_bytes(), str(path), FileAt(path.parent, reads_secrets))


def parse_routes(content: bytes, path: str = "routes", file: FileAt | None = None) -> Routes:
    """The routes of a file's content; `path` only names it in messages.

    Raises:
        RoutesFileError: with all faults.
    """
    place = Place([])
    root = read_yaml(content, place)
    found: Routes | None = None
    if root is not None:
        found = place.take(lambda node, at: _Document(node, at, file or FileAt(Path())).read(), root)
    if place.faults or found is None:
        raise RoutesFileError(path, place.faults)
    return found


class _Document:
    """One file while it is read: sections need the names that the others define."""

    def __init__(self, root: Node, place: Place, file: FileAt) -> None:
        if not isinstance(root, Entries):
            raise Refused(root.line, f"{shown(root)} stands here; a file of routes is a mapping: {', '.join(_SECTIONS)}")
        self._root, self._place, self._file = root, place, file
        self._head = read_fields(root, place, _sections(file))
        self._usual = Usual(self._head.get("language", "en"), self._head.get("time_zone", "UTC"))
        self._destinations: dict[str, Read] = {}
        self._people: dict[str, Recipient] = {}

    def read(self) -> Routes:
        for name, node, at in self._entries("destinations"):
            found = at.take(partial(read_destination, name=name, file=self._file, usual=self._usual), node)
            if found is not None:
                self._destinations[name] = found
        for name, node, at in self._entries("people"):
            person = at.take(partial(self._person, name=name), node)
            if person is not None:
                self._people[name] = person
        routes = self._routes()
        storm, by_rule = self._head.get("storms", (USUAL_STORM, {}))
        return Routes(
            destinations={name: found.destination for name, found in self._destinations.items()},
            recipients=self._reached(routes),
            routes=tuple(routes),
            storm=storm,
            storm_by_rule=by_rule,
            links=self._head.get("links"),
            templates=self._head.get("templates"),
        )

    def _entries(self, section: str) -> list[tuple[str, Node, Place]]:
        """The named entries of a section; who is named twice, or like a word of ours, is a fault."""
        node, place = self._root.entries.get(section), self._place.at(section)
        if node is None:
            return []
        if not isinstance(node, Entries):
            place.refuse(node.line, f"{shown(node)} stands here; a mapping is wanted: `name: {{...}}`")
            return []
        found: list[tuple[str, Node, Place]] = []
        for key, entry in node.entries.items():
            line, at = node.key_lines[key], place.at(key)
            name = at.take(recipient_name, Scalar(line, key, "str"))
            if name == OWNER:
                at.refuse(line, f"`{OWNER}` means the owner of an alert: choose another name")
            elif section == "people" and name in self._names("destinations"):
                at.refuse(line, f"{name!r} is a destination as well: whom would a route mean?")
            elif name is not None:
                found.append((name, entry, at))
        return found

    def _names(self, section: str) -> list[str]:
        """As they stand in the file, also of entries with faults: to name such a one is no further fault."""
        node = self._root.entries.get(section)
        return list(node.key_lines) if isinstance(node, Entries) else []

    def _person(self, node: Node, place: Place, name: str) -> Recipient | None:
        before = len(place.faults)
        via = one_of(self._names("destinations"), "a destination of this file")
        values = read_fields(node, place, {"via": Field(via, required=True), "address": Field(text), **MANNERS})
        reached = self._destinations.get(values.get("via", ""))
        if len(place.faults) > before or reached is None or not isinstance(node, Entries):
            return None
        destination, entry = reached.destination, EntryAtHand(node, place, values)
        reads_address = KINDS[destination.kind].address
        if destination.audience == "machine":
            entry.refuse("via", f"{destination.name!r} is a system ({destination.kind}), which no person reads")
        elif reads_address is None and "address" in values:
            entry.refuse("address", f"by {destination.kind} nobody has an address: leave it out")
        elif reads_address is not None and "address" not in values:
            entry.refuse("address", f"`address` is missing: by {destination.kind} everybody has one")
        elif reads_address is not None:
            values["address"] = place.at("address").take(reads_address, node.entries["address"]) or ""
        return recipient_of(entry, name, destination, self._usual, is_person=True)

    def _routes(self) -> list[Route]:
        node, place = self._root.entries.get("routes"), self._place.at("routes")
        if not isinstance(node, Items) or not node.items:
            if node is not None:
                place.refuse(node.line, f"{shown(node)} stands here; a list of routes is wanted, like [{{to: [NAME]}}]")
            return []
        found: list[Route] = []
        for index, item in enumerate(node.items):
            route = place.item(index).take(partial(self._route, number=index + 1), item)
            if any(before.takes_all for before in found):
                place.item(index).refuse(item.line, _NEVER_ASKED)
            found += [] if route is None else [route]
        return found

    def _route(self, node: Node, place: Place, number: int) -> Route | None:
        before = len(place.faults)
        values = read_fields(node, place, self._route_fields())
        if len(place.faults) > before or not isinstance(node, Entries):
            return None
        entry = EntryAtHand(node, place, values)
        if OWNER in values["to"] and not self._names("people") and "otherwise" not in values:
            entry.refuse("to", f"`{OWNER}` names nobody: there is no section `people`")
        if "otherwise" in values and OWNER not in values["to"]:
            entry.refuse("otherwise", f"this goes with `{OWNER}` in `to`: whom else, if the owner is not known")
        return Route(
            number=number,
            line=node.line,
            to=tuple(values["to"]),
            otherwise=tuple(values.get("otherwise", ())),
            goes_on=values.get("continue", False),
            rule=None if "rule" not in values else tuple(values["rule"]),
            **{key: frozenset(values[key]) for key in ("severity", "tier", "owner") if key in values},
        )

    def _route_fields(self) -> dict[str, Field]:
        return {
            "severity": Field(list_of(one_of(get_args(Severity), "a severity"), 1)),
            "tier": Field(list_of(text, 1)),
            "rule": Field(list_of(text, 1)),
            "owner": Field(list_of(text, 1)),
            "to": Field(list_of(lambda node, place: self._told(node, place, owner=True), 1), required=True),
            "otherwise": Field(list_of(lambda node, place: self._told(node, place, owner=False), 1)),
            "continue": Field(flag),
        }

    def _told(self, node: Node, place: Place, *, owner: bool) -> str:
        found = text(node, place)
        known = [*self._names("destinations"), *self._names("people"), *([OWNER] if owner else [])]
        if found not in known and self._names("destinations"):
            raise Refused(node.line, f"{found!r} is neither a destination nor a person of this file; {meant(found, known)}")
        read = self._destinations.get(found)
        if read is not None and read.needs_address:
            raise Refused(node.line, f"{found!r} has no `address`: give it one, or name people who are reached by it")
        return found

    def _reached(self, routes: list[Route]) -> dict[str, Recipient]:
        named = {name for route in routes for name in (*route.to, *route.otherwise)}
        reached = {name: read.recipient for name, read in self._destinations.items() if name in named}
        people = {name: person for name, person in self._people.items() if name in named or OWNER in named}
        return reached | people


def _later(node: Node, place: Place) -> None:
    """Read once the names of the other sections are known."""


def _templates(file: FileAt) -> Reader:
    """A folder of templates, each of which can be rendered."""

    def read(node: Node, place: Place) -> Path:
        folder = file.path(node, place)
        if faults := faults_in(folder):
            raise Refused(node.line, "; ".join(faults))
        return folder

    return read


def _sections(file: FileAt) -> dict[str, Field]:
    return _SECTIONS | {"links": links_field(file), "templates": Field(_templates(file))}


_NEVER_ASKED: Final = "is never asked: a route above takes everything, and has no `continue: true`"
_SECTIONS: Final = {
    "language": Field(one_of(get_args(Language), "a language")),
    "time_zone": Field(time_zone),
    "links": Field(_later),
    "templates": Field(_later),
    "destinations": Field(_later, required=True),
    "people": Field(_later),
    "routes": Field(_later, required=True),
    "storms": Field(read_storms),
}
