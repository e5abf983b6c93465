"""Whether somebody is told at once or later: quiet hours, the budget of a day, the digest. A pure function."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.deliveries import Wait
from schemas.rule_kinds import Severity
from sinks.local_hours import next_digest_ms
from sinks.routes import Budget, Recipient

Why = Literal["no_budget", "critical", "escalated", "within_budget", "digest_only", "over_budget", "below_value", "no_value"]
"""Why an alert goes at once, or does not; whether it is quiet comes on top."""
_AT_ONCE: Final[frozenset[Why]] = frozenset({"no_budget", "critical", "escalated", "within_budget"})
_SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)


@dataclass(frozen=True, slots=True)
class Way:
    """How an alert reaches somebody."""

    why: Why
    wait: Wait | None = None
    """None: at once."""
    due_ms: int | None = None
    """When what waits is told."""

    @property
    def spends(self) -> bool:
        """Whether it is one of the alerts that the day has room for."""
        return self.why == "within_budget" and self.wait is None


def way_of(alert: AlertRecord, recipient: Recipient, used: int, now_ms: int) -> Way:
    """How an alert that is open reaches somebody.

    Args:
        alert: what is told.
        recipient: whom.
        used: how many of the day's alerts went at once already.
        now_ms: now.
    """
    why = _why(alert, recipient, used)
    if why not in _AT_ONCE:
        wait: Wait = "digest" if why == "digest_only" else "budget"
        return Way(why, wait, digest_ms(recipient, now_ms))
    quiet_until_ms = None if alert.severity in recipient.manners.wake_for else quiet_until(recipient, now_ms)
    return Way(why) if quiet_until_ms is None else Way(why, "quiet", quiet_until_ms)


def quiet_until(recipient: Recipient, now_ms: int) -> int | None:
    """When the quiet time that it is for somebody ends; None: it is none."""
    return recipient.manners.quiet.until_ms(now_ms, recipient.zone)


def digest_ms(recipient: Recipient, now_ms: int) -> int:
    """When somebody gets the next digest."""
    return next_digest_ms(now_ms, recipient.zone, recipient.manners.digest, recipient.manners.quiet)


def urgency(alert: AlertRecord) -> tuple[bool, int, float, int, str]:
    """Sorts the most urgent first, and what is over last: severity, then value at risk, then age."""
    at_risk = 0.0 if alert.value_at_risk is None else alert.value_at_risk
    return alert.state in CLOSED_STATES, -_SEVERITIES.index(alert.severity), -at_risk, alert.at_ms, alert.alert_id


def _why(alert: AlertRecord, recipient: Recipient, used: int) -> Why:
    budget = recipient.manners.budget
    if budget is None:
        return "no_budget"
    if alert.severity == "critical":
        return "critical"
    if alert.state == "escalated":
        return "escalated"
    return _of_budget(alert, budget, used)


def _of_budget(alert: AlertRecord, budget: Budget, used: int) -> Why:
    if not budget.at_once:
        return "digest_only"
    if alert.value_at_risk is None and budget.above > 0:
        return "no_value"
    if alert.value_at_risk is not None and alert.value_at_risk < budget.above:
        return "below_value"
    return "within_budget" if used < budget.at_once else "over_budget"
