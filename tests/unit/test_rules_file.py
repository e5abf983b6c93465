"""The rules file: what is read of it, and what is said about each fault."""

from pathlib import Path

import pytest

from detectors.calendars import BusinessCalendar
from schemas.codec import decode_record, encode
from schemas.control import RulesPublished
from schemas.instants import HOUR_MS, format_instant, parse_instant
from schemas.rules import DEFAULT_FEEDS, AbsenceRule, CountRule, RuleSet, ScoreRule, SlaRule, SlaTarget
from streams.rules_file import RulesFileError, load_rules, parse_rules
from streams.yaml_nodes import Fault

BAD = Path(__file__).parents[1] / "rules_bad"
DEPLOYED = Path(__file__).parents[2] / "deploy" / "rules"
HEAD = "version: 1.0.0\ntenant: shop\n"


CASES = [
    ("empty", 1, "the file is empty"),
    ("only_comments", 1, "the file is empty"),
    ("not_yaml", 4, "not YAML: "),
    ("tab_as_indentation", 4, "not YAML: found character '\\t'"),
    ("two_documents", 4, "another document"),
    ("not_utf8", 3, "is not UTF-8"),
    ("control_character", 3, "not YAML: special characters are not allowed"),
    ("a_list", 1, "a list stands here; a rules file is a mapping"),
    ("undefined_alias", 3, "found undefined alias"),
    ("alias_inside_itself", 3, "rules[0]: stands inside itself"),
    ("program_tag", 3, "means nothing here"),
    ("key_twice", 3, "the key 'tenant' stands in line 2 already"),
    ("key_is_a_list", 3, "a key is a single word"),
    ("no_version", 1, "`version` is missing"),
    ("no_tenant", 1, "`tenant` is missing"),
    ("no_rules", 1, "`rules` is missing"),
    ("version_with_a_space", 1, "'1 a' is not a name"),
    ("empty_tenant", 2, "tenant: nothing stands here; text is wanted"),
    ("unknown_section", 3, "`calender` is not known here; did you mean `calendars`? allowed are version, tenant"),
    ("unknown_time_zone", 3, "time_zone: 'Europe/Berln' is not a time zone: write an IANA name"),
    ("freeze", 3, "`freeze` is not built yet in this release"),
    ("rules_are_a_mapping", 3, "rules: a mapping stands here; a list of rules is wanted"),
    ("churn_horizon_in_months", 3, "churn.horizon: 'P3M' is a calendar duration"),
    ("churn_of_unknown_type", 3, "churn.of[0]: 'order.paid' is not an event type; did you mean `order.placed`?"),
    ("bands_out_of_order", 3, "bands: the limits 0.7, 0.65, 0.85 do not ascend"),
    ("band_above_one", 3, "bands.critical: '85' is out of range; a number above 0 and up to 1 is wanted"),
    ("band_is_not_a_number", 3, "bands.critical: '.nan' stands here; a number"),
    ("lifecycle_limits_crossed", 3, "lifecycle: high_risk_clear 0.9 is above high_risk_above 0.8"),
    ("lifecycle_silent_after_churned", 3, "silent_after P200D is not below churned_after P180D"),
    ("lifecycle_unknown_rule", 3, "lifecycle.high_risk_rules[0]: 'burst' is not a rule of this file; allowed are none"),
    ("default_ack_by", 3, "defaults: `ack_by` is not built yet in this release"),
    ("default_expire_after", 3, "defaults: `expire_after` is not built yet"),
    ("default_severity_unknown", 3, "defaults.severity: 'critcal' is not a severity; did you mean `critical`?"),
    ("team_without_members", 3, "teams.sales: the list has 0 entries; at least 1 is wanted"),
    ("feed_of_unknown_types", 3, "feeds.shop.types[0]: 'orders.*' is not an event type; did you mean `order.*`?"),
    ("feed_without_types", 3, "feeds.shop: `types` is missing"),
    ("feed_lateness", 3, "feeds.shop.lateness: '5 minutes' is not a duration"),
    ("two_feeds_of_one_type", 5, "feeds.web: the feed `shop` delivers 'order.placed' already"),
    ("calendar_without_zone", 5, "calendars.office: `time_zone` is missing"),
    ("calendar_without_hours", 6, "calendars.office: never open"),
    (
        "calendar_interval_over_midnight",
        7,
        "calendars.office.weekly.mon[0]: '22:00-06:00' is empty; an interval ends after it starts",
    ),
    ("calendar_interval_form", 6, "calendars.office.weekly.mon[0]: '9-17' is not an interval; write HH:MM-HH:MM"),
    ("calendar_unknown_day", 6, "calendars.office.weekly.monday: 'monday' is not a day or a range of days"),
    ("calendar_range_backwards", 6, "'fri-mon' runs backwards"),
    ("calendar_day_twice", 8, "calendars.office.weekly.wed: the hours of `wed` stand here twice"),
    ("calendar_unknown_country", 7, "calendars.office.holidays: 'XX': no holidays are known for 'XX'; allowed are AD"),
    ("calendar_date_that_is_none", 7, "calendars.office.closed[0]: '2026-02-30' is not a date"),
    ("calendar_open_on_no_date", 7, "calendars.office.open.tomorrow: 'tomorrow' is not a date"),
    ("rule_is_text", 4, "rules[0]: 'silent' stands here; a rule is a mapping"),
    ("rule_without_kind", 4, "rules[silent]: `kind` is missing; built are absence, count, score, sla"),
    ("rule_without_id", 4, "rules[0]: `id` is missing"),
    ("rule_id_twice", 8, "rules[silent]: the id 'silent' stands in line 4 already"),
    ("rule_id_with_at", 4, "'silent@2' is not a name"),
    ("kind_unknown", 5, "rules[silent].kind: 'abscence' is not a kind of rule; did you mean `absence`?"),
    ("kind_all", 5, "rules[a].kind: kind `all` is not built yet in this release; built are absence, count, score, sla"),
    ("kind_any", 5, "rules[a].kind: kind `any` is not built yet in this release; built are absence, count, score, sla"),
    (
        "kind_decline",
        5,
        "rules[a].kind: kind `decline` is not built yet in this release; built are absence, count, score, sla",
    ),
    ("kind_level", 5, "rules[a].kind: kind `level` is not built yet in this release; built are absence, count, score, sla"),
    (
        "kind_renewal",
        5,
        "rules[a].kind: kind `renewal` is not built yet in this release; built are absence, count, score, sla",
    ),
    (
        "kind_rhythm",
        5,
        "rules[a].kind: kind `rhythm` is not built yet in this release; built are absence, count, score, sla",
    ),
    ("kind_share", 5, "rules[a].kind: kind `share` is not built yet in this release; built are absence, count, score, sla"),
    ("rule_ack_by", 8, "rules[silent]: `ack_by` is not built yet in this release"),
    ("rule_expire_after", 8, "`expire_after` is not built yet in this release"),
    ("rule_inhibits", 8, "`inhibits` is not built yet in this release"),
    ("rule_workdays", 8, "`workdays` is not built yet in this release"),
    ("rule_unknown_field", 8, "rules[silent]: `min_cuont` is not known here; did you mean `min_count`?"),
    ("rule_severity", 8, "rules[silent].severity: 'urgent' is not a severity; allowed are info, warning, high, critical"),
    ("rule_mode", 8, "'shadows' is not a mode; did you mean `shadow`?"),
    ("rule_stage", 8, "rules[silent].stages[0]: 'sleeping' is not a stage"),
    ("rule_needs_unknown_feed", 8, "rules[silent].needs[0]: 'order' is not a feed; did you mean `orders`?"),
    ("rule_owner_of_unknown_team", 8, "rules[silent].owner[0]: the team 'sales' is not defined"),
    ("rule_owner_of_customer", 8, "'customer.manager' is no owner"),
    ("rule_enabled_from", 8, "'yesterday' is no time from 1970 on"),
    ("rule_enabled_from_without_offset", 8, "is no time from 1970 on; write a date"),
    ("absence_of_unknown_type", 7, "rules[silent].of[0]: 'order.plced' is not an event type; did you mean `order.placed`?"),
    ("absence_of_alert_actions", 7, "'alert.acked' is not an event type"),
    ("absence_of_nothing", 7, "rules[silent].of: the list has 0 entries"),
    ("absence_of_no_list", 7, "'order.placed' stands here; a list is wanted"),
    ("absence_without_for", 4, "rules[silent]: `for` is missing"),
    ("absence_for_centuries", 7, "rules[silent].for: 'P101Y' is longer than 100 years"),
    ("absence_for_too_many_days", 7, "rules[silent].for: 'P40000D' is longer than 100 years"),
    ("absence_in_weeks", 7, "'P2W' counts weeks"),
    ("absence_in_mixed_units", 7, "'P1M10D' mixes months with exact units"),
    ("absence_for_a_number", 7, "'90' is not a duration"),
    ("absence_by_tier", 8, "rules[silent].tiers.vip: '60 days' is not a duration"),
    ("absence_restart_without_after", 8, "rules[silent].restart: this goes with `after`"),
    ("absence_restart_not_a_flag", 9, "'maybe' stands here; `true` or `false` is wanted"),
    ("absence_counts_crossed", 9, "rules[silent].max_count: 1 is below `min_count`, which is 3"),
    ("absence_min_count_zero", 8, "'0' stands here; a whole number from 1 to 1000 is wanted"),
    ("absence_unknown_calendar", 8, "rules[silent].calendar: 'office' is not a calendar of this file; allowed are none"),
    ("absence_days_on_a_calendar", 11, "rules[silent].for: 'P90D' counts days or months; on a calendar write hours"),
    ("absence_of_no_feed", 7, "rules[silent].of: no feed delivers 'login.succeeded'"),
    ("predicate_does_not_compile", 8, "rules[silent].where: 'event.amount >' is no CEL expression"),
    ("predicate_of_another_name", 8, "names 'customer'; allowed are `event` and `features`"),
    ("predicate_of_an_unknown_field", 8, "names event.amuont; the fields of these events are amount"),
    ("predicate_of_features", 8, "looks at `features`, which these rules do not have yet"),
    ("sla_without_clock", 4, "rules[reply]: `clock` is missing"),
    ("sla_next_response", 6, "rules[reply].clock: clock `next_response` is not built yet in this release"),
    ("sla_without_target", 4, "rules[reply]: an sla has either `target`"),
    ("sla_with_two_targets", 8, "an sla has either `target`"),
    ("sla_target_in_months", 7, "rules[reply].target: 'P1M' is a calendar duration"),
    ("sla_target_without_length", 8, "rules[reply].targets[0]: a target has either `target`"),
    ("sla_target_priority", 7, "rules[reply].targets[0].priority: 'hgih' is not a priority; did you mean `high`?"),
    ("sla_workdays_without_calendar", 7, "rules[reply].workdays: `workdays` needs a `calendar`"),
    ("sla_days_on_a_calendar", 12, "rules[reply].target: 'P2D' counts days; on a calendar write hours"),
    ("sla_warnings_out_of_order", 8, "rules[reply].warn_at: fractions of the target are below 1 and ascend"),
    ("sla_warning_above_one", 8, "rules[reply].warn_at[0]: '50' is out of range"),
    ("sla_until_of_a_first_response", 8, "rules[reply].until: a first_response clock waits for our answer"),
    ("sla_pause_on_open", 8, "'open' is not a status to pause on; allowed are pending, hold"),
    ("sla_target_never_reached", 7, "rules[reply].targets: target 1 matches every ticket, so those after it are never reached"),
    ("sla_of_no_feed", 6, "rules[reply].kind: no feed delivers 'ticket.opened'"),
    ("count_without_window", 4, "rules[burst]: `within` is missing"),
    ("count_window_in_months", 8, "rules[burst].within: 'P1M' is a calendar duration"),
    ("count_of_a_fraction", 7, "'2.5' stands here; a whole number from 1 to 1000"),
    ("score_above_one", 7, "rules[risky].above: '80' is out of range"),
    ("score_as_text", 7, "'0.8' stands here; a number from 0 to 1 is wanted, without quotes"),
    ("score_limits_crossed", 8, "rules[risky].clear_below: 0.9 is above `above`, which is 0.8"),
    ("score_without_churn", 5, "kind `score` needs a risk model: write the section `churn`"),
]


@pytest.mark.parametrize(("name", "line", "message"), CASES)
def test_each_fault_is_told_with_its_line_and_what_is_allowed(name: str, line: int, message: str) -> None:
    path = BAD / f"{name}.yaml"
    with pytest.raises(RulesFileError) as refused:
        load_rules(path)
    (fault,) = refused.value.faults
    assert fault.line == line
    assert message in f"{fault.place}: {fault.message}"
    assert str(refused.value) == f"{path} has a fault:\n  {fault}"


def test_every_bad_file_is_tested() -> None:
    assert sorted(name for name, _, _ in CASES) == sorted(path.stem for path in BAD.glob("*.yaml"))


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
version: 1.0.0
tenant: shop
time_zone: Mars
rules:
  - id: silent
    kind: absence
    of: [order.plced]
    for: 90
    colour: red
  - id: risky
    kind: rhythm
  - id: reply
    kind: sla
    clock: first_response
    calendar: office
"""
    with pytest.raises(RulesFileError) as refused:
        parse_rules(text.encode(), "shop.yaml")
    assert [(fault.line, fault.place) for fault in refused.value.faults] == [
        (3, "time_zone"),
        (7, "rules[silent].of[0]"),
        (8, "rules[silent].for"),
        (9, "rules[silent]"),
        (11, "rules[risky].kind"),
        (12, "rules[reply]"),
        (15, "rules[reply].calendar"),
    ]
    assert str(refused.value).splitlines()[0] == "shop.yaml has 7 faults:"
    assert str(refused.value).splitlines()[5] == (
        "  line 11: rules[risky].kind: kind `rhythm` is not built yet in this release; built are absence, count, score, sla"
    )


@pytest.mark.parametrize("path", sorted(DEPLOYED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_rules_file_that_ships_can_be_published(path: Path) -> None:
    rule_set = load_rules(path)
    record = RulesPublished(at_ms=0, version=rule_set.version, revision=0, document=rule_set)
    assert decode_record(encode(record)) == record
    assert rule_set.rules


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


def test_an_instant_from_which_a_rule_holds_may_have_an_offset() -> None:
    (rule,) = rules_by_id(
        "rules: [{id: a, kind: count, of: [ticket.opened], at_least: 2, within: P9D, enabled_from: 1970-01-01T02:00:00+01:00}]"
    ).values()
    assert rule == CountRule(id="a", version="1.0.0", of=["ticket.opened"], at_least=2, within="P9D", enabled_from_ms=HOUR_MS)


CALENDAR = 'calendars: {office: {time_zone: UTC, weekly: {mon-fri: ["09:00-17:00"]}}, shop: {time_zone: UTC, weekly: {sat: []'
TWO_CALENDARS = CALENDAR + ', sun: ["10:00-24:00"]}}}\n'


def test_an_sla_rule_is_read_with_its_targets_and_the_calendar_of_the_rule_where_they_have_none() -> None:
    assert rules_by_id(
        TWO_CALENDARS
        + """
rules:
  - id: reply
    kind: sla
    clock: first_response
    target: PT8H
    calendar: office
    warn_at: [0.5, 0.9]
  - id: resolve
    kind: sla
    clock: resolution
    until: closed
    calendar: office
    targets:
      - {priority: urgent, tier: vip, category: complaint, team: a, target: PT4H, calendar: shop}
      - {workdays: 5}
    pause_on: [pending]
"""
    ) == {
        "reply": SlaRule(
            id="reply",
            version="1.0.0",
            clock="first_response",
            targets=[SlaTarget(target="PT8H", calendar="office")],
            warn_at=[0.5, 0.9],
        ),
        "resolve": SlaRule(
            id="resolve",
            version="1.0.0",
            clock="resolution",
            until="closed",
            targets=[
                SlaTarget(priority="urgent", tier="vip", category="complaint", team="a", target="PT4H", calendar="shop"),
                SlaTarget(workdays=5, calendar="office"),
            ],
            pause_on=["pending"],
        ),
    }


def test_a_score_rule_clears_at_its_own_limit_unless_another_is_given() -> None:
    text = "churn: {}\nrules: [{id: a, kind: score, above: 0.8}, {id: b, kind: score, above: 1, clear_below: 0, dwell: P1D}]"
    assert rules_by_id(text) == {
        "a": ScoreRule(id="a", version="1.0.0", above=0.8, clear_below=0.8),
        "b": ScoreRule(id="b", version="1.0.0", above=1.0, clear_below=0.0, dwell="P1D"),
    }


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


def test_a_fault_of_a_range_of_days_is_told_once() -> None:
    text = f'{HEAD}calendars: {{a: {{time_zone: UTC, weekly: {{mon-sun: ["09:00-08:00"]}}}}}}\nrules: []'
    with pytest.raises(RulesFileError) as refused:
        parse_rules(text.encode())
    assert [(fault.line, fault.place) for fault in refused.value.faults] == [(3, "calendars.a.weekly.mon[0]")]


def test_a_target_with_a_fault_is_not_taken_for_one_that_matches_everything() -> None:
    targets = "[{priority: hgih, target: PT1H}, {target: PT8H}]"
    text = f"{HEAD}rules: [{{id: a, kind: sla, clock: resolution, targets: {targets}}}]"
    with pytest.raises(RulesFileError) as refused:
        parse_rules(text.encode())
    assert [fault.place for fault in refused.value.faults] == ["rules[a].targets[0].priority"]


def test_an_alias_stands_for_what_it_names() -> None:
    found = rules_by_id(
        "rules: [{id: a, kind: absence, of: &orders [order.placed], for: P9D}, {id: b, kind: absence, of: *orders, for: P8D}]"
    )
    assert [getattr(rule, "of", None) for rule in found.values()] == [["order.placed"], ["order.placed"]]


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter() -> None:
    content = b"\xef\xbb\xbf" + f"{HEAD}rules: []\n".replace("\n", "\r\n").encode()
    assert parse_rules(content) == parse_rules(f"{HEAD}rules: []\n".encode())


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_rules(tmp_path / "missing.yaml")


def test_a_fault_says_where_it_is() -> None:
    assert str(Fault(3, "rules[a].for", "is missing")) == "line 3: rules[a].for: is missing"
    assert str(Fault(1, "", "the file is empty")) == "line 1: the file is empty"
