"""Where a mapping looks: the name of a column, or a path into nested objects. Compiled once into plain functions.

What the row has under the whole name counts first, so that a table may have a column `No.` or `Price [EUR]` or `a.b`. What
it does not have is a path, if it reads as one: `customer.id`, `lines[0].price`, `fields["due.date"]`. `$.` begins at the
record, also in an entry that makes an event of `each` item of a list. A step that is not there leads to nothing.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Row = Mapping[str, Any]
Get = Callable[[Row, Row], Any]
"""What stands at a place of a row (or of an item of a list), or of the record it is part of; None if nothing does."""

RECORD: Final = "$."
_STEP: Final = re.compile(r"""\.?([^.\[\]"]+)|\[(\d{1,6})\]|\["([^"]+)"\]""", re.ASCII)
_ABSENT: Final = object()


def steps_of(path: str) -> tuple[str | int, ...] | None:
    """The steps of a path; None if it is none.

    >>> steps_of('lines[0].tax["a.b"]')
    ('lines', 0, 'tax', 'a.b')
    >>> steps_of("No.") is None
    True
    """
    steps: list[str | int] = []
    place = 0
    while place < len(path):
        found = _STEP.match(path, place)
        if found is None or (place == 0) != (path[place] not in ".["):
            return None
        name, index, quoted = found.groups()
        steps.append(int(index) if index is not None else name or quoted)
        place = found.end()
    return tuple(steps) or None


def first_step(name: str) -> str:
    """The column of a table that a path begins in.

    >>> first_step("$.customer.id"), first_step("lines[].price")
    ('customer', 'lines')
    """
    return re.split(r"[.\[]", name.removeprefix(RECORD), maxsplit=1)[0]


def is_column(name: str) -> bool:
    """Whether a name can only be the whole name of something in the row."""
    return not name.startswith(RECORD) and len(steps_of(name) or ()) < 2


def getter(name: str) -> Get:
    """The function that looks there."""
    if name.startswith(RECORD):
        steps = steps_of(name[len(RECORD) :]) or ()
        return lambda _row, record: _walked(record, steps)
    if is_column(name):
        return lambda row, _record: row.get(name)
    steps = steps_of(name) or ()
    first, *rest = steps
    if len(rest) == 1 and isinstance(rest[0], str):
        return _member(name, str(first), rest[0])

    def get(row: Row, _record: Row) -> Any:  # noqa: ANN401 - what stands there
        found = row.get(name, _ABSENT)
        return _walked(row, steps) if found is _ABSENT else found

    return get


def _member(name: str, owner: str, member: str) -> Get:
    """The same for `owner.member`, which most paths are."""

    def get(row: Row, _record: Row) -> Any:  # noqa: ANN401 - what stands there
        found = row.get(name, _ABSENT)
        if found is not _ABSENT:
            return found
        inner = row.get(owner)
        return inner.get(member) if isinstance(inner, dict) else None

    return get


def _walked(found: Any, steps: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - what stands there
    for step in steps:
        if isinstance(step, str):
            found = found.get(step) if isinstance(found, dict) else None
        else:
            found = found[step] if isinstance(found, list) and step < len(found) else None
    return found
