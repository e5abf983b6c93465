"""What a rule says of the life of its alerts, and whom they are for."""

from dataclasses import dataclass

from detectors.customer_update import tiers_from
from detectors.state import Customer
from schemas.instants import exact_ms
from schemas.rule_kinds import Rule


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule says of the life of its alerts."""

    dwell_ms: int
    cooldown_ms: int
    ack_by_ms: int | None
    expire_after_ms: int | None

    @classmethod
    def of(cls, rule: Rule) -> "Terms":
        """Its durations as numbers."""
        return cls(
            exact_ms(rule.dwell) if rule.dwell is not None else 0,
            exact_ms(rule.cooldown) if rule.cooldown is not None else 0,
            exact_ms(rule.ack_by) if rule.ack_by is not None else None,
            exact_ms(rule.expire_after) if rule.expire_after is not None else None,
        )


def fits_from_ms(customer: Customer, rule: Rule, at_ms: int) -> int | None:
    """From when on, at or after an instant, the rule is for the customer, as far as is known; None if it is not."""
    if rule.stages is not None and customer.stage not in rule.stages:
        return None
    if rule.tiers is None:
        return at_ms
    return next((since_ms for since_ms, _, tier in tiers_from(customer, at_ms) if tier in rule.tiers), None)
