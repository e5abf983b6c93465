"""Alerts that are over: their ids are kept until everything that was told of them is taken out."""

import uuid

from detectors.alert_state import PastAlert
from detectors.identity import alert_bytes
from detectors.state import Customer
from schemas.decisions import CLOSED_STATES
from schemas.instants import exact_ms
from schemas.rules import RuleSet


class PastAlerts:
    """Forgets alerts under one rule set.

    Args:
        rule_set: in force; alerts in shadow mode leave nothing that could be taken out.
    """

    def __init__(self, rule_set: RuleSet) -> None:
        self._tenant = rule_set.tenant
        self._forget_after_ms = exact_ms(rule_set.forget_after)
        self._shadow = frozenset(rule.id for rule in rule_set.rules if rule.mode == "shadow")

    def retire(self, customer: Customer, key: str) -> None:
        """Free the slot of an alert that is over; its id is kept, to take its records out one day."""
        slot = customer.alerts.pop(key)
        if slot.sequence:
            identity = alert_bytes(self._tenant, customer.id, key, slot.episode_start_ms)
            shadow = key.partition("/")[0] in self._shadow
            customer.past_alerts.append(PastAlert(identity, slot.at_ms, slot.sequence, shadow))

    def recall(self, customer: Customer, key: str, episode_start_ms: int) -> int:
        """Take an alert back out of those that are over; the sequence of its last record, 0 if there was none."""
        if not customer.past_alerts:
            return 0
        identity = alert_bytes(self._tenant, customer.id, key, episode_start_ms)
        known = next((past for past in customer.past_alerts if past.id == identity), None)
        if known is None:
            return 0
        customer.past_alerts.remove(known)
        return known.sequence

    def forget_ms(self, customer: Customer) -> int | None:
        """When the next alert that is over is to be forgotten."""
        closed = [slot.at_ms for slot in customer.alerts.values() if slot.state in CLOSED_STATES]
        closed += [past.closed_ms for past in customer.past_alerts]
        return min(closed) + self._forget_after_ms if closed else None

    def forget(self, customer: Customer, now_ms: int) -> list[str]:
        """Forget what has been over for long enough; the ids whose records are to be taken out."""
        limit_ms = now_ms - self._forget_after_ms
        for key in [key for key, slot in customer.alerts.items() if slot.state in CLOSED_STATES and slot.at_ms <= limit_ms]:
            self.retire(customer, key)
        gone = [past for past in customer.past_alerts if past.closed_ms <= limit_ms]
        customer.past_alerts = [past for past in customer.past_alerts if past.closed_ms > limit_ms]
        return _ids(gone)

    def forget_all(self, customer: Customer) -> list[str]:
        """Forget every alert; the ids whose records are to be taken out."""
        for key in list(customer.alerts):
            self.retire(customer, key)
        gone, customer.past_alerts = customer.past_alerts, []
        return _ids(gone)


def _ids(gone: list[PastAlert]) -> list[str]:
    return [str(uuid.UUID(bytes=past.id)) for past in gone if not past.shadow]
