"""The documents that a partition holds: the rule set, calendars, the model. Each came by a record of the log."""

from typing import Final

from detectors.state_error import StateError
from detectors.state_frame import opened, sealed
from schemas.calendars import CalendarDocument
from schemas.codec import decode_record, encode
from schemas.control import CalendarPublished, ModelPublished, RulesPublished
from schemas.errors import ContractError

PREFIX: Final = b"p/document/"
RULES: Final = "rules"

Document = RulesPublished | CalendarPublished | ModelPublished


class Documents:
    """The latest of each, by name: `rules`, `calendar/NAME`, `model`."""

    def __init__(self) -> None:
        self._held: dict[str, Document] = {}
        self._changed: dict[str, None] = {}

    def load(self, key: bytes, value: bytes) -> None:
        """Take in a state record.

        Raises:
            StateError: it cannot be read.
        """
        content = opened(key, value)
        try:
            record = decode_record(content)
        except ContractError as error:
            raise StateError(key, f"cannot be read: {error.message}") from error
        if not isinstance(record, RulesPublished | CalendarPublished | ModelPublished) or key != _key(_name(record)):
            raise StateError(key, f"holds a record of the type {record.type!r} instead of its document")
        self._held[_name(record)] = record

    def is_news(self, document: Document) -> bool:
        """Whether its revision is above the one held: documents are sent again whenever the clock restarts."""
        held = self._held.get(_name(document))
        return held is None or document.revision > held.revision

    def with_one(self, document: Document) -> "Documents":
        """What would be held with this one, to try it out."""
        tried = Documents()
        tried._held = {**self._held, _name(document): document}
        return tried

    def take(self, document: Document) -> None:
        """Hold a document in place of the one of its name."""
        name = _name(document)
        self._held[name] = document
        self._changed[name] = None

    @property
    def rules(self) -> RulesPublished | None:
        """The rule set in force."""
        held = self._held.get(RULES)
        return held if isinstance(held, RulesPublished) else None

    @property
    def model(self) -> ModelPublished | None:
        """The model in use."""
        held = self._held.get("model")
        return held if isinstance(held, ModelPublished) else None

    def calendars(self) -> dict[str, tuple[str, CalendarDocument]]:
        """Version and content of each calendar, by name."""
        held = sorted(self._held.items())
        return {record.name: (record.version, record.document) for _, record in held if isinstance(record, CalendarPublished)}

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """State records of the documents that changed since the last call."""
        changes: list[tuple[bytes, bytes | None]] = []
        for name in self._changed:
            key = _key(name)
            changes.append((key, sealed(key, encode(self._held[name]))))
        self._changed.clear()
        return changes


def _key(name: str) -> bytes:
    return PREFIX + name.encode()


def _name(document: Document) -> str:
    match document:
        case RulesPublished():
            return RULES
        case CalendarPublished():
            return f"calendar/{document.name}"
        case ModelPublished():
            return "model"
