"""Events as they may come, made from their structs: a rules file's expressions are tried on them before they hold."""

from collections.abc import Mapping
from functools import cache
from typing import Final, cast, get_args

from msgspec import inspect

from schemas.events import AnyEvent

Plain = float | str | bool
"""A field as an expression sees it; every number is a double."""

_HIDDEN: Final = frozenset({"src"})
_TEXTS: Final = ("text", "1")
_EVENTS: Final = {str(event.__struct_config__.tag): event for event in get_args(AnyEvent)}


def fields_of(event_type: str) -> frozenset[str]:
    """The fields that an expression may name of an event of this type."""
    return frozenset(_EVENTS[event_type].__struct_fields__) - _HIDDEN


@cache
def samples_of(event_type: str) -> tuple[Mapping[str, Plain], ...]:
    """Some events of a type with every field set; each word that a field may have is in one of them.

    >>> sorted({sample["outcome"] for sample in samples_of("usage.recorded")})
    ['error', 'ok']
    """
    read = _columns(event_type)
    count = max(len(values) for values in read.values())
    rows = [{name: values[i % len(values)] for name, values in read.items()} for i in range(count)]
    return tuple({"type": event_type} | row for row in rows)


def described(event_type: str, field: str) -> str:
    """What a field holds, in words."""
    values = _columns(event_type)[field]
    if values == _TEXTS:
        return "text"
    if isinstance(values[0], bool):
        return "true or false"
    return "a number" if isinstance(values[0], float) else "one of " + ", ".join(map(str, values))


@cache
def _columns(event_type: str) -> Mapping[str, tuple[Plain, ...]]:
    described_struct = cast("inspect.StructType", inspect.type_info(_EVENTS[event_type]))
    return {field.name: _values(field.type) for field in described_struct.fields if field.name not in _HIDDEN}


def _values(declared: inspect.Type) -> tuple[Plain, ...]:
    match declared:
        case inspect.UnionType(types=types):
            return _values(next(one for one in types if not isinstance(one, inspect.NoneType)))
        case inspect.LiteralType(values=values):
            return tuple(str(value) for value in values)
        case inspect.BoolType():
            return (True, False)
        case inspect.IntType() | inspect.FloatType():
            return (1.0,)
        case _:
            return _TEXTS
