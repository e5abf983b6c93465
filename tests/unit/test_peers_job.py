"""The job of `make bench-peers` is the same one, whoever does it: checked here without the peers and without a broker."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from benchmarks.peers.feed import BEGINS_MS, PARTITIONS, Alert, Feed, make_feed
from benchmarks.peers.job_logic import State, take

from detectors.engine import PartitionEngine
from schemas.control import RulesPublished
from streams.rules_file import load_rules

RULES = Path(__file__).parents[1] / "benchmarks" / "peers" / "rules.yaml"


@pytest.fixture(scope="module")
def feed() -> Feed:
    return make_feed(2_000, warm_up_events=1_000, customers=300)


def values(feed: Feed, partition: int) -> list[bytes]:
    return [value for _, value in feed.warm_up[partition] + feed.measured[partition]]


def test_what_the_python_peers_do_is_what_a_naive_look_at_the_feed_says(feed: Feed) -> None:
    states: dict[str, State] = {}
    found: Counter[Alert] = Counter()
    for partition in range(PARTITIONS):
        for value in values(feed, partition):
            event: dict[str, Any] = orjson.loads(value)
            customer_id = event["customer_id"]
            states[customer_id], alert = take(states.get(customer_id), event)
            if alert is not None:
                found[customer_id, alert["at_ms"], tuple(alert["evidence"])] += 1
    assert found == feed.alerts
    assert found.total() > 2 * PARTITIONS


def test_what_churnwatch_does_by_the_rules_file_is_the_same(feed: Feed) -> None:
    rules = load_rules(RULES)
    found: Counter[Alert] = Counter()
    for partition in range(PARTITIONS):
        engine = PartitionEngine(partition)
        engine.apply(0, RulesPublished(at_ms=BEGINS_MS, version=rules.version, revision=1, document=rules))
        for offset, value in enumerate(values(feed, partition), 1):
            for alert in engine.apply_bytes(offset, value).alerts:
                assert alert.customer_id is not None
                found[alert.customer_id, alert.at_ms, tuple(one.id for one in alert.evidence)] += 1
    assert found == feed.alerts
    assert {lines[-1][0] for lines in feed.measured} == {name.encode() for name in feed.ends}
