"""Laws of the features: the order of arrival says nothing, the future is not seen, every value is finite."""

import math
from collections.abc import Callable
from random import Random

import msgspec
import pytest
from feature_oracle import naive_features
from hypothesis import given
from hypothesis import strategies as st

from detectors.features import NAMES, FeatureState, by_name, features_at, remember
from schemas.events import (
    AnyEvent,
    LoginSucceeded,
    OrderCancelled,
    OrderCorrected,
    OrderPlaced,
    OrderReturned,
    SurveyAnswered,
    TicketClosed,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    UsageRecorded,
)
from schemas.instants import DAY_MS

START_MS = 1_700_000_000_000
END_MS = START_MS + 400 * DAY_MS
instants = st.integers(START_MS, END_MS)
ABSURD = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def forgiving_events(draw: st.DrawFn, number: int) -> AnyEvent:
    """Events whose effect is one in any order: nothing is taken back, no ticket is opened twice."""
    at_ms, name = draw(instants), f"n-{number}"
    ticket = draw(st.sampled_from(["t-1", "t-2", "t-3"]))
    makers: tuple[Callable[[], AnyEvent], ...] = (
        lambda: OrderPlaced(
            id=name, customer_id="c", at_ms=at_ms, order_id=name, amount=draw(st.floats(0, 1000)), items=draw(st.integers(0, 9))
        ),
        lambda: LoginSucceeded(id=name, customer_id="c", at_ms=at_ms),
        lambda: UsageRecorded(id=name, customer_id="c", at_ms=at_ms, feature="f", count=draw(st.integers(0, 9))),
        lambda: TicketOpened(id=name, customer_id="c", at_ms=at_ms, ticket_id=name, category="complaint"),
        lambda: TicketReopened(id=name, customer_id="c", at_ms=at_ms, ticket_id=ticket),
        lambda: TicketResolved(id=name, customer_id="c", at_ms=at_ms, ticket_id=ticket),
        lambda: TicketReplied(id=name, customer_id="c", at_ms=at_ms, ticket_id=ticket, by="agent"),
        lambda: SurveyAnswered(
            id=name, customer_id="c", at_ms=at_ms, survey="csat", score=draw(st.integers(1, 5)), scale_max=5
        ),
    )
    return draw(st.sampled_from(makers))()


@st.composite
def any_events(draw: st.DrawFn, number: int, *, sound: bool) -> AnyEvent:
    """Whatever can be said; with absurd numbers, unless it is to be `sound`."""
    at_ms, name, order = draw(instants), f"n-{number}", draw(st.sampled_from(["o-1", "o-2", "o-3"]))
    numbers = st.floats(0, 1000) if sound else ABSURD
    amount, most = draw(numbers), 1000 if sound else 2**63
    makers: tuple[Callable[[], AnyEvent], ...] = (
        lambda: draw(forgiving_events(number)),
        lambda: OrderPlaced(id=name, customer_id="c", at_ms=at_ms, order_id=order, amount=amount),
        lambda: OrderCorrected(id=name, customer_id="c", at_ms=at_ms, order_id=order, amount=amount),
        lambda: OrderReturned(
            id=name, customer_id="c", at_ms=at_ms, order_id=order, amount=draw(st.one_of(st.none(), numbers))
        ),
        lambda: OrderCancelled(id=name, customer_id="c", at_ms=at_ms, order_id=order),
        lambda: SurveyAnswered(
            id=name,
            customer_id="c",
            at_ms=at_ms,
            survey="nps",
            score=amount,
            scale_max=draw(st.floats(0.5, 10) if sound else ABSURD),
        ),
        lambda: TicketClosed(id=name, customer_id="c", at_ms=at_ms, ticket_id=order),
        lambda: UsageRecorded(id=name, customer_id="c", at_ms=at_ms, feature="f", count=draw(st.integers(0, most))),
    )
    return draw(st.sampled_from(makers))()


@st.composite
def histories(draw: st.DrawFn, *, forgiving: bool, sound: bool = False) -> list[AnyEvent]:
    size = draw(st.integers(0, 14))
    return [draw(forgiving_events(n) if forgiving else any_events(n, sound=sound)) for n in range(size)]


def state_of(events: list[AnyEvent]) -> FeatureState:
    state = FeatureState()
    for event in events:
        remember(state, event)
    return state


@given(histories(forgiving=True), st.randoms(use_true_random=False), st.lists(instants, max_size=4), instants)
def test_any_order_of_arrival_and_any_looks_between_give_the_same_features(
    events: list[AnyEvent], shuffler: Random, looks: list[int], at_ms: int
) -> None:
    distinct = list({event.at_ms: event for event in events}.values())  # same-instant ties are told apart by arrival
    shuffled = distinct[:]
    shuffler.shuffle(shuffled)
    disturbed = FeatureState()
    for n, event in enumerate(shuffled):
        remember(disturbed, event)
        if n < len(looks):
            features_at(disturbed, min(looks[n], at_ms))

    assert features_at(disturbed, at_ms) == pytest.approx(features_at(state_of(distinct), at_ms), rel=1e-9, abs=1e-9)


@given(histories(forgiving=False), instants)
def test_an_event_at_or_after_the_instant_changes_no_feature(events: list[AnyEvent], at_ms: int) -> None:
    before = [event for event in events if event.at_ms < at_ms]

    assert features_at(state_of(events), at_ms) == features_at(state_of(before), at_ms)


@given(histories(forgiving=False), st.integers(0, END_MS * 4))
def test_every_feature_is_finite_whatever_the_events_say(events: list[AnyEvent], at_ms: int) -> None:
    values = features_at(state_of(events), at_ms)

    assert len(values) == len(NAMES)
    assert all(type(value) is float and math.isfinite(value) for value in values)


@given(histories(forgiving=False), instants)
def test_a_state_that_went_through_bytes_gives_the_same_features(events: list[AnyEvent], at_ms: int) -> None:
    state = state_of(events)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=FeatureState)

    assert features_at(again, at_ms) == features_at(state, at_ms)


@given(histories(forgiving=False), instants, instants)
def test_a_look_changes_nothing_about_a_later_look(events: list[AnyEvent], one: int, other: int) -> None:
    earlier, later = sorted((one, other))
    looked = state_of(events)
    features_at(looked, earlier)

    assert features_at(looked, later) == features_at(state_of(events), later)


@given(histories(forgiving=False, sound=True), st.lists(instants, max_size=4))
def test_features_equal_their_definitions(events: list[AnyEvent], looks: list[int]) -> None:
    distinct = list({event.at_ms: event for event in events}.values())  # same-instant ties are told apart by arrival
    state = state_of(sorted(distinct, key=lambda event: event.at_ms))
    for at_ms in sorted([*looks, END_MS + DAY_MS]):
        found = by_name(features_at(state, at_ms))
        assert found == pytest.approx(naive_features(distinct, at_ms), rel=1e-9, abs=1e-6)


@given(
    st.lists(st.tuples(instants, st.floats(0, 1000), st.integers(0, 9)), min_size=1, max_size=60),
    st.lists(instants, max_size=4),
)
def test_features_of_many_orders_equal_their_definitions(placed: list[tuple[int, float, int]], looks: list[int]) -> None:
    orders = [
        OrderPlaced(id=f"{n}", customer_id="c", at_ms=at, order_id=f"{n}", amount=amount, items=items)
        for n, (at, amount, items) in enumerate(sorted(placed))
    ]
    state = state_of(list(orders))
    for at_ms in sorted([*looks, END_MS + DAY_MS]):
        assert by_name(features_at(state, at_ms)) == pytest.approx(naive_features(orders, at_ms), rel=1e-9, abs=1e-6)
