"""Hypothesis strategies for what may happen to alerts, as the engine may write it: each of them ends at last."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from plan_run import record

from schemas.decisions import CLOSED_STATES, AlertRecord

PEOPLE = ("ann", "bob", "eve")
MOVES = ("escalate", "ack", "snooze", "wake", "note", "assign", "end")


class Life:
    """One alert, while it is drawn."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], alert_id: str) -> None:
        self.records: list[AlertRecord] = []
        self._draw = draw
        self._alert_id = alert_id
        self._owner = draw(st.sampled_from(PEOPLE[:2]))
        self._fixed = {
            "customer_id": draw(st.sampled_from(["c1", "c2", "c3", "c4"])),
            "rule": draw(st.sampled_from(["slow@1", "slow@1", "silent@1"])),
            "kind": draw(st.sampled_from(["absence", "sla"])),
            "severity": draw(st.sampled_from(["warning", "critical"])),
            "value_at_risk": draw(st.sampled_from([None, 10.0, 900.0])),
        }

    @property
    def state(self) -> str:
        return self.records[-1].state

    def add(self, state: str, **fields: Any) -> None:
        inhibited = self._draw(st.sampled_from([None, None, None, "other"]))
        number = len(self.records) + 1
        fields = {**self._fixed, **fields, "owner": self._owner, "inhibited_by": inhibited}
        self.records.append(record(self._alert_id, number, state, **fields))

    def move(self, move: str) -> None:
        """What is not possible now does not happen."""
        by = self._draw(st.sampled_from(PEOPLE))
        closed = self.state in CLOSED_STATES
        if move == "note":
            self.add(self.state, by=by, note="x")
        elif move == "wake" and self.state in {"snoozed", "expired"}:
            self.add("opened")
        elif move == "escalate" and self.state == "opened":
            self.add("escalated")
        elif closed:
            return
        elif move in {"ack", "snooze"}:
            self.add({"ack": "acked", "snooze": "snoozed"}[move], by=by)
        elif move == "assign":
            self._owner = self._draw(st.sampled_from(PEOPLE[:2]))
            self.add(self.state, by=by)
        elif move == "end":
            self.add(self._draw(st.sampled_from(["resolved", "expired", "retracted"])))


@st.composite
def lives(draw: st.DrawFn, alert_id: str) -> list[AlertRecord]:
    """The records of one alert."""
    life = Life(draw, alert_id)
    for state in draw(st.sampled_from([("opened",), ("warned", "opened"), ("warned",), ("warned", "warned", "opened")])):
        life.add(state)
    for move in draw(st.lists(st.sampled_from(MOVES), max_size=6)):
        life.move(move)
    if life.state not in CLOSED_STATES:
        life.add("resolved")
    return life.records
