"""Event logs as process mining exchanges them (XES, IEEE 1849): a row for each event, with what its case says of itself."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

from schemas.errors import ContractError

CASE_PREFIX: Final = "case:"
"""Before the names of a case's own attributes; process mining tools call their columns so."""
NUMBER_COLUMN: Final = "event:number"
"""The place of an event in its case, from 1."""
NESTED: Final = "/"
"""Between the name of an attribute and that of one within it."""

XesRow = tuple[dict[str, Any], ContractError | None]
"""The values, and what is wrong with them."""
_READ_BYTES: Final = 1 << 16
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


class XesError(ValueError):
    """The file is not XES, or not a whole one; the message says where."""


def xes_rows(file: IO[bytes]) -> Iterator[XesRow]:
    """The events in the order of the file, read case by case: what a case says of itself may stand behind its events.

    Raises:
        XesError: it cannot be read to its end.
    """
    log = _Log()
    parser = ET.XMLParser(target=log)  # noqa: S314 - `_Log` refuses what makes XML dangerous: entities of the file's own
    try:
        while some := file.read(_READ_BYTES):
            parser.feed(some)
            yield from log.taken()
        parser.close()
    except ET.ParseError as error:
        raise XesError(f"the XML cannot be read: {error}") from None
    except XesError:
        raise
    except (LookupError, ValueError) as error:  # an encoding that is unknown, or that the parser cannot read
        raise XesError(f"the XML cannot be read: {error}; save it as UTF-8") from None


class _Log:
    """Told by the parser what it meets; no tree is built, so a log may be larger than memory."""

    def __init__(self) -> None:
        self._rows: list[XesRow] = []
        self._open: list[str] = []
        """Elements around the one that is being read."""
        self._names: list[str] = []
        """Attributes around the one that is being read."""
        self._case: dict[str, Any] | None = None
        self._event: dict[str, Any] | None = None
        self._of_case: list[XesRow] = []
        self._fault: ContractError | None = None
        self._case_fault: ContractError | None = None

    def taken(self) -> list[XesRow]:
        """The rows that are complete."""
        rows, self._rows = self._rows, []
        return rows

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        """No log needs a document type; what it can declare makes a small file a huge one."""
        raise XesError("the file declares a document type, which XES does not have")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        kind = tag.rpartition("}")[2]
        if not self._open and kind != "log":
            raise XesError(f"the file is XML, but not XES: it begins with <{kind}>, not with <log>")
        self._open.append(kind)
        if kind in {"trace", "event"} and (self._event is not None or (kind == "trace" and self._case is not None)):
            raise XesError(f"a <{kind}> stands within {'an <event>' if self._event is not None else 'a <trace>'}")
        if kind == "trace":
            self._case, self._case_fault, self._of_case = {}, None, []
        elif kind == "event":
            self._event, self._fault = {}, None
        elif "key" in attributes:
            self._names.append(attributes["key"])
            self._attribute(kind, attributes.get("value"))

    def end(self, _tag: str) -> None:
        kind = self._open.pop()
        if kind == "event":
            self._end_event()
        elif kind == "trace":
            self._end_case()
        elif self._names and kind in _KINDS:
            self._names.pop()

    def close(self) -> None:
        """Nothing is open at the end: the parser has seen to it."""

    def _attribute(self, kind: str, text: str | None) -> None:
        values = self._case if self._event is None else self._event
        if values is None or text is None:  # of the log itself, what it says of all events, or a list around others
            return
        name = (CASE_PREFIX if self._event is None else "") + NESTED.join(self._names)
        try:
            value = _KINDS.get(kind, str)(text)
        except (ValueError, KeyError):
            value = text
            fault = ContractError("bad_row", f"{name!r} is {text[:80]!r}, which is no {kind}")
            if self._event is None:
                self._case_fault = fault
            else:
                self._fault = fault
        if name not in values:
            values[name] = value
        else:  # in a list all may have one name
            known = values[name]
            values[name] = [*known, value] if isinstance(known, list) else [known, value]

    def _end_event(self) -> None:
        row: XesRow = (self._event or {}, self._fault)
        self._event = None
        if self._case is None:
            self._rows.append(row)
        else:
            self._of_case.append(row)

    def _end_case(self) -> None:
        case = self._case or {}
        for number, (values, fault) in enumerate(self._of_case, 1):
            self._rows.append(({**case, NUMBER_COLUMN: number, **values}, fault or self._case_fault))
        self._case = None


_KINDS: Final[dict[str, Callable[[str], Any]]] = {
    "string": str,
    "date": str,  # the mapping says how a time is read
    "id": str,
    "int": int,
    "float": float,
    "boolean": lambda text: _FLAGS[text.strip().lower()],
    "list": str,
    "container": str,
}
