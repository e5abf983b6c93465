"""Records of every kind, made of the structs: as short as can be, and with every field and every choice."""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import msgspec
from msgspec import inspect

from schemas.codec import encode

_TEXTS: Final = ("2026-02-15", "08:00-12:00", "2026-02-15/2026-02-24", "mon", "a-rule", "a1")
"""For those that have a pattern: the first that fits."""
_FLOATS: Final = (0.25, 1.5, 250.0)


def records_of(struct: type[msgspec.Struct]) -> Iterator[msgspec.Struct]:
    """The shortest record, then full ones until each choice (a word, a kind of value) was made at least once."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    yield _made(info, _Sampler(0, shortest=True))
    for turn in range(_choices(info)):
        yield _made(info, _Sampler(turn, shortest=False))


def _made(info: inspect.StructType, sampler: "_Sampler") -> msgspec.Struct:
    made: msgspec.Struct = msgspec.convert(sampler.value(info), info.cls)
    assert msgspec.json.decode(encode(made), type=info.cls) == made
    return made


class _Sampler:
    """Values by type; numbers grow, so that what comes later in a record is later."""

    def __init__(self, turn: int, *, shortest: bool) -> None:
        self._turn = turn
        self._shortest = shortest
        self._numbers = count(turn + 1)

    def value(self, kind: inspect.Type, name: str = "") -> Any:  # noqa: PLR0911 - one line for each kind of type
        match kind:
            case inspect.StructType():
                return self._struct(kind)
            case inspect.UnionType(types=kinds):
                some = [each for each in kinds if not isinstance(each, inspect.NoneType)]
                return self.value(some[self._turn % len(some)], name)
            case inspect.LiteralType(values=values):
                return values[self._turn % len(values)]
            case inspect.BoolType():
                return self._turn % 2 == 0
            case inspect.IntType(ge=least, le=most):
                return min(next(self._numbers) + (least or 0), 2**53 if most is None else most)
            case inspect.FloatType():
                return next(number for number in _FLOATS if _fits(number, kind))
            case inspect.StrType(pattern=pattern):
                return f"{name} {self._turn}" if pattern is None else _text(pattern)
            case inspect.ListType(item_type=item):
                return [self.value(item, name)]
            case inspect.DictType(key_type=key, value_type=item):
                return {self.value(key, name): self.value(item, name)}
            case _:
                raise NotImplementedError(kind)

    def _struct(self, kind: inspect.StructType) -> Any:
        fields = {
            field.encode_name: self.value(field.type, field.encode_name)
            for field in kind.fields
            if field.required or not self._shortest
        }
        if kind.array_like:
            return list(fields.values())
        return fields if kind.tag_field is None else {kind.tag_field: kind.tag, **fields}


def _choices(kind: inspect.Type) -> int:
    """How many turns it takes until each choice inside was made."""
    match kind:
        case inspect.StructType(fields=fields):
            return max((_choices(field.type) for field in fields), default=1)
        case inspect.UnionType(types=kinds):
            some = [each for each in kinds if not isinstance(each, inspect.NoneType)]
            return max(len(some), *(_choices(each) for each in some))
        case inspect.LiteralType(values=values):
            return len(values)
        case inspect.BoolType():
            return 2
        case inspect.ListType(item_type=item) | inspect.DictType(value_type=item):
            return _choices(item)
        case _:
            return 1


def _fits(number: float, kind: inspect.FloatType) -> bool:
    return (
        (kind.ge is None or number >= kind.ge)
        and (kind.le is None or number <= kind.le)
        and (kind.gt is None or number > kind.gt)
        and (kind.lt is None or number < kind.lt)
    )


def _text(pattern: str) -> str:
    return next(text for text in _TEXTS if re.search(pattern, text))
