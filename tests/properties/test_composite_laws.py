"""`all` and `any` equal their definition: the parts' alerts, laid beside each other on a line of time."""

from collections.abc import Sequence

from engine_run import EngineRun, absence, complaint, contact, order, rule_set, tick
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Record
from schemas.decisions import AlertRecord
from schemas.events import AnyEvent
from schemas.instants import DAY_MS
from schemas.rule_kinds import AbsenceRule, AllRule, AnyRule, CountRule, Rule

DAYS = st.integers(0, 60)
EVENTS = st.one_of(st.builds(order, DAYS), st.builds(contact, DAYS), st.builds(complaint, DAYS))
PARTS: list[Rule] = [
    absence(9),
    AbsenceRule(id="unanswered", version="1", of=["order.placed"], after=["contact.made"], for_="P4D"),
    CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P7D"),
]
ALL = AllRule(id="every", version="1", rules=["silent", "burst"])
ANY = AnyRule(id="some", version="1", rules=["unanswered", "burst"])


def laid_out(parts: Sequence[AlertRecord], needed: Sequence[str], *, all_of_them: bool) -> list[str]:
    """When all, or any, of some rules are open, by walking along what happened to their alerts."""
    told, is_open = [], False
    open_alerts: set[tuple[str, str]] = set()
    for alert in sorted(parts, key=lambda part: part.at_ms):  # at the same instant in the order of the log
        name = alert.rule.split("@")[0]
        if name not in needed:
            continue
        (open_alerts.add if alert.state == "opened" else open_alerts.discard)((name, alert.alert_id))
        there = {name for name, _ in open_alerts}
        holds = there == set(needed) if all_of_them else bool(there)
        if holds != is_open:
            told.append(f"{'opened' if holds else 'resolved'}@{alert.at_ms / DAY_MS:g}")
        is_open = holds
    return told


@given(st.lists(EVENTS, max_size=15), st.lists(DAYS, max_size=8))
def test_all_and_any_are_open_while_their_parts_are(events: Sequence[AnyEvent], days: Sequence[int]) -> None:
    records: list[Record] = [*events, *(tick(day) for day in days)]
    ordered = sorted(records, key=lambda record: (record.at_ms, record.type != "tick"))
    parts = EngineRun(rule_set(*PARTS)).feed(*ordered, tick(99)).alerts
    whole = EngineRun(rule_set(*PARTS, ALL, ANY)).feed(*ordered, tick(99))
    for rule, all_of_them in ((ALL, True), (ANY, False)):
        told = [told for told, alert in zip(whole.told, whole.alerts, strict=True) if alert.kind == rule.kind]
        assert told == laid_out(parts, rule.rules, all_of_them=all_of_them)
