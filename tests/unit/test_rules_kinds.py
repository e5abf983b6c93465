"""Each kind of rule in a rules file: which struct its fields make, with what defaults."""

from typing import get_args

import pytest

from schemas.instants import HOUR_MS
from schemas.rule_kinds import (
    AbsenceRule,
    AllRule,
    AnyRule,
    CountRule,
    DeclineRule,
    LevelRule,
    RenewalRule,
    RhythmRule,
    Rule,
    ScoreRule,
    ShareRule,
    SlaRule,
    SlaTarget,
)
from schemas.rules import RuleSet
from streams.rules_file import parse_rules
from streams.rules_kinds import KINDS

HEAD = "version: 1.0.0\ntenant: shop\n"
CALENDARS = """\
calendars:
  office: {time_zone: UTC, weekly: {mon-fri: ["09:00-17:00"]}}
  shop: {time_zone: UTC, weekly: {sat: [], sun: ["10:00-24:00"]}}
"""


def read(text: str) -> RuleSet:
    return parse_rules((HEAD + text).encode())


def only_rule(fields: str, sections: str = "") -> object:
    (rule,) = read(f"{sections}rules:\n  - {{id: a, {fields}}}\n").rules
    return rule


def test_every_kind_of_rule_can_be_read() -> None:
    assert list(KINDS) == [str(kind.__struct_config__.tag) for kind in get_args(Rule)]


def test_what_every_rule_may_say() -> None:
    sections = "rules:\n  - {id: b, kind: absence, of: [order.placed], for: P9D}\n"
    common = "dwell: P3D, cooldown: PT8H, ack_by: PT4H, expire_after: P30D, inhibits: [b]"
    (_, rule) = read(f"{sections}  - {{id: a, kind: count, of: [ticket.opened], at_least: 3, within: P30D, {common}}}\n").rules
    assert rule == CountRule(
        id="a",
        version="1.0.0",
        of=["ticket.opened"],
        at_least=3,
        within="P30D",
        dwell="P3D",
        cooldown="PT8H",
        ack_by="PT4H",
        expire_after="P30D",
        inhibits=["b"],
    )


def test_defaults_are_for_every_kind_and_a_rule_may_say_otherwise() -> None:
    text = """
churn: {}
defaults: {severity: info, ack_by: PT8H, expire_after: P365D}
rules:
  - {id: a, kind: absence, of: [order.placed], for: P9D, severity: high, ack_by: PT1H, expire_after: P1D}
  - {id: b, kind: score, above: 0.8}
  - {id: c, kind: sla, clock: next_response, target: PT8H}
  - {id: d, kind: any, rules: [a, b]}
"""
    assert [(rule.severity, rule.ack_by, rule.expire_after) for rule in read(text).rules] == [
        ("high", "PT1H", "P1D"),
        *[("info", "PT8H", "P365D")] * 3,
    ]


def test_without_defaults_nothing_is_escalated_and_nothing_expires() -> None:
    rule = only_rule("kind: absence, of: [order.placed], for: P9D")
    assert rule == AbsenceRule(id="a", version="1.0.0", of=["order.placed"], for_="P9D")
    assert isinstance(rule, AbsenceRule)
    assert (rule.severity, rule.ack_by, rule.expire_after, rule.dwell, rule.cooldown) == ("warning", None, None, None, None)


def test_an_absence_on_a_calendar_counts_hours_or_working_days() -> None:
    hours = only_rule("kind: absence, of: [order.placed], for: PT80H, calendar: office, tiers: {vip: PT16H}", CALENDARS)
    assert hours == AbsenceRule(
        id="a", version="1.0.0", of=["order.placed"], for_="PT80H", calendar="office", for_by_tier={"vip": "PT16H"}
    )
    days = only_rule("kind: absence, of: [order.placed], workdays: 5, calendar: office, tiers: [vip]", CALENDARS)
    assert days == AbsenceRule(id="a", version="1.0.0", of=["order.placed"], workdays=5, calendar="office", tiers=["vip"])


def test_a_rhythm() -> None:
    assert only_rule("kind: rhythm, of: [order.placed], times: 3") == RhythmRule(
        id="a", version="1.0.0", of=["order.placed"], times=3.0
    )
    full = "where: event.amount > 5.0, min_count: 4, min_gap: P14D, cooldown: P1D"
    assert only_rule(f"kind: rhythm, of: [order.*], times: 0.5, {full}") == RhythmRule(
        id="a",
        version="1.0.0",
        of=["order.*"],
        times=0.5,
        where="event.amount > 5.0",
        min_count=4,
        min_gap="P14D",
        cooldown="P1D",
    )


@pytest.mark.parametrize("clock", ["first_response", "next_response", "resolution"])
def test_an_sla_with_one_target(clock: str) -> None:
    rule = only_rule(f"kind: sla, clock: {clock}, target: PT8H, calendar: office, warn_at: [0.5, 0.9]", CALENDARS)
    target = SlaTarget(target="PT8H", calendar="office")
    assert rule == SlaRule(id="a", version="1.0.0", clock=clock, targets=[target], warn_at=[0.5, 0.9])  # type: ignore[arg-type]


def test_targets_of_an_sla_have_the_calendar_of_the_rule_where_they_have_none() -> None:
    urgent = "{priority: urgent, tier: vip, category: complaint, team: a, target: PT4H, calendar: shop}"
    fields = f"kind: sla, clock: resolution, until: closed, calendar: office, targets: [{urgent}, {{workdays: 5}}]"
    assert only_rule(f"{fields}, pause_on: [pending]", CALENDARS) == SlaRule(
        id="a",
        version="1.0.0",
        clock="resolution",
        until="closed",
        targets=[
            SlaTarget(priority="urgent", tier="vip", category="complaint", team="a", target="PT4H", calendar="shop"),
            SlaTarget(workdays=5, calendar="office"),
        ],
        pause_on=["pending"],
    )


def test_a_share_matches_by_a_predicate_or_by_what_did_not_follow() -> None:
    by_predicate = "where: event.score * 2.0 < event.scale_max, share: 0.5, among: 4, within: P90D, clear_below: 0.25"
    assert only_rule(f"kind: share, of: [survey.answered], {by_predicate}") == ShareRule(
        id="a",
        version="1.0.0",
        of=["survey.answered"],
        where="event.score * 2.0 < event.scale_max",
        share=0.5,
        among=4,
        within="P90D",
        clear_below=0.25,
    )
    by_end = "unless: [ticket.resolved, ticket.closed], for: PT36H, share: 1, among: 1, within: P60D"
    assert only_rule(f"kind: share, of: [ticket.opened], {by_end}") == ShareRule(
        id="a",
        version="1.0.0",
        of=["ticket.opened"],
        unless=["ticket.resolved", "ticket.closed"],
        for_="PT36H",
        share=1.0,
        among=1,
        within="P60D",
    )


@pytest.mark.parametrize("clear", [", clear_above: 4.0", ", clear_above: 3.0", ""])
def test_a_level_below_a_limit(clear: str) -> None:
    rule = only_rule(
        f"""kind: level, of: [survey.answered], where: 'event.survey == "csat"', value: event.score, below: 3{clear}"""
    )
    assert rule == LevelRule(
        id="a",
        version="1.0.0",
        of=["survey.answered"],
        where='event.survey == "csat"',
        value="event.score",
        below=3.0,
        clear_above=float(clear[-3:]) if clear else None,
    )


@pytest.mark.parametrize("clear", [", clear_below: -9.5", ", clear_below: -1.0", ""])
def test_a_level_above_a_limit_that_may_be_negative(clear: str) -> None:
    rule = only_rule(f"kind: level, of: [order.placed], value: event.amount - features.orders_90d, above: -1{clear}")
    assert isinstance(rule, LevelRule)
    assert (rule.above, rule.below, rule.clear_below) == (-1.0, None, float(clear[-4:]) if clear else None)


def test_a_decline() -> None:
    assert only_rule("kind: decline, of: [order.placed], recent: P30D, baseline: P180D, by: 0.5") == DeclineRule(
        id="a", version="1.0.0", of=["order.placed"], recent="P30D", baseline="P180D", by=0.5
    )
    fields = "distinct: feature, recent: PT24H, baseline: P1D, by: 1.5, direction: up, min_count: 6"
    assert only_rule(f"kind: decline, of: [usage.recorded], {fields}") == DeclineRule(
        id="a",
        version="1.0.0",
        of=["usage.recorded"],
        distinct="feature",
        recent="PT24H",
        baseline="P1D",
        by=1.5,
        direction="up",
        min_count=6,
    )


def test_a_renewal() -> None:
    fields = "before: P30D, where: features.logins_30d < 3.0"
    assert only_rule(f"kind: renewal, {fields}") == RenewalRule(
        id="a", version="1.0.0", before="P30D", where="features.logins_30d < 3.0"
    )


def test_a_score_clears_at_its_own_limit_unless_another_is_given() -> None:
    assert only_rule("kind: score, above: 0.8", "churn: {}\n") == ScoreRule(id="a", version="1.0.0", above=0.8, clear_below=0.8)
    assert only_rule("kind: score, above: 1, clear_below: 0, dwell: P1D", "churn: {}\n") == ScoreRule(
        id="a", version="1.0.0", above=1.0, clear_below=0.0, dwell="P1D"
    )


def test_composites_may_name_each_other_in_any_order_of_the_file() -> None:
    text = """
rules:
  - {id: all-bad, kind: all, rules: [any-bad, a]}
  - {id: any-bad, kind: any, rules: [a, b]}
  - {id: a, kind: absence, of: [order.placed], for: P9D}
  - {id: b, kind: absence, of: [login.succeeded], for: P9D, inhibits: [all-bad]}
"""
    every, some, *_ = read(text).rules
    assert every == AllRule(id="all-bad", version="1.0.0", rules=["any-bad", "a"])
    assert some == AnyRule(id="any-bad", version="1.0.0", rules=["a", "b"])


def test_periods_of_freeze_and_how_long_closed_alerts_are_kept() -> None:
    rule_set = read('freeze: ["2026-02-15/2026-02-24", 2026-12-24/2026-12-25]\nforget_after: P30D\nrules: []\n')
    assert rule_set.freeze == ["2026-02-15/2026-02-24", "2026-12-24/2026-12-25"]
    assert rule_set.forget_after == "P30D"


def test_no_is_norway_as_in_yaml_1_2() -> None:
    rule_set = read('calendars: {a: {time_zone: Europe/Oslo, weekly: {mon: ["09:00-10:00"]}, holidays: NO}}\nrules: []\n')
    assert "2026-05-17" in rule_set.calendars["a"].holidays


def test_words_that_older_yaml_takes_for_truth_are_words() -> None:
    rule_set = read(
        "teams: {on: [yes, off]}\nrules: [{id: no, kind: absence, of: [order.placed], for: P9D, owner: [team.on, no]}]\n"
    )
    assert rule_set.teams == {"on": ["yes", "off"]}
    assert rule_set.rules[0].owner == ["team.on", "no"]


def test_a_number_with_a_colon_is_text_as_in_yaml_1_2() -> None:
    assert parse_rules(b"version: 12:30:45\ntenant: shop\nrules: []\n").version == "12:30:45"


def test_an_instant_from_which_a_rule_holds_may_have_an_offset() -> None:
    rule = only_rule("kind: count, of: [ticket.opened], at_least: 2, within: P9D, enabled_from: 1970-01-01T02:00:00+01:00")
    assert rule == CountRule(id="a", version="1.0.0", of=["ticket.opened"], at_least=2, within="P9D", enabled_from_ms=HOUR_MS)
