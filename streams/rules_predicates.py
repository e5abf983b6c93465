"""Checks of the CEL expressions in a rules file: each says yes or no, or gives a number, of the events it is asked of."""

from collections.abc import Iterable

from detectors.predicates import Predicate, Value
from schemas.errors import ContractError
from streams.rules_common import RuleAtHand


def check_predicate(rule: RuleAtHand, key: str, types_key: str) -> None:
    """Note why an expression cannot say yes or no of the event types that another field names."""
    if types := rule.types(types_key):
        _check(rule, key, types, Predicate)


def check_value(rule: RuleAtHand, key: str, types_key: str) -> None:
    """Note why an expression cannot give a number of the event types that another field names."""
    if types := rule.types(types_key):
        _check(rule, key, types, Value)


def check_feature_predicate(rule: RuleAtHand, key: str) -> None:
    """Note why an expression cannot say yes or no where there is no event, only `features`."""
    _check(rule, key, (), Predicate)


def _check(rule: RuleAtHand, key: str, types: Iterable[str], form: type[Predicate | Value]) -> None:
    expression = rule.values.get(key)
    if expression is None:
        return
    try:
        form(expression).check_types(types)
    except ContractError as error:
        rule.refuse(key, error.message)
