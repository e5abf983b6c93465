"""The rules file: what is read of it."""

import re
from pathlib import Path

import pytest

from detectors.calendars import BusinessCalendar
from schemas.codec import decode_record, encode
from schemas.control import RulesPublished
from schemas.instants import HOUR_MS, format_instant, parse_instant
from schemas.rule_kinds import AbsenceRule
from schemas.rules import DEFAULT_FEEDS, RuleSet
from streams.rules_common import Names
from streams.rules_file import load_rules, parse_rules
from streams.rules_kinds import KINDS

DEPLOYED = Path(__file__).parents[2] / "deploy" / "rules"
HEAD = "version: 1.0.0\ntenant: shop\n"


@pytest.mark.parametrize("path", sorted(DEPLOYED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_rules_file_that_ships_can_be_published(path: Path) -> None:
    rule_set = load_rules(path)
    record = RulesPublished(at_ms=0, version=rule_set.version, revision=0, document=rule_set)
    assert decode_record(encode(record)) == record
    assert rule_set.rules


def test_the_example_has_every_kind_and_every_field_of_rules() -> None:
    text = (DEPLOYED / "example.yaml").read_text(encoding="utf-8")
    assert {rule.kind for rule in load_rules(DEPLOYED / "example.yaml").rules} == set(KINDS)
    names = Names("1", "UTC", {}, DEFAULT_FEEDS, (), (), (), {}, has_churn=True)
    fields = {field for read, _ in KINDS.values() for field in read(names)}
    assert [field for field in sorted(fields) if not re.search(rf"^    {field}: |[{{ ]{field}: ", text, re.MULTILINE)] == []


def test_the_same_file_is_the_same_document() -> None:
    path = DEPLOYED / "example.yaml"
    assert encode(load_rules(path)) == encode(load_rules(path))


def rules_by_id(text: str) -> dict[str, object]:
    return {rule.id: rule for rule in parse_rules((HEAD + text).encode()).rules}


def test_what_the_file_leaves_out_has_its_default() -> None:
    assert parse_rules(f"{HEAD}rules: []".encode()) == RuleSet(version="1.0.0", tenant="shop", feeds=dict(DEFAULT_FEEDS))


def test_an_absence_rule_is_read_with_all_its_fields() -> None:
    assert rules_by_id("""
time_zone: Europe/Berlin
teams: {sales: [lena, tom]}
defaults: {severity: info}
rules:
  - id: silent
    kind: absence
    version: 2.1.0
    of: [order.placed]
    for: P3M
    tiers: {vip: P60D}
    after: [contact.made]
    where: event.amount > 0.0
    where_after: event.channel == "mail"
    restart: true
    min_count: 2
    max_count: 9
    needs: []
    stages: [active, silent]
    severity: high
    mode: shadow
    owner: [customer.owner, team.sales, lena]
    next_action: Call.
    enabled_from: 2026-01-01
""") == {
        "silent": AbsenceRule(
            id="silent",
            version="2.1.0",
            of=["order.placed"],
            for_="P3M",
            for_by_tier={"vip": "P60D"},
            after=["contact.made"],
            where="event.amount > 0.0",
            where_after='event.channel == "mail"',
            restart=True,
            min_count=2,
            max_count=9,
            needs=[],
            stages=["active", "silent"],
            severity="high",
            mode="shadow",
            owner=["customer.owner", "team.sales", "lena"],
            next_action="Call.",
            enabled_from_ms=parse_instant("2026-01-01T00:00:00+01:00"),
        )
    }


def test_a_rule_has_the_severity_of_the_defaults_and_the_version_of_the_document() -> None:
    found = rules_by_id("defaults: {severity: info}\nrules: [{id: a, kind: absence, of: [order.*], for: P9D, tiers: [vip]}]")
    assert found == {"a": AbsenceRule(id="a", version="1.0.0", severity="info", of=["order.*"], for_="P9D", tiers=["vip"])}


def test_a_version_stays_the_text_that_stands_in_the_file() -> None:
    assert parse_rules(b"version: 1.10\ntenant: 007\nrules: []").version == "1.10"
    assert parse_rules(b"version: 2026-11-01\ntenant: 007\nrules: []").tenant == "007"


def test_a_feed_of_the_file_takes_the_place_of_the_default_ones() -> None:
    rule_set = parse_rules(f"{HEAD}feeds: {{shop: {{types: [order.placed], lateness: PT0S}}}}\nrules: []".encode())
    assert (list(rule_set.feeds), rule_set.feeds["shop"].lateness_ms, rule_set.feed_of("order.placed")) == (["shop"], 0, "shop")


def test_needs_lets_a_rule_look_at_what_no_feed_delivers() -> None:
    feeds = "feeds: {shop: {types: [order.*]}}\n"
    (rule,) = rules_by_id(f"{feeds}rules: [{{id: a, kind: absence, of: [login.succeeded], for: P9D, needs: [shop]}}]").values()
    assert isinstance(rule, AbsenceRule)
    assert rule.needs == ["shop"]


def test_a_range_of_days_and_a_country_are_expanded_when_the_file_is_read() -> None:
    text = f"""{HEAD}
calendars:
  office:
    time_zone: Asia/Shanghai
    weekly: {{mon-fri: ["09:00-18:00"]}}
    holidays: CN
    make_up: ["2026-03-07"]
    closed: [2026-02-25]
    open: {{2026-02-26: ["10:00-12:00"]}}
rules: []
"""
    document = parse_rules(text.encode()).calendars["office"]
    assert sorted(document.weekly) == ["fri", "mon", "thu", "tue", "wed"]
    assert "2026-02-17" in document.holidays
    assert {"2026-02-14", "2026-03-07"} <= set(document.make_up)
    assert (document.closed, list(document.open)) == (["2026-02-25"], ["2026-02-26"])
    assert document.expanded_until is not None
    assert 2026 <= document.expanded_until < 2050
    #  Fri 13 Feb 17:00  18:00 .. Sat 14 (worked) 09:00 .. 18:00 .. Tue 24 Feb .. Wed 25 closed .. Thu 26 Feb 10:00  11:00
    office = BusinessCalendar.from_document(document)
    assert format_instant(office.add_ms(parse_instant("2026-02-13T17:00:00+08:00"), 20 * HOUR_MS)) == "2026-02-26T03:00:00Z"


def test_holidays_may_be_dates_and_a_country_without_exchanges_is_known_to_the_last_year_expanded() -> None:
    text = 'calendars: {a: {time_zone: UTC, weekly: {mon: ["09:00-10:00"]}, holidays: %s}}\nrules: []'
    own = parse_rules((HEAD + text % "[2026-05-04]").encode()).calendars["a"]
    assert (own.holidays, own.make_up, own.expanded_until) == (["2026-05-04"], [], None)
    german = parse_rules((HEAD + text % "DE-BY").encode()).calendars["a"]
    assert "2026-01-06" in german.holidays
    assert german.expanded_until == 2050
    spanish = parse_rules((HEAD + text % "ES").encode()).calendars["a"]  # known from 2008 on
    assert min(spanish.holidays) == "2008-01-01"
    assert parse_rules((HEAD + text % "LK").encode()).calendars["a"].expanded_until == 2026  # and here only until then


def test_an_alias_stands_for_what_it_names() -> None:
    found = rules_by_id(
        "rules: [{id: a, kind: absence, of: &orders [order.placed], for: P9D}, {id: b, kind: absence, of: *orders, for: P8D}]"
    )
    assert [getattr(rule, "of", None) for rule in found.values()] == [["order.placed"], ["order.placed"]]


@pytest.mark.filterwarnings("error")
def test_an_anchor_that_is_given_anew_holds_from_there() -> None:
    lists = "[{id: a, kind: absence, of: &x [order.*], for: P9D}, {id: b, kind: absence, of: &x [login.*], for: P9D}"
    found = rules_by_id(f"rules: {lists}, {{id: c, kind: absence, of: *x, for: P8D}}]")
    assert getattr(found["c"], "of", None) == ["login.*"]


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter() -> None:
    content = b"\xef\xbb\xbf" + f"{HEAD}rules: []\n".replace("\n", "\r\n").encode()
    assert parse_rules(content) == parse_rules(f"{HEAD}rules: []\n".encode())
