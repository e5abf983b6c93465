"""English words for the codes of alerts."""

from typing import Final

from streams.lexicon import Lexicon

_UNITS: Final = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))
_CLAUSES: Final = {
    "silence_ms": "silent for {value} (limit {threshold})",
    "min_count": "{value} such events before (at least {threshold})",
    "max_count": "{value} such events before (at most {threshold})",
    "count": "{value} of them (limit {threshold})",
    "within_ms": "within {value}",
    "probability": "probability of leaving {value} (limit {threshold})",
    "held_for_ms": "for {value} (limit {threshold})",
    "first_response_ms": "no answer for {value} (limit {threshold})",
    "next_response_ms": "no further answer for {value} (limit {threshold})",
    "resolution_ms": "not solved for {value} (limit {threshold})",
    "fraction": "{value} of the time is used",
    "gap_ms": "usual gap {value}",
    "times_gap": "{value} times the usual gap (limit {threshold})",
    "share": "{value} of them (limit {threshold})",
    "among": "among {value} (at least {threshold})",
    "value": "value {value} (limit {threshold})",
    "recent_per_day": "{value} a day of late",
    "baseline_per_day": "{value} a day before",
    "change": "changed by {value} (limit {threshold})",
    "renews_in_ms": "to be renewed in {value} (looked at from {threshold} before)",
    "rule_open": "{value} is open",
    "rule_closed": "{value} is not open any more",
    "rule_gone": "{value}",
    "erased": "{value}",
    "open_for_ms": "open for {value} (limit {threshold})",
    "feed_status": "the feed is {value}",
    "feed_reason": "{value}",
    "rule_waits": "the rule {value} waits for it",
    "feed_gap": "events were lost ({value})",
    "unseen_ms": "of which {value} were lost to us",
    "priority": "priority {value}",
    "tier": "tier {value}",
    "category": "category {value}",
    "team": "team {value}",
}
_REASONS: Final = {
    "poison": "its source is paused, since most of it cannot be read",
    "recreated": "its source is paused, since its topic was deleted and made again",
    "missing": "the topic of its source does not exist",
}
_STATES: Final = {
    "escalated": "nobody acknowledged it: {because}",
    "acked": "acknowledged by {who}",
    "snoozed": "put off by {who} until {until}",
    "resolved": "over: {by}",
    "retracted": "taken back: {by}",
    "expired": "expired: {because}",
    "warned": "soon: {because}",
}
_CLEARS: Final = {
    "event": "{times}{names} of {subject}{only}{then}",
    "window_empties": "by itself at {at}, if no more of them come",
    "probability_below": "the probability of leaving is below {below}",
    "value_above": "{names} of {subject}{only} with a value {or_at}above {above}",
    "value_below": "{names} of {subject}{only} with a value {or_at}below {below}",
    "share_below": "a share below {below}, by more {names} of {subject}{only}",
    "rate_above": "more than {above} a day: {names} of {subject}{only}",
    "rate_below": "fewer than {below} a day: {names} of {subject}{only}",
    "features": "{where} no longer holds",
    "rules_close": "one of {names} is not open any more",
    "feed_live": "the feed {names} is live again",
}


def duration(ms: int) -> str:
    """A length of time in its largest unit.

    >>> duration(30 * 86_400_000)
    '30 days'
    >>> duration(5_400_000)
    '1.5 hours'
    """
    for unit, unit_ms in _UNITS:
        if ms >= unit_ms:
            count = f"{ms / unit_ms:.1f}".removesuffix(".0")
            return f"{count} {unit}" if count == "1" else f"{count} {unit}s"
    return f"{ms} ms"


ENGLISH: Final = Lexicon(
    clauses=_CLAUSES,
    reasons=_REASONS,
    states=_STATES,
    clears=_CLEARS,
    features={},
    duration=duration,
    months=lambda count: "1 month" if count == 1 else f"{count} months",
    comma=", ",
    limit=" (limit {})",
    its_limit="its limit",
    by_itself="; or by itself at {at}",
    none_open="none of {names} is open any more",
    alternatives=" or ",
    them="them",
    only=" for which {where}",
    times="{count} times ",
    then=": the probability of leaving would be {probability:.0%}, and is to be below {below:.0%}",
    or_at="at or ",
    ticket="ticket {}",
    contract="contract {}",
    customer="customer {}",
    event="{type} at {at}",
)
