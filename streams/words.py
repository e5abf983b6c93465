"""What an alert says in words: templates over the codes and values of its record, in English."""

from typing import Final

from detectors.features import NAMES, in_words
from schemas.decisions import AlertRecord, Because
from schemas.errors import ContractError
from schemas.instants import Exact, format_instant, parse_duration

_MS_IN: Final = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))
_CLAUSES: Final = {
    "silence_ms": "silent for {value} (limit {threshold})",
    "min_count": "{value} such events before (at least {threshold})",
    "max_count": "{value} such events before (at most {threshold})",
    "count": "{value} of them (limit {threshold})",
    "within_ms": "within {value}",
    "probability": "probability of leaving {value} (limit {threshold})",
    "above_for_ms": "for {value} (limit {threshold})",
    "first_response_ms": "no answer for {value} (limit {threshold})",
    "resolution_ms": "not solved for {value} (limit {threshold})",
    "fraction": "{value} of the time is used",
}
_STATES: Final = {
    "resolved": "over: {by}",
    "retracted": "taken back: {by}",
    "expired": "expired",
    "warned": "soon: {because}",
}


def said(alert: AlertRecord) -> str:
    """One line on what happened and why."""
    by = ", ".join(f"{evidence.type} at {_minute(evidence.at_ms)}" for evidence in alert.evidence) or because_of(alert)
    return _STATES.get(alert.state, "{because}").format(by=by, because=because_of(alert))


def because_of(alert: AlertRecord) -> str:
    """The clauses that held."""
    measured = {clause.clause: float(clause.value) for clause in alert.because if isinstance(clause.value, int | float)}
    return ", ".join(_clause(clause, measured) for clause in alert.because) or "-"


def _clause(clause: Because, measured: dict[str, float]) -> str:
    if clause.clause in NAMES:
        return in_words(clause.clause, measured)
    template = _CLAUSES.get(clause.clause)
    if template is None:
        limit = "" if clause.threshold is None else f" (limit {_value(clause.clause, clause.threshold)})"
        return f"{clause.clause.replace('_ms', '').replace('_', ' ')} {_value(clause.clause, clause.value)}{limit}"
    threshold = "" if clause.threshold is None else _value(clause.clause, clause.threshold)
    return template.format(value=_value(clause.clause, clause.value), threshold=threshold)


def _value(code: str, value: float | str) -> str:
    if isinstance(value, str):
        return _limit_in_words(value) if code.endswith("_ms") else value
    if code.endswith("_ms"):
        return duration_in_words(round(value))
    return f"{value:.0%}" if code in {"probability", "fraction"} else _number(value)


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


def _minute(at_ms: int) -> str:
    return format_instant(at_ms - at_ms % 60_000).removesuffix(":00Z").replace("T", " ")
