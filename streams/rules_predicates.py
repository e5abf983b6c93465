"""Checks of the CEL expressions in a rules file: names, and types by trying them on events as they may come."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cel

from detectors.features import NAMES
from detectors.predicates import Predicate
from schemas.errors import ContractError
from streams.rules_common import RuleAtHand
from streams.rules_samples import described, fields_of, samples_of

_FEATURES: Final = dict.fromkeys(NAMES, 1.0)
_NO_SUCH_FUNCTION: Final = "Undefined variable or function"
_ALLOWED: Final = "numbers are doubles, like 2.0, and text stands in quotes"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an expression has to give."""

    fits: Callable[[object], bool]
    words: str


_TRUTH: Final = _Wanted(lambda found: isinstance(found, bool), "true or false is wanted, as of {like} > 5.0")
_NUMBER: Final = _Wanted(
    lambda found: isinstance(found, float | int) and not isinstance(found, bool), "a number is wanted, as of {like}"
)


def check_predicate(rule: RuleAtHand, key: str, types_key: str) -> None:
    """Note why an expression cannot say yes or no of the event types that another field names."""
    _check(rule, key, rule.types(types_key), _TRUTH)


def check_value(rule: RuleAtHand, key: str, types_key: str) -> None:
    """Note why an expression cannot give a number of the event types that another field names."""
    _check(rule, key, rule.types(types_key), _NUMBER)


def check_feature_predicate(rule: RuleAtHand, key: str) -> None:
    """Note why an expression cannot say yes or no where there is no event, only `features`."""
    predicate = _compiled(rule, key, frozenset())
    if predicate is None:
        return
    if "event" in cel.compile(predicate.text).variables():
        rule.refuse(key, f"{predicate.text!r} looks at `event`, but what is looked at daily has none; use `features`")
    elif fault := _fault_of(predicate.text, [{}], _TRUTH, "features.logins_30d"):
        rule.refuse(key, f"{fault}; {_ALLOWED}")


def _check(rule: RuleAtHand, key: str, types: frozenset[str], wanted: _Wanted) -> None:
    predicate = _compiled(rule, key, types)
    if predicate is None or not types:
        return
    events = [sample for name in sorted(types) for sample in samples_of(name)]
    if fault := _fault_of(predicate.text, events, wanted, "event.amount"):
        fields = [f"event.{name} is {sort}" for name, sort in _sorts(predicate.event_fields, types)]
        rule.refuse(key, f"{fault}; {'; '.join([*fields, _ALLOWED])}")


def _compiled(rule: RuleAtHand, key: str, types: frozenset[str]) -> Predicate | None:
    """None where there is no expression, or after it has noted why it cannot be used."""
    text = rule.values.get(key)
    if text is None:
        return None
    try:
        predicate = Predicate(text)
        if types:
            predicate.check_types(types)
    except ContractError as error:
        rule.refuse(key, error.message)
        return None
    return predicate


def _fault_of(text: str, events: Iterable[Mapping[str, Any]], wanted: _Wanted, like: str) -> str | None:
    """What is wrong with an expression, as far as events show it; one that some event cannot answer may stand."""
    found = list(_outcomes(text, events))
    for outcome in found:
        if isinstance(outcome, TypeError) or _NO_SUCH_FUNCTION in str(outcome):
            return f"{text!r} does not fit the types: {_first_sentence(outcome)}"
        if not isinstance(outcome, Exception) and not wanted.fits(outcome):
            return f"{text!r} gives {_sort(outcome)}; {wanted.words.format(like=like)}"
    if all(isinstance(outcome, Exception) for outcome in found):
        return f"{text!r} can never be evaluated: {_first_sentence(found[0])}"
    return None


def _outcomes(text: str, events: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """What an expression gives of each event, or the error it meets."""
    program = cel.compile(text)
    for event in events:
        try:
            yield program.execute({"event": dict(event), "features": _FEATURES})
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            yield error


def _sorts(fields: frozenset[str], types: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The fields that an expression names, with what each holds."""
    for field in sorted(fields - {"type"}):
        holder = next(name for name in sorted(types) if field in fields_of(name))
        yield field, described(holder, field)


def _first_sentence(error: object) -> str:
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")


def _sort(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case _:
            return f"a {type(value).__name__}"
