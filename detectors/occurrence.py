"""One input record, as far as a decision may have to name it later."""

from typing import Self

import msgspec

from schemas.decisions import Evidence
from schemas.events import Event, SourcePosition


class Occurrence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When something happened, and which record said so."""

    at_ms: int
    type: str
    id: str
    src: SourcePosition | None = None

    @classmethod
    def of(cls, event: Event) -> Self:
        """What is kept of an event; of one that was redriven the first position: that is the record its source knows."""
        return cls(event.at_ms, event.type, event.id, event.origin or event.src)

    def evidence(self) -> Evidence:
        """As an alert shows it."""
        return Evidence(type=self.type, at_ms=self.at_ms, id=self.id, src=self.src)
