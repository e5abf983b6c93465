"""What an alert says in words: templates over the codes and values of its record, in English."""

from typing import Final

from detectors.features import NAMES, in_words
from schemas.decisions import AlertRecord, Because, ClearsIf
from schemas.errors import ContractError
from schemas.instants import Exact, format_instant, parse_duration

_MS_IN: Final = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))
CLAUSES: Final = {
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
"""A template for each code of a clause; features have theirs in the table of features."""
REASONS: Final = {
    "poison": "its source is paused, since most of it cannot be read",
    "recreated": "its source is paused, since its topic was deleted and made again",
    "missing": "the topic of its source does not exist",
}
"""Why ingest does not read a source; the log of the worker says what to do."""
_SHARES: Final = frozenset({"probability", "fraction", "share", "change"})
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


def said(alert: AlertRecord) -> str:
    """One line on what happened and why."""
    template = _STATES.get(alert.state, "{because}")
    by = ", ".join(f"{evidence.type} at {minute(evidence.at_ms)}" for evidence in alert.evidence) or because_of(alert)
    until = "-" if alert.snoozed_until_ms is None else minute(alert.snoozed_until_ms)
    return template.format(by=by, because=because_of(alert), who=alert.by or "-", until=until)


def because_of(alert: AlertRecord) -> str:
    """The clauses that held."""
    return ", ".join(clauses_of(alert)) or "-"


def clauses_of(alert: AlertRecord) -> list[str]:
    """The same, each for itself, in the order of the record."""
    measured = {clause.clause: float(clause.value) for clause in alert.because if isinstance(clause.value, int | float)}
    return [_clause(clause, measured) for clause in alert.because]


def clears_when(alert: AlertRecord, clears_if: ClearsIf) -> str:
    """What would close the alert, as a sentence."""
    by_itself = ""
    if clears_if.at_ms is not None and clears_if.code != "window_empties":
        by_itself = f"; or by itself at {minute(clears_if.at_ms)}"
    return _clearing(alert, clears_if) + by_itself


def _clearing(alert: AlertRecord, clears_if: ClearsIf) -> str:
    template = _CLEARS[clears_if.code]
    if clears_if.code == "rules_close" and alert.kind == "any":
        template = "none of {names} is open any more"
    return template.format(
        names=(", " if clears_if.code == "rules_close" else " or ").join(clears_if.of) or alert.feed or "them",
        subject=_subject(alert),
        only="" if clears_if.where is None else f" for which {clears_if.where}",
        where=clears_if.where,
        times="" if (clears_if.count or 1) == 1 else f"{clears_if.count} times ",
        then="" if clears_if.probability is None else _then(clears_if),
        or_at="at or " if _is_limit_itself(alert, clears_if) else "",
        at="-" if clears_if.at_ms is None else minute(clears_if.at_ms),
        below=_limit(clears_if, clears_if.below),
        above=_limit(clears_if, clears_if.above),
    )


def _then(clears_if: ClearsIf) -> str:
    return f": the probability of leaving would be {clears_if.probability:.0%}, and is to be below {clears_if.below:.0%}"


def _is_limit_itself(alert: AlertRecord, clears_if: ClearsIf) -> bool:
    """A rule without a clear limit of its own clears at its limit, not only beyond."""
    limit = clears_if.above if clears_if.above is not None else clears_if.below
    return any(clause.clause == "value" and clause.threshold == limit for clause in alert.because)


def _limit(clears_if: ClearsIf, limit: float | None) -> str:
    if limit is None:
        return "its limit"
    return f"{limit:.0%}" if clears_if.code in {"probability_below", "share_below"} else _number(limit)


def _subject(alert: AlertRecord) -> str:
    if alert.ticket_id is not None:
        return f"ticket {alert.ticket_id}"
    return f"contract {alert.contract_id}" if alert.contract_id is not None else f"customer {alert.customer_id}"


def _clause(clause: Because, measured: dict[str, float]) -> str:
    if clause.clause in NAMES:
        return in_words(clause.clause, measured | clause.beside)
    template = CLAUSES.get(clause.clause)
    if template is None:
        limit = "" if clause.threshold is None else f" (limit {_value(clause.clause, clause.threshold)})"
        return f"{clause.clause.replace('_ms', '').replace('_', ' ')} {_value(clause.clause, clause.value)}{limit}"
    threshold = "" if clause.threshold is None else _value(clause.clause, clause.threshold)
    return template.format(value=_value(clause.clause, clause.value), threshold=threshold)


def _value(code: str, value: float | str) -> str:
    if isinstance(value, str):
        if code == "feed_reason":
            return REASONS.get(value, value)
        return _limit_in_words(value) if code.endswith("_ms") else value
    if code.endswith("_ms"):
        return duration_in_words(round(value))
    return f"{value:.0%}" if code in _SHARES else _number(value)


def _number(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration_in_words(ms: int) -> str:
    """A length of time in its largest unit.

    >>> duration_in_words(30 * 86_400_000)
    '30 days'
    >>> duration_in_words(5_400_000)
    '1.5 hours'
    """
    for unit, unit_ms in _MS_IN:
        if ms >= unit_ms:
            count = f"{ms / unit_ms:.1f}".removesuffix(".0")
            return f"{count} {unit}" if count == "1" else f"{count} {unit}s"
    return f"{ms} ms"


def _limit_in_words(text: str) -> str:
    """A limit as the rules file has it, P90D or P3M."""
    try:
        duration = parse_duration(text)
    except ContractError:
        return text
    if isinstance(duration, Exact):
        return duration_in_words(duration.ms)
    return "1 month" if duration.months == 1 else f"{duration.months} months"


def minute(at_ms: int) -> str:
    """An instant as people write it, in UTC, seconds cut off.

    >>> minute(61_000)
    '1970-01-01 00:01'
    """
    return format_instant(at_ms - at_ms % 60_000).removesuffix(":00Z").replace("T", " ")
