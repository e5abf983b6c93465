"""What the readers of a file of routes share: what they know of the file, and what a kind of destination is."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from schemas.secret import Secret
from sinks.base import Sink
from sinks.routes import Audience, Routes
from streams.rules_values import Field, text
from streams.secret_values import SecretError, SecretName, read_secret, read_secrets, secret_name
from streams.settings import Settings
from streams.yaml_nodes import Entries, Node, Place, Reader, Refused

_NAME: Final = re.compile(r"[^\x00-\x1f\x7f/*]{1,100}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileAt:
    """The file that is being read.

    Args:
        folder: where relative paths in it begin.
        reads_secrets: whether the secrets that it names are read here, or only named.
    """

    folder: Path
    reads_secrets: bool = True

    def secret(self, node: Node, place: Place) -> Secret:
        """Reader of `env:NAME` or `file:PATH`, where one secret stands."""
        named = self._named(node, place)
        return _found(node, lambda: read_secret(named)) if self.reads_secrets else Secret(None, str(named))

    def secrets(self, node: Node, place: Place) -> tuple[Secret, ...]:
        """Reader of the same, where several may stand, one a line."""
        named = self._named(node, place)
        return _found(node, lambda: read_secrets(named)) if self.reads_secrets else (Secret(None, str(named)),)

    def path(self, node: Node, place: Place) -> Path:
        """Reader of a path, which must exist."""
        found = self.folder / text(node, place)
        if not found.exists():
            raise Refused(node.line, f"there is no {found.resolve()}")
        return found

    def _named(self, node: Node, place: Place) -> SecretName:
        del place
        written = getattr(node, "text", "")  # not shown: it may be the secret itself
        return _found(node, lambda: secret_name(written, self.folder))


@dataclass(frozen=True, slots=True)
class EntryAtHand:
    """A mapping that was read without faults, for the checks across its fields."""

    node: Entries
    place: Place
    values: dict[str, Any]

    def refuse(self, key: str, message: str) -> None:
        """Note a fault at one of its fields, or at the entry if it does not have that."""
        at_field = key in self.node.key_lines
        where = self.place.at(key) if at_field else self.place
        where.refuse(self.node.key_lines[key] if at_field else self.node.line, message)


@dataclass(frozen=True, slots=True)
class DestinationKind:
    """What one kind of destination is made of."""

    audience: Audience
    fields: Callable[[FileAt], Mapping[str, Field]]
    """Its own keys, beside `kind`, and beside those that all rooms have."""
    terms: Callable[[EntryAtHand], Any]
    """What its sink is made of; may refuse what does not fit together."""
    sink: Callable[[str, Any, Routes, Settings], Sink]
    """Made of the destination's name, its terms, the file, and the installation."""
    address: Reader | None = None
    """How a person is reached there, e.g. an e-mail address; None: the destination reaches whoever it reaches."""


def recipient_name(node: Node, place: Place) -> str:
    """The name of a destination or of a person, as alerts name their owner."""
    found = text(node, place).strip()
    if _NAME.fullmatch(found) is None:
        raise Refused(node.line, f"{found!r} is not a name: at most 100 characters, and no `/` or `*`")
    return found


def _found(node: Node, read: Callable[[], T]) -> T:
    try:
        return read()
    except SecretError as error:
        raise Refused(node.line, str(error)) from None
