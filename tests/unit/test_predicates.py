"""What expressions of a rules file mean, and which of them are refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from detectors.predicates import MAX_LENGTH, Predicate, Value
from schemas.errors import ContractError
from schemas.events import AnyEvent, OrderPlaced

CONFORMANCE: Mapping[str, Any] = YAML(typ="safe").load(
    (Path(__file__).parents[1] / "conformance" / "predicates.yaml").read_text("utf-8")
)
EVENTS: dict[str, AnyEvent | None] = {
    name: msgspec.convert(fields, AnyEvent) if fields is not None else None for name, fields in CONFORMANCE["events"].items()
}
FEATURES: Mapping[str, float] = CONFORMANCE["features"]


@pytest.mark.parametrize(("expression", "event", "answer"), CONFORMANCE["predicates"])
def test_an_expression_means_what_it_always_meant(expression: object, event: str, answer: object) -> None:
    text = str(expression).lower() if isinstance(expression, bool) else str(expression)
    found = Predicate(text).holds(EVENTS[event], lambda: FEATURES)
    assert found is {True: True, False: False, "unknown": None}[answer]


@pytest.mark.parametrize(("expression", "event", "answer"), CONFORMANCE["values"])
def test_a_value_is_what_it_always_was(expression: str, event: str, answer: float | str) -> None:
    assert Value(expression).of(EVENTS[event], lambda: FEATURES) == (None if answer == "unknown" else answer)


def test_features_are_asked_for_only_if_they_are_named_and_then_decide() -> None:
    asked: list[int] = []

    def features() -> Mapping[str, float]:
        asked.append(1)
        return FEATURES

    order = EVENTS["order"]
    assert Predicate("event.amount > 1.0").holds(order, features) is True
    assert Predicate("event.amount * 2.0 > 1.0").holds(order, features) is True
    assert not asked
    assert Predicate("event.amount > 1000.0 && features.orders > 1.0").holds(order, features) is False
    assert not asked
    assert Predicate("event.amount > 1.0 && features.orders > 1.0").holds(order, features) is True
    assert asked


def test_without_features_an_expression_that_names_them_is_unknown() -> None:
    for text in ("features.orders > 1.0", "features.orders * 2.0 > 1.0", "event.amount > 1.0 || features.orders > 1.0"):
        assert Predicate(text).holds(EVENTS["order"]) is None


@pytest.mark.parametrize(
    ("text", "types", "fault"),
    [
        ("event.amuont > 1.0", ["order.placed"], "names event.amuont; the fields of these events are amount, at_ms"),
        ("event . amuont > 1.0", ["order.placed"], "names event.amuont"),
        ("has(event.amuont)", ["order.placed"], "names event.amuont"),
        ("event.score > 1.0", ["order.placed"], "names event.score"),
        ("event.src == 'a'", ["order.placed"], "names event.src"),
        ("event['amuont'] > 1.0", ["order.placed"], "cannot be evaluated: 'amuont'"),
        ("features.login > 1.0", ["order.placed"], "names features.login; the features are order_recency_days"),
        ("event.amount > 1.0", [], "names `event`, and there is none here; allowed is `features`"),
        ("event.amount", ["order.placed"], "gives a number; wanted is true or false"),
        ("event.order_id", ["order.placed"], "gives text; wanted is true or false"),
        ("event.amount == '250'", ["order.placed"], "compares event.amount, which is a number, with text, '250'"),
        ("'250' != event.amount", ["order.placed"], "compares event.amount, which is a number, with text, '250'"),
        ("event.order_id == 17.0", ["order.placed"], "compares event.order_id, which is text, with a number, 17.0"),
        ("event.public == 'true'", ["ticket.replied"], "compares event.public, which is true or false, with text"),
        ("event.amount < '250'", ["order.placed"], "mixes types"),
        ("event.amount * 2 > 1.0", ["order.placed"], "write 1.0, not 1"),
        ("event.amount > 1000.0 && event.order_id > 3.0", ["order.placed"], "mixes types"),
        ("event.category == 'complain'", ["ticket.opened"], "its values are complaint, incident, other, question, request"),
        ("'complain' == event.category", ["ticket.opened"], "its values are complaint"),
        ("event.order_id.matches('(')", ["order.placed"], "cannot be evaluated"),
    ],
)
def test_what_would_never_be_evaluated_is_refused(text: str, types: list[str], fault: str) -> None:
    with pytest.raises(ContractError) as refused:
        Predicate(text).check_types(types)
    assert fault in refused.value.message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("event.amount >", "is no CEL expression"),
        ("order.amount > 1.0", "names 'order'; allowed are `event` and `features`"),
        ("['a'].exists(x, x == event.type)", "names 'x'"),
        ("now() > 1", "calls 'now'; allowed are contains"),
        ("timestamp('2026-01-01T00:00:00Z').getHours() == 0", "calls 'getHours'"),
        (" || ".join(["event.amount > 1.0"] * 200), f"{MAX_LENGTH} are allowed"),
    ],
)
def test_what_is_no_expression_here_is_refused_at_once(text: str, fault: str) -> None:
    with pytest.raises(ContractError) as refused:
        Predicate(text)
    assert fault in refused.value.message


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ('event.category == "complaint"', ["ticket.opened"]),
        ('event.category == "complaint"', ["ticket.opened", "ticket.closed"]),
        ('event.type == "order.placed" && event.amount > 1.0', ["order.placed", "survey.answered"]),
        ("event.score * 2.0 < event.scale_max", ["survey.answered"]),
        ("has(event.items) && event.items > 3.0", ["order.placed"]),
        ("event.by == 'agent' && event.public", ["ticket.replied"]),
        ("features.logins_30d < 3.0", []),
        ("event.amount > 3000.0 && features.orders > 3", ["order.placed"]),
        ("event.order_id == 'event.amuont' // event.nothing", ["order.placed"]),
        ("true", []),
    ],
)
def test_what_can_be_evaluated_is_not_refused(text: str, types: list[str]) -> None:
    Predicate(text).check_types(types)


def test_a_value_has_to_be_a_number() -> None:
    Value("event.score").check_types(["survey.answered"])
    Value("event.score / event.scale_max").check_types(["survey.answered"])
    with pytest.raises(ContractError, match="wanted is a number"):
        Value("event.survey").check_types(["survey.answered"])
    with pytest.raises(ContractError, match="wanted is a number"):
        Value("event.score < 3.0").check_types(["survey.answered"])


def test_an_event_of_no_known_type_has_no_fields() -> None:
    with pytest.raises(ContractError, match=r"names event\.amount"):
        Predicate("event.amount > 1.0").check_types(["order.shipped"])


def test_equal_events_have_equal_answers() -> None:
    predicate = Predicate("event.amount * 1.0 > 100.0")
    small, large = (OrderPlaced(id="1", customer_id="c", at_ms=0, order_id="1", amount=amount) for amount in (1, 1000))
    assert [predicate.holds(event) for event in (small, large, small, large)] == [False, True, False, True]
