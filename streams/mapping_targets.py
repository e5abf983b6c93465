"""What a mapping has to fill: the fields of each event type, as the schemas have them."""

from dataclasses import dataclass
from typing import Final, cast, get_args

import msgspec

from detectors.event_fields import HIDDEN
from schemas.events import AnyEvent
from streams.mapping_values import Kind


@dataclass(frozen=True, slots=True)
class Target:
    """A field of an event, as the schema has it."""

    name: str
    kind: Kind
    required: bool
    allowed: tuple[str, ...] = ()


def targets_of(struct: type[msgspec.Struct]) -> dict[str, Target]:
    """The fields of an event type by their names in a mapping, where `at` stands for `at_ms`."""
    info = cast("msgspec.inspect.StructType", msgspec.inspect.type_info(struct))
    return {
        found.name.removesuffix("_ms"): Target(found.encode_name, *_kind(found))
        for found in info.fields
        if found.name not in HIDDEN
    }


def _kind(found: msgspec.inspect.Field) -> tuple[Kind, bool, tuple[str, ...]]:
    types = found.type.types if isinstance(found.type, msgspec.inspect.UnionType) else (found.type,)
    bare = [one.type if isinstance(one, msgspec.inspect.Metadata) else one for one in types]
    required = found.required
    if found.name.endswith("_ms"):
        return "time", required, ()
    for one in bare:
        match one:
            case msgspec.inspect.FloatType():
                return "number", required, ()
            case msgspec.inspect.IntType():
                return "integer", required, ()
            case msgspec.inspect.BoolType():
                return "flag", required, ()
            case msgspec.inspect.LiteralType():
                return "text", required, tuple(str(value) for value in one.values)
            case _:
                continue
    return "text", required, ()


TARGETS: Final = {str(struct.__struct_config__.tag): targets_of(struct) for struct in get_args(AnyEvent)}
"""Of each event type."""
