"""The life of an alert: what becomes of what the kinds say, of what people do, and of time that passes.

A kind says that an episode began or ended. Here it is decided whether somebody is told, and when: an opening may have to
wait (dwell, cooldown, freeze, a tier that does not fit yet), an alert nobody acknowledges is escalated, one that was
snoozed is woken, one that is open for too long expires. All of it lives by the rule's own now, so a feed that is dead
escalates nothing. Every instant is decided in the order of time: what is due at or before something comes first.
"""

from bisect import insort
from collections.abc import Iterable, Iterator

import msgspec

from detectors.alert_state import AlertSlot
from detectors.alert_terms import Terms, fits_from_ms
from detectors.identity import slot_key
from detectors.kinds import Kind
from detectors.past_alerts import PastAlerts
from detectors.state import Customer
from detectors.told import OPEN_STATES, Told, bare, moved, own_wake_ms, remarked, set_wake, slots_of
from detectors.transition import Transition
from schemas.decisions import CLOSED_STATES, Because
from schemas.errors import ContractError
from schemas.events import AlertAcked, AlertAssigned, AlertEvent, AlertJudged, AlertNoted, AlertSnoozed
from schemas.rule_kinds import Rule
from schemas.rules import RuleSet
from schemas.zones import load_zone, midnight_ms


class AlertLife:
    """The life of all alerts under one rule set; what is remembered is in the customer.

    Args:
        rule_set: in force.
    """

    def __init__(self, rule_set: RuleSet) -> None:
        self.past = PastAlerts(rule_set)
        self._terms: dict[str, Terms] = {}
        zone = load_zone(rule_set.time_zone)
        periods = (period.split("/") for period in rule_set.freeze)
        self._freeze = sorted((midnight_ms(first, zone), midnight_ms(after, zone)) for first, after in periods)

    # -- what kinds say

    def hear(
        self,
        customer: Customer,
        kind: Kind,
        said: Transition,
        *,
        enabled_from_ms: int | None,
        reached_ms: int | None,
        by_timer: bool,
    ) -> Iterator[Told]:
        """Take in what a kind says; whoever reads on finds the alert as it is after each record.

        Args:
            customer: whom it is about.
            kind: the rule.
            said: a beginning or an end of an episode.
            enabled_from_ms: openings before it are not made.
            reached_ms: how far the rule's clock has come; None: it has not begun.
            by_timer: it was decided because time has passed, so a freeze puts it off.
        """
        if said.state in {"opened", "warned"} and enabled_from_ms is not None and said.at_ms < enabled_from_ms:
            return
        slot = customer.alerts.get(slot_key(kind.rule.id, said.subject))
        is_ahead = reached_ms is None or said.at_ms > reached_ms
        if slot is not None and is_ahead and said.state != "retracted" and (slot.state == "held" or slot.ahead):
            insort(slot.ahead, said, key=lambda known: known.at_ms)
            set_wake(slot)
            return
        if slot is not None:
            yield from self.catch_up(customer, kind, slot, said.at_ms)
        yield from self._take(customer, kind, said, may_wait=is_ahead and kind.rule.stages is not None, by_timer=by_timer)

    def catch_up(self, customer: Customer, kind: Kind, slot: AlertSlot, to_ms: int) -> Iterator[Told]:
        """Whatever happens to an alert by itself until an instant, and at it."""
        while slot.wake_ms is not None and slot.wake_ms <= to_ms:
            yield from self._wake(customer, kind, slot, slot.wake_ms)

    def _take(
        self, customer: Customer, kind: Kind, said: Transition, *, may_wait: bool = False, by_timer: bool = False
    ) -> Iterator[Told]:
        if said.state in {"opened", "warned"}:
            slot = self._slot_for(customer, kind, said)
            yield from self._begin(customer, kind, slot, said, may_wait=may_wait, by_timer=by_timer)
        else:
            yield from self._end(kind, customer.alerts.get(slot_key(kind.rule.id, said.subject)), said)

    def _slot_for(self, customer: Customer, kind: Kind, said: Transition) -> AlertSlot:
        key = slot_key(kind.rule.id, said.subject)
        slot = customer.alerts.get(key)
        if slot is None or slot.episode_start_ms != said.episode_start_ms:
            if slot is not None:
                self.past.retire(customer, key)
            cooldown_ms = slot.cooldown_until_ms if slot is not None else None
            ahead = slot.ahead if slot is not None else []
            sequence = self.past.recall(customer, key, said.episode_start_ms)
            slot = AlertSlot(
                said.episode_start_ms, said.due_ms, sequence, "dropped", cooldown_until_ms=cooldown_ms, ahead=ahead
            )
            customer.alerts[key] = slot
        return slot

    def _begin(
        self, customer: Customer, kind: Kind, slot: AlertSlot, said: Transition, *, may_wait: bool, by_timer: bool
    ) -> Iterator[Told]:
        if slot.state in OPEN_STATES:
            return  # a warning that comes too late, or an opening that was told
        release_ms = max(said.at_ms + self._terms_of(kind.rule).dwell_ms, slot.cooldown_until_ms or 0)
        if by_timer or release_ms > said.at_ms:
            release_ms = self._thawed_ms(release_ms)
        # the stage at an instant is only known once the clock has reached it
        fits_ms = release_ms if may_wait else fits_from_ms(customer, kind.rule, release_ms)
        if slot.state in CLOSED_STATES:
            slot.over = slot.state
        slot.state, slot.said, slot.due_ms, slot.until_ms, slot.at_ms = "held", said, said.due_ms, fits_ms, said.at_ms
        slot.ripe_ms = release_ms
        set_wake(slot)
        if fits_ms == said.at_ms and not may_wait:
            yield from self._wake(customer, kind, slot, said.at_ms)

    def _end(self, kind: Kind, slot: AlertSlot | None, said: Transition) -> Iterator[Told]:
        if slot is None or slot.episode_start_ms != said.episode_start_ms:
            return
        if slot.state == "held" and (slot.over is not None or not slot.sequence):  # nobody knows that it waited
            slot.state, slot.said, slot.until_ms = slot.over or "dropped", None, None
            set_wake(slot)
        over = slot.state in CLOSED_STATES or slot.state == "dropped"
        if over and (said.state != "retracted" or slot.state == "retracted" or not slot.sequence):
            return
        if slot.state in OPEN_STATES and (cooldown_ms := self._terms_of(kind.rule).cooldown_ms):
            slot.cooldown_until_ms = said.at_ms + cooldown_ms
        yield self._close(kind, slot, said)

    def _close(self, kind: Kind, slot: AlertSlot, said: Transition) -> Told:
        slot.said = slot.until_ms = slot.ack_by_ms = slot.expires_ms = None
        return moved(kind, slot, said, said.state, said.at_ms)

    # -- time

    def wakes(self, customer: Customer) -> Iterator[tuple[str, int]]:
        """Rule ids with the next instant at which something happens to an alert of them by itself."""
        for key, slot in customer.alerts.items():
            if slot.wake_ms is not None:
                yield key.partition("/")[0], slot.wake_ms

    def on_due(self, customer: Customer, kind: Kind, due_ms: int) -> Iterator[Told]:
        """The rule's now has reached an instant: whatever happens at it to alerts of the rule."""
        for _, slot in slots_of(customer, kind.rule.id):
            yield from self.catch_up(customer, kind, slot, due_ms)

    def _wake(self, customer: Customer, kind: Kind, slot: AlertSlot, at_ms: int) -> Iterator[Told]:
        said, own_ms = slot.said, own_wake_ms(slot)
        if slot.ahead and (own_ms is None or own_ms > at_ms):
            first = slot.ahead.pop(0)
            set_wake(slot)
            yield from self._take(customer, kind, first)
        elif said is None:  # nothing is open, nothing waits
            slot.wake_ms = None
        elif slot.state == "held":
            yield from self._let_out(customer, kind, slot, said, at_ms)
        elif slot.expires_ms is not None and slot.expires_ms <= at_ms:
            yield from self._expire(kind, slot, at_ms, self._open_too_long(kind))
        elif slot.state == "snoozed":
            yield self._open(kind, slot, said, at_ms)
        else:
            yield moved(kind, slot, said, "escalated", at_ms)

    def _let_out(self, customer: Customer, kind: Kind, slot: AlertSlot, said: Transition, at_ms: int) -> Iterator[Told]:
        fits_ms = fits_from_ms(customer, kind.rule, at_ms)
        if fits_ms != at_ms:
            slot.until_ms = fits_ms
            set_wake(slot)
        elif said.state == "warned":
            slot.until_ms = None
            yield moved(kind, slot, said, "warned", at_ms)
        else:
            yield self._open(kind, slot, said, at_ms)

    def _open(self, kind: Kind, slot: AlertSlot, said: Transition, at_ms: int) -> Told:
        terms = self._terms_of(kind.rule)
        slot.until_ms = None
        if slot.state == "held" and terms.dwell_ms:
            held_for = Because(clause="held_for_ms", value=at_ms - said.at_ms, threshold=terms.dwell_ms)
            slot.said = said = msgspec.structs.replace(said, because=(*said.because, held_for))
        slot.over = None
        slot.ack_by_ms = at_ms + terms.ack_by_ms if terms.ack_by_ms is not None else None
        if slot.state == "held" and terms.expire_after_ms is not None:
            slot.expires_ms = at_ms + terms.expire_after_ms
        return moved(kind, slot, said, "opened", at_ms)

    def expire_all(self, customer: Customer, kind: Kind, at_ms: int, because: Because) -> Iterator[Told]:
        """Close every alert of a rule that is open, was warned of, or waits."""
        for _, slot in slots_of(customer, kind.rule.id):
            yield from self._expire(kind, slot, at_ms, because)

    def _expire(self, kind: Kind, slot: AlertSlot, at_ms: int, because: Because) -> Iterator[Told]:
        """Close an alert that is open or was warned of, for a reason that is not the customer's doing."""
        if slot.state in CLOSED_STATES or slot.said is None:
            return
        gone = msgspec.structs.replace(slot.said, state="expired", at_ms=at_ms, because=(because,), evidence=(), clears_if=None)
        yield from self._end(kind, slot, gone)

    def _open_too_long(self, kind: Kind) -> Because:
        limit_ms = self._terms_of(kind.rule).expire_after_ms or 0
        return Because(clause="open_for_ms", value=limit_ms, threshold=limit_ms)

    def relook(self, customer: Customer, kinds: Iterable[Kind]) -> None:
        """The customer's tier or stage is another now: what was withheld may be let out, as soon as it fits."""
        for kind in kinds:
            for _, slot in slots_of(customer, kind.rule.id):
                if slot.state == "held" and slot.until_ms is None:
                    stage_ms = customer.lifecycle.since_ms if kind.rule.stages is not None else 0
                    slot.until_ms = fits_from_ms(customer, kind.rule, max(slot.at_ms, slot.ripe_ms, stage_ms))
                    set_wake(slot)

    def _thawed_ms(self, at_ms: int) -> int:
        for first_ms, after_ms in self._freeze:
            if first_ms <= at_ms < after_ms:
                at_ms = after_ms
        return at_ms

    # -- people

    def act(self, customer: Customer, kind: Kind, key: str, slot: AlertSlot, action: AlertEvent) -> Iterator[Told]:
        """Somebody did something with the alert in a slot.

        Raises:
            ContractError: it is over, or not open yet, and the action means nothing then.
        """
        subject = key.partition("/")[2] or None
        yield from self.catch_up(customer, kind, slot, action.at_ms)
        if slot.state not in OPEN_STATES and not isinstance(action, AlertNoted | AlertJudged):
            raise ContractError(
                "alert_not_open", f"the alert {action.alert_id} is {slot.state}; {action.type!r} needs an open one"
            )
        said = slot.said if slot.said is not None and slot.over is None else bare(slot, action.at_ms, subject)
        match action:
            case AlertAcked():
                if slot.state != "acked":
                    slot.until_ms = None
                    yield moved(kind, slot, said, "acked", action.at_ms, by=action.by)
            case AlertSnoozed():
                if action.until_ms <= action.at_ms:
                    raise ContractError(
                        "bad_time", f"a snooze until {action.until_ms} that begins at {action.at_ms} is over at once"
                    )
                slot.until_ms = action.until_ms
                yield moved(kind, slot, said, "snoozed", action.at_ms, by=action.by)
            case AlertAssigned():
                slot.owner = action.to
                yield remarked(kind, slot, said, action)
            case AlertNoted():
                yield remarked(kind, slot, said, action, note=action.text)
            case AlertJudged():
                yield remarked(kind, slot, said, action, verdict=action.verdict)

    def _terms_of(self, rule: Rule) -> Terms:
        found = self._terms.get(rule.id)
        if found is None:
            found = self._terms[rule.id] = Terms.of(rule)
        return found
