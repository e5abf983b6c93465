"""Duplicates: ingest may forward a record twice, and a source may send an event twice."""

from typing import Final

from detectors.state import RECENT_EVENTS, Customer, Head
from schemas.events import Event, SourcePosition

_PRIME: Final = 2**61 - 1
"""Names that differ only within seven bytes in a row leave different remainders, others with odds of one to the prime."""


def is_old_position(head: Head, src: SourcePosition) -> bool:
    """Whether a source record was forwarded before; if not, it counts as seen from now on.

    Ingest keeps the order of each source partition, so what is not above the greatest position seen is a repetition.
    """
    seen = head.sources.get(src.lane)
    if seen is not None and (src.epoch, src.offset, src.index) <= (seen.epoch, seen.offset, seen.index):
        return True
    head.sources[src.lane] = src
    return False


def is_duplicate(customer: Customer, event: Event, feed: str | None) -> bool:
    """Whether the event is among the customer's last ones; if not, it is from now on."""
    name = f"{feed}\0{event.type}\0{event.id}\0{event.src.index if event.src is not None else 0}"
    mark = int.from_bytes(name.encode()) % _PRIME
    if mark in customer.recent:
        return True
    customer.recent.append(mark)
    if len(customer.recent) > RECENT_EVENTS:
        del customer.recent[0]
    return False


def forget_last(customer: Customer) -> None:
    """Take the last event out of the customer's last ones: it was refused."""
    customer.recent.pop()
