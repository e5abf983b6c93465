"""Reading the kinds that look ahead: `renewal` and `score`."""

from streams.rules_common import Names, RuleAtHand, check_feeds, common_fields
from streams.rules_predicates import check_feature_predicate
from streams.rules_values import Field, exact_duration, number, text


def renewal_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `renewal`."""
    return common_fields(names) | {"before": Field(exact_duration, required=True), "where": Field(text)}


def check_renewal(rule: RuleAtHand) -> None:
    """Note what does not fit together in a renewal."""
    check_feature_predicate(rule, "where")
    check_feeds(rule, "kind", frozenset({"contract.set"}))


def score_fields(names: Names) -> dict[str, Field]:
    """Of a rule of kind `score`."""
    return common_fields(names) | {"above": Field(number(0, 1), required=True), "clear_below": Field(number(0, 1))}


def check_score(rule: RuleAtHand) -> None:
    """Note what does not fit together in a score, which clears at its own limit if no other is given."""
    values = rule.values
    if "above" in values and values.setdefault("clear_below", values["above"]) > values["above"]:
        rule.refuse("clear_below", f"{values['clear_below']:g} is above `above`, which is {values['above']:g}")
    if not rule.names.has_churn:
        rule.refuse("kind", "kind `score` needs a risk model: write the section `churn`, with the horizon it predicts")
