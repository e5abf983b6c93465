"""Alerts about feeds: one while a feed is dead or silent, for the rules that need it stand still meanwhile.

They have no customer, so they come from partition 0 alone. A feed that lags for a moment is not worth an alert, nor is
one that nothing waits for.
"""

from typing import Final

from detectors.identity import alert_id
from detectors.rules_compiled import CompiledRules
from detectors.state import Head
from schemas.control import FeedChanged
from schemas.decisions import AlertRecord, AlertState, Because, ClearsIf, Versions

RULE_ID: Final = "feed"
_BAD: Final = frozenset({"dead", "silent"})


def feed_alert(head: Head, rules: CompiledRules, change: FeedChanged, engine: int) -> AlertRecord | None:
    """What is to be told of a change of a feed's status; the partition's record remembers it."""
    known = head.feed_alerts.get(change.source)
    if known is None and change.status in _BAD and _is_needed(rules, change.source):
        known = head.feed_alerts[change.source] = (change.since_ms, change.at_ms)
        return _record(rules, change, "opened", known, engine)
    if known is not None and change.status == "live":
        del head.feed_alerts[change.source]
        return _record(rules, change, "resolved", known, engine)
    return None


def _is_needed(rules: CompiledRules, feed: str) -> bool:
    """Whether a rule waits for the feed; features, and so the model, wait for all that the rules file names."""
    by_model = rules.rule_set.churn is not None and feed in rules.feeds
    return by_model or any(feed in kind.feeds for kind in rules.kinds)


def _record(rules: CompiledRules, change: FeedChanged, state: AlertState, known: tuple[int, int], engine: int) -> AlertRecord:
    since_ms, opened_ms = known
    waiting = [kind.rule.id for kind in rules.kinds if change.source in kind.feeds]
    return AlertRecord(
        alert_id=alert_id(rules.rule_set.tenant, RULE_ID, None, change.source, since_ms),
        sequence=1 if state == "opened" else 2,
        state=state,
        at_ms=change.at_ms,
        decided_ms=change.at_ms,
        rule=f"{RULE_ID}@{rules.rule_set.version}",
        kind=RULE_ID,
        feed=change.source,
        episode_start_ms=since_ms,
        due_ms=opened_ms,
        severity="critical",
        mode="live",
        because=[
            Because(clause="feed_status", value=change.status, threshold="live"),
            *([Because(clause="feed_reason", value=change.reason)] if change.reason is not None else []),
            *(Because(clause="rule_waits", value=rule_id) for rule_id in waiting if state == "opened"),
        ],
        clears_if=ClearsIf(code="feed_live") if state == "opened" else None,
        feeds={change.source: change.status},
        versions=Versions(engine=engine, rules=rules.rule_set.version),
    )
