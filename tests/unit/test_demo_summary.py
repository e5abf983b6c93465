"""Alerts of the demonstration against what really happened."""

import msgspec
import pytest
from alert_records import alert

from schemas.decisions import AlertRecord
from schemas.instants import DAY_MS
from streams.demo_summary import Hits, Summary, Tally, hits
from streams.simulate import Shop, Simulation, simulate
from streams.simulated_customers import SIGNS_MS

END_MS = 100 * DAY_MS


def opened(at_ms: int, customer_id: str = "left", kind: str = "absence") -> AlertRecord:
    return msgspec.structs.replace(alert(), at_ms=at_ms, customer_id=customer_id, kind=kind)


@pytest.mark.parametrize(
    ("at_ms", "true_alerts"),
    [(END_MS - SIGNS_MS - 1, 0), (END_MS - SIGNS_MS, 1), (END_MS + 45 * DAY_MS - 1, 1), (END_MS + 45 * DAY_MS, 0)],
)
def test_an_alert_is_true_from_the_first_sign_to_45_days_after_the_end(at_ms: int, true_alerts: int) -> None:
    #   first sign       end            45 days
    #   [----------------|--------------)
    found = hits([opened(at_ms)], {"left": END_MS})
    assert found == Hits(alerts=1, true_alerts=true_alerts, left=1, noticed=true_alerts)


def test_an_alert_about_somebody_who_stays_is_false_and_two_about_one_who_left_notice_one() -> None:
    found = hits([opened(END_MS), opened(END_MS + 1), opened(END_MS, "stays")], {"left": END_MS, "unnoticed": END_MS})
    assert (found.precision, found.recall) == (2 / 3, 1 / 2)


def test_breaches_and_bursts_do_not_say_that_somebody_leaves() -> None:
    assert hits([opened(END_MS, kind="sla"), opened(END_MS, kind="count")], {"left": END_MS}).alerts == 0


def test_without_alerts_nothing_is_divided_by_zero() -> None:
    tally = Tally()
    assert Summary(tally, hits([], {}), 0.0).as_json() == {
        "events": 0,
        "seconds": 0.0,
        "alerts": {},
        "precision": 0.0,
        "recall": 0.0,
        "auc": None,
        "dead_letters": 0,
    }
    assert "none was published" in str(Summary(tally, hits([], {}), 0.0))


def test_openings_are_counted_by_rule() -> None:
    tally = Tally()
    for state in ("warned", "opened", "resolved", "opened"):
        tally.take(alert(state))
    assert tally.opened_by_rule == {"r": 2}
    assert tally.transitions == {"warned": 1, "opened": 2, "resolved": 1}


def test_the_shop_of_the_demonstration_has_all_kinds_of_customers() -> None:
    story: Simulation = simulate(Shop())
    assert len(story.truth.left_ms) > 80
    assert len(story.truth.away) >= 5
