"""What `feed confirm` takes from the open alert about a feed."""

import pytest
from engine_run import EngineRun, absence, feed, rule_set

from schemas.control import FeedStatus
from schemas.decisions import AlertRecord
from schemas.instants import DAY_MS
from streams.feed_command import FeedRefused, silent_since


def alert(status: FeedStatus) -> AlertRecord:
    (opened,) = EngineRun(rule_set(absence(10))).feed(feed(3, "orders", status)).feed_alerts
    return opened


def test_a_silence_began_when_its_alert_says() -> None:
    assert silent_since(alert("silent"), "orders") == 3 * DAY_MS


def test_a_feed_that_is_not_read_is_not_confirmed_to_be_quiet() -> None:
    with pytest.raises(FeedRefused, match=r"says that orders is dead, not silent: .* `churnwatch sources list` says why"):
        silent_since(alert("dead"), "orders")


def test_without_an_alert_one_has_to_say_since_when() -> None:
    with pytest.raises(FeedRefused, match=r"no open alert says that orders is silent: .* with --from"):
        silent_since(None, "orders")
