"""The records of an alert in the making: its slot is moved on, and numbered."""

from typing import Final

import msgspec

from detectors.alert_state import AlertSlot
from detectors.kinds import Kind
from detectors.state import Customer
from detectors.transition import Transition
from schemas.decisions import AlertState
from schemas.events import AlertEvent, Verdict

OPEN_STATES: Final = frozenset({"opened", "escalated", "acked", "snoozed"})


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One record of an alert, as far as its life knows it."""

    kind: Kind
    said: Transition
    """With the state and the instant of this record."""
    sequence: int
    owner: str | None = None
    """Assigned by somebody; None: as the rule says."""
    ack_by_ms: int | None = None
    snoozed_until_ms: int | None = None
    by: str | None = None
    note: str | None = None
    verdict: Verdict | None = None


def moved(kind: Kind, slot: AlertSlot, said: Transition, state: AlertState, at_ms: int, by: str | None = None) -> Told:
    """The next record of an alert, which is in this state from now on."""
    slot.state, slot.at_ms = state, at_ms
    return _next(kind, slot, said, state, at_ms, by)


def remarked(
    kind: Kind, slot: AlertSlot, said: Transition, action: AlertEvent, note: str | None = None, verdict: Verdict | None = None
) -> Told:
    """The next record of an alert that stays as it is."""
    told = _next(kind, slot, said, last_state(slot, waiting="warned"), action.at_ms, action.by)
    return msgspec.structs.replace(told, note=note, verdict=verdict)


def last_state(slot: AlertSlot, *, waiting: AlertState) -> AlertState:
    """Of the last record; `waiting` where only an opening waits that nobody was told of."""
    match slot.state:
        case "held" | "dropped":
            return slot.over or waiting
        case told:
            return told


def _next(kind: Kind, slot: AlertSlot, said: Transition, state: AlertState, at_ms: int, by: str | None) -> Told:
    slot.sequence += 1
    set_wake(slot)
    return Told(
        kind=kind,
        said=msgspec.structs.replace(said, state=state, at_ms=at_ms),
        sequence=slot.sequence,
        owner=slot.owner,
        ack_by_ms=slot.ack_by_ms if slot.state == "opened" else None,
        snoozed_until_ms=slot.until_ms if slot.state == "snoozed" else None,
        by=by,
    )


def set_wake(slot: AlertSlot) -> None:
    """Note when something happens to the alert by itself."""
    slot.wake_ms = _sooner(own_wake_ms(slot), slot.ahead[0].at_ms if slot.ahead else None)


def own_wake_ms(slot: AlertSlot) -> int | None:
    """When it is let out, escalated, woken from a snooze, or expires."""
    state = slot.state
    if state not in OPEN_STATES:
        return slot.until_ms if state == "held" else None
    own_ms = slot.until_ms if state == "snoozed" else slot.ack_by_ms if state == "opened" else None
    return _sooner(own_ms, slot.expires_ms)


def _sooner(one_ms: int | None, other_ms: int | None) -> int | None:
    if one_ms is None or other_ms is None:
        return other_ms if one_ms is None else one_ms
    return min(one_ms, other_ms)


def bare(slot: AlertSlot, at_ms: int, subject: str | None) -> Transition:
    """Of an alert that is over: what is still known."""
    return Transition(state="expired", at_ms=at_ms, episode_start_ms=slot.episode_start_ms, due_ms=slot.due_ms, subject=subject)


def slots_of(customer: Customer, rule_id: str) -> list[tuple[str | None, AlertSlot]]:
    """The alerts of a rule for a customer, each with its subject, if it has one."""
    keys = (key.partition("/") for key in customer.alerts)
    return [(subject or None, customer.alerts[known + bar + subject]) for known, bar, subject in keys if known == rule_id]
