"""What events have: their fields by type, and of which kind each is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from msgspec import inspect

from schemas.events import EVENT_TYPES, AnyEvent

Kind = Literal["number", "text", "truth"]

HIDDEN: Final = frozenset({"src", "origin"})
"""Where an event came from is nothing that a rule looks at."""


@dataclass(frozen=True, slots=True)
class Field:
    """What a field can hold."""

    kind: Kind
    values: tuple[str, ...] = ()
    """All there are; empty: any."""


def _field(kind: inspect.Type) -> Field | None:
    match kind:
        case inspect.UnionType(types=kinds):
            return next((found for found in map(_field, kinds) if found is not None), None)
        case inspect.LiteralType(values=values):
            return Field("text", tuple(str(value) for value in values))
        case inspect.StrType():
            return Field("text")
        case inspect.BoolType():
            return Field("truth")
        case inspect.IntType() | inspect.FloatType():
            return Field("number")
        case _:
            return None


def _fields(event: type) -> dict[str, Field]:
    match inspect.type_info(event):
        case inspect.StructType(fields=fields):
            found = {field.name: _field(field.type) for field in fields if field.name not in HIDDEN}
        case other:
            raise TypeError(f"{other} is no event")
    return {"type": Field("text", EVENT_TYPES), **{name: field for name, field in found.items() if field is not None}}


FIELDS: Final[Mapping[str, Mapping[str, Field]]] = {
    str(event.__struct_config__.tag): _fields(event) for event in get_args(AnyEvent)
}
"""By type of event, by name."""
ALL_FIELDS: Final = frozenset(name for fields in FIELDS.values() for name in fields)


def event_types(patterns: Iterable[str]) -> frozenset[str]:
    """The event types that some patterns (`order.*`, `order.placed`) cover.

    >>> sorted(event_types(["login.*"]))
    ['login.succeeded']
    """
    return frozenset(
        name
        for pattern in patterns
        for name in FIELDS
        if name == pattern or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
    )


def fields_of(types: Iterable[str]) -> frozenset[str]:
    """Every field that events of these types may have."""
    return frozenset(name for event_type in types for name in FIELDS.get(event_type, {}))
