"""What the decoder's errors mean to us: a stable code, and a sentence with the place and what is allowed there."""

import difflib
import re
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from schemas.control import CONTROL_TYPES, AnyControl
from schemas.decisions import AnyDecision
from schemas.errors import ContractError, UnknownType
from schemas.events import EVENT_TYPES, AnyEvent

_UNKNOWN_TYPE: Final = re.compile(r"Invalid value '(?P<tag>.*)' - at `\$\.type`", re.DOTALL)
_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at `(?P<place>.*)`)?", re.DOTALL)
_FINITE: Final = re.compile(r"Number out of range|Expected `float` [<>]= -?1\.79\d+e\+?308")
_CODE_BY_PATTERN: Final = (
    (re.compile(r"missing required field `type`|\$\.type`"), "no_type"),
    (re.compile(r"\$\.document"), "bad_document"),
    (re.compile(r"missing required field `customer_id`|\$\.customer_id`"), "no_customer"),
    (re.compile(r"missing required field `at_ms`|\$\.\w+_ms`"), "bad_time"),
    (_FINITE, "bad_number"),
    (re.compile(r"missing required field"), "missing_field"),
    (re.compile(r"Expected `object`, got `\w+`$"), "not_an_object"),
)
_STRUCT_BY_TYPE: Final = {
    str(struct.__struct_config__.tag): struct for union in (AnyEvent, AnyControl, AnyDecision) for struct in get_args(union)
}
_HINTS: Final = {
    "bad_time": "an instant is a whole number of milliseconds since 1970-01-01T00:00:00Z",
    "no_customer": "every event names its customer, with 1 to 512 characters",
    "no_type": "every record names its type, like 'order.placed'",
}
_MOST_SHOWN: Final = 200


def explain(error: Exception, tag: object = None) -> ContractError:
    """A decoder's error in our words.

    Args:
        error: what msgspec raised.
        tag: the record's `type`, if it could be read: then the values that a field may have are named.
    """
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return ContractError("bad_utf8", f"the record is not UTF-8: {text}")
    if isinstance(error, RecursionError):
        return ContractError("bad_json", "the record is nested too deeply; a record is one flat object")
    if not isinstance(error, msgspec.ValidationError):
        return ContractError("bad_json", f"the record is not JSON: {text}")
    unknown = _UNKNOWN_TYPE.search(text)
    if unknown is not None:
        return unknown_type(unknown["tag"])
    code = next((code for pattern, code in _CODE_BY_PATTERN if pattern.search(text)), "bad_field")
    hint = _HINTS.get(code)
    return ContractError(code, _sentence(text, tag) + (f"; {hint}" if hint else ""))


def unknown_type(tag: str) -> UnknownType:
    """A type that is not ours, with the one that was probably meant."""
    known = EVENT_TYPES + CONTROL_TYPES
    meant = difflib.get_close_matches(tag, known, 1)
    allowed = f"did you mean {meant[0]!r}?" if meant else f"events are {', '.join(EVENT_TYPES)}"
    return UnknownType(f"the type {tag[:_MOST_SHOWN]!r} is not known to this release; {allowed}")


def _sentence(text: str, tag: object) -> str:
    found = _PLACE.fullmatch(text)
    what, place = (found["what"], found["place"]) if found is not None else (text, None)
    if _FINITE.search(what):
        what = "a finite number is wanted"
    what = what[0].lower() + what[1:]
    what = what.replace("object missing required field", "there is no")
    where = "" if place is None else f"`{place.removeprefix('$.')}`: "
    allowed = _values_allowed(tag, place or "")
    return f"{where}{what}" + (f"; allowed are {', '.join(allowed)}" if allowed else "")


def _values_allowed(tag: object, place: str) -> tuple[str, ...]:
    struct: Any = _STRUCT_BY_TYPE.get(tag) if isinstance(tag, str) else None
    if struct is None:
        return ()
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    kind = kinds.get(place.removeprefix("$."))
    literal = next((option for option in (kind, *get_args(kind)) if get_origin(option) is Literal), None)
    return get_args(literal)
