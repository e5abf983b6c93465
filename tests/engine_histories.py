"""Any records in any order, and rules of every kind: what the laws of the engine are drawn from."""

from engine_run import absence, complaint, contact, contract, order, reply, rule_set, survey, tick, tier
from hypothesis import strategies as st

from schemas.control import FeedConfirmed, FeedGap
from schemas.instants import DAY_MS
from schemas.rule_kinds import (
    AbsenceRule,
    AllRule,
    AnyRule,
    CountRule,
    DeclineRule,
    LevelRule,
    RenewalRule,
    RhythmRule,
    ShareRule,
    SlaRule,
    SlaTarget,
)
from schemas.rules import Lifecycle

DAYS = st.integers(0, 60)
CUSTOMERS = st.sampled_from(["ann", "bob"])
EVENTS = st.one_of(
    st.builds(survey, DAYS, CUSTOMERS, st.sampled_from([1, 3, 5])),
    st.builds(contract, DAYS, CUSTOMERS, DAYS),
    st.builds(reply, DAYS, CUSTOMERS),
    st.builds(order, DAYS, CUSTOMERS),
    st.builds(contact, DAYS, CUSTOMERS),
    st.builds(complaint, DAYS, CUSTOMERS, st.sampled_from(["t", None])),
    st.builds(tier, DAYS, st.sampled_from(["vip", "basic"]), CUSTOMERS),
)
GAPS = st.builds(
    lambda told, source, first, length: FeedGap(
        at_ms=told * DAY_MS, source=source, from_ms=first * DAY_MS, until_ms=(first + length) * DAY_MS
    ),
    DAYS,
    st.sampled_from(["orders", "tickets"]),
    DAYS,
    st.integers(1, 9),
)
CONFIRMED = GAPS.map(lambda gap: FeedConfirmed(at_ms=gap.at_ms, source=gap.source, from_ms=gap.from_ms, until_ms=gap.until_ms))
RECORDS = st.lists(st.one_of(EVENTS, st.builds(tick, DAYS), st.one_of(GAPS, CONFIRMED)), max_size=25)
RULES = rule_set(
    absence(9, for_by_tier={"vip": "P5D"}),
    absence(id="cycle", for_="P12D", min_count=2),
    AbsenceRule(id="unanswered", version="1", of=["order.placed"], after=["contact.made"], for_="P4D"),
    AbsenceRule(
        id="last", version="1", of=["order.placed"], after=["contact.made"], for_="P4D", restart=True, needs=["orders"]
    ),
    CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P7D", cooldown="P3D"),
    CountRule(id="lasting", version="1", of=["ticket.opened"], at_least=2, within="P7D", dwell="P4D", ack_by="P1D"),
    absence(id="vips", for_="P6D", tiers=["vip"], ack_by="P2D", expire_after="P5D", inhibits=["silent"]),
    absence(id="staged", for_="P6D", stages=["silent"], mode="shadow", cooldown="P9D"),
    RhythmRule(id="rhythm", version="1", of=["order.placed"], times=2.0, min_gap="P3D"),
    LevelRule(id="low", version="1", of=["survey.answered"], value="event.score", below=3.0, clear_above=4.0, dwell="P1D"),
    ShareRule(id="half", version="1", of=["survey.answered"], where="event.score < 3.0", share=0.5, among=2, within="P10D"),
    DeclineRule(id="down", version="1", of=["order.placed"], recent="P5D", baseline="P10D", by=0.5, min_count=2),
    RenewalRule(id="renewal", version="1", before="P9D", where="features.orders_30d < 2.0", cooldown="P2D"),
    SlaRule(id="reply", version="1", clock="first_response", targets=[SlaTarget(target="P4D")], warn_at=[0.5], stages=["new"]),
    AllRule(id="both", version="1", rules=["silent", "burst"], inhibits=["burst"], dwell="P1D"),
    AnyRule(id="either", version="1", rules=["both", "unanswered"], needs=["orders", "tickets"]),
    lifecycle=Lifecycle(silent_after="P8D", churned_after="P30D"),
    freeze=["1970-01-20/1970-01-25"],
)
