"""YAML 1.2 with line numbers: plain nodes that remember where they stand, and a list that collects every fault."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

_CORE_TAG: Final = "tag:yaml.org,2002:"
_SCALAR_TAGS: Final = frozenset({"str", "int", "float", "bool", "null", "timestamp"})
_MOST_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value, as its text stands in the file; `tag` is what YAML takes it for."""

    line: int
    text: str
    tag: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping; `key_lines` has the line of each key."""

    line: int
    entries: dict[str, "Node"]
    key_lines: dict[str, int]


Node = Scalar | Items | Entries


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong in a file: the line (from 1), the place in the document, and what is allowed there."""

    line: int
    place: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: " + (f"{self.place}: " if self.place else "") + self.message


class FaultyFileError(ValueError):
    """A file that cannot be used; its text has one line for every fault, in the order of the file."""

    def __init__(self, path: str, faults: list[Fault]) -> None:
        self.path = path
        self.faults = sorted(set(faults))
        count = len(self.faults)
        heading = f"{path} has {'a fault' if count == 1 else f'{count} faults'}:"
        super().__init__("\n".join([heading, *(f"  {fault}" for fault in self.faults)]))


class Refused(ValueError):  # noqa: N818 - what happened to the value
    """A reader cannot take a value; the message says what stands there and what is allowed."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the document, like `rules[2].for`; faults found there go to the one list."""

    faults: list[Fault] = field(repr=False)
    path: str = ""

    def at(self, key: str) -> "Place":
        """The place of an entry of this mapping."""
        return Place(self.faults, f"{self.path}.{key}" if self.path else key)

    def item(self, index: int | str) -> "Place":
        """The place of an item of this list."""
        return Place(self.faults, f"{self.path}[{index}]")

    def refuse(self, line: int, message: str) -> None:
        """Note a fault."""
        self.faults.append(Fault(line, self.path, message))

    def take(self, read: "Reader", node: Node) -> Any:  # noqa: ANN401 - what the reader makes
        """The value that a reader makes of a node here; None if it was refused, which is noted."""
        try:
            return read(node, self)
        except Refused as refused:
            self.refuse(refused.line, str(refused))
            return None


Reader = Callable[[Node, Place], Any]
"""Makes a plain value of a node, or raises `Refused`; one of many values notes what it refuses, and goes on."""


def read_yaml(content: bytes, place: Place) -> Node | None:
    """The one document of a file; None after it has noted why there is none.

    A key that stands twice, a key that is no text, a tag of some program and a list inside itself are faults.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place.refuse(content.count(b"\n", 0, error.start) + 1, f"byte {error.start} is not UTF-8; save the file as UTF-8")
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # an anchor may be given anew: YAML 1.2, 3.2.2.2
            root = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        place.refuse(line, f"not YAML: {error.problem or error.context}")
        return None
    except (YAMLError, ValueError, RecursionError) as error:
        position = getattr(error, "position", 0)
        reason = getattr(error, "reason", None) or str(error)
        place.refuse(text.count("\n", 0, position) + 1, f"not YAML: {reason}")
        return None
    if root is None:
        place.refuse(1, "the file is empty")
        return None
    return _Converter().converted(root, place)


def shown(node: Node) -> str:
    """A node in a message."""
    match node:
        case Scalar(tag="null"):
            return "nothing"
        case Scalar(text=text):
            return repr(text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "...")
        case Items():
            return "a list"
        case Entries():
            return "a mapping"


class _Converter:
    """Turns the parser's nodes into ours; one that several aliases name is turned once."""

    def __init__(self) -> None:
        self._done: dict[int, Node | None] = {}
        self._open: set[int] = set()

    def converted(self, node: Any, place: Place) -> Node | None:  # noqa: ANN401 - ruamel's nodes
        line = node.start_mark.line + 1
        if id(node) in self._open:
            place.refuse(line, "stands inside itself, by an alias")
            return None
        if id(node) not in self._done:
            self._open.add(id(node))
            self._done[id(node)] = self._fresh(node, line, place)
            self._open.discard(id(node))
        return self._done[id(node)]

    def _fresh(self, node: Any, line: int, place: Place) -> Node | None:  # noqa: ANN401
        tag = str(node.tag).removeprefix(_CORE_TAG)
        if isinstance(node, ScalarNode) and tag in _SCALAR_TAGS:
            return Scalar(line, node.value, tag)
        if isinstance(node, SequenceNode) and tag == "seq":
            found = [self.converted(item, place.item(i)) for i, item in enumerate(node.value)]
            return Items(line, tuple(item for item in found if item is not None))
        if isinstance(node, MappingNode) and tag == "map":
            return self._entries(node, line, place)
        place.refuse(line, f"the tag {tag!r} means nothing here; write plain YAML")
        return None

    def _entries(self, node: Any, line: int, place: Place) -> Entries:  # noqa: ANN401
        entries: dict[str, Node] = {}
        key_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                place.refuse(key_line, "a key is a single word, not a list or a mapping")
                continue
            key = str(key_node.value)
            value = self.converted(value_node, place.at(key))
            if isinstance(value, Scalar) and not value.text:
                value = Scalar(key_line, value.text, value.tag)  # the parser puts what is not there into the next line
            if key in key_lines:
                place.refuse(key_line, f"the key {key!r} stands in line {key_lines[key]} already")
                continue
            key_lines[key] = key_line
            if value is not None:
                entries[key] = value
        return Entries(line, entries, key_lines)
