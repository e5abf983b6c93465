"""Laws of predicates: the short way and the library give the same answers, and looking changes nothing."""

from collections.abc import Mapping

import msgspec
from hypothesis import assume, example, given
from hypothesis import strategies as st
from strategies import events

from detectors.comparisons import simple_check, simple_value
from detectors.event_fields import ALL_FIELDS
from detectors.expression_tokens import tokens_of
from detectors.features import NAMES, FeatureState, by_name, features_at, remember, seen_at
from detectors.predicates import Predicate, Value
from schemas.errors import ContractError
from schemas.events import AnyEvent, OrderPlaced, TicketReplied

FIELDS = st.one_of(
    st.sampled_from(["event.amount", "event.items", "event.category", "event.public", "event.by", "event.count", "event.type"]),
    st.sampled_from(sorted(f"event.{name}" for name in ALL_FIELDS)),
    st.sampled_from(["event.nowhere", "event.src", "features.orders", "features.tickets_open", "features.nothing"]),
)
NUMBERS = st.one_of(
    st.integers(-3, 3).map(str),
    st.sampled_from(["-9007199254740993", "9223372036854775807", "1e3", "-2.5E-3", ".5", "- 1.0", "-0.0", "007", "0x1", "1u"]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
TEXTS = st.one_of(
    st.sampled_from(["'complaint'", '"agent"', "'order.placed'", "''", "'é'", "'日本'", "r'a\\b'", "'\\u0041'", "'''a'''"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'\\"), max_size=3).map(lambda text: f"'{text}'"),
)
LITERALS = st.one_of(NUMBERS, TEXTS, st.sampled_from(["true", "false"]))
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
COMPARISONS = st.one_of(
    st.builds("{} {} {}".format, FIELDS, OPERATORS, LITERALS),
    st.builds("{}{}{}".format, LITERALS, OPERATORS, FIELDS),
    st.builds("has({})".format, FIELDS),
    FIELDS,
    st.sampled_from(["true", "false", "event.amount * 2.0 > 3.0", "!event.public == true", "event.amount > 1.0 == true"]),
)
EXPRESSIONS = st.recursive(
    COMPARISONS,
    lambda parts: st.one_of(
        st.builds("{} && {}".format, parts, parts),
        st.builds("{} || {}".format, parts, parts),
        st.builds("({})".format, parts),
        st.builds("!({})".format, parts),
        st.builds("!{}".format, parts),
        st.builds("{} ? {} : {}".format, parts, parts, parts),
        st.builds("{} // {}\n".format, parts, TEXTS),
    ),
    max_leaves=5,
)
FEATURES = st.dictionaries(st.sampled_from(["orders", "tickets_open"]), st.integers(-2, 3).map(float))
ORDER = OrderPlaced(id="1", customer_id="c", at_ms=0, order_id="1", amount=2.0)
REPLY = TicketReplied(id="1", customer_id="c", at_ms=0, ticket_id="1", by="agent", public=False)


@given(EXPRESSIONS, events(), FEATURES)
@example("!event.public == true", REPLY, {})
@example("event.public == 0.0", REPLY, {})
@example("event.public < true", REPLY, {})
@example("event.items < 3.0 || event.amount > 1.0", ORDER, {})
@example("event.items < 3.0 && event.amount > 5.0", ORDER, {})
@example("event.items < 3.0 && event.amount > 1.0", ORDER, {})
@example("event.amount > 'a' || !(event.amount == 'a')", ORDER, {})
@example("event.amount > 9223372036854775807", msgspec.structs.replace(ORDER, amount=2.0**63), {})
def test_what_is_evaluated_without_the_library_has_the_librarys_answer(
    text: str, event: AnyEvent, features: Mapping[str, float]
) -> None:
    predicate = _compiled(text)
    check = simple_check(tokens_of(text), ALL_FIELDS)
    predicate._check = None
    by_library = predicate.holds(event, lambda: features)
    if check is not None:
        assert check(event, lambda: features) is by_library


@given(FIELDS, events(), FEATURES)
def test_a_value_that_is_one_field_is_what_the_library_makes_of_it(
    text: str, event: AnyEvent, features: Mapping[str, float]
) -> None:
    value = Value(text)
    shortly = value.of(event, lambda: features)
    value._look = None
    assert shortly == value.of(event, lambda: features)
    assert simple_value(tokens_of(f"{text} + 1.0"), ALL_FIELDS) is None


@given(EXPRESSIONS, st.lists(events(), max_size=4), FEATURES)
def test_an_answer_does_not_depend_on_what_was_asked_before(
    text: str, asked: list[AnyEvent], features: Mapping[str, float]
) -> None:
    predicate = _compiled(text)
    together = [predicate.holds(event, lambda: features) for event in [*asked, *asked]]
    assert together == [Predicate(text).holds(event, lambda: features) for event in [*asked, *asked]]


@given(st.lists(events(at_ms=st.integers(0, 10**10)), max_size=8), st.integers(0, 10**10), st.integers(0, 10**10))
def test_a_predicate_that_looks_at_features_leaves_them_as_they_are(history: list[AnyEvent], settled: int, at_ms: int) -> None:
    state = FeatureState()
    for event in history:
        remember(state, event)
    features_at(state, settled)
    before = msgspec.msgpack.encode(state)
    seen = seen_at(state, at_ms)()
    assert msgspec.msgpack.encode(state) == before
    assert tuple(seen) == NAMES
    assert seen == by_name(features_at(state, at_ms))


def _compiled(text: str) -> Predicate:
    try:
        return Predicate(text)
    except ContractError:
        assume(False)
        raise
