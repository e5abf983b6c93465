"""Trace Context of W3C: which trace a record belongs to, copied from the source record to what it led to, and never made."""

import re
from collections.abc import Sequence
from typing import Final

from streams.dead_letters import SOURCE_HEADER

TRACEPARENT: Final = "traceparent"
"""The header, of HTTP as of Kafka."""

_NAMES: Final = frozenset({TRACEPARENT, "ce_traceparent"})
"""A CloudEvent has it among its attributes."""
_FORM: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

Headers = Sequence[tuple[str, bytes]]


def traceparent_of(headers: Headers) -> bytes | None:
    """The first valid one; what is none is passed over, as the recommendation wants.

    >>> traceparent_of([("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")])
    b'00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    >>> traceparent_of([("traceparent", b"00-00000000000000000000000000000000-b7ad6b7169203331-01")])
    """
    for name, text in headers:
        if name in _NAMES and _FORM.fullmatch(text or b""):
            return bytes(text)
    return None


def trace_headers(headers: Headers, *, redriven: bool = False) -> Headers:
    """The headers that go along into the log; a redriven record keeps those of its original under other names."""
    of_source = [(name.removeprefix(SOURCE_HEADER), text) for name, text in headers] if redriven else headers
    found = traceparent_of(of_source)
    return () if found is None else ((TRACEPARENT, found),)
