"""How far back the rules look, which is how long the log has to keep its records."""

import pytest

from schemas.instants import DAY_MS, HOUR_MS
from streams.doctor import longest_ms
from streams.rules_file import parse_rules

CALENDAR = 'calendars: {office: {time_zone: UTC, weekly: {mon: ["00:00-24:00"]}}}\n'


def days_of(rule: str, sections: str = "") -> float:
    text = f"version: 1\ntenant: shop\n{CALENDAR}{sections}rules:\n  - {{id: a, {rule}}}\n"
    return longest_ms(parse_rules(text.encode())) / DAY_MS


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("kind: absence, of: [order.placed], for: P90D", 90),
        ("kind: absence, of: [order.placed], for: P3M", 93),  # of the longest months
        ("kind: absence, of: [order.placed], for: P90D, tiers: {vip: P120D}, cooldown: P7D", 127),
        ("kind: absence, of: [order.placed], workdays: 5, calendar: office", 35),  # open on one day of the week
        ("kind: absence, of: [order.placed], for: PT48H, calendar: office", 14),
        ("kind: rhythm, of: [order.placed], times: 3.0, min_gap: P14D", 14),
        ("kind: sla, clock: resolution, targets: [{priority: urgent, target: PT24H}, {workdays: 5, calendar: office}]", 35),
        ("kind: count, of: [ticket.opened], at_least: 3, within: P30D, dwell: P1D, cooldown: P7D", 38),
        ("kind: share, of: [ticket.opened], unless: [ticket.closed], for: P3D, share: 0.5, among: 4, within: P60D", 63),
        ("kind: level, of: [survey.answered], value: event.score, below: 3.0, dwell: P2D", 2),
        ("kind: decline, of: [order.placed], recent: P30D, baseline: P180D, by: 0.5", 210),
        ("kind: renewal, before: P30D", 30),
    ],
)
def test_the_window_of_each_kind_counts_with_its_waits(rule: str, days: float) -> None:
    assert days_of(rule) == days


def test_the_longest_rule_counts_and_the_horizon_of_the_model_after_it() -> None:
    text = b"""
version: 1
tenant: shop
churn: {horizon: P60D}
rules:
  - {id: a, kind: score, above: 0.8, dwell: P3D}
  - {id: b, kind: absence, of: [order.placed], for: PT1H}
  - {id: c, kind: any, rules: [a, b], dwell: P1D}
"""
    assert longest_ms(parse_rules(text)) == 63 * DAY_MS


def test_without_rules_nothing_is_needed() -> None:
    assert longest_ms(parse_rules(b"version: 1\ntenant: shop\nrules: []\n")) == 0
    assert days_of("kind: sla, clock: first_response, target: PT1H") == HOUR_MS / DAY_MS
