"""Alerts that are over: they can still be judged, until everything that was told of them is taken out."""

import msgspec

from detectors.alert_state import AlertSlot, PastAlert
from detectors.identity import id_in_slot
from detectors.state import Customer
from detectors.told import last_state
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
        """Free the slot of an alert that is over; what has to be known of it is kept."""
        slot = customer.alerts.pop(key)
        if not slot.sequence:
            return
        shadow = key.partition("/")[0] in self._shadow
        past = PastAlert(
            key, slot.episode_start_ms, slot.due_ms, slot.sequence, last_state(slot, waiting="expired"), slot.at_ms, shadow
        )
        customer.past_alerts.append(past)

    def recall(self, customer: Customer, key: str, episode_start_ms: int) -> int:
        """Take an alert back out of those that are over; the sequence of its last record, 0 if there was none."""
        for past in customer.past_alerts:
            if past.key == key and past.episode_start_ms == episode_start_ms:
                customer.past_alerts.remove(past)
                return past.sequence
        return 0

    def find(self, customer: Customer, wanted: str) -> PastAlert | None:
        """The alert of an id, if it is over and another has its slot."""
        return next((past for past in customer.past_alerts if self._id_of(customer, past) == wanted), None)

    def slot_of(self, past: PastAlert) -> AlertSlot:
        """The slot that it would have."""
        return AlertSlot(past.episode_start_ms, past.due_ms, past.sequence, past.state, past.closed_ms)

    def renumber(self, customer: Customer, past: PastAlert, sequence: int) -> None:
        """More was told of it."""
        customer.past_alerts[customer.past_alerts.index(past)] = msgspec.structs.replace(past, sequence=sequence)

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
        return self._ids(customer, gone)

    def forget_all(self, customer: Customer) -> list[str]:
        """Forget every alert; the ids whose records are to be taken out."""
        for key in list(customer.alerts):
            self.retire(customer, key)
        gone, customer.past_alerts = customer.past_alerts, []
        return self._ids(customer, gone)

    def _ids(self, customer: Customer, gone: list[PastAlert]) -> list[str]:
        return [self._id_of(customer, past) for past in gone if not past.shadow]

    def _id_of(self, customer: Customer, past: PastAlert) -> str:
        return id_in_slot(self._tenant, customer.id, past.key, past.episode_start_ms)
