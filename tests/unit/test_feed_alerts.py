"""A feed that is cut is one alert about the feed, and none about customers."""

from collections.abc import Iterator

import msgspec
from engine_run import EngineRun, absence, complaint, feed, order, rule_set, tick

from detectors.engine import PartitionEngine
from schemas.codec import Record
from schemas.control import RulesPublished
from schemas.rule_kinds import CountRule
from schemas.rules import Churn
from streams.words import because_of

RULES = rule_set(
    absence(2),
    CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P5D"),
)


def three_days_without_orders() -> Iterator[Record]:
    #  day   0    1    2    3    4    5
    #  ann   o    o    o    o    o    o     her orders of 2 to 4 come when the feed is back
    #  bob   o                              truly silent: due on 2
    #  feed  ---------cut-----------back
    yield from (order(0, "bob"), order(0, "ann"), order(1, "ann"), tick(1.5, orders=1.5, tickets=1.5))
    yield feed(1.6, "orders", "lagging")
    yield feed(1.7, "orders", "dead")
    yield from (complaint(2, "cem"), complaint(3, "cem"), tick(4, orders=1.5, tickets=4), tick(4.5, orders=4.5, tickets=4.5))
    yield from (order(2, "ann"), order(3, "ann"), order(4, "ann"), feed(5, "orders", "live"), tick(5, orders=5, tickets=5))


def test_only_the_truly_silent_are_alerted_when_the_feed_is_back() -> None:
    run = EngineRun(RULES).feed(*three_days_without_orders())
    assert [(alert.customer_id, alert.rule, alert.state) for alert in run.alerts] == [
        ("cem", "burst@1", "opened"),
        ("bob", "silent@1", "opened"),
    ]
    assert run.alerts[1].feeds == {"orders": "live"}


def test_the_feed_has_one_alert_that_names_the_rules_that_wait() -> None:
    run = EngineRun(RULES).feed(*three_days_without_orders())
    opened, resolved = run.feed_alerts
    assert (opened.state, opened.feed, opened.customer_id, opened.severity) == ("opened", "orders", None, "critical")
    assert [(one.clause, one.value) for one in opened.because] == [("feed_status", "dead"), ("rule_waits", "silent")]
    assert (resolved.state, resolved.sequence, resolved.alert_id) == ("resolved", 2, opened.alert_id)


def test_other_partitions_say_nothing_about_feeds() -> None:
    engine = PartitionEngine(1)
    records = [RulesPublished(at_ms=0, version="1", revision=1, document=RULES), *three_days_without_orders()]
    decided = [engine.apply(offset, record) for offset, record in enumerate(records)]
    assert [alert.feed for decisions in decided for alert in decisions.alerts] == [None, None]


def test_a_feed_that_nothing_waits_for_is_no_alert() -> None:
    assert EngineRun(RULES).feed(feed(1, "logins", "dead")).feed_alerts == []
    with_model = rule_set(absence(2), churn=Churn())
    assert [alert.feed for alert in EngineRun(with_model).feed(feed(1, "logins", "dead")).feed_alerts] == ["logins"]


def test_a_feed_that_lags_is_no_alert_and_a_second_outage_is_another_one() -> None:
    run = EngineRun(RULES).feed(feed(1, "orders", "lagging"), feed(2, "orders", "live"), feed(3, "orders", "silent"))
    run.feed(feed(4, "orders", "dead"), feed(5, "orders", "live"), feed(6, "orders", "dead"))
    assert [(alert.state, alert.sequence) for alert in run.feed_alerts] == [("opened", 1), ("resolved", 2), ("opened", 1)]
    assert len({alert.alert_id for alert in run.feed_alerts}) == 2


def test_an_open_alert_of_a_feed_outlives_a_crash() -> None:
    run = EngineRun(RULES).feed(feed(3, "orders", "dead")).restored().feed(feed(4, "orders", "dead"), feed(5, "orders", "live"))
    assert [(alert.state, alert.sequence) for alert in run.feed_alerts] == [("opened", 1), ("resolved", 2)]


def test_the_alert_about_a_feed_whose_source_is_paused_says_why() -> None:
    dead = msgspec.structs.replace(feed(3, "orders", "dead"), reason="recreated")
    opened, resolved = EngineRun(RULES).feed(dead, feed(4, "orders", "live")).feed_alerts
    clauses = [(one.clause, one.value) for one in opened.because]
    assert clauses == [("feed_status", "dead"), ("feed_reason", "recreated"), ("rule_waits", "silent")]
    assert [one.clause for one in resolved.because] == ["feed_status"]
    assert because_of(opened).startswith("the feed is dead, its source is paused, since its topic was deleted and made again")
