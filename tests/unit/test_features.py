"""Features, by hand."""

import string
from pathlib import Path

import msgspec
import pytest

from detectors.feature_orders import Orders
from detectors.feature_state import DAYS_KEPT, MAX_AHEAD, MAX_TICKETS, settle
from detectors.features import FEATURES, NAMES, PRIOR_GAP_DAYS, FeatureState, by_name, features_at, in_words, remember
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
    TicketReplied,
)
from schemas.instants import DAY_MS, HOUR_MS

DAY_0 = 20_000 * DAY_MS


def day(number: float) -> int:
    return DAY_0 + round(number * DAY_MS)


def order(number: float, amount: float = 10.0, name: str | None = None) -> OrderPlaced:
    name = name or f"o-{number}"
    return OrderPlaced(id=name, customer_id="c", at_ms=day(number), order_id=name, amount=amount)


def look(at_day: float, *events: AnyEvent) -> dict[str, float]:
    state = FeatureState()
    for event in events:
        remember(state, event)
    return by_name(features_at(state, day(at_day)))


def test_gaps_count_days_with_an_order_not_orders() -> None:
    #  day 0      10            40         look
    #  o,o        o             o          60
    values = look(60, order(0), order(0.5), order(10), order(40))

    assert values["orders"] == 4
    assert values["order_recency_days"] == 20
    assert values["order_gap_last_days"] == 30
    assert values["order_gap_max_days"] == 30
    assert values["order_gap_mean_days"] == pytest.approx((40 + 2 * PRIOR_GAP_DAYS) / (2 + 2))
    assert values["order_recency_ratio"] == pytest.approx(20 / values["order_gap_mean_days"])


def test_a_fading_count_equals_the_plain_count_in_a_steady_stream() -> None:
    logins = [LoginSucceeded(id=f"l{n}", customer_id="c", at_ms=day(n / 4)) for n in range(4 * 300)]

    values = look(300, *logins)

    assert values["logins_7d"] == pytest.approx(4 * 7, rel=0.02)
    assert values["logins_30d"] == pytest.approx(4 * 30, rel=0.02)


def test_what_was_given_back_lowers_counts_and_value_but_not_recency() -> None:
    kept, returned = order(0, 30.0, "kept"), order(10, 70.0, "returned")
    back = OrderReturned(id="r", customer_id="c", at_ms=day(12), order_id="returned")

    values = look(20, kept, returned, back)

    assert values["orders"] == 1
    assert values["returns"] == 1
    assert values["order_recency_days"] == 10
    assert values["order_value_mean"] == pytest.approx(30.0)
    assert values["orders_30d"] == pytest.approx(look(20, kept)["orders_30d"])
    assert values["order_value_90d"] == pytest.approx(look(20, kept)["order_value_90d"])


def test_an_order_is_taken_back_once_however_often_it_is_said() -> None:
    cancelled = [OrderCancelled(id=f"x{n}", customer_id="c", at_ms=day(2 + n), order_id="o") for n in range(3)]

    values = look(20, order(0, 30.0, "o"), order(1, 50.0, "p"), *cancelled)

    assert (values["orders"], values["returns"]) == (1, 3)
    assert values["order_value_mean"] == pytest.approx(50.0)


def test_part_of_an_order_given_back_lowers_its_value_alone() -> None:
    part = OrderReturned(id="r", customer_id="c", at_ms=day(3), order_id="o", amount=-10.0)

    values = look(20, order(0, 30.0, "o"), part)

    assert values["orders"] == 1
    assert values["order_value_mean"] == pytest.approx(20.0)


def test_a_corrected_order_has_its_new_amount() -> None:
    fixed = OrderCorrected(id="f", customer_id="c", at_ms=day(5), order_id="o", amount=12.0)

    assert look(20, order(0, 30.0, "o"), fixed)["order_value_mean"] == pytest.approx(12.0)


def test_an_absurd_amount_is_bounded() -> None:
    assert look(1, order(0, 1e300))["order_value_mean"] == 1e9


def test_tickets_are_open_until_the_latest_word_says_otherwise() -> None:
    def opened(name: str, number: float) -> TicketOpened:
        return TicketOpened(id=f"{name}-o{number}", customer_id="c", at_ms=day(number), ticket_id=name, category="complaint")

    closed = TicketClosed(id="c", customer_id="c", at_ms=day(4), ticket_id="a")
    reply = TicketReplied(id="r", customer_id="c", at_ms=day(6), ticket_id="unknown", by="customer")
    values = look(10, closed, opened("a", 1), opened("a", 2), opened("b", 3), reply)

    assert values["tickets_open"] == 2
    assert values["tickets_30d"] == pytest.approx(look(10, opened("a", 1), opened("b", 3))["tickets_30d"])


def test_tickets_beyond_the_bound_forget_the_one_that_ended_first() -> None:
    state = FeatureState()
    for n in range(MAX_TICKETS + 5):
        remember(state, TicketOpened(id=f"o{n}", customer_id="c", at_ms=day(n), ticket_id=f"t{n}"))
        if n < 10:
            remember(state, TicketClosed(id=f"c{n}", customer_id="c", at_ms=day(n) + HOUR_MS, ticket_id=f"t{n}"))

    assert by_name(features_at(state, day(100)))["tickets_open"] == MAX_TICKETS - 5


def test_the_last_survey_counts_on_its_own_scale() -> None:
    def survey(number: float, score: float, scale: float) -> SurveyAnswered:
        return SurveyAnswered(id=f"s{number}", customer_id="c", at_ms=day(number), survey="csat", score=score, scale_max=scale)

    assert look(9, survey(3, 9, 10), survey(1, 1, 5))["survey_last"] == pytest.approx(0.9)
    assert look(9, survey(3, 9, 0))["survey_last"] == 0.5


def test_a_customer_of_whom_nothing_is_known_has_features_too() -> None:
    values = look(5)

    assert (values["tenure_days"], values["orders"], values["survey_last"]) == (0.0, 0.0, 0.5)


def test_more_events_ahead_of_the_marks_than_fit_are_settled_early_and_the_state_says_so() -> None:
    state = FeatureState()
    for n in range(MAX_AHEAD + 1):
        remember(state, order(n))

    assert len(state.ahead) <= MAX_AHEAD
    assert day(0) < state.settled_ms <= day(MAX_AHEAD)


def test_every_feature_has_a_name_of_its_own_and_words_made_of_known_names() -> None:
    values = dict.fromkeys(NAMES, 1.0)

    assert len(set(NAMES)) == len(NAMES)
    for feature in FEATURES:
        for words in (feature.words, feature.alone):
            assert {name for _, name, _, _ in string.Formatter().parse(words) if name is not None} <= set(NAMES)
        assert in_words(feature.name, values) != feature.name


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_can_be_said_by_whoever_knows_only_its_value(name: str) -> None:
    assert in_words(name, {name: 0.5}) != name


def test_a_reason_reads_like_a_sentence() -> None:
    values = look(102, order(0), order(20), order(41))

    assert in_words("order_recency_days", values) == "last order 61 days ago, usually every 33"
    assert in_words("of_another_release", values) == "of_another_release"


def test_a_customer_without_a_gap_has_no_usual_one_in_words() -> None:
    once, never = look(61, order(0)), look(61, LoginSucceeded(id="l", customer_id="c", at_ms=day(0)))

    assert in_words("order_recency_days", once) == in_words("order_recency_days", never) == "no order for 61 days"
    assert in_words("order_gap_mean_days", once) == "no order on a second day so far"


def test_the_readme_lists_every_feature() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = [f"| `{one.name}` | {one.unit} | {one.definition} |" for one in FEATURES]

    assert "\n".join(["| feature | unit | definition |", "|---|---|---|", *rows, "", ""]) in readme


def test_days_with_a_login_are_counted_once_and_from_the_window_s_first_day() -> None:
    #  day 0      3 3      10 (look)
    #  l          l l
    logins = [LoginSucceeded(id=f"l{n}", customer_id="c", at_ms=day(n)) for n in (0, 3, 3.5)]

    found = look(10, *logins)

    assert (found["login_days_7d"], found["login_days_28d"], found["login_days_56d"]) == (1, 2, 2)
    assert look(11, *logins)["login_days_7d"] == 0
    assert look(400, *logins)["login_days_56d"] == 0


def test_a_login_that_comes_late_is_on_its_own_day_and_one_before_all_that_is_kept_on_none() -> None:
    state = FeatureState()
    for number in (100, 90, 100 - DAYS_KEPT, 100 - DAYS_KEPT + 1):
        remember(state, LoginSucceeded(id=f"l{number}", customer_id="c", at_ms=day(number)))
        settle(state, day(200))

    assert state.logins is not None
    assert state.logins.days == 1 | 1 << 10 | 1 << DAYS_KEPT - 1


def test_an_instant_before_the_last_event_is_answered_all_the_same() -> None:
    state = FeatureState()
    for number in (0, 100):
        remember(state, LoginSucceeded(id=f"l{number}", customer_id="c", at_ms=day(number)))
    features_at(state, day(101))

    assert by_name(features_at(state, day(1)))["login_recency_days"] == 0


def test_weeks_with_an_order_are_counted_whatever_the_order_they_come_in() -> None:
    begin = -(DAY_0 // DAY_MS % 7)  # the first day of a week
    placed = [order(begin + number) for number in (0, 6, 7, 30, 21)]

    shares = [look(begin + 35, *arrived)["order_weeks_share"] for arrived in (placed, placed[::-1])]

    assert shares == [pytest.approx(4 / 6)] * 2


def test_items_are_those_of_a_mean_order() -> None:
    bought = [
        OrderPlaced(id=f"o{n}", customer_id="c", at_ms=day(n), order_id=f"o{n}", amount=1, items=items)
        for n, items in enumerate((4, 2, None))
    ]

    assert look(9, *bought)["order_items_mean"] == 2


def test_what_an_older_release_did_not_keep_is_made_up_from_the_orders_it_knew_by_name() -> None:
    state = FeatureState()
    for event in (order(0, 30.0), order(9, 50.0, "back"), order(20, 70.0)):
        remember(state, event)
    remember(state, OrderReturned(id="r", customer_id="c", at_ms=day(21), order_id="back"))
    expected = features_at(state, day(40))
    plain = msgspec.to_builtins(state)
    plain[3] = plain[3][: Orders.__struct_fields__.index("weeks")]  # as that release wrote it

    assert features_at(msgspec.convert(plain, FeatureState), day(40)) == pytest.approx(expected)


def test_days_with_an_order_are_counted_from_the_window_s_first_day() -> None:
    assert look(180, order(0), order(0.5), order(100))["order_days_180d"] == 2
    assert look(181, order(0), order(0.5), order(100))["order_days_180d"] == 1
