"""Which feeds a rule waits for, unless it says so itself."""

import pytest
from engine_run import absence, rule_set

from detectors.rules_compiled import CompiledRules
from schemas.errors import ContractError
from schemas.rule_kinds import AllRule, AnyRule, CountRule, LevelRule, RenewalRule, Rule

BURST = CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P5D")
LOW_USAGE = RenewalRule(id="renewal", version="1", before="P30D", where="features.logins_30d < 3.0 && features.orders > 1.0")


def feeds_of(rule: Rule, *others: Rule) -> tuple[str, ...]:
    return CompiledRules(rule_set(*others, rule)).by_id[rule.id].feeds


def test_a_rule_waits_for_the_feeds_that_deliver_what_it_looks_at() -> None:
    assert feeds_of(absence(90)) == ("orders",)
    assert feeds_of(absence(90, of=["order.placed", "login.*"])) == ("logins", "orders")


def test_features_count_as_what_they_are_made_of() -> None:
    assert feeds_of(LOW_USAGE) == ("crm", "logins", "orders")
    of_scores = LevelRule(
        id="l", version="1", of=["survey.answered"], value="event.score", below=3, where="features.returns > 2.0"
    )
    assert feeds_of(of_scores) == ("orders", "tickets")


def test_a_rule_may_say_itself_what_it_waits_for() -> None:
    assert feeds_of(absence(90, needs=["tickets"])) == ("tickets",)
    assert feeds_of(absence(90, needs=[])) == ()


def test_a_rule_made_of_others_waits_for_theirs() -> None:
    both = AllRule(id="both", version="1", rules=["silent", "burst"])
    assert feeds_of(both, absence(90), BURST) == ("orders", "tickets")
    assert feeds_of(AnyRule(id="top", version="1", rules=["both", "burst"]), absence(90), BURST, both) == ("orders", "tickets")


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([AllRule(id="a", version="1", rules=["a", "burst"]), BURST], "rule 'a': it is made of itself"),
        (
            [AllRule(id="a", version="1", rules=["b"]), AnyRule(id="b", version="1", rules=["a"])],
            "it is made of itself: a of b of a",
        ),
        ([AllRule(id="a", version="1", rules=["nobody"])], "rule 'a': it is made of 'nobody', which is not a rule of this set"),
    ],
)
def test_a_rule_made_of_itself_or_of_nothing_is_refused(rules: list[Rule], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        CompiledRules(rule_set(*rules))
