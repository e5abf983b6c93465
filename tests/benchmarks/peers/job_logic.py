"""The job of the Python peers: what becomes of one event; plain objects, standard library only."""

from typing import Any

COUNTED = "login.succeeded"
AT_LEAST = 3
WITHIN_MS = 10 * 24 * 60 * 60 * 1000

State = dict[str, Any]
"""Of a customer: events and the last one by type; of those that count, who stands in the window, until it was full."""


def take(state: State | None, event: dict[str, Any]) -> tuple[State, dict[str, Any] | None]:
    """The state with the event in it, and the alert if it is the first to complete a window `(t - within, t]`."""
    if state is None:
        state = {"counts": {}, "lasts": {}, "recent": [], "alerted": False}
    kind, at_ms, name = event["type"], event["at_ms"], event["id"]
    state["counts"][kind] = state["counts"].get(kind, 0) + 1
    last = state["lasts"].get(kind)
    if last is None or at_ms >= last[0]:
        state["lasts"][kind] = [at_ms, name]
    if state["alerted"] or kind != COUNTED:
        return state, None
    recent = state["recent"]
    recent.append([at_ms, name])
    while recent[0][0] <= at_ms - WITHIN_MS:
        recent.pop(0)
    if len(recent) < AT_LEAST:
        return state, None
    state["alerted"], state["recent"] = True, []
    return state, _alert(event["customer_id"], at_ms, [name for _, name in recent])


def _alert(customer_id: str, at_ms: int, evidence: list[str]) -> dict[str, Any]:
    return {
        "alert_id": f"{customer_id}/{at_ms}",
        "customer_id": customer_id,
        "at_ms": at_ms,
        "state": "opened",
        "count": len(evidence),
        "within_ms": WITHIN_MS,
        "evidence": evidence,
    }
