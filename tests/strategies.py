"""Hypothesis strategies for every record, built from the structs themselves: a new type or field is drawn at once."""

import sys
from functools import cache
from typing import Any, get_args

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from schemas.control import AnyControl
from schemas.decisions import AnyDecision
from schemas.deliveries import AnyLedger
from schemas.events import AnyEvent
from schemas.progress import Heartbeat

MOST_ITEMS = 3
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

EVENT_STRUCTS: tuple[type[msgspec.Struct], ...] = get_args(AnyEvent)
CONTROL_STRUCTS: tuple[type[msgspec.Struct], ...] = get_args(AnyControl)
DECISION_STRUCTS: tuple[type[msgspec.Struct], ...] = get_args(AnyDecision)
LEDGER_STRUCTS: tuple[type[msgspec.Struct], ...] = get_args(AnyLedger)
STRUCTS: tuple[type[msgspec.Struct], ...] = (*EVENT_STRUCTS, *CONTROL_STRUCTS, *DECISION_STRUCTS, *LEDGER_STRUCTS, Heartbeat)


def structs(struct: type[msgspec.Struct], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Valid values of one struct; some fields may be drawn from elsewhere.

    `structs(OrderPlaced, customer_id=st.just("c"), at_ms=st.integers(0, 100))` are orders of one customer.
    """
    return _drawn(struct, {**_fields(struct), **fields}) if fields else _built(struct)


def events(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Events of any type; `customer_id`, `at_ms`, `id` and `src` may be given."""
    return st.one_of([structs(struct, **fields) for struct in EVENT_STRUCTS])


def controls(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Control records of any type; `at_ms` may be given."""
    return st.one_of([structs(struct, **fields) for struct in CONTROL_STRUCTS])


def decisions(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Records of any topic that detect writes; `customer_id` and `at_ms` may be given."""
    return st.one_of([structs(struct, **fields) for struct in DECISION_STRUCTS])


def plain_records(struct: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The same as plain JSON objects."""
    return structs(struct).map(msgspec.to_builtins)


@cache
def _built(struct: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: _drawn(struct, _fields(struct)))


def _drawn(struct: type[msgspec.Struct], fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    made = st.builds(_make, st.just(struct), st.fixed_dictionaries(fields))
    return made.filter(lambda value: value is not None)


def _make(struct: type[Any], fields: dict[str, Any]) -> Any:
    """None where the fields contradict each other; a list that must be as long as another is cut."""
    lists = [name for name in ("features", "mean", "scale", "weights", "names") if isinstance(fields.get(name), list)]
    shortest = min((len(fields[name]) for name in lists), default=0)
    try:
        return struct(**{**fields, **{name: fields[name][:shortest] for name in lists}})
    except ValueError:
        return None


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, st.SearchStrategy[Any]]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return {field.name: _value(field.type) for field in info.fields}


def _value(kind: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one line for each kind of type
    match kind:
        case inspect.StructType(cls=struct):
            return _built(struct)
        case inspect.UnionType(types=kinds):
            return st.one_of([_value(option) for option in kinds])
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType(ge=least, le=most):
            return st.integers(-(2**53) if least is None else least, 2**53 if most is None else most)
        case inspect.FloatType():
            return _floats(kind)
        case inspect.StrType(pattern=None, min_length=least):
            return TEXT.filter(lambda text: len(text) >= (least or 0))
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern, fullmatch=True)
        case inspect.ListType(item_type=item):
            return st.lists(_value(item), max_size=MOST_ITEMS)
        case inspect.DictType(key_type=key, value_type=item):
            return st.dictionaries(_value(key), _value(item), max_size=MOST_ITEMS)
        case _:
            raise NotImplementedError(kind)


def _floats(kind: inspect.FloatType) -> st.SearchStrategy[float]:
    least = kind.ge if kind.ge is not None else kind.gt
    most = kind.le if kind.le is not None else kind.lt
    return st.floats(
        -sys.float_info.max if least is None else least,
        sys.float_info.max if most is None else most,
        exclude_min=kind.gt is not None,
        exclude_max=kind.lt is not None,
    )
