"""Expressions of the rules file: CEL over `event` and `features`, with *unknown* as a third answer.

All numbers reach an expression as doubles, and so have to be those in it that are added or multiplied: `event.amount * 2.0`.
What cannot be evaluated (a field that this event does not have, a wrong type) is unknown, never false: each kind of rule
says what it makes of that. As everywhere in CEL a side of `&&` or `||` that cannot be evaluated does not matter where the
other side decides. `tests/conformance/predicates.yaml` freezes what expressions mean.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import cel
import msgspec

from detectors.comparisons import Features, simple_check, simple_value
from detectors.event_fields import ALL_FIELDS, HIDDEN, event_types, fields_of
from detectors.expression_check import Wanted, fault_of
from detectors.expression_tokens import members_of, tokens_of
from detectors.features import NAMES
from schemas.errors import ContractError
from schemas.events import Event

__all__ = ["Predicate", "Value", "event_types", "plain_fields"]

CODE: Final = "bad_predicate"
MAX_LENGTH: Final = 2_000
"""Of an expression: the library overflows the stack of the process on some that are much longer."""
VARIABLES: Final = frozenset({"event", "features"})
FUNCTIONS: Final = frozenset(
    {"contains", "double", "dyn", "endsWith", "int", "matches", "size", "startsWith", "string", "uint"}
)
"""What may be called, beside the macro `has`: its answer is the same in every process and every year."""
_ERRORS: Final = (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError)
"""The library raises what it meets."""


class _Expression:
    """A compiled expression, and the checks that all of them have in common."""

    wanted: Wanted

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ContractError(CODE, f"{text[:40]!r}... has {len(text)} characters; {MAX_LENGTH} are allowed")
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise ContractError(CODE, f"{text!r} is no CEL expression: {' '.join(str(error).split())}") from None
        names = frozenset(self._program.variables())
        if unknown := sorted(names - VARIABLES):
            raise ContractError(CODE, f"{text!r} names {unknown[0]!r}; allowed are `event` and `features`")
        called = frozenset(name for name in self._program.functions() if name.isidentifier())
        if unknown := sorted(called - FUNCTIONS):
            raise ContractError(CODE, f"{text!r} calls {unknown[0]!r}; allowed are {', '.join(sorted(FUNCTIONS))}, has")
        self.text = text
        self.needs_event = "event" in names
        self.needs_features = "features" in names
        self._tokens = tokens_of(text)
        self.event_fields = members_of(self._tokens, "event")
        self.features = members_of(self._tokens, "features")

    def check_types(self, types: Iterable[str]) -> None:
        """Refuse what can never be evaluated on events of these types: what would be *unknown* for ever.

        Without any types there is no event, and the expression can be over `features` alone.

        Raises:
            ContractError: with what is allowed.
        """
        names = sorted(set(types))
        if self.needs_event and not names:
            raise ContractError(CODE, f"{self.text!r} names `event`, and there is none here; allowed is `features`")
        allowed = fields_of(names)
        if missing := sorted(self.event_fields - allowed):
            fields = ", ".join(sorted(allowed))
            raise ContractError(CODE, f"{self.text!r} names event.{missing[0]}; the fields of these events are {fields}")
        if missing := sorted(self.features - set(NAMES)):
            raise ContractError(CODE, f"{self.text!r} names features.{missing[0]}; the features are {', '.join(NAMES)}")
        if fault := fault_of(self._program, self._tokens, names, self.wanted):
            raise ContractError(CODE, f"{self.text!r} {fault}")

    def _answer(self, event: Event | None, features: Features | None) -> object:
        """What the library says, None if nothing."""
        try:
            return self._program.execute(_context(event, features if self.needs_features else None))
        except _ERRORS:
            return None


class Predicate(_Expression):
    """An expression that is true or false.

    >>> large = Predicate("event.amount >= 1000.0")
    >>> from schemas.events import LoginSucceeded, OrderPlaced
    >>> large.holds(OrderPlaced(id="1", customer_id="c", at_ms=0, order_id="1", amount=1200))
    True
    >>> large.holds(LoginSucceeded(id="1", customer_id="c", at_ms=0)) is None
    True

    Raises:
        ContractError: not an expression, or one that names or calls what there is not.
    """

    wanted = "truth"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._check = simple_check(self._tokens, ALL_FIELDS)

    def holds(self, event: Event | None, features: Features | None = None) -> bool | None:
        """Whether it is true; None if that is unknown.

        Args:
            event: what it is asked of; None: it is asked of a customer.
            features: asked only if the expression names `features`.
        """
        if (event is None and self.needs_event) or (features is None and self.needs_features):
            return None
        if self._check is not None:
            return self._check(event, features)
        found = self._answer(event, features)
        return found if isinstance(found, bool) else None


class Value(_Expression):
    """An expression that is a number.

    >>> from schemas.events import SurveyAnswered
    >>> answered = SurveyAnswered(id="1", customer_id="c", at_ms=0, survey="csat", score=2, scale_max=5)
    >>> Value("event.score / event.scale_max").of(answered)
    0.4

    Raises:
        ContractError: not an expression, or one that names or calls what there is not.
    """

    wanted = "number"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._look = simple_value(self._tokens, ALL_FIELDS)

    def of(self, event: Event | None, features: Features | None = None) -> float | None:
        """The number; None if it is unknown, or none: text, a truth value, beyond all bounds."""
        if (event is None and self.needs_event) or (features is None and self.needs_features):
            return None
        found = self._look(event, features) if self._look is not None else self._answer(event, features)
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return None
        return float(found) if math.isfinite(found) else None


def plain_fields(event: Event) -> dict[str, object]:
    """An event as an expression sees it: fields that are set, numbers as doubles."""
    fields: dict[str, object] = {"type": event.type}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if value is None or value is msgspec.UNSET or name in HIDDEN:
            continue
        fields[name] = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return fields


class _Latest:
    """The event that was looked at last, made ready: most rules that look at an event do so one after the other."""

    def __init__(self) -> None:
        self._known: tuple[Event | None, cel.Context] = (None, cel.Context(variables={}))

    def context(self, event: Event | None) -> cel.Context:
        # Events do not change, and one that is held here cannot be another one: the answer is the same either way.
        known, context = self._known
        if known is not event:
            context = cel.Context(variables={"event": plain_fields(event)} if event is not None else {})
            self._known = (event, context)
        return context


_latest: Final = _Latest()


def _context(event: Event | None, features: Callable[[], Mapping[str, float]] | None) -> cel.Context:
    if features is None:
        return _latest.context(event)
    fields = {"event": plain_fields(event)} if event is not None else {}
    return cel.Context(variables={**fields, "features": dict(features())})
